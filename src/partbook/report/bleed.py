"""How every player reaches every microphone: levels by band, delays and polarity, and what is left of bleed.

``bleed.csv`` has one line per player and microphone:

- ``level_db``, ``db_125`` … by octave: level of the player's image there, relative to its own spot;
- ``delay_ms``, ``polarity``, ``confidence``: when and with which sign it arrives there, relative to its own spot;
- ``before_db``, ``after_db`` (at spots): what that spot hears in the bins that the player dominates, relative to the
  player's own spot, in the recording and in the separated part of the spot's player.

Delays are those of the strongest peak of the generalised cross-correlation with phase transform of the separated
images (Knapp & Carter, "The generalized correlation method for estimation of time delay", IEEE TASSP 24, 1976), which
hold one player only. Their confidence is the share of the peak's height that no other peak reaches.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .measure import Bleed, decibels
from .result import Result

OCTAVES_HZ = (63, 125, 250, 500, 1000, 2000, 4000, 8000)
"""Centres of the bands."""

_LONGEST_S = 0.1
_WINDOW_S = 0.35
_BLURRED_S = 0.001


@dataclass(frozen=True)
class Paths:
    """Ways from every player to every microphone, relative to its own spot.

    Attributes
    ----------
    level_db
        Level, shape (N, M); NaN for a player without a spot or of silence.
    octave_db
        The same by band of :data:`OCTAVES_HZ`, shape (N, M, 8); NaN above the Nyquist frequency.
    delay_ms, polarity, confidence
        Arrival, its sign, and how sure that is from 0 to 1, shape (N, M).
    """

    level_db: np.ndarray
    octave_db: np.ndarray
    delay_ms: np.ndarray
    polarity: np.ndarray
    confidence: np.ndarray


def paths(result: Result) -> Paths:
    """Measure the ways from every player to every microphone in one pass of bounded memory."""
    players, microphones = len(result.sources) - 1, len(result.microphones)
    own = [
        next((m for m, mic in enumerate(result.microphones) if mic.role == "spot" and mic.source == source.id), None)
        for source in result.sources[:-1]
    ]
    window = 2 * round(_WINDOW_S * result.sample_rate / 2)
    power = np.zeros((players, microphones, window // 2 + 1))
    cross = np.zeros_like(power, complex)
    for images in result.blocks(0, result.length, window):
        short = -images.shape[-1] % window
        padded = np.pad(images[:-1], ((0, 0), (0, 0), (0, short)))
        frames = np.hanning(window) * padded.reshape(players, microphones, -1, window)
        spectra = np.fft.rfft(frames)
        power += (np.abs(spectra) ** 2).sum(2)
        for n, m in enumerate(own):
            if m is not None:
                cross[n] += (spectra[n] * spectra[n, m].conj()).sum(1)
    return _paths(power, cross, own, window, result.sample_rate)


def _paths(power: np.ndarray, cross: np.ndarray, own: list[int | None], window: int, sample_rate: int) -> Paths:
    """Turn summed spectra (N, M, F) into levels and delays."""
    shape = power.shape[:2]
    level_db, delay_ms, polarity, confidence = (np.full(shape, np.nan) for _ in range(4))
    octave_db = np.full((*shape, len(OCTAVES_HZ)), np.nan)
    bins_hz = np.arange(power.shape[-1]) * sample_rate / window
    for n, m in enumerate(own):
        if m is None or not power[n, m].sum() > 0:
            continue
        level_db[n] = decibels(power[n].sum(-1) / power[n, m].sum())
        for k, centre_hz in enumerate(OCTAVES_HZ):
            band = (bins_hz >= centre_hz / 2**0.5) & (bins_hz < centre_hz * 2**0.5)
            if power[n, m, band].sum() > 0:
                octave_db[n, :, k] = decibels(power[n][:, band].sum(-1) / power[n, m, band].sum())
        for other in range(shape[1]):
            delay_ms[n, other], polarity[n, other], confidence[n, other] = arrival(
                cross[n, other], power[n, m], sample_rate
            )
    return Paths(level_db, octave_db, delay_ms, polarity, confidence)


def arrival(cross_F: np.ndarray, own_F: np.ndarray, sample_rate: int) -> tuple[float, float, float]:
    """Return the delay in ms, the sign and the confidence that a cross-spectrum tells.

    Parameters
    ----------
    cross_F
        Cross-spectrum of a microphone with a player's own spot, complex.
    own_F
        Power of the player at its own spot: bins where it is faint have no say.
    sample_rate
        Hz.
    """
    heard = own_F > 1e-4 * own_F.max()
    if not np.abs(cross_F[heard]).any():
        return np.nan, np.nan, np.nan
    phases_F = np.where(heard, cross_F / np.maximum(np.abs(cross_F), 1e-30), 0)
    finer = 4
    size = 2 * (len(cross_F) - 1)
    correlation = np.fft.irfft(phases_F, finer * size)
    longest = min(round(_LONGEST_S * sample_rate) * finer, finer * size // 2 - 1)
    lags = np.arange(-longest, longest + 1)
    correlation = correlation[lags]
    peak = int(np.argmax(np.abs(correlation)))
    apart = np.abs(lags - lags[peak]) > _BLURRED_S * sample_rate * finer
    second = np.abs(correlation[apart]).max(initial=0)
    height = abs(correlation[peak])
    return 1000 * lags[peak] / (finer * sample_rate), float(np.sign(correlation[peak])), float(1 - second / height)


def write_bleed(result: Result, bleed: Bleed | None) -> Path:
    """Write ``bleed.csv`` and return it; see the module."""
    found = paths(result)
    spots = {mic.source: mic.name for mic in result.microphones if mic.role == "spot"}
    pairs = {}
    for j, player in enumerate(bleed.ids if bleed else ()):
        for n, other in enumerate(bleed.ids):
            pairs[player, spots[other]] = (bleed.before_db[j, n], bleed.after_db[j, n])
    path = result.folder / "bleed.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        head = ["player", "microphone", "role", "level_db", "delay_ms", "polarity", "confidence"]
        writer.writerow([*head, "before_db", "after_db", *(f"db_{hz}" for hz in OCTAVES_HZ)])
        for n, source in enumerate(result.sources[:-1]):
            for m, microphone in enumerate(result.microphones):
                figures = [found.level_db[n, m], found.delay_ms[n, m], found.polarity[n, m], found.confidence[n, m]]
                figures += [*pairs.get((source.id, microphone.name), (np.nan, np.nan)), *found.octave_db[n, m]]
                writer.writerow([source.name, microphone.name, microphone.role, *map(_figure, figures)])
    return path


def _figure(value: float) -> str:
    """Return a number with three decimals, nothing for NaN."""
    return "" if np.isnan(value) else f"{value:.3f}"


__all__ = ["OCTAVES_HZ", "Paths", "arrival", "paths", "write_bleed"]
