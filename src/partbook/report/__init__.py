"""One self-contained page about a result: listen, look, measure.

``report.html`` needs no network, no other file and no server, and is never larger than 20 MB.
"""

from .writing import PAGE_BYTES, write_report

__all__ = ["PAGE_BYTES", "write_report"]
