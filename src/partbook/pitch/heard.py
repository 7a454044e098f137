"""What the salience network hears in a recording: for every frame, its strongest candidates of F0.

The recording is read block by block at the rate of the network; blocks carry context that is thrown away, so the result
does not depend on where they begin.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import soxr
import torch
from torch import Tensor

from ..audio import Recording
from ..audio.conditioning import loud, powers
from ..dsp.pieces import in_pieces
from ..dsp.precision import low_precision_pays
from ..ensemble import MOST_VOICES
from ..progress import OnProgress, Progress
from ..zoo import load
from .candidates import NO_EVIDENCE, Candidates, strongest
from .network import SalienceNetwork, network_of, spectral_features

MODEL = "pitch"
"""Name of the network that comes with Partbook."""

BLOCK_S, CONTEXT_S = 20, 2
"""Whole seconds, so that blocks begin on a sample and a frame at every rate."""

PIECE_FRAMES = 500
"""Frames that the network judges at once: what its layers hold of them fits into a cache."""

LEAST_FRAMES = 8
"""Fewer frames are judged in full precision: some kernels in bfloat16 cannot do with a single column."""

SCALE, BIAS = 0.8, 2.2
"""Evidence is ``SCALE * (logit + BIAS)``: the network does not know that voices are expected, the decoder does."""

LEAST_SHARE = 0.25
"""A voice is counted if so large a share of the sounding frames holds that many candidates."""


def network_candidates(recording: Recording, on_progress: OnProgress | None = None) -> Candidates:
    """Return the candidates of every frame of a recording as the network that comes with Partbook hears them."""
    return hear(recording, shipped_network(), on_progress)


@lru_cache(maxsize=1)
def shipped_network() -> SalienceNetwork:
    """Return the trained network that comes with Partbook."""
    return network_of(*load(MODEL))


def hear(
    recording: Recording, network: SalienceNetwork, on_progress: OnProgress | None = None, count: int = 16
) -> Candidates:
    """Return the ``count`` most likely candidates of every frame of a recording, all its channels heard together."""
    transform = network.config.transform
    seconds = math.ceil(recording.length / recording.sample_rate)
    level = loudness(recording)
    frames = transform.frames(math.ceil(recording.length * transform.sample_rate / recording.sample_rate))
    per_second = transform.sample_rate // transform.hop_samples
    progress = Progress("listen", math.ceil(seconds / BLOCK_S), on_progress)
    found = []
    for first_s in range(0, max(seconds, 1), BLOCK_S):
        before_s = min(first_s, CONTEXT_S)
        logit_GT = _judged(recording, network, first_s - before_s, first_s + BLOCK_S + CONTEXT_S, level)
        first = before_s * per_second
        wanted = min(BLOCK_S * per_second, frames - first_s * per_second)
        found.append(strongest(logit_GT[:, first : first + wanted].numpy(), count))
        progress.step()
    row, logit = (np.concatenate(each) for each in zip(*found, strict=True))
    f0_hz = transform.low_hz * 2 ** (row / transform.per_octave)
    evidence = np.where(np.isfinite(logit) & (level > 0), SCALE * (logit + BIAS), NO_EVIDENCE)
    return Candidates(np.arange(len(f0_hz)) / per_second, f0_hz, evidence, _likely(logit) if level > 0 else 0)


def loudness(recording: Recording) -> float:
    """Return the RMS (power summed over channels) of the louder seconds of a recording; 0 if all is silent."""
    return math.sqrt(loud(powers(recording, recording.sample_rate)))


def _judged(recording: Recording, network: SalienceNetwork, from_s: int, to_s: int, level: float) -> Tensor:
    """Return the network's logits (G, T) of a stretch."""
    rate, transform = recording.sample_rate, network.config.transform
    x_MS = recording.read(from_s * rate, min(recording.length, to_s * rate)).astype(np.float32)
    x_MS = soxr.resample(x_MS.T, rate, transform.sample_rate, quality="HQ").T
    x_BMS = torch.from_numpy(np.ascontiguousarray(x_MS))[None]
    with torch.inference_mode():
        features = spectral_features(x_BMS, torch.tensor([level]), network.config)
        features = features.contiguous(memory_format=torch.channels_last)
        low_precision = features.shape[-1] >= LEAST_FRAMES and low_precision_pays()
        with torch.autocast("cpu", torch.bfloat16, enabled=low_precision):
            return in_pieces(network, features, network.reach_frames, PIECE_FRAMES)[0].float()


def _likely(logit_TC: np.ndarray) -> int:
    """Return how many voices there probably are: as many as sound together often enough."""
    together = (logit_TC > 0).sum(1)
    sounding = together[together > 0]
    if not len(sounding):
        return 0
    return max(n for n in range(1, MOST_VOICES + 1) if (sounding >= n).mean() > LEAST_SHARE or n == 1)


__all__ = ["hear", "loudness", "network_candidates", "shipped_network"]
