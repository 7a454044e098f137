"""Stems in memory, for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..audio import Microphone
from ..config import Format
from ..errors import nearest
from ..pitch.tracks import Track
from ..progress import OnProgress, Progress
from .files import checked_blocks, write
from .separation import Block, Separation, Source

_SAVED_SAMPLES = 1 << 18


@dataclass(frozen=True, eq=False, repr=False)
class Stems(Mapping[str, np.ndarray]):
    """The stems of a recording by id: ``stems["alto"]`` is float32 of shape (M, S), or (S,) for an input of shape (S,).

    Attributes
    ----------
    separation
        What was separated into what, and how.
    images
        All stems, float32, shape (N, M, S).
    mono
        Whether single stems come without their axis of channels.
    """

    separation: Separation
    images: np.ndarray = field(repr=False)
    mono: bool = False

    def __getitem__(self, id: str) -> np.ndarray:
        ids = list(self)
        if id not in ids:
            raise KeyError(f"expected one of {', '.join(ids)}, got {id!r}; try {nearest(id, ids)}")
        return self._shaped(self.images[ids.index(id)])

    def __iter__(self) -> Iterator[str]:
        return (source.id for source in self.sources)

    def __len__(self) -> int:
        return len(self.sources)

    def __repr__(self) -> str:
        return f"Stems({', '.join(self)}; {self.images.shape[-1]} samples at {self.sample_rate} Hz)"

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources in the order of the stems."""
        return self.separation.sources

    @property
    def microphones(self) -> tuple[Microphone, ...]:
        """What the channels of every stem are."""
        return self.separation.recording.microphones

    @property
    def f0(self) -> Mapping[str, Track]:
        """F0 track by id, where there is one."""
        return self.separation.f0

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.separation.recording.sample_rate

    @property
    def residual(self) -> np.ndarray:
        """What the stems leave of the recording: recording = sum of stems + residual."""
        mixture = self.separation.recording.read(0, self.images.shape[-1])
        return self._shaped((mixture - self.images.sum(0, dtype=np.float64)).astype(np.float32))

    def save(self, directory: str | Path = "separated", *, format: Format = "flac", name: str | None = None) -> Path:
        """Write ``directory/<track>`` as :func:`~partbook.stems.write` does and return it."""
        return write(self.separation, directory, format=format, name=name)

    def _shaped(self, samples: np.ndarray) -> np.ndarray:
        return samples[0] if self.mono else samples


def collect(separation: Separation, *, mono: bool = False, on_progress: OnProgress | None = None) -> Stems:
    """Gather all blocks of a separation in memory."""
    recording = separation.recording
    images = np.empty((len(separation.sources), len(recording.microphones), recording.length), np.float32)
    progress, position = Progress("render", recording.length, on_progress), 0
    for block, _ in checked_blocks(separation):
        images[..., position : position + block.shape[-1]] = block
        position += block.shape[-1]
        progress.step(units=block.shape[-1])

    def blocks() -> Iterator[Block]:
        for start in range(0, recording.length, _SAVED_SAMPLES):
            yield Block(start, images[..., start : start + _SAVED_SAMPLES])

    gathered = Separation(recording, separation.sources, blocks, separation.f0, separation.config, separation.seed)
    return Stems(gathered, images, mono)


__all__ = ["Stems", "collect"]
