"""A hall from first principles: the direct sound, the first reflections and a tail of noise, quick to compute.

The direct sound and the images of the source behind the walls (Allen & Berkley, "Image method for efficiently
simulating small-room acoustics", JASA 1979) up to the second order; after them a diffuse tail, noise whose power decays
by 60 dB in the reverberation time, with the energy of a diffuse field: ``16 pi / A`` times that of the direct sound at
1 m, where ``A = 0.161 V / RT60`` is the absorption of the room (Sabine).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import scipy.signal

from ..room.simulate import PATTERNS, Capsule, Hall, Point

SPEED_M_S = 343.0

_TAPS = 64
_MIXING_S = 0.02
"""The tail comes in over so many seconds after the direct sound."""


def quick_responses(
    hall: Hall,
    sources_m: Sequence[Point],
    microphones: Sequence[Capsule],
    sample_rate: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the hall's response from every source to every microphone.

    Parameters
    ----------
    hall
        The room.
    sources_m
        Positions of the N sources, which radiate alike in all directions.
    microphones
        The M microphones.
    sample_rate
        Hz.
    rng
        Of the tails.

    Returns
    -------
    array
        Shape (N, M, S). The direct sound from 1 m has amplitude 1. The delay that all paths share is left out, so that
        the nearest microphone hears its source at once.
    """
    nearest_m = min(np.linalg.norm(np.subtract(mic.position_m, place)) for mic in microphones for place in sources_m)
    length = round((hall.rt60_s + 0.05) * sample_rate) + _TAPS
    responses = np.zeros((len(sources_m), len(microphones), length))
    for n, m in product(range(len(sources_m)), range(len(microphones))):
        paths = _paths(hall, np.array(sources_m[n]), microphones[m])
        for delay_s, amplitude in paths:
            at = (delay_s - nearest_m / SPEED_M_S) * sample_rate
            if at < length - _TAPS:
                _add_pulse(responses[n, m], at, amplitude)
        first = round((paths[0][0] - nearest_m / SPEED_M_S) * sample_rate)
        responses[n, m, first:] += _tail(hall, microphones[m], length - first, sample_rate, rng)
    return responses


def _paths(hall: Hall, source_m: np.ndarray, microphone: Capsule) -> list[tuple[float, float]]:
    """Return the delay in seconds and the amplitude of every path of at most two reflections, the direct one first."""
    size_m = np.array(hall.size_m)
    surface_m2 = 2 * (size_m[0] * size_m[1] + size_m[0] * size_m[2] + size_m[1] * size_m[2])
    absorbed = min(0.95, 0.161 * size_m.prod() / hall.rt60_s / surface_m2)
    axis = np.array(microphone.aim) / np.linalg.norm(microphone.aim)
    share = PATTERNS[microphone.pattern]
    paths = []
    # Per dimension the images lie at +-x + 2kL: (sign, k) with the number of walls that were hit.
    reflected = [(1, 0, 0), (-1, 0, 1), (-1, 1, 1), (1, 1, 2), (1, -1, 2)]
    for dimensions in product(reflected, repeat=3):
        order = sum(hits for _, _, hits in dimensions)
        if order <= 2:
            signs, shifts = (np.array([one[i] for one in dimensions]) for i in (0, 1))
            towards_m = signs * source_m + 2 * shifts * size_m - np.array(microphone.position_m)
            distance_m = max(0.1, float(np.linalg.norm(towards_m)))
            heard = share + (1 - share) * float(axis @ towards_m) / distance_m
            paths.append((distance_m / SPEED_M_S, heard * (1 - absorbed) ** (order / 2) / distance_m))
    return sorted(paths)


def _add_pulse(response: np.ndarray, at: float, amplitude: float) -> None:
    """Add a band-limited pulse at a fractional sample to a response that is being made."""
    first = int(np.floor(at)) - _TAPS // 2 + 1
    taps = np.arange(max(first, 0), first + _TAPS)
    response[taps] += amplitude * np.sinc(taps - at) * (0.5 + 0.5 * np.cos(2 * np.pi * (taps - at) / _TAPS))


def _tail(hall: Hall, microphone: Capsule, samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Return a diffuse tail that dies away sooner at high frequencies."""
    time_s = np.arange(samples) / sample_rate
    noise = rng.standard_normal(samples)
    split = scipy.signal.butter(1, min(3000.0, 0.4 * sample_rate), fs=sample_rate)
    low = scipy.signal.lfilter(*split, noise)
    decay = 3 * np.log(10) / hall.rt60_s
    shape = low * np.exp(-decay * time_s) + (noise - low) * np.exp(-2 * decay * time_s)
    shape *= np.minimum(1, time_s / _MIXING_S)
    share = PATTERNS[microphone.pattern]
    picked_up = share**2 + (1 - share) ** 2 / 3
    absorption_m2 = 0.161 * np.prod(hall.size_m) / hall.rt60_s
    energy = np.exp(-2 * decay * time_s).sum()
    return shape * np.sqrt(16 * np.pi / absorption_m2 * picked_up / energy)


__all__ = ["SPEED_M_S", "quick_responses"]
