"""Players in a room as sources times filters: the comb of every player's F0, and what lingers of it.

Player ``n`` of N is two sources of the model,

    lambda_n(f, t)   = eq_n(f)   * [ comb_n(f, t)      * timbre_n(f, t)   + noise_n(f, t) ]
    lambda_N+n(f, t) = eq_N+n(f) * [ lingering_n(f, t) * timbre_N+n(f, t) + noise_N+n(f, t) ]

with smooth low-rank timbres and noises of their own (:mod:`~partbook.sources.source_filter`). The second is the tail
that the room adds: of the comb of earlier frames it keeps, per frame, the share ``d``,

    lingering_n(f, t) = (1 - d) sum_(j >= 1) d^(j-1) comb_n(f, t - j),

and ``d`` is the same for all players and found by the fit. So is ``eq``: at a window that holds much of the
reverberation, a free gain per source and bin is what a smooth timbre lacks most. What no player makes comes last and
stays low-rank spectra.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from ..axes import Power_NFT
from ..dsp.divergence import EPS, exponent
from ..dsp.lingering import decay_of, lingering
from . import source_filter
from .nmf import Nmf
from .source_filter import SourceFilter

SHORTEST_S, LONGEST_S = 0.1, 6.0
"""Reverberation times between which that of a room is sought."""

TIMBRES, BUMPS, NOISES, NOISE_BUMPS = 8, 40, 3, 20
"""Components and basis functions of timbres, and of noises."""


@dataclass(frozen=True)
class Played:
    """Source-filter spectra of N players and of their tails, and low-rank spectra of everything else.

    Attributes
    ----------
    comb_NFT
        Power of every player's flat harmonic source.
    model
        Timbres, noises and gains of players, then tails; its combs are those of players, then what lingers of them.
        Its background counts for nothing.
    rest
        Spectra of the sources after the players' and the tails': what no player makes.
    decay
        Share of a tail's power that is left after one frame.
    frame_s
        Seconds from frame to frame.
    """

    comb_NFT: Power_NFT
    model: SourceFilter
    rest: Nmf
    decay: float
    frame_s: float

    parts: ClassVar[tuple[str, ...]] = ("filter", "activation", "breath", "breathing", "eq", "decay", "W", "H")

    @property
    def rt60_s(self) -> float:
        """Time in which the tails fall by 60 dB."""
        return -6 * self.frame_s / math.log10(self.decay)

    def power(self) -> Power_NFT:
        """Return the power of every player, of every tail, and of everything else."""
        return torch.cat([self.model.power()[:-1], self.rest.power()])

    def update(self, part: str, up: Power_NFT, down: Power_NFT, beta: float) -> Played:
        """Return the model after one multiplicative update of one group of parameters."""
        played = 2 * len(self.comb_NFT)
        if part in self.rest.parts:
            return replace(self, rest=self.rest.update(part, up[played:], down[played:], beta))
        if part == "decay":
            return self.decaying(self._next_decay(up, down, beta))
        return replace(self, model=self.model.update(part, up[: played + 1], down[: played + 1], beta))

    def rescale(self, gain_NF: Float[Tensor, "N F"]) -> Played:
        """Return the model with every source's power multiplied by a static gain per bin."""
        played = 2 * len(self.comb_NFT)
        gains_NF = torch.cat([gain_NF[:played], torch.ones_like(gain_NF[:1])])
        return replace(self, model=self.model.rescale(gains_NF), rest=self.rest.rescale(gain_NF[played:]))

    def playing(self, may_NT: Float[Tensor, "N2 T"]) -> Played:
        """Return the model whose players and tails sound only where they may, at 1 and not at 0, also after updates."""
        model, may_N1T = self.model, may_NT[:, None]
        model = replace(
            model, activation_NKT=model.activation_NKT * may_N1T, breathing_NKT=model.breathing_NKT * may_N1T
        )
        return replace(self, model=model)

    def decaying(self, decay: float) -> Played:
        """Return the model with tails that keep another share of their power per frame."""
        combs_NFT = torch.cat([self.comb_NFT, lingering(self.comb_NFT, decay)])
        return replace(self, decay=decay, model=replace(self.model, comb_NFT=combs_NFT))

    def _next_decay(self, up: Power_NFT, down: Power_NFT, beta: float) -> float:
        """Return the decay after a multiplicative update: what is for more of it over what is for less."""
        frames, players = self.comb_NFT.shape[-1], len(self.comb_NFT)
        model = self.model
        timbre_NFT = model.eq_NF[players:-1, :, None] * (
            model.smooth_FJ @ model.filter_NJK[players:] @ model.activation_NKT[players:]
        )
        earlier_FT = self.comb_NFT.flatten(0, 1)
        lags = torch.arange(1, frames, device=up.device)

        def gathered(pull_NFT: Power_NFT) -> Float[Tensor, " J"]:
            """Return the pull on the weight of every lag."""
            pulled_TT = earlier_FT.mT @ (timbre_NFT * pull_NFT[players : 2 * players]).flatten(0, 1)
            return torch.stack([pulled_TT.diagonal(int(j)).sum() for j in lags]).double()

        # The weight (1 - d) d^(j-1) of lag j changes with d by the first of these less the second.
        more_J = (lags - 1) * (1 - self.decay) * self.decay ** (lags - 2).clamp_min(0).double()
        less_J = self.decay ** (lags - 1).double()
        up_J, down_J = gathered(up), gathered(down)
        raised = float(more_J @ up_J + less_J @ down_J + EPS)
        lowered = float(more_J @ down_J + less_J @ up_J + EPS)
        shortest, longest = (decay_of(rt60_s, self.frame_s) for rt60_s in (SHORTEST_S, LONGEST_S))
        return min(max(self.decay * (raised / lowered) ** exponent(beta), shortest), longest)


def started(
    comb_NFT: Power_NFT,
    power_NFT: Float[Tensor, "N2 F T"],
    rest: Nmf,
    bins_hz: Float[Tensor, " F"],
    frame_s: float,
    rt60_s: float,
    generator: torch.Generator,
    iterations: int = 15,
) -> Played:
    """Return spectra that follow first powers of players and tails.

    Parameters
    ----------
    comb_NFT
        Power of the combs of N players, any scale.
    power_NFT
        First powers of the players, then of their tails, 2N in all.
    rest
        What no player makes.
    bins_hz
        Frequency of every bin.
    frame_s
        Seconds from frame to frame.
    rt60_s
        Reverberation time to start from.
    generator
        Source of the small random differences that let components part ways.
    iterations
        Updates of the Kullback-Leibler divergence towards these powers; the decay stays.
    """
    decay = decay_of(rt60_s, frame_s)
    combs_NFT = torch.cat([comb_NFT, lingering(comb_NFT, decay)])
    model = source_filter.start(
        combs_NFT, bins_hz, generator, vowels=TIMBRES, bumps=BUMPS, breaths=NOISES, breath_bumps=NOISE_BUMPS
    )
    level_N11 = power_NFT.mean((1, 2))[:, None, None] / model.voiced().mean((1, 2))[:, None, None].clamp_min(EPS)
    model = replace(
        model,
        filter_NJK=model.filter_NJK * level_N11,
        breath_NIK=model.breath_NIK * power_NFT.mean((1, 2))[:, None, None],
    )
    scale = combs_NFT.mean().clamp_min(EPS)
    whole_NFT = torch.cat([power_NFT, torch.zeros_like(power_NFT[:1])])
    for _ in range(iterations):
        for part in ("filter", "activation", "breath", "breathing", "eq"):
            y_NFT = model.power().clamp_min(EPS)
            model = model.update(part, whole_NFT / y_NFT, torch.ones_like(y_NFT), 1.0)
    return Played(comb_NFT / scale, model, rest, decay, frame_s)


__all__ = ["Played", "started"]
