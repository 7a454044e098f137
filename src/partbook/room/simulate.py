"""Rooms that never were: the image of every source at every microphone of a simulated shoebox hall.

The truth that no real session has. Needs the extra ``rooms`` (pyroomacoustics).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.signal

from .plan import PATTERNS, Capsule, Hall, Point


def impulse_responses(
    hall: Hall, sources_m: Sequence[Point], microphones: Sequence[Capsule], sample_rate: int
) -> np.ndarray:
    """Return the room's response from every source to every microphone by the image method.

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

    Returns
    -------
    numpy.ndarray
        float64, shape (N, M, S), with S that of the longest.
    """
    import pyroomacoustics as pra
    from pyroomacoustics.directivities import CardioidFamily

    absorption, order = pra.inverse_sabine(hall.rt60_s, hall.size_m)
    room = pra.ShoeBox(hall.size_m, fs=sample_rate, materials=pra.Material(absorption), max_order=order)
    for position_m in sources_m:
        room.add_source(position_m)
    room.add_microphone_array(
        pra.MicrophoneArray(
            np.array([capsule.position_m for capsule in microphones]).T,
            fs=sample_rate,
            directivity=[CardioidFamily(list(capsule.aim), PATTERNS[capsule.pattern]) for capsule in microphones],
        )
    )
    room.compute_rir()
    longest = max(len(response) for row in room.rir for response in row)
    responses = np.zeros((len(sources_m), len(microphones), longest))
    for m, row in enumerate(room.rir):
        for n, response in enumerate(row):
            responses[n, m, : len(response)] = response
    return responses


def images(dry: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """Return every source as every microphone hears it.

    Parameters
    ----------
    dry
        The N sources as played, shape (N, S).
    responses
        Impulse responses, shape (N, M, any length).

    Returns
    -------
    numpy.ndarray
        Shape (N, M, S): the reverberation after the last sample is cut off.
    """
    return scipy.signal.oaconvolve(dry[:, None, :], responses, axes=-1)[..., : dry.shape[-1]]


__all__ = ["PATTERNS", "Capsule", "Hall", "Point", "images", "impulse_responses"]
