"""What is said about single partials after everything has been said about bands.

Where partials of two voices meet, nobody can see there what belongs to whom. But voices move: a moment earlier or later
the same partial stands alone, and so do its neighbours in the series. A small network looks along the numbers of a
voice's partials and along time, at what the mixture and the model have around every partial and at who else is near,
and says a gain for every partial. It begins as no gain at all.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

SEEN = 13
"""Channels that are seen of a partial."""

MOST = 5.0
"""Largest log gain of a partial, up and down."""

NEAR_BINS = 4.0
"""Partials of others that are farther away than this are not told apart."""


def seen_at(
    power_BFT: Float[Tensor, "B F T"],
    model_BNFT: Float[Tensor, "B N F T"],
    lines_BNFT: Float[Tensor, "B N F T"],
    rest_BFT: Float[Tensor, "B F T"],
    f0_hz: Float[Tensor, "B N T"],
    bin_hz: float,
    partials: int,
) -> Float[Tensor, "B N C K T"]:
    """Return what the network sees of the first partials of every voice, all zero where there is none.

    Parameters
    ----------
    power_BFT
        Of the mixtures.
    model_BNFT, lines_BNFT
        Of the voices, and of their harmonics alone.
    rest_BFT
        Of what no voice makes.
    f0_hz
        F0 in the frames, 0 where unvoiced.
    bin_hz, partials
        Distance of bins; how many partials.
    """
    bins = power_BFT.shape[1]
    number_K1 = torch.arange(1, partials + 1).to(f0_hz)[:, None]
    place_BNKT = number_K1 * f0_hz[:, :, None] / bin_hz
    there = (f0_hz[:, :, None] > 0) & (place_BNKT < bins - 2)
    bin_BNKT = place_BNKT.round().long().clamp(1, bins - 2)
    below, at, above = (_gathered(power_BFT[:, None], bin_BNKT + shift) for shift in (-1, 0, 1))
    x = below + at + above
    own, lines = _around(model_BNFT, bin_BNKT), _around(lines_BNFT, bin_BNKT)
    y = own + _around(rest_BFT[:, None], bin_BNKT) + 1e-8
    strongest = torch.zeros_like(own)
    for turn in range(1, model_BNFT.shape[1]):
        other = _around(model_BNFT.roll(turn, 1), bin_BNKT)
        y, strongest = y + other, torch.maximum(strongest, other)
    seen = (
        _log(x / y).clamp(-8, 8) / 2,
        _log(own / y) / 3,
        _log(strongest / y) / 3,
        _log(lines / (own + 1e-8)) / 3,
        _log(y) / 4,
        _log(at / (x + 1e-8)),
        (_log(above) - _log(below)).clamp(-8, 8) / 3,
        place_BNKT - bin_BNKT,
        nearest_other(f0_hz, number_K1, bin_hz),
        torch.log2(number_K1).expand_as(own) / 4,
        torch.log2(f0_hz.clamp_min(40) / 220)[:, :, None].expand_as(own) / 2,
        torch.log2(place_BNKT.clamp_min(1)) / 5 - 1,
        torch.ones_like(own),
    )
    return torch.stack(seen, 2) * there[:, :, None]


def nearest_other(
    f0_hz: Float[Tensor, "B N T"], number_K1: Float[Tensor, "K 1"], bin_hz: float
) -> Float[Tensor, "B N K T"]:
    """Return where the nearest partial of any other voice is, from -1 to 1 of ``NEAR_BINS``; 1 where none is near."""
    own_BNKT = number_K1 * f0_hz[:, :, None]
    nearest = torch.full_like(own_BNKT, NEAR_BINS)
    for turn in range(1, f0_hz.shape[1]):
        other_BN1T = f0_hz.roll(turn, 1)[:, :, None]
        ratio = own_BNKT / other_BN1T.clamp_min(1)
        away = (ratio.round().clamp_min(1) - ratio) * other_BN1T / bin_hz
        nearest = torch.where((other_BN1T > 0) & (away.abs() < nearest.abs()), away, nearest)
    return nearest / NEAR_BINS


def spread(
    logs_BNKT: Float[Tensor, "B N K T"], f0_hz: Float[Tensor, "B N T"], bins: int, bin_hz: float
) -> Float[Tensor, "B N F T"]:
    """Return the gain of every bin: that of the partial next to it, and 1 where there is none."""
    number = (torch.arange(bins)[:, None].to(f0_hz) * bin_hz / f0_hz.clamp_min(1)[:, :, None]).round().long()
    told = (number >= 1) & (number <= logs_BNKT.shape[2]) & (f0_hz[:, :, None] > 0)
    gain_BNFT = logs_BNKT.exp().gather(2, (number - 1).clamp(0, logs_BNKT.shape[2] - 1))
    return torch.where(told, gain_BNFT, 1.0)


def _gathered(x: Tensor, bin_BNKT: Int[Tensor, "B N K T"]) -> Tensor:
    return x.expand(-1, bin_BNKT.shape[1], -1, -1).gather(2, bin_BNKT)


def _around(x: Tensor, bin_BNKT: Int[Tensor, "B N K T"]) -> Tensor:
    return sum(_gathered(x, bin_BNKT + shift) for shift in (-1, 0, 1))


def _log(x: Tensor) -> Tensor:
    return (x + 1e-6).log()


__all__ = ["MOST", "NEAR_BINS", "SEEN", "nearest_other", "seen_at", "spread"]
