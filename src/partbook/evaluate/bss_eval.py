"""BSS Eval: how much of an error is other sources, how much is artefact, and how much only a wrong filter.

An estimate ``e`` of source ``j`` is projected onto the span of its reference delayed by 0 to ``taps - 1`` samples
(``P_j e``: what of it is the source, perhaps filtered) and onto that of all references (``P e``: what of it is music
at all). Then, for *sources* (Vincent, Gribonval & Févotte, "Performance measurement in blind audio source
separation", TASLP 2006; version 3 of the toolbox), ::

    SDR = |P_j e|^2 / |e - P_j e|^2     SIR = |P_j e|^2 / |P e - P_j e|^2     SAR = |P e|^2 / |e - P e|^2

and for *images*, whose filter and level count as errors too (Vincent et al., "The signal separation evaluation
campaign (2007–2010)", Signal Processing 2012), with the reference ``s`` itself, ::

    SDR = |s|^2 / |e - s|^2             ISR = |s|^2 / |P_j e - s|^2

and SIR and SAR as above. All projections and their energies follow from correlations up to ``taps - 1`` samples, which
add up over blocks of a recording: an hour costs as little memory as a second. *Version 4* (Stöter, Liutkus & Ito, "The
2018 signal separation evaluation campaign", LVA/ICA 2018) fits the filters to the whole recording once and measures
images in windows.

Silent references score NaN and are left out of the projections; the other sources are scored as if they did not
exist. A silent estimate has no SIR and no SAR (NaN). Errors below −140 dB, in windows below −120 dB, are rounding:
``+inf``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import scipy.fft
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from .separation import Signal, as_double, decibels, like

TAPS = 512
BLOCK_FFT = 1 << 14
READ_SAMPLES = 1 << 19
LOADINGS = (1e-13, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4)

Read = Callable[[int, int], tuple[Tensor, Tensor]]
"""``read(start, stop)`` returns the samples of all references and estimates, each (N, C, stop - start)."""


class Ratios(NamedTuple):
    """Ratios in dB, all of the same shape; ``isr`` is NaN for sources, which have no image."""

    sdr: Signal
    isr: Signal
    sir: Signal
    sar: Signal


def bss_eval_sources(references: Signal, estimates: Signal, *, taps: int = TAPS, pairwise: bool = False) -> Ratios:
    """Return SDR, SIR and SAR of sources, any filter of ``taps`` samples forgiven (version 3).

    Parameters
    ----------
    references, estimates
        Shape (..., N, S).
    taps
        Length of the forgiven filters in samples.
    pairwise
        Score every estimate against every reference, for :func:`~partbook.evaluate.separation.best_permutation` or for
        the estimates of several systems at once, of which there may then be any number.

    Returns
    -------
    Ratios
        Shape (..., N), or (..., N, estimates) with the reference first.
    """
    ratios = _in_batches(as_double(references)[..., None, :], as_double(estimates)[..., None, :], taps, images=False)
    return _chosen(ratios, pairwise, references)


def bss_eval_images(references: Signal, estimates: Signal, *, taps: int = TAPS, pairwise: bool = False) -> Ratios:
    """Return SDR, ISR, SIR and SAR of source images with one pair of filters for all samples given.

    Parameters
    ----------
    references, estimates
        Shape (..., N, C, S) with C channels that share their filters; the customary C is 1 or 2, and its cost grows
        as its cube. For more microphones put them in a leading axis.
    taps, pairwise
        As in :func:`bss_eval_sources`.

    Returns
    -------
    Ratios
        Shape (..., N), or (..., N, estimates) with the reference first.
    """
    ratios = _in_batches(as_double(references), as_double(estimates), taps, images=True)
    return _chosen(ratios, pairwise, references)


def bss_eval_windows(read: Read, samples: int, window: int, hop: int, *, taps: int = TAPS) -> Ratios:
    """Return SDR, ISR, SIR and SAR of images in windows, with filters fitted once to everything (version 4).

    Parameters
    ----------
    read
        Gives any stretch of references and estimates; it is asked twice for every sample.
    samples
        Length of the recording.
    window, hop
        In samples; windows that would pass the end are left out, unless there is no other.
    taps
        Length of the forgiven filters in samples.

    Returns
    -------
    Ratios
        Tensors of shape (N, windows).
    """
    correlation = _accumulated(read, samples, taps)
    own_NCLC = _own_filters(correlation)
    every_ALB, _ = _projection(correlation.among_AAK, correlation.across_ABK)
    window = min(window, samples)
    n_fft = _fast_even(window + taps - 1)
    # Filters need double precision, what they explain of one window does not: its rounding stays below −120 dB.
    own_NCCF = torch.fft.rfft(own_NCLC, n_fft, dim=2).movedim(2, -1).to(torch.complex64).contiguous()
    every_ABF = torch.fft.rfft(every_ALB, n_fft, dim=1).movedim(1, -1).to(torch.complex64).contiguous()
    scores = []
    for start in range(0, samples - window + 1, hop):
        references, estimates = (x.float() for x in read(start, start + window))
        scores.append(_window_ratios(references, estimates, own_NCCF, every_ABF, n_fft))
    return Ratios(*(torch.stack(score, -1).double() for score in zip(*scores, strict=True)))


def _chosen(ratios: Ratios, pairwise: bool, example: Signal) -> Ratios:
    scores = ratios if pairwise else Ratios(*(score.diagonal(dim1=-2, dim2=-1) for score in ratios))
    return Ratios(*(like(score, example) for score in scores))


class _Correlation(NamedTuple):
    """Everything that the ratios need to know of references and estimates with C channels each.

    ``among_AAK`` and ``across_ABK`` are the correlations of references with references and estimates at lags
    ``-(taps - 1) … taps - 1``; A and B count channels of references and estimates, K lags. ``energy_B`` are the
    energies of the estimates.
    """

    among_AAK: Float[Tensor, "A A K"]
    across_ABK: Float[Tensor, "A B K"]
    energy_B: Float[Tensor, " B"]
    channels: int

    @property
    def sources(self) -> int:
        """Number of references."""
        return len(self.among_AAK) // self.channels


def _in_batches(references: Tensor, estimates: Tensor, taps: int, images: bool) -> Ratios:
    """Score every item of a batch by itself: its linear system fills the memory and the processor."""
    batch, samples = references.shape[:-3], references.shape[-1]
    items = zip(*(x.reshape(-1, *x.shape[-3:]) for x in (references, estimates)), strict=True)
    scores = [_ratios(_accumulated(reader(*item), samples, taps), taps, images) for item in items]
    return Ratios(*(torch.stack(score).reshape(*batch, *score[0].shape) for score in zip(*scores, strict=True)))


def _stretches(read: Read, samples: int, reach: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield references and estimates, (A, S) each, with ``reach`` samples of context at either end."""
    for start in range(0, samples, READ_SAMPLES):
        stop = min(samples, start + READ_SAMPLES)
        first, last = max(0, start - reach), min(samples, stop + reach)
        context = (first - start + reach, stop + reach - last)
        flat = (x.reshape(-1, last - first) for x in read(first, last))
        yield tuple(torch.nn.functional.pad(x, context) if any(context) else x for x in flat)


def _accumulated(read: Read, samples: int, taps: int) -> _Correlation:
    """Return the correlations of the whole recording: sums over blocks short enough for the processor's cache."""
    reach = taps - 1
    n_fft = min(_fast_even(samples + 2 * reach), max(BLOCK_FFT, _fast_even(4 * taps)))
    block = n_fft - 2 * reach
    A, B = (x.shape[0] * x.shape[1] for x in read(0, 1))
    among = torch.zeros(A, A, n_fft // 2 + 1, dtype=torch.complex128)
    across = torch.zeros(A, B, n_fft // 2 + 1, dtype=torch.complex128)
    energy = torch.zeros(B, dtype=torch.float64)
    for references, estimates in _stretches(read, samples, reach):
        end = references.shape[-1] - reach
        energy += torch.stack([e @ e for e in estimates[:, reach:end]])
        for start in range(reach, end, block):
            inside = torch.fft.rfft(references[:, start : min(start + block, end)], n_fft).conj()
            around = slice(start - reach, start + block + reach)
            among.addcmul_(inside[:, None], torch.fft.rfft(references[:, around], n_fft))
            across.addcmul_(inside[:, None], torch.fft.rfft(estimates[:, around], n_fft))
    among, across = torch.fft.irfft(among, n_fft), torch.fft.irfft(across, n_fft)
    return _Correlation(among[..., : 2 * taps - 1], across[..., : 2 * taps - 1], energy, read(0, 1)[0].shape[1])


def _fast_even(samples: int) -> int:
    return 2 * scipy.fft.next_fast_len(math.ceil(samples / 2), real=True)


def _toeplitz(r_ABK: Float[Tensor, "A B K"]) -> Float[Tensor, "A*L B*L"]:
    """Return the inner products of delayed signals: those of ``a`` by ``i`` and ``b`` by ``j`` are ``r_ab[i - j]``."""
    taps = (r_ABK.shape[-1] + 1) // 2
    blocks_ABLL = r_ABK.flip(-1).unfold(-1, taps, 1).flip(-2)
    return blocks_ABLL.permute(0, 2, 1, 3).reshape(len(r_ABK) * taps, -1)


def _projection(among_AAK: Tensor, across_ABK: Tensor) -> tuple[Float[Tensor, "A L B"], Float[Tensor, " B"]]:
    """Return the least-squares filters from references to estimates, and the energies of what they explain.

    The energy is evaluated as ``2 c d - c G c``, whose error is of second order in that of the filters ``c``.
    """
    A, B, taps = len(among_AAK), across_ABK.shape[1], (among_AAK.shape[-1] + 1) // 2
    energy_A = among_AAK.diagonal()[taps - 1]
    scale_A = torch.where(energy_A > 0, energy_A, 1).rsqrt()
    G = _toeplitz(among_AAK * scale_A[:, None, None] * scale_A[:, None])
    D = (across_ABK[..., taps - 1 :] * scale_A[:, None, None]).transpose(1, 2).reshape(A * taps, B)
    C = _solved(G, D)
    explained_B = 2 * (C * D).sum(0) - (C * (G @ C)).sum(0)
    return C.reshape(A, taps, B) * scale_A[:, None, None], explained_B


def _solved(G: Float[Tensor, "K K"], D: Float[Tensor, "K B"]) -> Float[Tensor, "K B"]:
    """Solve ``G C = D`` for a correlation matrix of unit diagonal.

    Band-limited sound leaves it nearly singular, silent references entirely so. A loading of the diagonal makes the
    Cholesky factor possible, the least that does, and one step of refinement takes its effect back: an error of
    ``loading / (loading + eigenvalue)`` becomes its square.
    """
    for loading in LOADINGS:
        loaded = G.clone()
        loaded.diagonal().add_(loading)
        factor, failed = torch.linalg.cholesky_ex(loaded)
        if not failed:
            break
    C = torch.cholesky_solve(D, factor)
    return C + torch.cholesky_solve(D - G @ C, factor)


def _own_filters(correlation: _Correlation) -> Float[Tensor, "N C L C"]:
    """Return, per source, the filters from its own reference to its own estimate."""
    own = (_of_source(correlation, j) for j in range(correlation.sources))
    return torch.stack([_projection(among, across[:, mine])[0] for among, across, mine in own])


def _of_source(correlation: _Correlation, j: int) -> tuple[Tensor, Tensor, slice]:
    """Return the correlations among the channels of one reference, with all estimates, and the channels' place."""
    mine = slice(j * correlation.channels, (j + 1) * correlation.channels)
    return correlation.among_AAK[mine, mine], correlation.across_ABK[mine], mine


def _ratios(correlation: _Correlation, taps: int, images: bool) -> Ratios:
    """Return the ratios of every reference (first axis) and estimate (second axis)."""
    N, channels = correlation.sources, correlation.channels

    def per_source(x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:-1], -1, channels).sum(-1)

    e = per_source(correlation.energy_B)
    every = per_source(_projection(correlation.among_AAK, correlation.across_ABK)[1])
    own = torch.stack([per_source(_projection(*_of_source(correlation, j)[:2])[1]) for j in range(N)])
    s = per_source(correlation.among_AAK.diagonal()[taps - 1])[:, None]
    se = correlation.across_ABK[..., taps - 1]
    se = se.reshape(N, channels, -1, channels).diagonal(dim1=1, dim2=3).sum(-1)
    isr = _decibels(s, own - 2 * se + s) if images else torch.full_like(own, math.nan)
    sdr = _decibels(s, e - 2 * se + s) if images else _decibels(own, e - own)
    sdr = sdr if images else torch.where((e == 0).expand_as(sdr), -math.inf, sdr)
    ratios = sdr, isr, _decibels(own, every - own), _decibels(every, e - every).expand_as(own)
    return Ratios(*(torch.where(s > 0, ratio, math.nan) for ratio in ratios))


def _decibels(signal: Tensor, error: Tensor) -> Tensor:
    rounding = 1e-14 if signal.dtype == torch.float64 else 1e-12
    return decibels(signal.clamp_min(0), torch.where(error <= rounding * signal, 0, error))


def _window_ratios(
    references: Tensor,
    estimates: Tensor,
    own_NCCF: Complex[Tensor, "N C C F"],
    every_ABF: Complex[Tensor, "A B F"],
    n_fft: int,
) -> Ratios:
    """Return the image ratios of one window, each of shape (N,), by the energies of its spectra."""
    S_NCF, E_NCF = torch.fft.rfft(references, n_fft), torch.fft.rfft(estimates, n_fft)

    def energy(X_NCF: Tensor) -> Tensor:
        edges = X_NCF[..., 0].abs().square() + X_NCF[..., -1].abs().square()
        return (2 * torch.view_as_real(X_NCF).flatten(1).square().sum(-1) - edges.sum(-1)) / n_fft

    own = _filtered(S_NCF.transpose(0, 1)[:, :, None], own_NCCF.transpose(0, 1))
    every = _filtered(S_NCF.flatten(0, 1)[:, None], every_ABF).reshape_as(E_NCF)
    s = energy(S_NCF)
    ratios = (
        _decibels(s, energy(E_NCF - S_NCF)),
        _decibels(s, energy(own - S_NCF)),
        _decibels(energy(own), energy(every - own)),
        _decibels(energy(every), energy(E_NCF - every)),
    )
    silent = references.square().sum((1, 2)) == 0
    return Ratios(*(torch.where(silent, math.nan, ratio) for ratio in ratios))


def _filtered(inputs: Tensor, filters: Tensor) -> Tensor:
    """Return the products of spectra and filters summed over their first axis."""
    out = inputs[0] * filters[0]
    for x, h in zip(inputs[1:], filters[1:], strict=True):
        out.addcmul_(x, h)
    return out


def reader(references: np.ndarray | Tensor, estimates: np.ndarray | Tensor) -> Read:
    """Return a :data:`Read` of signals in memory, each of shape (N, C, S)."""
    references, estimates = as_double(references), as_double(estimates)
    return lambda start, stop: (references[..., start:stop], estimates[..., start:stop])
