"""Spectra as the rounds see them: in bands, in wide bins, in few frames, smeared over their surroundings, at their
quietest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate, pad

from ..dsp.bases import mel

SKIRT_HZ = 35.0
"""Half width of a skirt."""

BACKGROUND_FLOOR, BACKGROUND_SHARE = 1e-9, 0.3
"""Least power, and how much of steady noise is taken for the background, which must not eat what voices fade to."""


def centres(bands: int, band_hz: float) -> Float[Tensor, " J"]:
    """Return the centres of bands spaced evenly in mel from 0 to an edge, in Hz."""
    mels = torch.linspace(0, float(mel(torch.tensor(band_hz))), bands)
    return 700 * (10 ** (mels / 2595) - 1)


@dataclass(frozen=True)
class Sight:
    """How much of the spectrum is seen at once: the lowest bins one by one, the others so many together.

    Attributes
    ----------
    single
        Bins that are seen one by one.
    wide
        How many of the others.
    """

    single: int
    wide: int

    def __call__(self, x: Float[Tensor, "*axes F T"]) -> Float[Tensor, "*axes F2 T"]:
        """Return the lowest bins as they are, and means of the others."""
        low, rest = x.tensor_split([self.single], -2)
        if self.wide == 1 or not rest.shape[-2]:
            return x
        full, left = rest.tensor_split([rest.shape[-2] // self.wide * self.wide], -2)
        seen = [low, full.unflatten(-2, (-1, self.wide)).mean(-2)]
        return torch.cat([*seen, left.mean(-2, keepdim=True)] if left.shape[-2] else seen, -2)

    def widths(self, ones_F: Float[Tensor, " F"]) -> Float[Tensor, " F2"]:
        """Return for how many bins each stands that is seen, from a 1 for every bin."""
        if self.wide == 1:
            return ones_F
        together = [chunk.sum()[None] for chunk in ones_F[self.single :].split(self.wide)]
        return torch.cat([ones_F[: self.single], *together])


def slower(x: Float[Tensor, "*axes F T"], pace: int) -> Float[Tensor, "*axes F T2"]:
    """Return means of so many frames each, the last of those that are left."""
    if pace == 1:
        return x
    full, left = x.tensor_split([x.shape[-1] // pace * pace], -1)
    # A sum of strided slices costs a fifth of what pooling does.
    means = sum(full[..., k::pace] for k in range(pace)) / pace
    return torch.cat([means, left.mean(-1, keepdim=True)], -1) if left.shape[-1] else means


def faster(x: Float[Tensor, "*axes J T2"], pace: int, frames: int) -> Float[Tensor, "*axes J T"]:
    """Return what was said of so many frames together for each: on lines between their middles, level at the ends."""
    if pace == 1:
        return x
    between = interpolate(x.flatten(0, -3), scale_factor=pace, mode="linear", align_corners=False)
    return between.unflatten(0, x.shape[:-2])[..., :frames]


def standing(power_BFT: Float[Tensor, "B F T"], bumps_FJ: Float[Tensor, "F J"]) -> Float[Tensor, "B J"]:
    """Return the log power, in bands, of what is there even when a bin is at its quietest.

    The tenth percentile of steady noise is a tenth of its power. Logarithms are averaged over a band: a held note
    fills few of its bins.
    """
    rank = max(1, round(0.1 * power_BFT.shape[-1]))
    quiet_BF = (power_BFT + BACKGROUND_FLOOR).kthvalue(rank, -1).values.log()
    return (quiet_BF @ bumps_FJ) / (bumps_FJ.sum(0) + 1e-6) + math.log(BACKGROUND_SHARE / 0.1)


def smeared(comb_BNFT: Float[Tensor, "*axes F T"], bin_hz: float) -> Float[Tensor, "*axes F T"]:
    """Return the mean of a power over its surroundings in frequency, by a Hann window of half width ``SKIRT_HZ``."""
    reach = max(1, round(SKIRT_HZ / bin_hz))
    window = torch.hann_window(2 * reach + 3, periodic=False).to(comb_BNFT)[1:-1]
    beside, bins = pad(comb_BNFT, (0, 0, reach, reach)), comb_BNFT.shape[-2]
    # A few sums of shifted copies: a convolution of one channel is three times as slow.
    smear = torch.zeros_like(comb_BNFT)
    for k, weight in enumerate((window / window.sum()).tolist()):
        smear = torch.add(smear, beside[..., k : k + bins, :], alpha=weight)
    return smear


__all__ = ["SKIRT_HZ", "Sight", "centres", "faster", "slower", "smeared", "standing"]
