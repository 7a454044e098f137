"""F0 from the period of a voice: the lag at which it best repeats itself.

The autocorrelation of a windowed frame, divided by that of the window, is 1 at the period of a sound that is periodic
and lower by as much as it is not (Boersma, "Accurate short-term analysis of the fundamental frequency and the
harmonics-to-noise ratio of a sampled sound", IFA Proceedings 17, 1993). Here the period is known to about a semitone,
so that there is one peak to find. It says little about a glide and much where partials do not keep their phase: choirs,
rooms, breath.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

WINDOW_S = 0.064
EDGE_HZ = 4000.0
"""Partials above are left out: they repeat least exactly."""

SEARCH_CENTS = 150.0
STEP_CENTS = 10.0

FINER = 2
"""Lags per sample; between them goes a cubic."""

LEAST_WINDOW = 0.05
"""Least autocorrelation of the window that is divided by: beyond, a frame holds too little of the lag."""

FRAMES = 512
"""Frames at once: they bound the memory."""


def period_errors(
    times_s: np.ndarray, f0_hz: np.ndarray, alone_S: Float[Tensor, " S"], sample_rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far F0 is from the period of a voice, in cents, and how nearly the voice repeats itself, 0 to 1.

    Parameters
    ----------
    times_s, f0_hz
        Voiced frames (T,), in seconds from the first sample; F0 to within a semitone.
    alone_S, sample_rate
        An estimate of the voice alone, and its rate.

    Returns
    -------
    tuple
        Error of F0 (T,), positive where the voice is higher, and the height (T,) of the peak. Where there is no peak
        within a semitone both are 0.
    """
    length = 2 * round(WINDOW_S * sample_rate / 2)
    n_fft = 1 << (2 * length - 1).bit_length()
    window = torch.hann_window(length)
    below_edge = torch.arange(n_fft // 2 + 1) * (sample_rate / n_fft) < EDGE_HZ
    alike_L = _autocorrelation(window[None], n_fft, torch.ones_like(below_edge))[0].clamp_min(LEAST_WINDOW)
    grid_cents = torch.arange(-SEARCH_CENTS, SEARCH_CENTS + 1, STEP_CENTS)
    centre = torch.from_numpy(np.round(times_s * sample_rate).astype(int))
    period_T = torch.from_numpy(FINER * sample_rate / f0_hz).float()
    padded = torch.nn.functional.pad(alone_S, (length // 2, length // 2 + 1))
    errors, heights = [], []
    for at, period in zip(centre.split(FRAMES), period_T.split(FRAMES), strict=True):
        framed = padded[at[:, None].clamp_max(len(alone_S)) + torch.arange(length)] * window
        likeness_TL = _autocorrelation(framed, n_fft, below_edge) / alike_L
        score_TG = _between(likeness_TL, period[:, None] * 2 ** (-grid_cents / 1200))
        best = score_TG.argmax(1, keepdim=True)
        inside = ((best > 0) & (best < len(grid_cents) - 1))[:, 0]
        best = best.clamp(1, len(grid_cents) - 2)
        left, middle, right = (score_TG.gather(1, best + shift)[:, 0] for shift in (-1, 0, 1))
        bend = (left - 2 * middle + right).clamp_max(-1e-9)
        offset = (0.5 * (left - right) / bend).clamp(-0.5, 0.5)
        errors.append((grid_cents[best[:, 0]] + offset * STEP_CENTS) * inside)
        heights.append(middle.clamp(0, 1) * inside)
    return torch.cat(errors).double().numpy(), torch.cat(heights).double().numpy()


def _autocorrelation(framed_TS: Tensor, n_fft: int, heard: Tensor) -> Tensor:
    """Return the autocorrelation (T, L) at lags of 1 / FINER samples, 1 at lag 0, of the bins that are heard."""
    power = torch.fft.rfft(framed_TS, n_fft).abs() ** 2 * heard
    lags = torch.fft.irfft(power, FINER * n_fft)[:, : FINER * n_fft // 2]
    return lags / lags[:, :1].clamp_min(torch.finfo(lags.dtype).tiny)


def _between(values_TL: Tensor, at_TG: Tensor) -> Tensor:
    """Return values at fractional places, by the cubic through four neighbours (Catmull and Rom 1974)."""
    first = at_TG.floor().long().clamp(1, values_TL.shape[1] - 3)
    share = (at_TG - first).clamp(0, 1)
    a, b, c, d = (values_TL.gather(1, first + shift) for shift in (-1, 0, 1, 2))
    return b + 0.5 * share * (c - a + share * (2 * a - 5 * b + 4 * c - d + share * (3 * (b - c) + d - a)))
