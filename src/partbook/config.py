"""Settings as frozen dataclasses; the resolved ones are written beside every result."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from .errors import OptionError

Format = Literal["flac", "wav"]

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@dataclass(frozen=True)
class Options:
    """What every separation can be told, whatever its engine.

    Attributes
    ----------
    seed
        Seed of all random numbers, 0 or more. The same seed, input, build and threads give the same bytes.
    device
        A PyTorch device: ``"cpu"``, ``"cuda"`` ….
    threads
        Threads of numerical kernels; None leaves PyTorch's choice.
    memory_bytes
        About how much memory may be used, whatever the duration.
    """

    seed: int = 0
    device: str = "cpu"
    threads: int | None = None
    memory_bytes: int = 2 * 10**9

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:
            raise OptionError("a seed of 0 or more", f"{self.seed}")
        if self.threads is not None and self.threads < 1:
            raise OptionError("at least one thread", f"{self.threads}")
        if self.memory_bytes < 10**8:
            raise OptionError("at least 100MB of memory", f"{self.memory_bytes} bytes", "--memory 2GB")


def parse_bytes(text: str) -> int:
    """Return the number of bytes that ``2GB``, ``1.5G``, ``500 MB`` or ``100000000`` says; units of 1000.

    Examples
    --------
    >>> parse_bytes("1.5GB")
    1500000000
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", text.lower())
    if not found:
        raise OptionError("an amount of memory", f"{text!r}", "2GB or 500MB")
    return math.floor(float(found[1]) * _UNITS[found[2]])


__all__ = ["Format", "Options", "parse_bytes"]
