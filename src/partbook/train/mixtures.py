"""Batches of mixtures for learning F0 and singer together: synthetic pieces, or recordings of which little is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from ..data.wear import coloured, noisy
from ..ensemble import parse_voices
from ..errors import InputError
from ..pitch.heard import loudness
from ..pitch.network import NetworkConfig
from .corpus import Corpus, Told, heard_excerpt
from .pitch import HELD_OUT, PitchConfig, excerpt, rows_of, stacked

UNHEARD = -6.0
"""Logit of a candidate that nobody heard."""

SYNTHETIC_RANGE_OCTAVES = 0.9
"""How far from its register a voice of a synthetic piece may sing."""


class Heard(NamedTuple):
    """Mixtures, who sings in them, and what is told of their F0; all with a batch B in front.

    Attributes
    ----------
    x_BS, level_B
        Samples at the network's rate, and RMS of the recordings that they are from.
    octaves_BN, ranges_BN2
        Registers of the voices, high to low, in octaves above the lowest candidate; their ranges in Hz.
    f0_BNT, rows_BNT, confidence_BNT
        F0 that is told, 0 where unvoiced; the candidate there, far below all where unvoiced; how sure it is.
    heard_BGT
        Logits of all candidates as the teacher heard them.
    """

    x_BS: Float[Tensor, "B S"]
    level_B: Float[Tensor, " B"]
    octaves_BN: Float[Tensor, "B N"]
    ranges_BN2: Float[Tensor, "B N 2"]
    f0_BNT: Float[Tensor, "B N T"]
    rows_BNT: Float[Tensor, "B N T"]
    confidence_BNT: Float[Tensor, "B N T"]
    heard_BGT: Float[Tensor, "B G T"]


class Wanted(Protocol):
    """What a recipe says of batches; see :class:`partbook.train.joint.JointConfig`."""

    voices: str
    pieces: int
    most_voices: int
    mixtures: int
    seconds: float
    transpose_semitones: float


@dataclass(frozen=True)
class Excerpts:
    """Where batches are drawn from.

    Attributes
    ----------
    network
        Rate and candidates.
    wanted
        Size and kind of the batches.
    renders
        Folder of rendered pieces.
    corpus, told
        Recordings in the place of pieces, and what is told of each, if anything.
    """

    network: NetworkConfig
    wanted: Wanted
    renders: Path
    corpus: Corpus | None = None
    told: Sequence[Told] = ()

    def drawn(self, seed: int, step: int, *, held_out: bool = False) -> Heard:
        """Return the batch of a step; pieces held out are those that no training step draws."""
        rng = np.random.default_rng([seed, step] if step >= 0 else [HELD_OUT, -step])
        return self._recorded(rng) if self.corpus else self._rendered(rng, held_out)

    def _rendered(self, rng: np.random.Generator, held_out: bool) -> Heard:
        wanted, drawn = self.wanted, []
        config = PitchConfig(self.network, pieces=wanted.pieces, seconds=wanted.seconds)
        while len(drawn) < wanted.mixtures:
            number = HELD_OUT + int(rng.integers(8)) if held_out else int(rng.integers(wanted.pieces))
            x_S, level, f0_NT = excerpt(self.renders, number, config, rng)
            sung = f0_NT[(f0_NT > 0).any(1)]
            if 0 < len(sung) <= wanted.most_voices:
                middle = [np.exp(np.log(each[each > 0]).mean()) for each in sung]
                drawn.append((x_S, level, sung[np.argsort(middle)[::-1]]))
        x_BS, level_B, f0_BNT = stacked(drawn)
        sung_BNT = f0_BNT > 0
        middle_BN = torch.where(sung_BNT, f0_BNT, torch.ones_like(f0_BNT)).log2().sum(-1) / sung_BNT.sum(-1).clamp_min(
            1
        )
        # A voice that only fills up the batch is silent, and lower than all others.
        lowest_BN = middle_BN.masked_fill(~sung_BNT.any(-1), math.inf).amin(1, keepdim=True)
        middle_BN = torch.where(sung_BNT.any(-1), middle_BN, lowest_BN - 0.5)
        off_BN = torch.from_numpy(rng.normal(0, 0.12, middle_BN.shape)).float()
        octaves_BN = (middle_BN + off_BN).sort(1, descending=True).values - math.log2(self.network.transform.low_hz)
        centre_hz = self.network.transform.low_hz * 2**octaves_BN
        reach = 2**SYNTHETIC_RANGE_OCTAVES
        ranges_BN2 = torch.stack([centre_hz / reach, centre_hz * reach], -1)
        unheard_BGT = torch.full((len(drawn), self.network.rows, f0_BNT.shape[-1]), -math.inf)
        told = (f0_BNT, rows_of(f0_BNT, self.network), torch.ones_like(f0_BNT), unheard_BGT)
        return Heard(x_BS, level_B, octaves_BN, ranges_BN2, *told)

    def _recorded(self, rng: np.random.Generator) -> Heard:
        wanted, transform = self.wanted, self.network.transform
        share = self.corpus.seconds / self.corpus.seconds.sum()
        if self.corpus.seconds.max() <= 0:
            raise InputError("recordings of some length", "none")
        each = [self._one(int(rng.choice(len(share), p=share)), rng) for _ in range(wanted.mixtures)]
        x_BS, level_B, f0_BNT, confidence_BNT, heard_BGT = (torch.stack(parts) for parts in zip(*each, strict=True))
        voices = parse_voices(wanted.voices)
        middle_hz = torch.tensor([math.sqrt(voice.low_hz * voice.high_hz) for voice in voices])
        octaves_BN = torch.log2(middle_hz / transform.low_hz).expand(len(x_BS), -1)
        ranges_BN2 = torch.tensor([[voice.low_hz, voice.high_hz] for voice in voices]).expand(len(x_BS), -1, -1)
        rows_BNT = rows_of(f0_BNT, self.network)
        return Heard(x_BS, level_B, octaves_BN, ranges_BN2, f0_BNT, rows_BNT, confidence_BNT, heard_BGT)

    def _one(self, number: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Return an excerpt of a recording: samples, level, and F0, confidence and salience as told."""
        wanted, transform = self.wanted, self.network.transform
        recording = self.corpus.recordings[number]
        ratio = 2 ** (rng.uniform(-1, 1) * wanted.transpose_semitones / 12)
        rate, hop = transform.sample_rate, transform.hop_samples
        room_s = recording.length / recording.sample_rate - wanted.seconds * ratio
        # On whole frames, so that what is told needs no shift in time.
        first = int(rng.uniform(0, max(room_s, 0)) * rate / hop)
        x_S = heard_excerpt(recording, first * hop / rate, wanted.seconds, rate, ratio)
        x_S = noisy(coloured(x_S[None], rate, rng.uniform(0, 4), rng)[0], rate, rng)
        level = loudness(recording) / math.sqrt(len(recording.microphones)) * 10 ** (rng.uniform(-3, 6) / 20)
        frames = transform.frames(len(x_S))
        voices = len(parse_voices(wanted.voices))
        if self.told:
            f0_NT, confidence_NT, heard_GT = sped(self.told[number], first, frames, ratio, transform.per_octave)
        else:
            f0_NT, confidence_NT = torch.zeros(2, voices, frames)
            heard_GT = torch.full((self.network.rows, frames), UNHEARD)
        return torch.from_numpy(x_S).float(), torch.tensor(level).float(), f0_NT, confidence_NT, heard_GT


def sped(told: Told, first: int, frames: int, ratio: float, per_octave: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return what is told of a stretch that is played faster by a ratio: F0, confidence and salience, frame by frame.

    Beyond the end of the recording nobody sings.
    """
    at = first + np.round(np.arange(frames) * ratio).astype(int)
    inside = torch.from_numpy(at < told.f0_NT.shape[1])
    at = np.minimum(at, told.f0_NT.shape[1] - 1)
    f0_NT, confidence_NT, heard_GT = (
        torch.from_numpy(each[:, at]).float() for each in (told.f0_NT, told.confidence_NT, told.heard_GT)
    )
    rows = round(per_octave * math.log2(ratio))
    heard_GT = pad(heard_GT, (0, 0, max(rows, 0), max(-rows, 0)), value=UNHEARD)
    heard_GT = heard_GT[: len(told.heard_GT)] if rows >= 0 else heard_GT[-rows:]
    heard_GT = torch.where(inside, heard_GT, torch.full_like(heard_GT, UNHEARD))
    return f0_NT * inside * ratio, confidence_NT, heard_GT


__all__ = ["Excerpts", "Heard", "sped"]
