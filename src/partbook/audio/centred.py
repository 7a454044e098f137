"""A recording without the offset of its converter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .recording import Microphone, Recording

OFFSET = 0.01
"""Mean of a channel, relative to what is left of it, from which it is an offset: the mean of sound alone is less."""

_BLOCK_SAMPLES = 1 << 20


@dataclass(frozen=True)
class Centred:
    """A recording less a constant per channel; see :class:`~partbook.audio.Recording`.

    Attributes
    ----------
    recording
        As it was made.
    offset_M
        What is taken from every channel, shape (M,).
    """

    recording: Recording
    offset_M: np.ndarray

    @property
    def name(self) -> str:
        """Name of the track."""
        return self.recording.name

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.recording.sample_rate

    @property
    def length(self) -> int:
        """Samples."""
        return self.recording.length

    @property
    def microphones(self) -> tuple[Microphone, ...]:
        """One per channel."""
        return self.recording.microphones

    @property
    def start(self) -> int:
        """Sample of the original at which it begins."""
        return self.recording.start

    @property
    def paths(self) -> tuple[Path, ...]:
        """The file of every channel."""
        return self.recording.paths

    @property
    def setup(self) -> Mapping[str, object]:
        """What is said of sources and room."""
        return self.recording.setup

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples ``start`` to ``stop`` of every channel, float32, shape (M, stop - start)."""
        return self.recording.read(start, stop) - self.offset_M[:, None]

    def sha256(self) -> str:
        """Return the digest of the original."""
        return self.recording.sha256()


def centred(recording: Recording) -> Recording:
    """Return the recording without the offset of its channels, itself where it has none.

    No voice makes a constant, but it is power: levels are measured too high by it, and a model gives it to somebody.
    It is read from end to end.
    """
    sum_M, square_M = np.zeros((2, len(recording.microphones)))
    for first in range(0, recording.length, _BLOCK_SAMPLES):
        samples = recording.read(first, min(recording.length, first + _BLOCK_SAMPLES)).astype(np.float64)
        sum_M += samples.sum(1)
        square_M += np.square(samples).sum(1)
    mean_M = sum_M / recording.length
    left_M = np.sqrt(np.maximum(square_M / recording.length - mean_M**2, 0))
    offset_M = np.where(np.abs(mean_M) > OFFSET * left_M, mean_M, 0).astype(np.float32)
    return Centred(recording, offset_M) if offset_M.any() else recording


__all__ = ["Centred", "centred"]
