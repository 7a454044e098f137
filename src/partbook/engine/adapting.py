"""The singer, trained on the very recording that it is to separate: its voices, its room, its noise.

Nobody knows the voices of a recording alone, but two stretches of it can be added up, and then both addends are known.
The network hears the sum, with the F0 of both stretches' voices, and is judged on how well the voices of each stretch
*together* explain that stretch, as in its training (:mod:`partbook.singer.judging`). It can only do that by telling
every voice from every other, and nothing but the mixture is ever asked for.

Some sums are set aside, always the same. The weights that are kept are those which did best on them, and the network as
it came if none did better.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from ..progress import OnProgress, Progress
from ..singer.judging import Asked, judged, over_rounds
from ..singer.model import Singer

VOICE_FRAMES_PER_S = 500
"""Of how many frames of a voice a machine is taken to learn in a second: about half of what one core does."""

_LEAST_FRAMES = 8


@dataclass(frozen=True)
class AdaptConfig:
    """How a network is adapted.

    Attributes
    ----------
    window_s
        Length of a stretch; half of the piece where that is shorter.
    learning_rate
        Highest; it falls to zero as a cosine.
    checked_on, check_every
        How many sums are set aside, and steps from one look at them to the next.
    level_db
        Most difference of the levels of the two stretches of a sum.
    """

    window_s: float = 2.0
    learning_rate: float = 1e-3
    checked_on: int = 6
    check_every: int = 15
    level_db: float = 6.0


@dataclass(frozen=True)
class Heard:
    """A piece of a recording as the network hears it.

    Attributes
    ----------
    X_FT
        Spectrum of one channel.
    comb_NFT
        Power of every voice's flat harmonics.
    f0_hz
        F0 in the frames, 0 where unvoiced.
    """

    X_FT: Complex[Tensor, "F T"]
    comb_NFT: Float[Tensor, "N F T"]
    f0_hz: Float[Tensor, "N T"]

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.X_FT.shape[-1]

    def between(self, first: int, last: int) -> Heard:
        """Return a stretch."""
        return Heard(self.X_FT[:, first:last], self.comb_NFT[..., first:last], self.f0_hz[:, first:last])


@dataclass(frozen=True)
class Sum:
    """Two stretches added up.

    Attributes
    ----------
    X_2FT
        Their spectra; the power of the sum has a mean of 1.
    comb_NFT, f0_hz
        Combs and F0 of the voices of one, and then of the other.
    """

    X_2FT: Complex[Tensor, "2 F T"]
    comb_NFT: Float[Tensor, "N F T"]
    f0_hz: Float[Tensor, "N T"]


def adapted(
    singer: Singer,
    pieces: Iterable[Heard],
    bins_hz: Float[Tensor, " F"],
    frame_s: float,
    budget_s: float,
    *,
    seed: int = 0,
    config: AdaptConfig | None = None,
    on_progress: OnProgress | None = None,
) -> Singer:
    """Return the network after training on a recording, or as it was where that was no better.

    Parameters
    ----------
    singer
        The network; unchanged.
    pieces
        Of the recording. Too short ones, and those without a voice, are left out.
    bins_hz, frame_s
        Frequencies of the bins, and seconds from frame to frame.
    budget_s
        Seconds to spend. They stand for a number of steps, the same on every machine; a slow one stops in time.
    seed
        Of the choice of stretches.
    config, on_progress
        How, and where to report.
    """
    config = config or AdaptConfig()
    pieces = [each for each in pieces if each.frames >= 2 * _LEAST_FRAMES and sounds(each)]
    if not pieces:
        return singer
    frames = min([round(config.window_s / frame_s), *(each.frames // 2 for each in pieces)])
    steps = max(1, int(budget_s * VOICE_FRAMES_PER_S / (2 * frames * len(pieces[0].f0_hz))))
    aside = [drawn(pieces, frames, config.level_db, np.random.default_rng([n, 2])) for n in range(config.checked_on)]
    learner, average = (copy.deepcopy(singer) for _ in range(2))
    learner.requires_grad_(True).train()
    optimiser = torch.optim.Adam(learner.parameters(), config.learning_rate, betas=(0.9, 0.98))
    rng, began, progress = np.random.default_rng([seed, 1]), monotonic(), Progress("adapt", steps, on_progress)
    before = best = error_db(singer, aside, bins_hz)
    kept = singer
    for done in range(1, steps + 1):
        rate = config.learning_rate * 0.5 * (1 + math.cos(math.pi * done / steps))
        _learn(learner, optimiser, rate, drawn(pieces, frames, config.level_db, rng), bins_hz)
        for mean, value in zip(average.parameters(), learner.parameters(), strict=True):
            mean.data.lerp_(value.data, max(0.05, 1 / done))
        last = done == steps or monotonic() - began > budget_s
        if last or done % config.check_every == 0:
            now = error_db(average, aside, bins_hz)
            if now < best:
                best, kept = now, copy.deepcopy(average)
        progress.step(f"adapted in {done} steps: {before - best:.2f} dB better on sums set aside" if last else "")
        if last:
            break
    return kept.eval().requires_grad_(False)


def sounds(piece: Heard) -> bool:
    """Return whether anybody sings, and something is heard."""
    return bool((piece.f0_hz > 0).any() and piece.X_FT.abs().max() > 0)


def drawn(pieces: list[Heard], frames: int, level_db: float, rng: np.random.Generator) -> Sum:
    """Return the sum of two stretches of so many frames, of about the same level.

    They overlap by no more than half and both sound, where there are such.
    """
    room = np.array([piece.frames - frames + 1 for piece in pieces])
    for _ in range(20):
        one, other = ((int(n), int(rng.integers(room[n]))) for n in rng.choice(len(room), 2, p=room / room.sum()))
        cuts = [pieces[n].between(first, first + frames) for n, first in (one, other)]
        apart = one[0] != other[0] or abs(one[1] - other[1]) >= frames // 2
        if apart and all(map(sounds, cuts)):
            break
    gains_db = level_db * rng.uniform(-0.5, 0.5, 2)
    levels = [cut.X_FT.abs().square().mean().clamp_min(1e-12).sqrt() for cut in cuts]
    X_2FT = torch.stack([10 ** (db / 20) * cut.X_FT / by for cut, by, db in zip(cuts, levels, gains_db, strict=True)])
    level = X_2FT.sum(0).abs().square().mean().clamp_min(1e-12).sqrt()
    return Sum(X_2FT / level, *(torch.cat([getattr(cut, k) for cut in cuts]) for k in ("comb_NFT", "f0_hz")))


@torch.no_grad()
def error_db(singer: Singer, sums: list[Sum], bins_hz: Float[Tensor, " F"]) -> float:
    """Return the mean error, in dB, of the filter that the network makes for the addends of sums."""
    return float(np.mean([float(_judgements(singer, each, bins_hz)[-1][1]) for each in sums]))


def _judgements(singer: Singer, heard: Sum, bins_hz: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return divergence and error of every round."""
    X_FT, voices = heard.X_2FT.sum(0), len(heard.f0_hz)
    groups = (range(voices // 2), range(voices // 2, voices))
    told = singer(X_FT.abs().square()[None], heard.comb_NFT[None], heard.f0_hz[None], bins_hz, whole=False)
    asked = Asked.of(X_FT[None], heard.X_2FT[:, None], singer.sight(bins_hz))
    return [judged(said, asked, groups) for said in told]


def _learn(singer: Singer, optimiser: torch.optim.Optimizer, rate: float, heard: Sum, bins_hz: Tensor) -> None:
    """Take a step; none where the gradient is not finite."""
    loss = over_rounds(_judgements(singer, heard, bins_hz))
    optimiser.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(singer.parameters(), 1.0)
    for group in optimiser.param_groups:
        group["lr"] = rate
    if torch.isfinite(norm):
        optimiser.step()


__all__ = ["VOICE_FRAMES_PER_S", "AdaptConfig", "Heard", "Sum", "adapted", "drawn", "error_db", "sounds"]
