"""Sound files and arrays: the only module that touches sound files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Microphone:
    """One channel of a recording.

    Attributes
    ----------
    name
        Spelled as given.
    file
        File name (no folder) it was read from, empty for an array.
    channel
        1-based channel in that file.
    role
        ``"spot"``, ``"main"``, ``"ambient"``, or ``"mono"`` for a channel of one recording of voices.
    source
        Id of the source whose spot it is, or None.
    """

    name: str
    file: str
    channel: int
    role: str
    source: str | None = None


class Recording(Protocol):
    """A multi-channel recording that is read piece by piece.

    Attributes
    ----------
    name
        Name of the track: the stem of the file or the name of the folder.
    sample_rate
        Hz.
    length
        Samples.
    microphones
        One per channel, in order.
    """

    name: str
    sample_rate: int
    length: int
    microphones: tuple[Microphone, ...]

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples ``start`` to ``stop`` of every channel, float32, shape (M, stop - start)."""
        ...
