"""One self-contained page about a result: listen, look, measure; and a picture of F0.

``report.html`` needs no network, no other file and no server, and is never larger than 20 MB.
"""

from .f0 import write_f0_picture
from .writing import PAGE_BYTES, write_report

__all__ = ["PAGE_BYTES", "write_f0_picture", "write_report"]
