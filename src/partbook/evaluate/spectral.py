"""Distances that forgive phase: spectral signal-to-noise ratio and mel-cepstral distance.

Both follow the definitions of the published voice-separation tables (Schulze-Forster et al., "Unsupervised music
source separation using differentiable parametric source models", TASLP 2023), so that figures can be compared.
"""

from __future__ import annotations

import math

import scipy.fft
import torch
from jaxtyping import Float
from torch import Tensor

from .separation import Signal, as_double, decibels, is_silent, like

MELS = 128
_LOG_FLOOR = 1e-6


def spectral_snr(
    reference: Signal, estimate: Signal, *, n_fft: int = 512, hop_samples: int = 256, scale_invariant: bool = False
) -> Signal:
    """Return the signal-to-noise ratio of magnitude spectrograms in dB: ``|S|^2 / ||S| - |E||^2``.

    Parameters
    ----------
    reference, estimate
        Shape (..., S).
    n_fft, hop_samples
        Hann window and hop in samples. Signals are mirrored at the start and followed by silence, as published.
    scale_invariant
        Scale the reference's magnitudes to fit the estimate's first.

    Returns
    -------
    array or tensor
        Shape (...); NaN for a silent reference.
    """
    s, e = as_double(reference), as_double(estimate)
    S, E = (_magnitudes(_padded(x, n_fft, hop_samples), n_fft, hop_samples).flatten(-2) for x in (s, e))
    if scale_invariant:
        S = S * ((S * E).sum(-1) / S.square().sum(-1))[..., None]
    score = decibels(S.square().sum(-1), (S - E).square().sum(-1)).double()
    return like(torch.where(is_silent(s), math.nan, score), reference)


def mel_cepstral_distance(
    reference: Signal, estimate: Signal, sample_rate: int, *, n_fft: int = 512, hop_samples: int = 256, count: int = 13
) -> Signal:
    """Return the mean over frames of the Euclidean distance of mel-frequency cepstra (smaller is better).

    The cepstra are the first ``count`` orthonormal cosine coefficients of natural logarithms of 128 mel bands; the
    first, the level, is among them.

    Parameters
    ----------
    reference, estimate
        Shape (..., S).
    sample_rate
        Hz.
    n_fft, hop_samples, count
        Hann window and hop in samples, number of coefficients.

    Returns
    -------
    array or tensor
        Shape (...); NaN for a silent reference.
    """
    s, e = as_double(reference), as_double(estimate)
    bands = mel_bands(sample_rate, n_fft).float()
    cosines = torch.from_numpy(scipy.fft.dct(torch.eye(MELS).numpy(), norm="ortho", axis=0)[:count])

    def cepstra(x: Tensor) -> Tensor:
        power = _magnitudes(x, n_fft, hop_samples).square()
        return cosines @ torch.log(bands @ power + _LOG_FLOOR)

    distance = (cepstra(s) - cepstra(e)).square().sum(-2).sqrt().mean(-1)
    return like(torch.where(is_silent(s), math.nan, distance.double()), reference)


def mel_bands(sample_rate: int, n_fft: int) -> Float[Tensor, "bands F"]:
    """Return triangles of height 1, equally spaced in ``2595 log10(1 + f / 700)`` from 0 Hz to Nyquist."""
    top = 2595 * math.log10(1 + sample_rate / 2 / 700)
    edges_hz = 700 * (10 ** (torch.linspace(0, top, MELS + 2, dtype=torch.float64) / 2595) - 1)
    bins_hz = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    width = edges_hz.diff()[:, None]
    rising = (bins_hz - edges_hz[:-2, None]) / width[:-1]
    falling = (edges_hz[2:, None] - bins_hz) / width[1:]
    return torch.minimum(rising, falling).clamp_min(0)


def _padded(x: Tensor, n_fft: int, hop_samples: int) -> Tensor:
    """Return the signal with the silence after it that lets the last window slide out."""
    frames = -(-x.shape[-1] // hop_samples)
    return torch.nn.functional.pad(x, (0, max(0, n_fft + hop_samples * (frames - 1) - x.shape[-1])))


def _magnitudes(x: Tensor, n_fft: int, hop_samples: int) -> Float[Tensor, "... F T"]:
    """Return magnitudes, in single precision: these distances are not for nearly exact estimates."""
    x = x.float()
    if x.shape[-1] <= n_fft // 2:
        x = torch.nn.functional.pad(x, (0, n_fft // 2 + 1 - x.shape[-1]))
    window = torch.hann_window(n_fft, dtype=x.dtype)
    flat = x.reshape(-1, x.shape[-1])
    spectra = torch.stft(flat, n_fft, hop_samples, window=window, pad_mode="reflect", return_complex=True)
    return spectra.abs().reshape(*x.shape[:-1], *spectra.shape[-2:])
