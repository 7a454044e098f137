"""Floors and ceilings: what no system should fall below, and what none of a kind can pass.

A figure in dB says little alone: the same 7 dB are a triumph on one recording and a failure on another. So every table
also shows what is reached on the same material

- by doing nothing and by a fixed comb of harmonics at the known F0 (floors), and
- by masks and filters made from the references themselves (ceilings, "oracles"). An ideal mask bounds what any method
  can do that multiplies one microphone's spectrogram by real numbers, the multichannel Wiener filter what a
  time-varying linear combination of microphones with Gaussian sources can do.

All functions take the references (N, M, S) and the mixture (M, S) and return estimates (N, M, S).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from ..axes import Power_NFT
from ..dsp.divergence import EPS
from ..dsp.stft import Stft
from ..fit import fit
from ..pitch.tracks import Track
from ..room.fastmnmf import FastMnmf
from ..wiener import multichannel

WINDOW_S = 0.128
"""Window of all masks: 2048 samples at 16 kHz."""

Images = Float[Tensor, "N M S"]
Mixture = Float[Tensor, "M S"]


def do_nothing(references: Images, mixture: Mixture, sample_rate: int) -> Images:
    """Return the untouched mixture as the estimate of every source."""
    return mixture.expand_as(references)


def ideal_ratio_mask(references: Images, mixture: Mixture, sample_rate: int) -> Images:
    """Return the mixture masked by the references' shares of the magnitude."""
    return _shared_out(references, mixture, sample_rate, 1.0)


def ideal_wiener_mask(references: Images, mixture: Mixture, sample_rate: int) -> Images:
    """Return the mixture masked by the references' shares of the power."""
    return _shared_out(references, mixture, sample_rate, 2.0)


def ideal_phase_sensitive_mask(references: Images, mixture: Mixture, sample_rate: int) -> Images:
    """Return the mixture masked by the best factor between 0 and 1 in every bin.

    ``Re(S X*) / |X|^2``, cut to that range (Erdogan et al., "Phase-sensitive and recognition-boosted speech separation
    using deep recurrent neural networks", ICASSP 2015).
    """
    stft = Stft.lasting(WINDOW_S, sample_rate)
    X, S = stft(mixture), stft(references)
    factor = (S * X.conj()).real / (X.abs().square() + EPS)
    return stft.inverse(factor.clamp(0, 1) * X, mixture.shape[-1])


def oracle_multichannel_wiener(references: Images, mixture: Mixture, sample_rate: int, iterations: int = 5) -> Images:
    """Return the images of the multichannel Wiener filter whose model is learned from the references.

    The model is Gaussian with a full-rank covariance ``v(f, t) R(f)`` per source; both follow from the reference by
    maximum likelihood, in turns: ``v = s^H R^-1 s / M`` and ``R = mean_t s s^H / v`` (Duong, Vincent & Gribonval,
    "Under-determined reverberant audio source separation using a full-rank spatial covariance model", TASLP 2010,
    equations 31 and 32).
    """
    stft = Stft.lasting(WINDOW_S, sample_rate)
    X_FTM = stft(mixture).permute(1, 2, 0)
    M, samples = mixture.shape
    identity = torch.eye(M, dtype=X_FTM.dtype)
    v_NFT, R_NFMM = zip(*(_gaussian(stft(s).permute(1, 2, 0), iterations) for s in references), strict=True)
    images = [torch.empty_like(X_FTM) for _ in references]
    for f in range(stft.bins):
        covariances = [v[f, :, None, None] * R[f] for v, R in zip(v_NFT, R_NFMM, strict=True)]
        whitened = torch.linalg.solve(sum(covariances) + EPS * identity, X_FTM[f, :, :, None])
        for image, covariance in zip(images, covariances, strict=True):
            image[f] = (covariance @ whitened)[..., 0]
    return stft.inverse(torch.stack(images).permute(0, 3, 1, 2), samples)


def oracle_fastmnmf(references: Images, mixture: Mixture, sample_rate: int, iterations: int = 30) -> Images:
    """Return the images under jointly diagonalised covariances learned from the mixture with the true powers.

    What FastMNMF2 reaches with the best of all source models: the powers are those of the references, summed over
    microphones, and only the room is fitted.
    """
    stft = Stft.lasting(WINDOW_S, sample_rate)
    X_MFT = stft(mixture)
    lambda_NFT = stft(references).abs().square().mean(1) + EPS
    energy_NM = references.square().sum(-1) + EPS
    room = FastMnmf.identity(stft.bins, energy_NM / energy_NM.sum(1, keepdim=True))
    known, room = fit(X_MFT, _KnownPowers(lambda_NFT), room, iterations=iterations, beta=0)
    return stft.inverse(multichannel(X_MFT, known.power(), room.Q_FMM, room.g_NM), mixture.shape[-1])


def harmonic_comb(
    mixture: Mixture, sample_rate: int, tracks: Sequence[Track], start_s: float = 0.0, exponent: float = 2.0
) -> Images:
    """Return the mixture masked by fixed combs at given F0: partials ``1/k`` as wide as the window's main lobe.

    Nothing is learned or fitted, so a method that has the same F0 must do better. Where no voice is voiced all share
    alike.

    Parameters
    ----------
    mixture
        Shape (M, S).
    sample_rate
        Hz.
    tracks
        F0 of every voice, in seconds of the piece.
    start_s
        Time of the mixture's first sample in the piece.
    exponent
        Of the amplitudes in the mask: 2 shares out power.
    """
    stft = Stft.lasting(WINDOW_S, sample_rate, overlap=8)
    X_MFT = stft(mixture)
    times_s = start_s + torch.arange(X_MFT.shape[-1], dtype=torch.float64) * stft.hop_samples / sample_rate
    bin_hz = sample_rate / stft.n_fft
    frequency_hz = torch.arange(stft.bins, dtype=torch.float64)[:, None] * bin_hz
    f0_NT = torch.stack([torch.from_numpy(track.at(times_s.numpy()).f0_hz) for track in tracks])
    f0_NFT = f0_NT[:, None].clamp_min(bin_hz)
    partial_NFT = (frequency_hz / f0_NFT).round().clamp_min(1)
    distance_bins = (frequency_hz - partial_NFT * f0_NFT) / bin_hz
    # A Gaussian that falls to one half one bin off its centre, as the main lobe of a Hann window does.
    amplitude_NFT = 2.0 ** -distance_bins.square() / partial_NFT * (f0_NT[:, None] > 0)
    share_NFT = amplitude_NFT**exponent + EPS
    masks_NFT = share_NFT / share_NFT.sum(0)
    return stft.inverse(masks_NFT[:, None] * X_MFT, mixture.shape[-1])


CEILINGS: Mapping[str, Callable[[Images, Mixture, int], Images]] = {
    "ideal ratio mask": ideal_ratio_mask,
    "ideal Wiener mask": ideal_wiener_mask,
    "ideal phase-sensitive mask": ideal_phase_sensitive_mask,
}
"""Ceilings of methods that multiply a spectrogram, by the names they have in tables."""

SPATIAL_CEILINGS: Mapping[str, Callable[[Images, Mixture, int], Images]] = {
    "FastMNMF2 with true powers": oracle_fastmnmf,
    "oracle multichannel Wiener filter": oracle_multichannel_wiener,
}
"""Ceilings of methods that combine microphones."""


@dataclass(frozen=True)
class _KnownPowers:
    """A source model with nothing to learn but the static gains that a room moves to it."""

    lambda_NFT: Power_NFT
    parts: tuple[str, ...] = ()

    def power(self) -> Power_NFT:
        """Return the powers."""
        return self.lambda_NFT

    def update(self, part: str, up: Power_NFT, down: Power_NFT, beta: float) -> _KnownPowers:
        """Return the model itself."""
        return self

    def rescale(self, gain_NF: Float[Tensor, "N F"]) -> _KnownPowers:
        """Return the powers with a gain per source and bin."""
        return _KnownPowers(self.lambda_NFT * gain_NF[..., None])


def _shared_out(references: Images, mixture: Mixture, sample_rate: int, exponent: float) -> Images:
    stft = Stft.lasting(WINDOW_S, sample_rate)
    share = stft(references).abs() ** exponent + EPS
    return stft.inverse(share / share.sum(0) * stft(mixture), mixture.shape[-1])


def _gaussian(
    S_FTM: Complex[Tensor, "F T M"], iterations: int
) -> tuple[Float[Tensor, "F T"], Complex[Tensor, "F M M"]]:
    """Return the powers and covariances under which one image is most likely; covariances are kept invertible."""
    M = S_FTM.shape[-1]
    v_FT = S_FTM.abs().square().mean(-1) + EPS
    for _ in range(iterations):
        weighted = S_FTM / v_FT[..., None]
        R_FMM = weighted.transpose(1, 2) @ S_FTM.conj() / S_FTM.shape[1]
        level = R_FMM.diagonal(dim1=-2, dim2=-1).real.mean(-1).clamp_min(EPS)
        R_FMM = R_FMM / level[:, None, None] + 1e-6 * torch.eye(M, dtype=S_FTM.dtype)
        whitened = torch.linalg.solve(R_FMM, S_FTM.transpose(1, 2)).transpose(1, 2)
        v_FT = (S_FTM.conj() * whitened).real.mean(-1).clamp_min(EPS)
    return v_FT, R_FMM
