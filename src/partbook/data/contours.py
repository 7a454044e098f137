"""How a performer bends notes: glides, vibrato, drift, swell. Everything runs on one grid of control times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.ndimage

from .scores import Note

CONTROL_HZ = 500
"""Control values per second."""


def control_times_s(duration_s: float) -> np.ndarray:
    """Return the grid of control times that covers a duration."""
    return np.arange(int(np.ceil(duration_s * CONTROL_HZ)) + 1) / CONTROL_HZ


def smoothed(values: np.ndarray, seconds: float) -> np.ndarray:
    """Return control values after a Hann window of so many seconds; axis 0 is time."""
    width = round(seconds * CONTROL_HZ) | 1
    window = np.hanning(width + 2)[1:-1]
    return scipy.ndimage.convolve1d(values, window / window.sum(), axis=0, mode="nearest")


def wander(count: int, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return ``count`` control values of smooth noise with variance 1 that forgets itself within ``seconds``."""
    sigma = seconds * CONTROL_HZ / 2
    margin = int(4 * sigma) + 1
    noise = scipy.ndimage.gaussian_filter1d(rng.standard_normal(count + 2 * margin), sigma, mode="constant")
    return noise[margin : margin + count] * np.sqrt(2 * sigma * np.sqrt(np.pi))


def pitch(notes: Sequence[Note], times_s: np.ndarray, glide_s: float, scoop_cents: float) -> np.ndarray:
    """Return the pitch that the notes ask for, as a MIDI number that glides from note to note.

    A note after a rest begins ``scoop_cents`` low and rises within a tenth of a second. Rests hold the note before.
    """
    starts_s = np.array([note.start_s for note in notes])
    current = np.clip(np.searchsorted(starts_s, times_s, side="right") - 1, 0, None)
    steps = np.array([note.midi for note in notes], float)[current]
    scoop = np.zeros_like(times_s)
    for before, note in zip((None, *notes[:-1]), notes, strict=True):
        if before is None or note.start_s - before.stop_s > 0.02:
            since_s = times_s - note.start_s
            scoop += np.where(since_s >= 0, np.exp(-np.maximum(since_s, 0) / 0.04), 0.0)
            scoop += np.where((since_s < 0) & (since_s > -0.3), 1.0, 0.0)
    return smoothed(steps, glide_s) - scoop_cents / 100 * scoop


def growing(notes: Sequence[Note], times_s: np.ndarray, delay_s: float) -> np.ndarray:
    """Return how far the vibrato of each note has grown, 0 to 1; it begins after ``delay_s``; short notes have none."""
    depth = np.zeros_like(times_s)
    for note in notes:
        inside = (times_s >= note.start_s) & (times_s < note.stop_s)
        depth[inside] = np.clip((times_s[inside] - note.start_s - delay_s) / 0.35, 0, 1)
    return smoothed(depth, 0.12)


def vibrato(
    notes: Sequence[Note], times_s: np.ndarray, rate_hz: float, delay_s: float, rng: np.random.Generator
) -> np.ndarray:
    """Return a vibrato of depth 1 whose rate wanders by a few per cent and which grows within every note."""
    rate = rate_hz * (1 + 0.04 * wander(len(times_s), 0.6, rng))
    phase = 2 * np.pi * np.cumsum(rate) / CONTROL_HZ + rng.uniform(0, 2 * np.pi)
    depth = growing(notes, times_s, delay_s) * (1 + 0.12 * wander(len(times_s), 0.5, rng))
    return depth * np.sin(phase)


def swell_db(notes: Sequence[Note], times_s: np.ndarray, note_db: float, phrase_db: float) -> np.ndarray:
    """Return the loudness that notes and phrases give by themselves: both rise to their middle and fall."""
    loudness = np.zeros_like(times_s)
    for phrase in phrases(notes):
        start_s, stop_s = phrase[0].start_s, phrase[-1].stop_s
        inside = (times_s >= start_s) & (times_s < stop_s)
        loudness[inside] += phrase_db * (np.sin(np.pi * (times_s[inside] - start_s) / (stop_s - start_s)) - 1)
    for note in notes:
        inside = (times_s >= note.start_s) & (times_s < note.stop_s)
        place = (times_s[inside] - note.start_s) / (note.stop_s - note.start_s)
        loudness[inside] += note_db * (np.sin(np.pi * place**0.7) - 0.5)
    return smoothed(loudness, 0.1)


def phrases(notes: Sequence[Note]) -> list[list[Note]]:
    """Return the notes in groups that no rest interrupts."""
    groups: list[list[Note]] = []
    for note in notes:
        if not groups or note.start_s - groups[-1][-1].stop_s > 0.02:
            groups.append([])
        groups[-1].append(note)
    return groups


__all__ = [
    "CONTROL_HZ",
    "control_times_s",
    "growing",
    "phrases",
    "pitch",
    "smoothed",
    "swell_db",
    "vibrato",
    "wander",
]
