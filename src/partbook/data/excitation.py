"""What throats, reeds and strings give before they are coloured: harmonics and noise, and the filter that follows."""

from __future__ import annotations

import numpy as np
import scipy.fft

FRAME_S = 0.01
"""Seconds from one filter of :func:`filtered` to the next."""


def phase_of(f0_hz: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the phase in radians, from 0 to below 2 pi, of an oscillator that follows ``f0_hz``, shape (S,).

    It begins at 0 and grows by the trapezoidal rule, so that it is the same at every sample rate.
    """
    steps = (f0_hz[1:] + f0_hz[:-1]) / (2 * sample_rate)
    return 2 * np.pi * np.mod(np.concatenate([[0.0], np.cumsum(steps)]), 1.0)


def harmonics(phase: np.ndarray, f0_hz: np.ndarray, highest_hz: float) -> np.ndarray:
    """Return the sum of all harmonics below a frequency, each with amplitude 1.

    ``sum_{k=1}^{K} cos(k phi) = sin(K phi/2) cos((K+1) phi/2) / sin(phi/2)``; the harmonic that is about to cross
    ``highest_hz`` fades with the fraction of ``highest_hz / f0``, so that nothing clicks when F0 moves.

    Parameters
    ----------
    phase
        Radians, shape (S,).
    f0_hz
        Hz, above 0, shape (S,).
    highest_hz
        At most half the sample rate.
    """
    count = highest_hz / f0_hz
    whole = np.floor(count)
    sine = np.sin(phase / 2)
    small = np.abs(sine) < 1e-9
    quotient = np.sin(whole * phase / 2) * np.cos((whole + 1) * phase / 2) / np.where(small, 1.0, sine)
    return np.where(small, whole, quotient) + (count - whole) * np.cos((whole + 1) * phase)


def filtered(excitation: np.ndarray, responses: np.ndarray, sample_rate: int) -> np.ndarray:
    """Filter a signal by one frequency response per frame of :data:`FRAME_S`, fading from each to the next.

    Parameters
    ----------
    excitation
        Shape (S,).
    responses
        Complex or real, shape (T, F) with the bins of :func:`bins_hz`; frame ``t`` is centred on ``t * FRAME_S``.
    sample_rate
        Hz.

    Returns
    -------
    array
        Shape (S,).
    """
    hop = frame_samples(sample_rate)
    size = 2 * (responses.shape[1] - 1)
    padded = np.concatenate([np.zeros(hop), excitation, np.zeros(2 * hop + size)])
    fade = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop) / hop)
    output = np.zeros(len(padded))
    for t, response in enumerate(responses):
        at = t * hop
        if at >= hop + len(excitation):
            break
        output[at : at + size] += scipy.fft.irfft(
            scipy.fft.rfft(padded[at : at + 2 * hop] * fade, size) * response, size
        )
    return output[hop : hop + len(excitation)]


def frame_samples(sample_rate: int) -> int:
    """Return the samples from one frame to the next."""
    return max(1, round(FRAME_S * sample_rate))


def frame_times_s(samples: int, sample_rate: int) -> np.ndarray:
    """Return the times of the frames that cover a signal."""
    hop = frame_samples(sample_rate)
    return np.arange(-(-samples // hop) + 1) * hop / sample_rate


def bins_hz(sample_rate: int) -> np.ndarray:
    """Return the frequencies of the bins of a response: fine enough for 60 ms of ringing."""
    size = scipy.fft.next_fast_len(round(0.09 * sample_rate), real=True)
    size += size % 2
    return np.arange(size // 2 + 1) * sample_rate / size


def loudest_rms(samples: np.ndarray, sample_rate: int) -> float:
    """Return the RMS of the loudest tenth of a second; 1 for silence."""
    step = max(1, sample_rate // 10)
    energy = np.add.reduceat(samples**2, np.arange(0, len(samples), step))
    return float(np.sqrt(energy.max() / step)) or 1.0


__all__ = [
    "FRAME_S",
    "bins_hz",
    "filtered",
    "frame_samples",
    "frame_times_s",
    "harmonics",
    "loudest_rms",
    "phase_of",
]
