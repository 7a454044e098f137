"""The coherent Wiener filter: neighbouring bins and frames of one partial are heard as one sinusoid.

The ordinary Wiener filter takes the bins of a spectrogram as independent. They are not: a partial whose frequency is
known leaves the same complex pattern, up to one unknown amplitude, in every bin and frame around it. Let ``x`` be the
neighbourhood of one bin (a few bins by a few frames) and ``e_p`` the pattern of partial ``p`` there, the short-time
transform of a unit sinusoid that follows the F0 track. The model is Gaussian,

    x = sum_p e_p a_p + r,    a_p ~ N(0, c lambda_p / |e_p|^2),    r ~ N(0, diag(sum_n (1 - c) lambda_n + background)),

with ``c`` the coherent share of the power. Its posterior mean ``(E^H D^-1 E + V^-1)^-1 E^H D^-1 x`` gives the
amplitudes; what they leave is shared out by the ordinary filter. With ``c = 0`` this *is* the ordinary filter; with
good F0 it tells apart partials that fall into the same bin, which no mask on magnitudes can, and it still sums to the
mixture exactly. How much of the power is coherent is measured in the recording itself, where one voice is alone
(:func:`measured_coherence`): F0 that is a little wrong, a voice that wavers and a room that rings all take from it.
A voice may have several interleaved combs (two: 1, 3, 5 … and 2, 4, 6 …), each with an amplitude of its own. One is
enough where its partials are farther apart than a neighbourhood is high, that is from some 60 Hz on.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from .axes import Images_NMFT, Power_FT, Power_NFT, Spectrum_MFT
from .dsp.divergence import EPS
from .wiener import masks

INTERLEAVED = 1
"""Combs per voice. Two are worth 0.25 dB in octaves, nothing elsewhere, and cost the filter half as much again."""

REACH_BINS = 2
"""Half the height of a neighbourhood, the centre not counted."""

EDGES_HZ = (0.0, 400.0, 800.0, 1500.0, 2500.0, 4000.0)
"""Bands in which the coherent share is measured: the error of a partial's frequency grows with its number."""

ALONE, AT_PARTIAL = 0.8, 0.3
"""Share of a bin's power from which a voice is alone there, and power of a unit comb from which a partial is there."""

STEADY_HZ = (400.0, 1500.0)
"""Where it is measured how steady voices are: below, every line looks steady, above, hardly any."""


@dataclass(frozen=True)
class Around:
    """How far a neighbourhood reaches in time.

    Attributes
    ----------
    frames
        Half its length, the centre not counted.
    chance
        What a sinusoid explains there of noise: between white (0.8 of this) and in the shape of a comb (1.75).
    """

    frames: int
    chance: float


SHORT, LONG = Around(2, 0.17), Around(6, 0.135)
"""Half a window to either side where four frames make a window, and three quarters of one where eight do."""

ASKED = 8_000
"""Of a voice at most about so many neighbourhoods are looked at, evenly spaced; each stands for those between."""

DOUBTED = 100
"""So many neighbourhoods that show nothing but chance are heard beside those of a band."""


QUIETEST = 1e-6
"""Least noise of a bin relative to the most in its neighbourhood."""


def coherent(
    X_MFT: Spectrum_MFT,
    lambda_NFT: Power_NFT,
    combs_NRFT: Complex[Tensor, "V R F2 T"],
    share_F: Float[Tensor, " F2"],
    frames_at_once: int = 64,
    around: Around = SHORT,
) -> Images_NMFT:
    """Return the images of all sources at one microphone, or at several channels that share their powers.

    Parameters
    ----------
    X_MFT
        Spectra of the channels, scaled so that ``lambda_NFT`` models their summed power.
    lambda_NFT
        Power of V voices and, after them, of sources without a comb (the background).
    combs_NRFT
        Short-time transforms of the interleaved unit combs of the voices, on the lowest F2 <= F bins.
    share_F
        Coherent share ``c`` of a voice's power per bin, from 0 to below 1.
    frames_at_once
        Frames solved together; bounds the memory.
    around
        How far in time a partial is heard as one sinusoid.
    """
    images = scaled(masks(lambda_NFT)[:, None], X_MFT)
    bins, frames = combs_NRFT.shape[-2:]
    for now, near, inner in spans(frames, frames_at_once, around.frames):
        heard = X_MFT[:, :bins, near], lambda_NFT[:, :bins, near], combs_NRFT[..., near]
        images[:, :, :bins, now] = _images(*heard, share_F, around.frames, inner)
    return images


def measured_coherence(
    X_MFT: Spectrum_MFT,
    lambda_NFT: Power_NFT,
    combs_NRFT: Complex[Tensor, "V R F2 T"],
    bins_hz: Float[Tensor, " F2"],
    around: Around = SHORT,
) -> Float[Tensor, " F2"]:
    """Return the share ``c`` of a voice's power, from 0 to below 1, that follows its F0 as one sinusoid.

    Where one voice has nearly all the power of a bin near one of its partials, the pattern of a sinusoid explains
    ``|e^H x|^2 / |e|^2`` of the power ``|x|^2`` of the neighbourhood. The mean over such bins, freed of what it
    explains by chance, is squared: where voices meet, F0 is less right than where one is alone.

    Parameters
    ----------
    X_MFT, lambda_NFT, combs_NRFT
        As for :func:`coherent`; a voice's unit combs peak at 1.
    bins_hz
        Frequencies of the lowest F2 bins.
    around
        As for :func:`coherent`.
    """
    bins = combs_NRFT.shape[2]
    shares_NFT = masks(lambda_NFT[:, :bins])
    explained_F, heard_F = torch.zeros(bins), torch.zeros(bins)
    for share_FT, combs_RFT in zip(shares_NFT, combs_NRFT, strict=False):
        power_RFT = power(combs_RFT)
        nearest_FT = power_RFT.argmax(0)
        there_FT = (share_FT > ALONE) & (power_RFT.amax(0) > AT_PARTIAL)
        there_L2 = torch.nonzero(there_FT)
        every = max(1, round(len(there_L2) / ASKED))
        f_L, t_L = there_L2[::every].unbind(1)
        pattern_LD = _neighbourhoods(combs_RFT, f_L, t_L, nearest_FT[f_L, t_L], around.frames)
        first_L = torch.zeros_like(f_L)
        x_MLD = torch.stack([_neighbourhoods(X_FT[None], f_L, t_L, first_L, around.frames) for X_FT in X_MFT[:, :bins]])
        along_L = power((pattern_LD.conj() * x_MLD).sum(-1)).sum(0) / power(pattern_LD).sum(-1)
        whole_L = power(x_MLD).sum((0, 2)).clamp_min(EPS)
        explained_F.index_add_(0, f_L, every * along_L / whole_L)
        heard_F.index_add_(0, f_L, torch.full_like(whole_L, every))
    edges_hz = torch.tensor(EDGES_HZ)
    band_F = torch.bucketize(bins_hz, edges_hz[1:-1])
    explained, heard = (torch.zeros(len(EDGES_HZ) - 1).index_add_(0, band_F, each) for each in (explained_F, heard_F))
    mean = (explained + DOUBTED * around.chance) / (heard + DOUBTED)
    share = ((mean - around.chance) / (1 - around.chance)).clamp(0, 0.97) ** 2
    return torch.from_numpy(np.interp(bins_hz, (edges_hz[1:] + edges_hz[:-1]) / 2, share)).float()


def steadiness(
    X_MFT: Spectrum_MFT,
    lambda_NFT: Power_NFT,
    combs_NRFT: Complex[Tensor, "V R F T"],
    bins_hz: Float[Tensor, " F"],
) -> float:
    """Return how steady the voices of a recording are, from 0 to below 1: their coherent share from 400 to 1500 Hz.

    Single players and synthetic voices reach 0.45 to 0.55, and so do choirs that sing without vibrato; single singers
    of a choir, in a room, 0.05 to 0.23, its wavering sections 0.05. Parameters as for :func:`measured_coherence`, for
    frames a quarter of a window apart.
    """
    low = int((bins_hz < STEADY_HZ[1]).sum())
    share_F = measured_coherence(X_MFT[:, :low], lambda_NFT[:, :low], combs_NRFT[:, :, :low], bins_hz[:low])
    middles_hz = [(a + b) / 2 for a, b in itertools.pairwise(EDGES_HZ) if STEADY_HZ[0] <= a and b <= STEADY_HZ[1]]
    return float(np.interp(middles_hz, bins_hz[:low], share_F).mean())


def _neighbourhoods(x_RFT: Tensor, f_L: Tensor, t_L: Tensor, r_L: Tensor, reach: int) -> Complex[Tensor, "L D"]:
    """Return the neighbourhoods of some bins, zero beyond the ends."""
    padded = pad(x_RFT, (reach, reach, REACH_BINS, REACH_BINS))
    shifts = itertools.product(range(2 * REACH_BINS + 1), range(2 * reach + 1))
    return torch.stack([padded[r_L, f_L + i, t_L + j] for i, j in shifts], -1)


def _images(
    X_MFT: Spectrum_MFT,
    lambda_NFT: Power_NFT,
    combs_NRFT: Complex[Tensor, "V R F T"],
    share_F: Float[Tensor, " F"],
    reach: int,
    inner: slice,
) -> Images_NMFT:
    """Return the images in the inner frames; those around them are but neighbours."""
    voices, interleaved, bins, frames = combs_NRFT.shape
    partials = voices * interleaved
    power_NRFT = power(combs_NRFT)
    power_NFT = power_NRFT.sum(1)
    gain_NFT, diagonal_NFT = prior(lambda_NFT, power_NFT, share_F)
    gain_NFT, rest_FT = gain_NFT[..., inner], diagonal_NFT.sum(0)

    # Unknown amplitudes have unit variance: the centre's gain goes into the patterns, the noise whitens both.
    whitener_FT = torch.maximum(rest_FT, least_noise(rest_FT, reach)).rsqrt()
    pattern_PFT = scaled(whitener_FT, combs_NRFT.reshape(partials, bins, frames))
    white_PFT = whitener_FT.square() * power_NRFT.reshape(partials, bins, frames)
    gain_PFT = gain_NFT.repeat_interleave(interleaved, 0)
    # The whitener of a bin is the same in every neighbourhood, so that all sums over neighbourhoods are moving sums.
    gram_PPFT = torch.empty(partials, partials, *gain_PFT.shape[1:], dtype=X_MFT.dtype)
    for p in range(partials):
        for q in range(p):
            product_FT = moving_sums(pattern_PFT[p].conj() * pattern_PFT[q], reach, inner)
            gram_PPFT[p, q] = scaled(gain_PFT[p] * gain_PFT[q], product_FT)
        gram_PPFT[p, p] = moving_sums(white_PFT[p], reach, inner) * gain_PFT[p].square() + 1
    heard_PMFT = moving_sums(pattern_PFT.conj()[:, None] * scaled(whitener_FT, X_MFT), reach, inner)
    amplitude_PML = solve_positive(gram_PPFT.flatten(2), scaled(gain_PFT[:, None], heard_PMFT).flatten(2))

    centre_NRFT = scaled(gain_NFT[:, None], combs_NRFT[..., inner])
    amplitude_NRMFT = amplitude_PML.reshape(voices, interleaved, -1, *gain_PFT.shape[1:])
    heard_NMFT = (amplitude_NRMFT * centre_NRFT[:, :, None]).sum(1)
    left_MFT = X_MFT[..., inner] - heard_NMFT.sum(0)
    images = scaled((diagonal_NFT / rest_FT)[:, None, ..., inner], left_MFT)
    images[:voices] += heard_NMFT
    return images


def spans(frames: int, at_once: int, reach: int) -> Iterator[tuple[slice, slice, slice]]:
    """Yield frames that are solved together, those with their neighbours, and the first among the second."""
    for first in range(0, frames, at_once):
        last = min(frames, first + at_once)
        begin, end = max(0, first - reach), min(frames, last + reach)
        yield slice(first, last), slice(begin, end), slice(first - begin, last - begin)


def prior(lambda_NFT: Power_NFT, power_NFT: Power_NFT, share_F: Float[Tensor, " F"]) -> tuple[Power_NFT, Power_NFT]:
    """Return the gains of combs of such power whose amplitudes have unit variance, and the power that is not coherent.

    A gain is floored where the comb has no energy to lend: there the other power explains the bin.
    """
    coherent_NFT = lambda_NFT[: len(power_NFT)] * share_F[:, None]
    gain_NFT = (coherent_NFT / (power_NFT + 1e-3 * power_NFT.amax().clamp_min(EPS))).sqrt()
    return gain_NFT, torch.cat([lambda_NFT[: len(power_NFT)] - coherent_NFT, lambda_NFT[len(power_NFT) :]]) + EPS


def least_noise(rest_FT: Power_FT, reach: int) -> Power_FT:
    """Return the least noise of every bin, relative to the most in its neighbourhood.

    Next to digital silence the noise has no floor of its own, and sums of squares would lose all digits.
    """
    around_FT = max_pool2d(rest_FT[None], (2 * REACH_BINS + 1, 1), 1, (REACH_BINS, 0))
    return QUIETEST * max_pool2d(around_FT, (1, 2 * reach + 1), 1, (0, reach))[0]


def power(z: Complex[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """Return the squared magnitude, without taking a root on the way."""
    return torch.view_as_real(z).square().sum(-1)


def scaled(x: Float[Tensor, "*axes"], z: Complex[Tensor, "*axes"]) -> Complex[Tensor, "*axes"]:
    """Return the product of real and complex numbers, without making complex ones of the real."""
    return torch.view_as_complex(x[..., None] * torch.view_as_real(z))


def moving_sums(x: Tensor, reach: int, inner: slice) -> Tensor:
    """Return (…, F, T): the sum over the neighbourhood of every value in the inner frames, zero beyond the ends."""
    missing = reach - inner.start, inner.stop + reach - x.shape[-1]
    padded = pad(x, (*missing, REACH_BINS, REACH_BINS))
    return _moving_sum(_moving_sum(padded, 2 * REACH_BINS + 1, -2), 2 * reach + 1, -1)


def _moving_sum(x: Tensor, count: int, dim: int) -> Tensor:
    """Return the sums of so many neighbours along an axis, from sums of 1, 2, 4 … of them."""
    length, first, width = x.shape[dim] - count + 1, 0, 1
    total = None
    while True:
        if count & width:
            part = x.narrow(dim, first, length)
            total, first = part if total is None else total + part, first + width
        if 2 * width > count:
            return total
        size = x.shape[dim] - width
        x, width = x.narrow(dim, 0, size) + x.narrow(dim, width, size), 2 * width


def solve_positive(A_PPL: Complex[Tensor, "P P L"], b_PML: Complex[Tensor, "P M L"]) -> Complex[Tensor, "P M L"]:
    """Solve many small positive definite Hermitian systems at once by Cholesky decomposition.

    Only the lower triangles are read. The systems lie along the *last* axis, so that each step of the textbook
    algorithm is one long vector operation: several times faster than a batch of small factorisations.
    """
    size = len(A_PPL)
    lower: list[list[Tensor]] = [[] for _ in range(size)]
    inverse_diagonal = []
    for j in range(size):
        pivot = A_PPL[j, j].real.clone()
        for k in range(j):
            pivot -= lower[j][k].real ** 2 + lower[j][k].imag ** 2
        inverse_diagonal.append(pivot.clamp_min(EPS).rsqrt())
        for i in range(j + 1, size):
            entry = A_PPL[i, j].clone()
            for k in range(j):
                entry -= lower[i][k] * lower[j][k].conj()
            lower[i].append(scaled(inverse_diagonal[j], entry))
    y: list[Tensor] = []
    for i in range(size):
        entry = b_PML[i].clone()
        for k in range(i):
            entry -= lower[i][k] * y[k]
        y.append(scaled(inverse_diagonal[i], entry))
    x: list[Tensor] = [y[0]] * size
    for i in reversed(range(size)):
        entry = y[i]
        for k in range(i + 1, size):
            entry = entry - lower[k][i].conj() * x[k]
        x[i] = scaled(inverse_diagonal[i], entry)
    return torch.stack(x)


__all__ = [
    "INTERLEAVED",
    "LONG",
    "SHORT",
    "Around",
    "coherent",
    "least_noise",
    "measured_coherence",
    "moving_sums",
    "power",
    "prior",
    "scaled",
    "solve_positive",
    "spans",
    "steadiness",
]
