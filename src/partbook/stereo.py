"""The coherent Wiener filter for two channels in which every voice stands at a place of its own.

As :func:`partbook.coherent.coherent`, but a voice ``n`` reaches the two channels with a covariance ``R_n`` per
frequency (:mod:`partbook.room.pair`) instead of being as loud in both as all others are. A partial has an amplitude in
either channel, and the model is

    x = sum_p (e_p, e_p) a_p + r,    a_p ~ N(0, c lambda_p R_p / |e_p|^2),
    r ~ N(0, sum_n (1 - c) lambda_n R_n + background),

so that where two voices share a bin their places tell them apart, and where they stand together the phases of their
partials do. With all ``R_n`` alike this is the filter for channels that share their powers.
"""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from .axes import Images_NMFT, Power_NFT, Spectrum_MFT
from .coherent import SHORT, Around, least_noise, moving_sums, power, prior, scaled, solve_positive, spans
from .dsp.divergence import EPS
from .room import pair
from .room.pair import Covariance_FN4

DIFFUSE = 1e-3
"""What of the noise of a bin comes from everywhere, so that its inverse is exact enough."""


def coherent_pair(
    X_2FT: Spectrum_MFT,
    lambda_NFT: Power_NFT,
    combs_NFT: Complex[Tensor, "V F2 T"],
    share_F: Float[Tensor, " F2"],
    R_FN4: Covariance_FN4,
    frames_at_once: int = 64,
    around: Around = SHORT,
) -> Images_NMFT:
    """Return the images of all sources in two channels; they sum to the mixture.

    Parameters
    ----------
    X_2FT
        Spectra of the channels, scaled so that ``lambda_NFT`` models their summed power.
    lambda_NFT
        Power of V voices and, after them, of sources without a comb (the background).
    combs_NFT
        Short-time transforms of the unit combs of the voices, on the lowest F2 bins.
    share_F
        Coherent share ``c`` of a voice's power per bin, from 0 to below 1.
    R_FN4
        Where every source stands, with a trace of 1, on the lowest F3 >= F2 bins. Above them every source is as loud
        in either channel as it is in the upper half of them.
    frames_at_once
        Frames solved together; bounds the memory.
    around
        How far in time a partial is heard as one sinusoid.
    """
    (bins, frames), placed = combs_NFT.shape[-2:], len(R_FN4)
    images = torch.empty(len(lambda_NFT), *X_2FT.shape, dtype=X_2FT.dtype)
    images[:, :, placed:] = _louder(X_2FT[:, placed:], lambda_NFT[:, placed:], R_FN4)
    lambda_NFT = lambda_NFT[:, :placed].clamp_min(EPS)
    above = X_2FT[:, bins:placed], lambda_NFT[:, bins:], R_FN4[bins:]
    images[:, :, bins:placed] = _shared(*above, _inverse(*above[1:]))
    for now, near, inner in spans(frames, frames_at_once, around.frames):
        heard = X_2FT[:, :bins, near], lambda_NFT[:, :bins, near], combs_NFT[..., near]
        images[:, :, :bins, now] = _images(*heard, share_F, R_FN4[:bins], around.frames, inner)
    return images


def _louder(X_2FT: Spectrum_MFT, lambda_NFT: Power_NFT, R_FN4: Covariance_FN4) -> Images_NMFT:
    """Return images whose levels in both channels are those of the upper half of the bins that are known."""
    level_NM = R_FN4[len(R_FN4) // 2 :, :, :2].mean(0)
    power_NMFT = level_NM[..., None, None] * lambda_NFT[:, None].clamp_min(EPS)
    return scaled(power_NMFT / power_NMFT.sum(0), X_2FT)


def _images(
    X_2FT: Spectrum_MFT,
    lambda_NFT: Power_NFT,
    combs_NFT: Complex[Tensor, "V F T"],
    share_F: Float[Tensor, " F"],
    R_FN4: Covariance_FN4,
    reach: int,
    inner: slice,
) -> Images_NMFT:
    """Return the images in the inner frames; those around them are but neighbours."""
    voices = len(combs_NFT)
    gain_NFT, diagonal_NFT = prior(lambda_NFT, power(combs_NFT), share_F)
    gain_NFT, rest_FT = gain_NFT[..., inner], diagonal_NFT.sum(0)
    inverse_FT4 = _inverse(diagonal_NFT, R_FN4, (least_noise(rest_FT, reach) - rest_FT).clamp_min(0))
    white_FT4 = inverse_FT4.unbind(-1)
    weighed_2FT = pair.times(inverse_FT4, X_2FT)
    # Unknown amplitudes have unit variance: gain and place go into the patterns.
    place_NF = pair.triangle(R_FN4[:, :voices].transpose(0, 1))
    gram = torch.zeros(2 * voices, 2 * voices, *gain_NFT.shape[1:], dtype=X_2FT.dtype)
    heard = torch.empty(2 * voices, 1, *gain_NFT.shape[1:], dtype=X_2FT.dtype)
    for p in range(voices):
        mine = slice(2 * p, 2 * p + 2)
        told = moving_sums(combs_NFT[p].conj() * weighed_2FT, reach, inner)
        heard[mine, 0] = scaled(gain_NFT[p], _towards(place_NF[:, p], told))
        for q in range(p + 1):
            both_FT = combs_NFT[p].conj() * combs_NFT[q]
            gram[mine, 2 * q : 2 * q + 2] = scaled(
                gain_NFT[p] * gain_NFT[q], _between(both_FT, white_FT4, place_NF[:, p], place_NF[:, q], reach, inner)
            )
    gram.diagonal(dim1=0, dim2=1).add_(1)
    amplitude = solve_positive(gram.flatten(2), heard.flatten(2)).unflatten(-1, gain_NFT.shape[1:])
    amplitude = amplitude.reshape(voices, 2, *gain_NFT.shape[1:])
    heard_N2FT = torch.stack([_from(place_NF[:, p], amplitude[p]) for p in range(voices)])
    heard_N2FT = heard_N2FT * scaled(gain_NFT, combs_NFT[..., inner])[:, None]
    left_2FT = X_2FT[..., inner] - heard_N2FT.sum(0)
    images = _shared(left_2FT, diagonal_NFT[..., inner], R_FN4, inverse_FT4[:, inner])
    images[:voices] += heard_N2FT
    return images


def _inverse(lambda_NFT: Power_NFT, R_FN4: Covariance_FN4, floor_FT: Tensor | float = 0.0) -> Float[Tensor, "F T 4"]:
    """Return the inverse of the covariance of sources, with a floor, of which a little comes from everywhere."""
    C_FT4 = pair.mixture(lambda_NFT.permute(1, 2, 0), R_FN4)
    everywhere_FT = floor_FT + DIFFUSE * lambda_NFT.sum(0)
    return pair.inverse(C_FT4 + 0.5 * everywhere_FT[..., None] * torch.tensor([1.0, 1.0, 0.0, 0.0]))


def _shared(
    X_2FT: Spectrum_MFT, lambda_NFT: Power_NFT, R_FN4: Covariance_FN4, inverse_FT4: Float[Tensor, "F T 4"]
) -> Images_NMFT:
    """Return ``lambda_n R_n C^-1 x``; what is lost to floors goes to the sources by their powers."""
    z_2FT = pair.times(inverse_FT4, X_2FT)
    images = torch.stack(
        [scaled(lambda_FT, pair.times(R_FN4[:, n, None], z_2FT)) for n, lambda_FT in enumerate(lambda_NFT)]
    )
    left_2FT = X_2FT - images.sum(0)
    return images + scaled((lambda_NFT / lambda_NFT.sum(0))[:, None], left_2FT)


def _between(
    both_FT: Complex[Tensor, "F T"],
    white_FT4: tuple[Tensor, ...],
    place_p: Tensor,
    place_q: Tensor,
    reach: int,
    inner: slice,
) -> Complex[Tensor, "2 2 F T2"]:
    """Return ``L_p^H (sum over the neighbourhood of e_p^* e_q C^-1) L_q``."""
    one, two, real, imaginary = white_FT4
    cross = torch.complex(real, imaginary)
    terms = torch.stack([both_FT * one, both_FT * cross, both_FT * cross.conj(), both_FT * two])
    a, b, c, d = moving_sums(terms, reach, inner)
    (p11, p21, p22), (q11, q21, q22) = (each[..., None].unbind(0) for each in (place_p, place_q))
    # Columns of the sum times L_q, then rows by L_p^H; both are lower triangular with a real diagonal.
    top = a * q11 + b * q21, b * q22
    low = c * q11 + d * q21, d * q22
    rows = [[p11 * t + p21.conj() * u for t, u in zip(top, low, strict=True)], [p22 * u for u in low]]
    return torch.stack([torch.stack(row) for row in rows])


def _towards(place: Tensor, x_2FT: Tensor) -> Complex[Tensor, "2 F T"]:
    """Return ``L^H x``."""
    l11, l21, l22 = place[..., None].unbind(0)
    return torch.stack([l11 * x_2FT[0] + l21.conj() * x_2FT[1], l22 * x_2FT[1]])


def _from(place: Tensor, u_2FT: Tensor) -> Complex[Tensor, "2 F T"]:
    """Return ``L u``."""
    l11, l21, l22 = place[..., None].unbind(0)
    return torch.stack([l11 * u_2FT[0], l21 * u_2FT[0] + l22 * u_2FT[1]])


__all__ = ["coherent_pair"]
