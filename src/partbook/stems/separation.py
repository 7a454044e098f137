"""Named images and their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..audio import Recording, heard_at
from ..pitch.tracks import Track


@dataclass(frozen=True)
class Source:
    """A voice or player: its id (lower case, used in file names), its name as given, confidence from 0 to 1."""

    id: str
    name: str
    confidence: float = 1.0


@dataclass(frozen=True)
class Block:
    """The images of all sources over a stretch of the recording.

    Attributes
    ----------
    start
        First sample of the stretch in the recording.
    images
        float32, shape (N, M, S): every source at every microphone.
    """

    start: int
    images: np.ndarray


@dataclass(frozen=True)
class Separation:
    """A separation whose audio comes block by block, so that memory does not grow with duration.

    Attributes
    ----------
    recording
        What was separated.
    sources
        The N sources, in the order of the images. The background is not among them: it is the residual.
    blocks
        Returns an iterator over consecutive blocks that tile the recording exactly once, in order.
    f0
        F0 track per source id, where the method has one.
    config
        The resolved configuration, ready for JSON.
    seed
        Seed of all random numbers.
    """

    recording: Recording
    sources: tuple[Source, ...]
    blocks: Callable[[], Iterator[Block]]
    f0: Mapping[str, Track] = field(default_factory=dict)
    config: Mapping[str, object] = field(default_factory=dict)
    seed: int = 0


def narrowed(separation: Separation, role: str) -> Separation:
    """Return a separation whose images are at the microphones of one role only."""
    recording = separation.recording
    rows = [row for row, microphone in enumerate(recording.microphones) if microphone.role == role]

    def blocks() -> Iterator[Block]:
        for block in separation.blocks():
            yield Block(block.start, block.images[:, rows])

    return replace(separation, recording=heard_at(recording, role), blocks=blocks)
