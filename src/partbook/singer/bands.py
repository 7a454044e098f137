"""Spectra as the rounds see them: in bands, in wide bins, smeared over their surroundings, at their quietest."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch.nn.functional import avg_pool2d, conv2d

from ..dsp.bases import mel

SKIRT_HZ = 35.0
"""Half width of a skirt."""

BACKGROUND_FLOOR, BACKGROUND_SHARE = 1e-9, 0.3
"""Least power, and how much of steady noise is taken for the background, which must not eat what voices fade to."""


def centres(bands: int, band_hz: float) -> Float[Tensor, " J"]:
    """Return the centres of bands spaced evenly in mel from 0 to an edge, in Hz."""
    mels = torch.linspace(0, float(mel(torch.tensor(band_hz))), bands)
    return 700 * (10 ** (mels / 2595) - 1)


def widened(x: Float[Tensor, "*axes F T"], single: int, wide: int) -> Float[Tensor, "*axes F2 T"]:
    """Return the lowest bins as they are, and means of so many of the others."""
    rest = x[..., single:, :]
    if wide == 1 or not rest.shape[-2]:
        return x
    means = avg_pool2d(rest.flatten(0, -3)[None] if x.ndim > 2 else rest[None], (wide, 1), ceil_mode=True)
    return torch.cat([x[..., :single, :], means.reshape(*x.shape[:-2], -1, x.shape[-1])], -2)


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
    flat = comb_BNFT.reshape(-1, 1, *comb_BNFT.shape[-2:])
    kernel = (window / window.sum())[None, None, :, None]
    return conv2d(flat, kernel, padding=(reach, 0)).reshape(comb_BNFT.shape)


__all__ = ["SKIRT_HZ", "centres", "smeared", "standing", "widened"]
