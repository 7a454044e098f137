"""Microphones that are in trouble: dead, clipped or humming."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .recording import Recording

DEAD = 1e-6
"""Level below which a microphone is taken for dead, relative to the loudest (−120 dB)."""

SCAN_SAMPLES = 2**22
"""Samples of all channels together that are read at once."""

_CLIPPED_RUN = 3
"""So many equal samples in a row at the highest level are clipped: music has its peaks one by one."""
_LOUD = 0.5
"""Below this peak nothing is taken for clipped."""
_HUM_S = 2.0
_HUM_RATIO = 30.0
"""A harmonic of the mains stands out by so much power from its surroundings, in the least of all stretches (15 dB)."""
_HUM_HARMONICS = 3
"""Where the fundamental does not, so many harmonics stand out."""
_HUM_LEAST = 1e-6
"""Share of a microphone's power below which nobody hears its hum (−60 dB)."""


class Health(NamedTuple):
    """What the microphones record.

    Attributes
    ----------
    level_M
        Root mean square of every microphone, float64.
    problems
        One line for each microphone in trouble.
    """

    level_M: np.ndarray
    problems: tuple[str, ...]


def examined(recording: Recording) -> Health:
    """Measure the level of every microphone, and find those that are dead, clipped or humming, in one pass."""
    count = len(recording.microphones)
    energy_M, highest_M, clipped_M = np.zeros(count), np.zeros(count), np.zeros(count, int)
    window = 2 * round(_HUM_S * recording.sample_rate / 2)
    # Hum is always there. What is least over all stretches has lost the music, which comes and goes.
    least_MF, hann = np.full((count, window // 2 + 1), np.inf), np.hanning(window)
    step = max(1, SCAN_SAMPLES // count // window) * window
    for first in range(0, recording.length, step):
        samples = recording.read(first, min(recording.length, first + step))
        energy_M += np.square(samples, dtype=np.float64).sum(1)
        for m, channel in enumerate(samples):
            highest = float(np.abs(channel).max(initial=0))
            if highest > highest_M[m]:
                highest_M[m], clipped_M[m] = highest, 0
            if highest == highest_M[m] and highest > _LOUD:
                clipped_M[m] += _runs(np.abs(channel) == highest)
            for start in range(0, channel.size - window + 1, window):
                stretch = channel[start : start + window]
                if stretch.any():
                    least_MF[m] = np.minimum(least_MF[m], np.abs(np.fft.rfft(stretch * hann)) ** 2)
    level_M = np.sqrt(energy_M / recording.length)
    problems = []
    for m, microphone in enumerate(recording.microphones):
        if level_M[m] <= DEAD * level_M.max():
            problems.append(f"{microphone.name} is dead: it takes no part")
            continue
        if clipped_M[m]:
            problems.append(f"{microphone.name} is clipped at {clipped_M[m]} places")
        # A sine of power p has a peak of p (window / 2)² / 2 under a Hann window.
        mains_hz = _hum_hz(least_MF[m] / (level_M[m] * window) ** 2 * 8, recording.sample_rate / window)
        if mains_hz:
            problems.append(f"{microphone.name} hums at {mains_hz} Hz")
    return Health(level_M, tuple(problems))


def _runs(at_top: np.ndarray) -> int:
    """Return the number of runs of :data:`_CLIPPED_RUN` samples or more."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], at_top.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2] >= _CLIPPED_RUN).sum())


def _hum_hz(power_F: np.ndarray, bin_hz: float) -> int:
    """Return the mains frequency whose first harmonics stand out of a spectrum of relative powers, or 0."""
    reach = max(3, round(10 / bin_hz))
    for mains_hz in (50, 60):
        found = {}
        for harmonic in range(1, 7):
            place = round(harmonic * mains_hz / bin_hz)
            around = power_F[place - reach : place + reach + 1]
            if place - reach > 0 and len(around) == 2 * reach + 1 and np.isfinite(around).all():
                peak = around[reach - 1 : reach + 2].max()
                if peak > _HUM_RATIO * np.median(around) and peak == around.max():
                    found[harmonic] = peak
        if (1 in found or len(found) >= _HUM_HARMONICS) and sum(found.values()) > _HUM_LEAST:
            return mains_hz
    return 0


__all__ = ["DEAD", "Health", "examined"]
