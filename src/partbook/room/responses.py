"""What measured impulse responses tell of a room: covariances of the microphones, without any recording.

A white source of unit power, heard through the responses ``h_m`` and seen through a window whose autocorrelation is
``r``, has exactly the covariance

    R_f[m, m'] = sum_d r(d) (h_m * h_m')(d) e^(-2 pi i f d / n_fft)

with the cross-correlations of the responses at the lags ``d``. What arrives late, after half a window, is a covariance
of its own.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import scipy.fft
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from .fastmnmf import FastMnmf, iterative_projection, loaded, normalised

_FIRST = 0.1
"""Share of its highest peak at which a response is taken to begin."""


def split(responses_MS: np.ndarray, early: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what arrives within ``early`` samples of the first sound, and what comes later."""
    level_S = np.abs(responses_MS).max(0)
    edge = int(np.argmax(level_S >= _FIRST * level_S.max())) + early
    return responses_MS[:, :edge], responses_MS[:, edge:]


def covariance(responses_MS: np.ndarray, window: Float[Tensor, " W"]) -> Complex[Tensor, "F M M"]:
    """Return the covariance of microphones that hear white sound through responses, complex128; see the module.

    Parameters
    ----------
    responses_MS
        From one place to every microphone.
    window
        Of the analysis; as long as the transform.
    """
    n_fft, (microphones, samples) = len(window), responses_MS.shape
    size = scipy.fft.next_fast_len(2 * max(samples, n_fft), real=True)
    spectra_MF = np.fft.rfft(responses_MS, size)
    seen_S = np.fft.irfft(np.abs(np.fft.rfft(window.numpy().astype(float), size)) ** 2, size)
    lags = np.arange(-n_fft + 1, n_fft)
    R_FMM = np.zeros((n_fft // 2 + 1, microphones, microphones), complex)
    for a, b in combinations_with_replacement(range(microphones), 2):
        correlation_S = np.fft.irfft(spectra_MF[a] * spectra_MF[b].conj(), size)
        folded_S = np.bincount(lags % n_fft, correlation_S[lags] * seen_S[lags], n_fft)
        R_FMM[:, a, b] = np.fft.rfft(folded_S)
        R_FMM[:, b, a] = R_FMM[:, a, b].conj()
    return torch.from_numpy(R_FMM)


def diagonalised(R_FNMM: Complex[Tensor, "F N M M"], rounds: int = 30) -> FastMnmf:
    """Return the jointly diagonal room that is nearest to covariances in the sense of the likelihood.

    That of a recording in which every source sounds alone for as long as the others: its power per bin, the gains and
    the diagonaliser are updated in turn, each to its optimum (:func:`~partbook.room.fastmnmf.iterative_projection`).
    """
    bins, sources, microphones, _ = R_FNMM.shape
    R_FNMM, epsilon = R_FNMM.to(torch.complex128), torch.finfo(torch.float32).eps
    room = FastMnmf.identity(bins, torch.ones(sources, microphones, dtype=torch.float64))
    for _ in range(rounds):
        x_FNM = heard(R_FNMM, room).clamp_min(1e-12)
        lambda_FN1 = (x_FNM / room.g_NM).mean(-1, keepdim=True)
        g_NM = (x_FNM / lambda_FN1).mean(0)
        weight_FNM = 1 / (g_NM * lambda_FN1 * sources)
        V_FMMM = torch.einsum("fnm,fnab->fmab", weight_FNM.to(R_FNMM.dtype), R_FNMM)
        room = replace(room, Q_FMM=iterative_projection(room.Q_FMM, loaded(V_FMMM, epsilon)), g_NM=g_NM)
    Q_FMM, g_NM, _ = normalised(room.Q_FMM, room.g_NM)
    return FastMnmf(Q_FMM, g_NM.float())


def heard(R_FNMM: Complex[Tensor, "F N M M"], room: FastMnmf) -> Float[Tensor, "F N M"]:
    """Return the power of every source in the channels that the room diagonalises."""
    Q_F1MM = room.Q_FMM[:, None]
    return (Q_F1MM @ R_FNMM @ Q_F1MM.mH).diagonal(dim1=-2, dim2=-1).real


__all__ = ["covariance", "diagonalised", "split"]
