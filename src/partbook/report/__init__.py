"""One self-contained page about a result: listen, look, measure; a picture of F0; a Reaper project.

``report.html`` needs no network, no other file and no server, and is never larger than 20 MB.
"""

from .f0 import write_f0_picture
from .project import write_project
from .writing import PAGE_BYTES, write_report

__all__ = ["PAGE_BYTES", "write_f0_picture", "write_project", "write_report"]
