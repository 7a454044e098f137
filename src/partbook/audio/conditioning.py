"""A recording as it is best heard: without the offset of its converter, and at an even level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter1d, percentile_filter

from .recording import Microphone, Recording

OFFSET = 0.01
"""Mean of a channel, relative to what is left of it, from which it is an offset: the mean of sound alone is less."""

LOUD_QUANTILE, SILENT = 0.8, 1e-4
"""The level of a recording is that of its parts at this quantile; what is below this share of the loudest is silence,
however much of it there is."""

PAUSE = 1e-3
"""Power, relative to what is loud in the recording, up to which nobody sounds (−30 dB)."""

PART_S, AROUND_S, SMOOTH_S = 0.25, 8.0, 1.0
"""The level of a passage is that of its parts, so long, over so long a time around, and so smooth."""

PASSAGE_PERCENT = 70
"""Percentile of these parts: what is short, loud or silent, does not count."""

MOST_DB = 30.0
"""How much a passage is made louder at most: what is fainter is no passage but a pause."""

_BLOCK_SAMPLES = 1 << 20


@dataclass(frozen=True)
class Conditioned:
    """A recording less a constant per channel and, then, louder or softer by a gain that moves slowly.

    It is a :class:`~partbook.audio.Recording`.

    Attributes
    ----------
    recording
        As it was made.
    offset_M
        What is taken from every channel, shape (M,).
    places, gain_db
        Samples, and the gain there, the same for all channels; between them it is interpolated.
    """

    recording: Recording
    offset_M: np.ndarray
    places: np.ndarray
    gain_db: np.ndarray

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
        gain_db = np.interp(np.arange(start, stop), self.places, self.gain_db)
        samples = self.recording.read(start, stop) - self.offset_M[:, None]
        return samples * (10 ** (gain_db / 20)).astype(np.float32)

    def sha256(self) -> str:
        """Return the digest of the original."""
        return self.recording.sha256()


def centred(recording: Recording) -> Recording:
    """Return the recording without the offset of its channels, itself where it has none.

    No voice makes a constant, but it is power: levels are measured too high by it, and a model gives it to somebody.
    """
    sum_M, square_M = np.zeros((2, len(recording.microphones)))
    for samples in _blocks(recording, _BLOCK_SAMPLES):
        sum_M += samples.sum(1)
        square_M += np.square(samples).sum(1)
    mean_M = sum_M / recording.length
    left_M = np.sqrt(np.maximum(square_M / recording.length - mean_M**2, 0))
    offset_M = np.where(np.abs(mean_M) > OFFSET * left_M, mean_M, 0).astype(np.float32)
    return Conditioned(recording, offset_M, np.zeros(1), np.zeros(1)) if offset_M.any() else recording


def levelled(recording: Recording) -> Recording:
    """Return the recording with soft passages as loud as loud ones, itself where it is silent.

    What has learned how loud voices are is not led astray, then, by how loud it was before, or by applause.
    """
    part = max(1, round(PART_S * recording.sample_rate))
    power = powers(recording, part)
    level = loud(power)
    if level == 0:
        return recording
    passage = percentile_filter(power, PASSAGE_PERCENT, round(AROUND_S / PART_S) + 1)
    softer_db = 10 * np.log10(level / np.maximum(passage, level * 10 ** (-MOST_DB / 10)))
    middles = (np.arange(len(power)) + 0.5) * part
    unmoved = np.zeros(len(recording.microphones), np.float32)
    return Conditioned(recording, unmoved, middles, gaussian_filter1d(softer_db, SMOOTH_S / PART_S))


def powers(recording: Recording, part: int) -> np.ndarray:
    """Return the mean power, summed over channels, of every ``part`` samples of a recording; the last may be fewer."""
    found = []
    for samples in _blocks(recording, part * max(1, _BLOCK_SAMPLES // part)):
        power = np.square(samples).sum(0)
        first = np.arange(0, len(power), part)
        found.append(np.add.reduceat(power, first) / np.diff(first, append=len(power)))
    return np.concatenate(found)


def loud(power: np.ndarray) -> float:
    """Return the power of what is loud in a recording, of its powers in seconds or frames; 0 if all is silent.

    Examples
    --------
    >>> loud(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5])), loud(np.zeros(3))
    (0.5, 0.0)
    """
    sounding = power[power > SILENT * power.max(initial=0)]
    return float(np.quantile(sounding, LOUD_QUANTILE)) if len(sounding) else 0.0


def sounding(recording: Recording) -> tuple[np.ndarray, int]:
    """Return which parts of a recording sound, all if none does, shape (P,), and their length in samples."""
    part = max(1, round(PART_S * recording.sample_rate))
    power = powers(recording, part)
    # What sounds begins in the part before, and rings into the one after.
    sounds = binary_dilation(power > PAUSE * loud(power))
    return (sounds if sounds.any() else ~sounds), part


def sounding_ends(recording: Recording) -> tuple[int, int]:
    """Return the samples between which a recording sounds, its ends if it never does."""
    sounds, part = sounding(recording)
    parts = np.flatnonzero(sounds)
    return int(parts[0]) * part, min(recording.length, (int(parts[-1]) + 1) * part)


def _blocks(recording: Recording, size: int) -> Iterator[np.ndarray]:
    """Yield the samples of a recording, so many at a time, in double precision."""
    for first in range(0, recording.length, size):
        yield recording.read(first, min(recording.length, first + size)).astype(np.float64)


__all__ = ["Conditioned", "centred", "levelled", "loud", "powers", "sounding", "sounding_ends"]
