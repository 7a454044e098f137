"""The decoder as a teacher: F0 paths that a recording itself, heard as a whole, says are right.

A network judges every frame by what is within half a second of it. The decoder knows more: that voices go on, that
there are so many of them, and where each mostly sings. So its paths are better than what the network would say frame by
frame, and the network can learn from them on recordings whose F0 nobody knows (self-training; with confidences, and
held against excerpts played faster and slower, in other colours and more noise, as in Xie et al., "Self-training with
noisy student", CVPR 2020).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import soxr
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ..audio import Recording
from ..ensemble import Voice
from ..pitch.candidates import NO_EVIDENCE, Candidates, strongest
from ..pitch.following import SALIENCES, followed
from ..pitch.heard import BIAS, SCALE, loudness
from ..pitch.network import SalienceNetwork, spectral_features
from .corpus import Told

BLOCK_S, CONTEXT_S = 20, 2
"""Recordings are heard in blocks of so many seconds, with a context that is thrown away."""

BUMP_ROWS, BESIDE_ROWS = 1.0, 2.5
"""Standard deviation of what is wanted around an F0, and of where nothing else is wanted."""

DOUBTED = 0.5
"""Share of its own salience that a teacher keeps where its path does not lead."""


def listened(recording: Recording, network: SalienceNetwork) -> Float[np.ndarray, "G T"]:
    """Return a network's logits of all candidates in all frames of a recording."""
    transform, rate = network.config.transform, recording.sample_rate
    per_second = transform.sample_rate // transform.hop_samples
    seconds = math.ceil(recording.length / rate)
    level = torch.tensor([loudness(recording)], dtype=torch.float32)
    frames = transform.frames(math.ceil(recording.length * transform.sample_rate / rate))
    pieces = []
    for first_s in range(0, max(seconds, 1), BLOCK_S):
        before_s = min(first_s, CONTEXT_S)
        last = min(recording.length, (first_s + BLOCK_S + CONTEXT_S) * rate)
        x_MS = recording.read((first_s - before_s) * rate, last)
        x_MS = soxr.resample(x_MS.T, rate, transform.sample_rate, quality="HQ").T
        with torch.no_grad():
            features = spectral_features(torch.from_numpy(np.ascontiguousarray(x_MS))[None], level, network.config)
            logit_GT = network(features.contiguous(memory_format=torch.channels_last))[0]
        wanted = min(BLOCK_S * per_second, frames - first_s * per_second)
        pieces.append(logit_GT[:, before_s * per_second :][:, :wanted].numpy())
    return np.concatenate(pieces, 1)


def taught_paths(recording: Recording, network: SalienceNetwork, voices: Sequence[Voice]) -> Told:
    """Return what the joint decoder makes of a network's salience, for every voice and frame.

    Parameters
    ----------
    recording
        The recording.
    network
        Who listens, ready to judge.
    voices
        Who sings, high to low.
    """
    heard_GT, transform = listened(recording, network), network.config.transform
    row, logit = strongest(heard_GT, 16)
    times_s = np.arange(len(row)) * (transform.hop_samples / transform.sample_rate)
    evidence = np.where(np.isfinite(logit), SCALE * (logit + BIAS), NO_EVIDENCE)
    candidates = Candidates(times_s, transform.low_hz * 2 ** (row / transform.per_octave), evidence, len(voices))
    tracks = followed(candidates, tuple(voices), SALIENCES["network"][1]).values()
    f0_NT, confidence_NT = (np.stack([getattr(t, name) for t in tracks]) for name in ("f0_hz", "confidence"))
    return Told(f0_NT.astype(np.float32), confidence_NT.astype(np.float32), heard_GT)


def lesson(
    rows_BNT: Float[Tensor, "B N T"], confidence_BNT: Float[Tensor, "B N T"], heard_BGT: Float[Tensor, "B G T"]
) -> tuple[Float[Tensor, "B G T"], Float[Tensor, "B G T"]]:
    """Return what the salience of a mixture should be by its paths, and how much that matters.

    Around a path it is a bump, as in supervised training, and counts by the path's confidence. Elsewhere it is half of
    what the teacher heard: a candidate that the decoder did not want may still be somebody.

    Parameters
    ----------
    rows_BNT
        Candidate of every path, far below all where unvoiced.
    confidence_BNT
        Of the paths.
    heard_BGT
        Logits of the teacher.
    """
    away = torch.arange(heard_BGT.shape[1]).to(rows_BNT)[:, None] - rows_BNT[:, :, None]
    bump_BNGT = torch.exp(-0.5 * (away / BUMP_ROWS) ** 2)
    beside_BGT = torch.exp(-0.5 * (away / BESIDE_ROWS) ** 2).amax(1)
    bump_BGT, nearest = bump_BNGT.max(1)
    on_path = bump_BGT > 0.05
    wanted = torch.where(on_path, bump_BGT, DOUBTED * torch.sigmoid(heard_BGT) * (1 - beside_BGT))
    weight = torch.where(on_path, confidence_BNT.gather(1, nearest), torch.ones_like(bump_BGT))
    return wanted, weight


def learned(
    logit_BGT: Float[Tensor, "B G T"], wanted_BGT: Float[Tensor, "B G T"], weight_BGT: Float[Tensor, "B G T"]
) -> Float[Tensor, ""]:
    """Return the weighted cross entropy, summed over candidates as one choice per voice would be."""
    each = binary_cross_entropy_with_logits(logit_BGT.float(), wanted_BGT, reduction="none")
    return (each * weight_BGT).sum(1).mean()


__all__ = ["learned", "lesson", "listened", "taught_paths"]
