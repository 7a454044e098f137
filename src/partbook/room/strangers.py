"""Sound of somebody without a spot: where a session's fit starts if there is any.

Whoever plays far from all microphones is heard at each about as loudly as players are whose spot is another. No spot
frees itself of that, so each would take it for its own player's. Here it is a source of its own, the last, which counts
the main microphones as its own; and no player leaks more in any band than it does where it is heard best.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..dsp.divergence import EPS
from .start import Power_MFT, leakage, own_power

QUANTILE = 0.2
"""Of the ratios of levels that tell the leakage: close to the truth, where :func:`~partbook.room.start.leakage` says
rather too much."""

ABOVE = 1.26
"""Factor by which a player's leakage in a band may exceed the typical one (1 dB)."""

FIRST = 0.3
"""Share of the main microphones' power that the stranger starts from."""


def typical_leakage(
    power_MFT: Power_MFT, spots: Sequence[Sequence[int]], bands: Sequence[slice]
) -> Float[Tensor, "N M"]:
    """Return the leakage of every player to every microphone over all bands, robust to those where it does not play."""
    return leakage(power_MFT, spots, bands, QUANTILE).log().quantile(0.3, dim=0).exp()


def reach(
    typical_NM: Float[Tensor, "N M"], spots: Sequence[Sequence[int]], mains: Sequence[int]
) -> Float[Tensor, " M"]:
    """Return how loudly every microphone hears somebody far away, relative to the main microphones' mean.

    As it hears players whose spot is another: the geometric mean of their leakage.
    """
    other_NM = torch.ones_like(typical_NM)
    for n, own in enumerate(spots):
        other_NM[n, list(own)] = 0
    log_M = (typical_NM.log() * other_NM).sum(0) / other_NM.sum(0).clamp_min(1)
    return (log_M - log_M[list(mains)].mean()).exp()


def leakage_with_stranger(
    power_MFT: Power_MFT,
    typical_NM: Float[Tensor, "N M"],
    spots: Sequence[Sequence[int]],
    mains: Sequence[int],
    bands: Sequence[slice],
) -> Float[Tensor, "B N1 M"]:
    """Return the leakage of every player, none above what is typical of it, and of a stranger, who comes last."""
    players_BNM = torch.minimum(leakage(power_MFT, spots, bands), ABOVE * typical_NM).clamp_max(1)
    for n, own in enumerate(spots):
        players_BNM[:, n, list(own)] = 1
    stranger_B1M = reach(typical_NM, spots, mains).expand(len(bands), 1, -1)
    return torch.cat([players_BNM, stranger_B1M], 1)


def with_stranger(
    power_MFT: Power_MFT,
    spots: Sequence[Sequence[int]],
    mains: Sequence[int],
    bands: Sequence[slice],
    leakage_BNM: Float[Tensor, "B N1 M"],
    iterations: int = 10,
) -> Float[Tensor, "N1 F T"]:
    """Return the power of every player at its spots, and of a stranger at the main microphones, without leakage.

    As :func:`~partbook.room.start.leak_suppressed` does, from all microphones.
    """
    s_NFT = torch.cat([own_power(power_MFT, spots), FIRST * own_power(power_MFT, [mains])])
    for band, L_NM in zip(bands, leakage_BNM, strict=True):
        x_MX, s_NX = power_MFT[:, band].flatten(1), s_NFT[:, band].flatten(1)
        for _ in range(iterations):
            s_NX = s_NX * (L_NM @ (x_MX / (L_NM.T @ s_NX).clamp_min(EPS))) / L_NM.sum(1, keepdim=True)
        s_NFT[:, band] = s_NX.unflatten(1, s_NFT[:, band].shape[1:])
    return s_NFT


__all__ = ["leakage_with_stranger", "reach", "typical_leakage", "with_stranger"]
