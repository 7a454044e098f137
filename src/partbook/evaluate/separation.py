"""How near estimated signals are to their references, in decibels.

Every function takes batches: the last axis is samples, the leading axes broadcast. Tensors give tensors (with
gradients), arrays give arrays; everything is computed in double precision.

Two rules cover what the ratios leave undefined, and nothing is dropped in silence:

- a *silent reference* has no score: NaN, and whoever averages must say how many there were (:func:`is_silent`);
- a *silent estimate* of a sounding reference contains nothing of it: ``-inf``. An exact estimate scores ``+inf``.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
import scipy.optimize
import torch
from torch import Tensor

Signal = TypeVar("Signal", np.ndarray, Tensor)

_BOUND_DB = 1e3
_RELATIVE_SILENCE = 1e-24
"""Energy left after removing the mean, relative to the energy before, that is only rounding."""


def is_silent(x: Signal, *, mean_removed: bool = False) -> Signal:
    """Return where signals have no sound: all zeros or, with ``mean_removed``, constant.

    Examples
    --------
    >>> is_silent(np.array([[0.0, 0.0], [1.0, 1.0]])).tolist()
    [True, False]
    >>> is_silent(np.array([[0.0, 0.0], [1.0, 1.0]]), mean_removed=True).tolist()
    [True, True]
    """
    samples = as_double(x)
    centred = samples - samples.mean(-1, keepdim=True) if mean_removed else samples
    return like(_energy(centred) <= _RELATIVE_SILENCE * _energy(samples), x)


def si_sdr(reference: Signal, estimate: Signal, *, mean_removed: bool = True) -> Signal:
    """Return the scale-invariant signal-to-distortion ratio in dB.

    ``10 log10(|a s|^2 / |a s - e|^2)`` with ``a = <s, e> / <s, s>`` (Le Roux et al., "SDR – half-baked or well done?",
    ICASSP 2019, equation 5).

    Parameters
    ----------
    reference, estimate
        Signals, shape (..., S); leading axes broadcast.
    mean_removed
        Subtract each signal's mean first. Published tables differ on this; for sound without an offset it hardly
        matters.

    Returns
    -------
    array or tensor
        Shape (...): NaN for a silent reference or where a signal is not finite, ``-inf`` for a silent estimate.

    Examples
    --------
    >>> s = np.array([1.0, -1.0, 1.0, -1.0])
    >>> noise = np.array([0.1, 0.1, -0.1, -0.1])
    >>> round(float(si_sdr(s, 3 * (s + noise))), 9)
    20.0
    """
    s, e = as_double(reference), as_double(estimate)
    s_silent, e_silent = is_silent(s, mean_removed=mean_removed), is_silent(e, mean_removed=mean_removed)
    if mean_removed:
        s, e = s - s.mean(-1, keepdim=True), e - e.mean(-1, keepdim=True)
    gain = (s * e).sum(-1, keepdim=True) / _energy(s)[..., None]
    target = gain * s
    score = decibels(_energy(target), _energy(target - e))
    score = torch.where(e_silent & torch.isfinite(_energy(e)), -math.inf, score)
    return like(torch.where(s_silent, math.nan, score), reference)


def si_sdr_improvement(reference: Signal, estimate: Signal, mixture: Signal, *, mean_removed: bool = True) -> Signal:
    """Return how many dB of scale-invariant ratio the estimate gains over the untouched mixture."""
    before = si_sdr(reference, mixture, mean_removed=mean_removed)
    return si_sdr(reference, estimate, mean_removed=mean_removed) - before


def sdr(reference: Signal, estimate: Signal) -> Signal:
    """Return the plain signal-to-distortion ratio ``10 log10(|s|^2 / |s - e|^2)`` in dB: gain errors count.

    A silent estimate scores 0 dB. It is also the "signal-to-noise ratio" of some papers.
    """
    s, e = as_double(reference), as_double(estimate)
    score = decibels(_energy(s), _energy(s - e))
    return like(torch.where(is_silent(s), math.nan, score), reference)


def decibels(signal_energy: Tensor, error_energy: Tensor) -> Tensor:
    """Return ``10 log10(signal / error)``: ``+inf`` without error, ``-inf`` without signal, NaN without both."""
    return 10 * torch.log10(signal_energy / error_energy)


def best_permutation(scores: np.ndarray | Tensor) -> tuple[int, ...]:
    """Return which estimate belongs to which reference so that the mean score is best.

    Parameters
    ----------
    scores
        Shape (N, N), reference first; larger is better. NaN (a silent reference) speaks for no estimate.

    Returns
    -------
    tuple of int
        For every reference the index of its estimate.

    Examples
    --------
    >>> best_permutation(np.array([[1.0, 9.0], [8.0, 2.0]]))
    (1, 0)
    """
    finite = np.nan_to_num(np.asarray(scores, dtype=float), nan=0.0, posinf=_BOUND_DB, neginf=-_BOUND_DB)
    return tuple(int(i) for i in scipy.optimize.linear_sum_assignment(finite, maximize=True)[1])


def _energy(x: Tensor) -> Tensor:
    return x.square().sum(-1)


def as_double(x: np.ndarray | Tensor) -> Tensor:
    """Return a signal as a tensor in double precision."""
    return x.double() if isinstance(x, Tensor) else torch.from_numpy(np.asarray(x, dtype=np.float64))


def like(result: Tensor, example: np.ndarray | Tensor) -> np.ndarray | Tensor:
    """Return a result as an array where the example is one, else as the tensor it is."""
    return result if isinstance(example, Tensor) else result.numpy()
