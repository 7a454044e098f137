"""Whether a session has somebody who plays without a spot, and what of the players' models is that somebody's.

A player's own spot hears it louder than the main microphones do, by about as much in all it plays. What somebody plays
far from every spot is as loud at the main microphones, and becomes a pattern of the player whose spot hears it best.
Such a pattern is told by all its partials together: in a single bin a room says little of who is near.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..room.fastmnmf import FastMnmf
from ..room.fullrank import FullRank
from ..room.start import TINY
from ..sources.nmf import Nmf
from ..sources.sections import Sections
from .analysis import Analysis

BAND_HZ = 4000.0
"""Nearness is judged by what lies below."""

SHORTEST_S = 3.0
"""Less of a recording tells too little of who is near."""

THAN_USUAL, THAN_MOST = 0.7, 0.92
"""A pattern is a stranger's if it is less near by so many nepers of power than its player is in all (3 dB), and than
half of what is taken for the player (4 dB): some instruments are heard farther in low notes than in high ones."""

FORGOTTEN = 1e-3
"""Share that a player keeps of what was not its own: what is its own nonetheless can grow again."""

Nearness_N = Float[Tensor, " N"]
"""How much louder every player is at its spots than at the main microphones, in nepers of power."""


def nearness(
    model: Nmf, n: int, heard_NMF: Float[Tensor, "N M F"], analysis: Analysis
) -> tuple[Float[Tensor, " K"], Float[Tensor, " K"], Float[Tensor, " K"]]:
    """Return how near every pattern of a player is, and its energy at the player's spots and the main microphones."""
    bins = min(heard_NMF.shape[-1], round(BAND_HZ / analysis.bin_hz) + 1)
    at_own_F = heard_NMF[n, list(analysis.spots[n]), :bins].mean(0).clamp_min(TINY)
    at_main_F = heard_NMF[n, list(analysis.mains), :bins].clamp_min(TINY).log().mean(0).exp()
    energy_FK = model.W_NFK[n, :bins] * model.H_NKT[n].sum(-1)
    weight_FK = (energy_FK * at_own_F[:, None]).sqrt()
    near_K = (at_own_F / at_main_F).log() @ weight_FK / weight_FK.sum(0).clamp_min(TINY)
    return near_K, at_own_F @ energy_FK, at_main_F @ energy_FK


def far(near_K: Float[Tensor, " K"], own_K: Float[Tensor, " K"], usual: Float[Tensor, ""]) -> Bool[Tensor, " K"]:
    """Return which patterns of a player are not near; nearness and energy are from :func:`nearness`."""
    order_K = near_K.argsort()
    below_K = own_K[order_K].cumsum(0) < own_K.sum() / 2
    most = near_K[order_K[below_K.sum().clamp_max(len(near_K) - 1)]]
    return (near_K < usual - THAN_USUAL) & (near_K < most - THAN_MOST)


def foreign_energy(spectra: Sections, room: FastMnmf, analysis: Analysis, nearness_N: Nearness_N) -> float:
    """Return the energy at the main microphones of patterns that seem to be no player's."""
    heard_NMF, total = room.heard_NMF(), 0.0
    for n, usual in enumerate(nearness_N):
        judged = zip(*(nearness(model, n, heard_NMF, analysis) for model in spectra.models), strict=True)
        near_K, own_K, main_K = (torch.cat(each) for each in judged)
        total += float(main_K[far(near_K, own_K, usual)].sum())
    return total


def disowned(spectra: Sections, room: FastMnmf | FullRank, analysis: Analysis, nearness_N: Nearness_N) -> Sections:
    """Return low-rank spectra whose players have given the stranger, the source after the tails, what is not near."""
    heard_NMF, stranger = room.heard_NMF().clamp_min(TINY), 2 * len(analysis.players)
    at_main_NF = heard_NMF[:, list(analysis.mains)].log().mean(1).exp()

    def given(model: Nmf) -> Nmf:
        W_NFK, H_NKT = model.W_NFK.clone(), model.H_NKT.clone()
        for n, usual in enumerate(nearness_N):
            near_K, own_K, _ = nearness(model, n, heard_NMF, analysis)
            for k in torch.nonzero(far(near_K, own_K, usual))[:, 0].tolist():
                pattern_F = W_NFK[n, :, k] * at_main_NF[n] / at_main_NF[stranger]
                power_K = W_NFK[stranger].sum(0) * H_NKT[stranger].sum(-1)
                weakest = int(power_K.argmin())
                if pattern_F.sum() * H_NKT[n, k].sum() > power_K[weakest]:
                    W_NFK[stranger, :, weakest], H_NKT[stranger, weakest] = pattern_F, H_NKT[n, k]
                W_NFK[n, :, k] *= FORGOTTEN
        return replace(model, W_NFK=W_NFK, H_NKT=H_NKT)

    return replace(spectra, models=tuple(given(model) for model in spectra.models))


__all__ = ["BAND_HZ", "FORGOTTEN", "SHORTEST_S", "Nearness_N", "disowned", "foreign_energy", "nearness"]
