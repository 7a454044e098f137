"""Where a session's fit starts: what each player's own microphone hears once the leakage is taken away.

A blind start ties sources to microphones by luck, and a source tied to the wrong one never comes back. A spot
microphone says whose it is: its spectrum, less what leaks in from the others, starts that player's spectra; how loudly
all microphones hear those spectra starts the room. All this is about powers, blind to phase. Where covariances are
known from elsewhere, the powers that explain the recording best start the spectra instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from ..axes import Gain_NM, Power_NFT, Spectrum_MFT
from ..dsp.divergence import EPS
from ..dsp.lingering import decay_of, lingering
from . import fullrank

Power_MFT = Float[Tensor, "M F T"]
"""Power at every microphone."""

Leakage_BNM = Float[Tensor, "B N M"]
"""Power of every source at every microphone, relative to its own spot, per band of frequencies."""

TINY = 1e-30
"""Power below which nothing is heard."""

OTHER = 0.05
"""Gain from which a source starts at microphones that are not its own (−13 dB)."""


def half_octaves(bin_hz: float, bins: int, lowest_hz: float = 100.0) -> list[slice]:
    """Return slices of bins half an octave wide; the first reaches from 0 Hz to ``lowest_hz``.

    Examples
    --------
    >>> half_octaves(50.0, 9)
    [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None), slice(4, 6, None), slice(6, 8, None), slice(8, 9, None)]
    """
    edges, edge_hz = {0, bins}, lowest_hz
    while edge_hz < bin_hz * bins:
        edges.add(min(bins, round(edge_hz / bin_hz)))
        edge_hz *= 2**0.5
    ordered = sorted(edges)
    return [slice(a, b) for a, b in pairwise(ordered)]


def own_power(power_MFT: Power_MFT, spots: Sequence[Sequence[int]]) -> Power_NFT:
    """Return the power that every source's own microphones hear on average."""
    return torch.stack([power_MFT[list(own)].mean(0) for own in spots])


def leakage(
    power_MFT: Power_MFT, spots: Sequence[Sequence[int]], bands: Sequence[slice], quantile: float = 0.4
) -> Leakage_BNM:
    """Estimate how loudly every microphone hears every source, relative to the source's own spot.

    Whatever else plays adds power, so while a source sounds the ratio of a microphone's power to its spot's is at least
    the leakage. The lower envelope of the ratios would be the estimate; a quantile near the middle is an upper bound
    that starts every player with less of the others, which separates better: what is missing comes back in the fit.

    Parameters
    ----------
    power_MFT
        Power at every microphone.
    spots
        Rows of every source's own microphones.
    bands
        Slices of bins, from :func:`half_octaves`.
    quantile
        Of the ratios, over the bins and frames of a band in which the spot is within 10 dB of its mean or above.

    Returns
    -------
    Tensor
        Power ratios from 0 to 1, shape (B, N, M); 1 at a source's only spot.
    """
    own_NFT = own_power(power_MFT, spots)
    leakage_BNM = power_MFT.new_zeros(len(bands), len(spots), len(power_MFT))
    for b, band in enumerate(bands):
        for n, own_FT in enumerate(own_NFT[:, band]):
            sounding = own_FT > own_FT.mean() / 10
            if sounding.any():
                ratio_MX = power_MFT[:, band][:, sounding] / own_FT[sounding]
                place = max(1, round(quantile * ratio_MX.shape[1]))
                leakage_BNM[b, n] = ratio_MX.kthvalue(place, dim=1).values
    return leakage_BNM.clamp(EPS, 1)


def halfway(leakage_BNM: Leakage_BNM, spots: Sequence[Sequence[int]], quantile: float = 0.3) -> Float[Tensor, "N N"]:
    """Return the level of player n's spot over player k's, in nepers of power, from which on a sound is rather n's.

    It lies halfway between the levels at which the two spots hear n and k, which are read off the leakage: the lowest
    but for outliers over the bands, for an estimate of leakage is never too low. Gains of microphones cancel.
    """
    typical_NM = leakage_BNM.log().quantile(quantile, dim=0)
    at_spots_NN = torch.stack([typical_NM[:, list(own)].mean(1) for own in spots], 1)
    return (at_spots_NN.T - at_spots_NN) / 2


def borrowed(
    heard_NMF: Float[Tensor, "N M F"], spots: Sequence[Sequence[int]], halfway_NN: Float[Tensor, "N N"]
) -> Bool[Tensor, "N F"]:
    """Return where what a model takes for one player is heard as another player is.

    Where only one plays, nothing in the likelihood keeps a second source from taking a share of it: two sources model
    it better than one. But it is heard loudest at the wrong spot.

    Parameters
    ----------
    heard_NMF
        Power of every player at every microphone in the model.
    spots
        Rows of every player's own microphones.
    halfway_NN
        From :func:`halfway`.
    """
    at_spots_NNF = torch.stack([heard_NMF[:, list(own)].clamp_min(TINY).log().mean(1) for own in spots], 1)
    over_NNF = at_spots_NNF.diagonal().T[:, None] - at_spots_NNF
    # Against itself every player is level, at 0 over 0.
    return (over_NNF < halfway_NN[..., None]).any(1)


def leak_suppressed(
    power_MFT: Power_MFT,
    spots: Sequence[Sequence[int]],
    bands: Sequence[slice],
    leakage_BNM: Leakage_BNM,
    iterations: int = 10,
) -> Power_NFT:
    """Return the power of every source at its own spot, without what leaks in from the others.

    In every bin the powers at the spots are taken as non-negative sums ``x = L s`` and solved by multiplicative updates
    of the Kullback-Leibler divergence from ``s = x`` on.
    """
    s_NFT, columns = own_power(power_MFT, spots), [m for own in spots for m in own]
    for band, L_NM in zip(bands, leakage_BNM[:, :, columns], strict=True):
        x_MX, s_NX = power_MFT[columns, band].flatten(1), s_NFT[:, band].flatten(1)
        for _ in range(iterations):
            s_NX = s_NX * (L_NM @ (x_MX / (L_NM.T @ s_NX).clamp_min(EPS))) / L_NM.sum(1, keepdim=True)
        s_NFT[:, band] = s_NX.unflatten(1, s_NFT[:, band].shape[1:])
    return s_NFT


def explained(X_MFT: Spectrum_MFT, R_FNMM: Complex[Tensor, "F N M M"], iterations: int = 5) -> Power_NFT:
    """Return the powers that explain spectra best where every source's covariance is known, bin by bin.

    Some multiplicative updates of the likelihood from equal powers on, ``lambda <- lambda sqrt(up / down)``.
    """
    power_FT, sources = X_MFT.abs().square().mean(0), R_FNMM.shape[1]
    floor = float(1e-7 * power_FT.mean()) + EPS
    lambda_NFT = (power_FT / sources).expand(sources, -1, -1).clamp_min(floor)
    for _ in range(iterations):
        up_NFT, down_NFT = fullrank.pressure(X_MFT, lambda_NFT, R_FNMM)
        lambda_NFT = (lambda_NFT * (up_NFT / down_NFT.clamp_min(EPS)).sqrt()).clamp_min(floor)
    return lambda_NFT


def tails(power_NFT: Power_NFT, hop_s: float, rt60_s: float) -> Power_NFT:
    """Return the power that lingers of what sounded in earlier frames, ``a tenth of sum_k d^k power_(t-k)``.

    Per frame the reverberation falls by ``d = 10^(-6 hop / rt60)``.
    """
    decay = decay_of(rt60_s, hop_s)
    return 0.1 / (1 - decay) * lingering(power_NFT, decay)


def spot_gains(sources: int, microphones: int, spots: Sequence[Sequence[int]]) -> Gain_NM:
    """Return gains that tie every source to its own microphones."""
    g_NM = torch.full((sources, microphones), OTHER)
    for n, own in enumerate(spots):
        g_NM[n, list(own)] = 1
    return g_NM


def circular_gains(sources: int, microphones: int) -> Gain_NM:
    """Return gains that tie microphone m to source ``m mod N``, as FastMNMF2 starts elsewhere; for comparison."""
    return spot_gains(sources, microphones, [range(n, microphones, sources) for n in range(sources)])


def random_gains(sources: int, microphones: int, rng: torch.Generator) -> Gain_NM:
    """Return gains drawn uniformly from :data:`OTHER` to 1; for comparison."""
    return OTHER + (1 - OTHER) * torch.rand(sources, microphones, generator=rng)
