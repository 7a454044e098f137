"""Levels of sources and microphones, measured in one pass over a result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .result import Result

_WINDOW_S = 0.085
_DOMINANCE = 10.0
"""A player dominates a bin where its own spot has ten times the power of every other (10 dB)."""
_FLOOR = 1e-6
"""Bins more than 60 dB below a spot's loudest are left out: their dominance is chance."""


@dataclass(frozen=True)
class Levels:
    """How loud every source is.

    Attributes
    ----------
    rms, peak
        Every source (and the residual, last) at every microphone, full scale is 1, shape (N + 1, M).
    mixture_rms, mixture_peak
        The recording at every microphone, shape (M,).
    columns
        Mean power of every source over equal stretches of time, over its reference channels, shape (N + 1, C).
    """

    rms: np.ndarray
    peak: np.ndarray
    mixture_rms: np.ndarray
    mixture_peak: np.ndarray
    columns: np.ndarray


@dataclass(frozen=True)
class Bleed:
    """What every spot microphone hears of every player, before and after.

    Attributes
    ----------
    ids
        The P players that have a spot microphone.
    before_db
        Entry (j, n): level at player n's microphone in the bins that player j dominates, relative to player j's own
        microphone in the same bins, shape (P, P); the diagonal is 0. NaN where player j dominates nothing.
    after_db
        The same after player n's microphone was replaced by player n's image at it. The diagonal says how much of its
        own sound a player keeps (0 is all), the rest what still leaks.
    """

    ids: tuple[str, ...]
    before_db: np.ndarray
    after_db: np.ndarray


def reference_channels(result: Result) -> list[np.ndarray]:
    """Return the channels at which each source is at home: its spot, else the main microphones, else all."""
    channels = []
    main = [m for m, microphone in enumerate(result.microphones) if microphone.role == "main"]
    for source in result.sources:
        own = [m for m, microphone in enumerate(result.microphones) if microphone.source == source.id]
        channels.append(np.array(own or main or range(len(result.microphones))))
    return channels


def measure(result: Result, columns: int) -> tuple[Levels, Bleed | None]:
    """Measure a whole result in one pass of bounded memory.

    Parameters
    ----------
    result
        The result.
    columns
        Number of equal stretches of time for the levels over time.

    Returns
    -------
    tuple
        Levels, and the bleed between spot microphones if there are two or more.
    """
    shape = len(result.sources), len(result.microphones)
    energy, peak, power = np.zeros(shape), np.zeros(shape), np.zeros((len(result.sources), columns))
    mixture_energy, mixture_peak = np.zeros(shape[1]), np.zeros(shape[1])
    references, spots = reference_channels(result), _spots(result)
    before, after = np.zeros((2, len(spots), len(spots)))
    window = round(_WINDOW_S * result.sample_rate / 2 + 1) * 2
    at = 0
    for images in result.blocks(0, result.length, window):
        mixture = images.sum(0)
        energy += _energy(images)
        peak = np.maximum(peak, np.abs(images).max(-1))
        mixture_energy += _energy(mixture)
        mixture_peak = np.maximum(mixture_peak, np.abs(mixture).max(-1))
        column = (at + np.arange(images.shape[-1])) * columns // result.length
        for n, channels in enumerate(references):
            power[n] += np.bincount(column, np.square(images[n, channels], dtype=float).mean(0), columns)
        if len(spots) > 1:
            raw = _spectra(np.stack([mixture[m] for _, m in spots]), window)
            own = _spectra(np.stack([images[n, m] for n, m in spots]), window)
            dominated = _dominated(raw)
            before += np.einsum("jtf,ntf->jn", dominated, raw)
            after += np.einsum("jtf,ntf->jn", dominated, own)
        at += images.shape[-1]
    edges = -(-np.arange(columns + 1) * result.length // columns)
    levels = Levels(
        rms=np.sqrt(energy / result.length),
        peak=peak,
        mixture_rms=np.sqrt(mixture_energy / result.length),
        mixture_peak=mixture_peak,
        columns=power / np.maximum(np.diff(edges), 1),
    )
    return levels, _bleed(result, spots, before, after) if len(spots) > 1 else None


def decibels(power: np.ndarray) -> np.ndarray:
    """Return a power ratio in dB: ``-inf`` for nothing, NaN for NaN."""
    with np.errstate(divide="ignore"):
        return 10 * np.log10(power)


def _energy(signals: np.ndarray) -> np.ndarray:
    return np.einsum("...s,...s->...", signals, signals, dtype=float)


def _spots(result: Result) -> list[tuple[int, int]]:
    """Return the index of every source that has a spot microphone, with that of the microphone."""
    own = {mic.source: m for m, mic in enumerate(result.microphones) if mic.role == "spot" and mic.source}
    return [(n, own[source.id]) for n, source in enumerate(result.sources) if source.id in own]


def _spectra(signals: np.ndarray, window: int) -> np.ndarray:
    """Return Hann-windowed powers of signals (N, S), shape (N, T, F); what is left after the last window is dropped."""
    if signals.shape[-1] < window:
        return np.zeros((len(signals), 0, window // 2 + 1), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(signals, window, axis=-1)[:, :: window // 2]
    return np.abs(np.fft.rfft(frames * np.hanning(window).astype(np.float32))).astype(np.float32) ** 2


def _dominated(raw: np.ndarray) -> np.ndarray:
    """Return, as 0 and 1, the bins of every spot whose power towers above all others', shape as ``raw``."""
    if not raw.size:
        return raw
    strongest = np.argmax(raw, 0)
    second = np.partition(raw, -2, 0)[-2]
    towers = (raw.max(0) >= _DOMINANCE * second) & (raw.max(0) >= _FLOOR * raw.max())
    return ((np.arange(len(raw))[:, None, None] == strongest) & towers).astype(np.float32)


def _bleed(result: Result, spots: list[tuple[int, int]], before: np.ndarray, after: np.ndarray) -> Bleed:
    own = np.where(np.diag(before) > 0, np.diag(before), np.nan)[:, None]
    ids = tuple(result.sources[n].id for n, _ in spots)
    return Bleed(ids, decibels(before / own), decibels(after / own))
