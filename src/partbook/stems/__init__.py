"""Named images of sources: as they are made (:mod:`.separation`), in memory, in a folder, and checked."""

from .files import write
from .folder import check_target
from .memory import Stems, collect
from .separation import Block, Separation, Source, narrowed
from .verify import Check, verify

__all__ = [
    "Block",
    "Check",
    "Separation",
    "Source",
    "Stems",
    "check_target",
    "collect",
    "narrowed",
    "verify",
    "write",
]
