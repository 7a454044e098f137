"""F0 tracks: one fundamental frequency per frame of one voice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Track:
    """The F0 of one voice on a regular or irregular grid of times.

    Attributes
    ----------
    times_s
        Seconds from the start of the recording, strictly increasing, shape (T,).
    f0_hz
        Fundamental frequency in Hz, 0 where unvoiced, shape (T,).
    confidence
        Between 0 and 1, shape (T,).
    """

    times_s: np.ndarray
    f0_hz: np.ndarray
    confidence: np.ndarray
