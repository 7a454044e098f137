"""Training the singer from mixtures alone.

A batch holds scenes, and a scene holds two recordings of ensembles. The network hears their sum, with the F0 of all
voices, and says the power of each; the loss compares what it says of *one recording's* voices together with that
recording (as in Wisdom et al., "Unsupervised sound separation using mixture invariant training", NeurIPS 2020, where
the network must find out itself which voices belong together; here the F0 says so). No voice is ever heard alone: both
recordings are mixtures. A network that does not care which F0 belongs to which recording can only do well by telling
every voice from every other. What it is judged by: :mod:`partbook.singer.judging`.

Where scenes hold a single recording (``together``), what is left is the likelihood of the mixture, the loss of a fit,
amortised over many mixtures. This is what an ensemble's own recordings allow.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from ..data.wear import OTHERS_DB, coded, coloured, in_sections, in_some_room, noisy
from ..dsp.oscillator import flat_partials, upsampled
from ..dsp.stft import Stft
from ..errors import OptionError
from ..singer.judging import EARLIER, ERROR, LIKELIHOOD, Asked, cross_power, judged, over_rounds
from ..singer.model import Singer, SingerConfig
from .pitch import HELD_OUT, rendered, some_seed
from .weights import seeded, stored

CHECKED = 6
"""Scenes that are held out."""

RATE = 16_000
_HOP = 128
"""Samples from frame to frame of the rendered F0: 8 ms."""


@dataclass(frozen=True)
class SingerTaskConfig:
    """What is trained on.

    Attributes
    ----------
    network
        What the network is; that of the first weights where these are named.
    weights
        First weights: a model that comes with Partbook by its name, the folder of another run, or ``untrained``.
    pieces, recorded
        How many are rendered, and how many of them with recorded voices; all are drawn equally often.
    scenes, seconds
        Of a batch, and of a scene.
    voices
        Voices of a scene, drawn from these; fewer than four make one recording.
    window_s, overlap
        Of the spectra: those of separation.
    beta, likelihood, error
        Divergence, its weight, and the weight of the filter's error in dB.
    earlier
        Weight of all rounds but the last.
    level_db
        Least and most standard deviation of the levels of a scene's voices: where it is large, some lead.
    rests
        Share of voices that pause for a while, so that the others are heard in smaller company.
    sections
        Share of scenes in which every voice is a section.
    others_db
        Least and most level of the others in a section, relative to the one whose F0 counts.
    in_room
        Share of scenes in a room.
    coded
        Share of scenes with what a lossy coder leaves.
    f0_cents, f0_gaps
        Errors of the F0 that the network is given: standard deviation, and most gaps per voice.
    f0_strays
        Share of scenes in which F0 strays for some stretches.
    together
        Whether scenes hold one recording only.
    near, looked
        Shares of the frames of a batch in which single partials, and among those single bins are looked at, which costs
        most.
    """

    network: SingerConfig = field(default_factory=SingerConfig)
    weights: str = "untrained"
    pieces: int = 400
    recorded: int = 0
    scenes: int = 2
    seconds: float = 2.0
    voices: tuple[int, ...] = (4, 4, 4, 5)
    window_s: float = 0.128
    overlap: int = 4
    beta: float = 0.0
    likelihood: float = LIKELIHOOD
    error: float = ERROR
    earlier: float = EARLIER
    level_db: tuple[float, float] = (2.0, 10.0)
    rests: float = 0.5
    sections: float = 0.0
    others_db: tuple[float, float] = OTHERS_DB
    in_room: float = 0.4
    f0_cents: float = 6.0
    f0_gaps: int = 3
    f0_strays: float = 0.5
    coded: float = 0.2
    together: bool = False
    near: float = 1.0
    looked: float = 1.0


class Scenes(NamedTuple):
    """A batch of scenes of N voices in G recordings: their spectra, noise in ``mixture`` only, the F0 given, and the
    frames whose single partials, and those of them whose single bins are looked at."""

    mixture_BFT: Complex[Tensor, "B F T"]
    recordings_GBFT: Complex[Tensor, "G B F T"]
    groups: tuple[tuple[int, ...], ...]
    comb_BNFT: Float[Tensor, "B N F T"]
    f0_hz: Float[Tensor, "B N T"]
    near: slice
    looked: slice


@dataclass
class SingerTask:
    """See :class:`partbook.train.loop.Task`; rendered pieces are kept in a folder."""

    config: SingerTaskConfig
    renders: Path
    seed: int = 0

    @cached_property
    def model(self) -> Singer:
        """The network, its first weights drawn from the seed or those that the recipe names."""
        if self.config.weights == "untrained":
            return seeded(lambda: Singer(self.config.network), self.seed)
        named = stored(self.config.weights, "singer", lambda told: Singer(SingerConfig.from_json(told)))
        if self.config.network not in (SingerConfig(), named.config):
            raise OptionError(f"the network of {self.config.weights}, or none", f"{self.config.network}")
        return named

    @property
    def stft(self) -> Stft:
        """The transform of mixtures and combs."""
        return Stft.lasting(self.config.window_s, RATE, self.config.overlap)

    @property
    def bins_hz(self) -> Float[Tensor, " F"]:
        """Frequencies of its bins."""
        return torch.arange(self.stft.bins) * (RATE / self.stft.n_fft)

    def batch(self, seed: int, step: int) -> Scenes:
        """Return the scenes of a step."""
        rng = np.random.default_rng([seed, step])
        voices = int(rng.choice(self.config.voices))
        return self.scenes(rng, voices, lambda: some_seed(self.config.pieces, self.config.recorded, rng))

    def scenes(self, rng: np.random.Generator, voices: int, drawn: Callable[[], int]) -> Scenes:
        """Return scenes of so many voices from pieces whose seeds are drawn one by one."""
        parts, noises, tracks = zip(*(self._scene(rng, voices, drawn) for _ in range(self.config.scenes)), strict=True)
        parts_BNFT = self.stft(torch.from_numpy(np.stack(parts)).float())
        noise_BFT = self.stft(torch.from_numpy(np.stack(noises)).float())
        f0_BNT = torch.from_numpy(np.stack(tracks)).float()
        groups = _groups(voices, rng, self.config.together)
        count = parts_BNFT.shape[-1]
        looked = max(1, round(self.config.looked * count))
        near = max(looked, round(self.config.near * count))
        first = int(rng.integers(count - looked + 1))
        around = int(rng.integers(max(0, first + looked - near), min(first, count - near) + 1))
        return Scenes(
            parts_BNFT.sum(1) + noise_BFT,
            torch.stack([parts_BNFT[:, list(group)].sum(1) for group in groups]),
            groups,
            combs(f0_BNT, self.stft, parts[0].shape[-1]),
            frames(f0_BNT, self.stft, count),
            slice(around, around + near),
            slice(first, first + looked),
        )

    def loss(self, batch: Scenes) -> tuple[Tensor, Mapping[str, float]]:
        """Return the loss over all rounds, and the parts of the last."""
        kind, config = batch.mixture_BFT.device.type, self.config
        low_precision = torch.is_autocast_enabled(kind)
        # Powers reach over ten decades: where precision is low, only gains of single partials and bins have less of it.
        with torch.autocast(kind, enabled=False):
            power_BFT = cross_power(batch.mixture_BFT, batch.mixture_BFT)
            level = power_BFT.mean((1, 2), keepdim=True).clamp_min(1e-12)
            X_BFT, recordings_GBFT = batch.mixture_BFT / level.sqrt(), batch.recordings_GBFT / level.sqrt()
            heard = power_BFT / level, batch.comb_BNFT, batch.f0_hz, self.bins_hz, batch.near, batch.looked
            told = self.model(*heard, whole=False, low_precision=low_precision)
            asked = Asked.of(X_BFT, recordings_GBFT, self.model.sight(self.bins_hz))
            judgements = [judged(said, asked, batch.groups, config.beta) for said in told]
            total = over_rounds(judgements, config.likelihood, config.error, config.earlier)
        fits, errors = judgements[-1]
        return total, {"likelihood": float(fits.detach()), "error_db": float(errors.detach())}

    def check(self) -> Mapping[str, float]:
        """Return likelihood and error in dB on held-out pieces, at all frames."""
        rng, drawn = np.random.default_rng(HELD_OUT), itertools.count(HELD_OUT).__next__
        batches = [self.scenes(rng, 4, drawn) for _ in range(max(1, CHECKED // self.config.scenes))]
        all_frames = slice(0, batches[0].f0_hz.shape[-1])
        figures = [self.loss(each._replace(near=all_frames, looked=all_frames))[1] for each in batches]
        return {name: float(np.mean([each[name] for each in figures])) for name in figures[0]}

    def _scene(self, rng: np.random.Generator, voices: int, drawn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return parts (N, S) in one room, noise (S,) and F0 (N, T) every 8 ms, with the errors of a pitch tracker."""
        samples = round(self.config.seconds * RATE)
        parts, f0 = [], []
        while sum(map(len, parts)) < voices:
            piece = _stretch(rendered(self.renders, drawn(), RATE, _HOP), samples, rng)
            if piece is not None:
                parts.append(piece[0])
                f0.append(piece[1])
        chosen = rng.permutation(sum(map(len, parts)))[:voices]
        parts_NS, f0_NT = np.concatenate(parts)[chosen], np.concatenate(f0)[chosen]
        parts_NS, f0_NT = resting(parts_NS, f0_NT, self.config.rests, rng)
        parts_NS = parts_NS * 10 ** (rng.normal(0, rng.uniform(*self.config.level_db), (voices, 1)) / 20)
        parts_NS = coloured(parts_NS, RATE, rng.uniform(0.5, 4.5), rng)
        if rng.random() < self.config.sections:
            parts_NS = in_sections(parts_NS, RATE, rng, self.config.others_db)
        if rng.random() < self.config.in_room:
            parts_NS = in_some_room(parts_NS, RATE, rng)
        mixture_S = parts_NS.sum(0)
        given = np.stack([mistaken(track, rng, self.config.f0_cents, self.config.f0_gaps) for track in f0_NT])
        if rng.random() < self.config.f0_strays:
            given = strayed(given, rng)
        heard_S = noisy(mixture_S, RATE, rng)
        if rng.random() < self.config.coded:
            heard_S = coded(heard_S, RATE, rng)
        return parts_NS, heard_S - mixture_S, given


def combs(f0_BNT: Float[Tensor, "B N T"], stft: Stft, samples: int) -> Float[Tensor, "B N F2 T2"]:
    """Return the power of every voice's flat harmonics, a partial of amplitude 1 at about 1; F0 is every 8 ms."""
    at_hz, gate = upsampled(f0_BNT, _HOP, samples)
    return (stft(flat_partials(at_hz, RATE, RATE / 2) * gate) * (4 / stft.n_fft)).abs().square()


def frames(f0_BNT: Float[Tensor, "B N T"], stft: Stft, count: int) -> Float[Tensor, "B N T2"]:
    """Return F0 in the frames of a transform."""
    nearest = torch.round(torch.arange(count) * (stft.hop_samples / _HOP)).long()
    return f0_BNT[..., nearest.clamp_max(f0_BNT.shape[-1] - 1)]


def resting(
    parts_NS: np.ndarray, f0_NT: np.ndarray, share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Silence some voices for a stretch of their own, up to the whole, with short fades."""
    heard_NT = np.ones_like(f0_NT)
    for heard in heard_NT:
        if rng.random() < share:
            length = int(rng.uniform(0.2, 1.0) * len(heard))
            first = rng.integers(-length // 2, len(heard) - length // 2)
            heard[max(0, first) : first + length] = 0
    at = np.arange(parts_NS.shape[1]) / _HOP
    gain_NS = np.stack([np.interp(at, np.arange(len(heard)), heard) for heard in heard_NT])
    return parts_NS * gain_NS, f0_NT * (heard_NT > 0)


def mistaken(f0_hz: np.ndarray, rng: np.random.Generator, cents: float, gaps: int) -> np.ndarray:
    """Return an F0 track as a tracker would hand it on: it wanders, misses stretches and is late or early at edges."""
    count = len(f0_hz)
    knots = np.arange(0, count + 10, 10)
    off = np.interp(np.arange(count), knots, rng.normal(0, rng.uniform(0, cents) + 1e-9, len(knots)))
    told = f0_hz * 2 ** (off / 1200)
    for _ in range(rng.integers(gaps + 1)):
        at = rng.integers(count)
        told[at : at + rng.integers(2, 20)] = 0
    voiced = np.flatnonzero(told > 0)
    late = rng.integers(-3, 4)
    if late < 0 or not len(voiced):
        inside = np.convolve(told > 0, np.ones(1 - 2 * min(late, 0)), "same") > -2 * min(late, 0) + 0.5
        return np.where(inside, told, 0.0)
    right = np.searchsorted(voiced, np.arange(count)).clip(0, len(voiced) - 1)
    left = np.maximum(right - 1, 0)
    nearer = np.abs(voiced[left] - np.arange(count)) < np.abs(voiced[right] - np.arange(count))
    nearest = np.where(nearer, voiced[left], voiced[right])
    return np.where(np.abs(nearest - np.arange(count)) <= late, told[nearest], 0.0)


def strayed(f0_NT: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return F0 tracks that for some stretches follow another voice, some other pitch, or go on where nobody sounds."""
    told = f0_NT.copy()
    voices, count = f0_NT.shape
    for _ in range(rng.integers(1, 2 * voices + 1)):
        n, at = rng.integers(voices), rng.integers(count)
        here = slice(at, at + int(np.exp(rng.uniform(np.log(6), np.log(90)))))
        chance = rng.random()
        if chance < 0.3:
            told[n, here] = f0_NT[rng.integers(voices), here]
        elif chance < 0.7:
            semitones = rng.choice([-12, 12, rng.uniform(-5, 5), rng.uniform(-12, 12)], p=[0.1, 0.1, 0.5, 0.3])
            told[n, here] = f0_NT[n, here] * 2 ** (semitones / 12)
        elif (f0_NT[n] > 0).any():
            silent = np.flatnonzero(told[n, here] == 0) + at
            told[n, silent] = rng.choice(f0_NT[n][f0_NT[n] > 0]) * 2 ** (rng.uniform(-1, 1) / 6)
    return told


def _stretch(path: Path, samples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray] | None:
    """Read a random stretch of a piece; None where fewer than two of its parts sound, for then it is no mixture."""
    from safetensors.numpy import safe_open

    with safe_open(path, "np") as file:
        parts, f0 = file.get_slice("parts"), file.get_slice("f0")
        first = _HOP * int(rng.integers(max(1, (parts.get_shape()[1] - samples) // _HOP)))
        parts_NS = parts[:, first : first + samples] / 32767.0
        f0_NT = f0[:, first // _HOP : (first + samples) // _HOP + 1].astype(float)
    sounding = (f0_NT > 0).mean(1) > 0.2
    if sounding.sum() < 2 or parts_NS.shape[1] < samples:
        return None
    return parts_NS[sounding], f0_NT[sounding]


def _groups(voices: int, rng: np.random.Generator, together: bool) -> tuple[tuple[int, ...], ...]:
    """Return who sings in which recording: two of at least two voices each, or all in one."""
    order = tuple(int(n) for n in rng.permutation(voices))
    return (order,) if together or voices < 4 else (order[: voices // 2], order[voices // 2 :])


__all__ = ["RATE", "Scenes", "SingerTask", "SingerTaskConfig", "combs", "frames", "mistaken", "resting", "strayed"]
