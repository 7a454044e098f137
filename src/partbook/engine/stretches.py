"""A recording cut into stretches that fit into the memory, each with what is heard around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..audio import Recording
from ..config import Options, VoicesConfig


@dataclass(frozen=True)
class Stretch:
    """A piece of a recording with its context: samples ``read`` hold ``start`` to ``stop`` and a fade beyond."""

    start: int
    stop: int
    fade: int
    read_start: int
    read_stop: int

    def samples(self, recording: Recording) -> Tensor:
        """Return the samples (M, S), context included."""
        return torch.from_numpy(np.ascontiguousarray(recording.read(self.read_start, self.read_stop), np.float32))

    def inner(self, x_MS: Tensor) -> Tensor:
        """Return what it answers for of its samples."""
        return x_MS[..., self.start - self.read_start : self.stop - self.read_start]


def stretches(recording: Recording, voices: int, options: Options, config: VoicesConfig) -> list[Stretch]:
    """Cut a recording into stretches that fit into the memory."""
    rate, length = recording.sample_rate, recording.length
    step = max(1, round(_stretch_s(voices, len(recording.microphones), rate, options) * rate))
    context, fade = round(config.context_s * rate), round(config.fade_s * rate)
    cuts = [(start, min(length, start + step)) for start in range(0, length, step)]
    return [Stretch(a, b, min(fade, length - b), max(0, a - context), min(length, b + fade + context)) for a, b in cuts]


def _stretch_s(voices: int, channels: int, sample_rate: int, options: Options) -> float:
    """Return how many seconds to separate at once: as many as fit into a quarter of the memory, 4 to 20."""
    # A sample of an image is held as float32 samples and, four times over, as complex bins, in a few copies.
    bytes_per_s = sample_rate * (voices + 2) * channels * 8 * 4 * 3
    return float(np.clip(options.memory_bytes / 4 / bytes_per_s, 4, 20))


__all__ = ["Stretch", "stretches"]
