"""Instruments made of harmonics, noise and a body: from notes to sound, with the exact F0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import OptionError, nearest
from ..pitch.tracks import Track
from .contours import CONTROL_HZ, control_times_s, pitch, smoothed, swell_db, vibrato, wander
from .excitation import bins_hz, filtered, frame_times_s, harmonics, loudest_rms, phase_of
from .scores import Note


@dataclass(frozen=True)
class Instrument:
    """What makes an instrument sound like itself.

    Attributes
    ----------
    even_db
        Level of the even harmonics relative to the odd ones.
    corner_hz, slope
        Above the corner, harmonics fall by ``slope`` times 6 dB per octave.
    resonances_hz, resonance_db, width
        Peaks of the body: frequencies, height, and width relative to the frequency.
    noise_db, noise_hz
        Level of bow or breath noise relative to the tone, and the frequency around which it lies.
    attack_s
        Time to speak.
    gap_s
        Silence before a note that is not slurred.
    vibrato_hz, vibrato_cents
        Rate and depth (centre to peak).
    """

    even_db: float
    corner_hz: float
    slope: float
    resonances_hz: tuple[float, ...]
    resonance_db: float
    width: float
    noise_db: float
    noise_hz: float
    attack_s: float
    gap_s: float
    vibrato_hz: float
    vibrato_cents: float


_VIOLIN = (275, 460, 550, 700, 950, 1250, 1600, 2100, 2600, 3200, 4200)
_CELLO = (100, 175, 210, 290, 400, 560, 800, 1100, 1500, 2000, 2700)

INSTRUMENTS = {
    "violin": Instrument(0, 900, 1.3, _VIOLIN, 9, 0.06, -34, 4000, 0.06, 0.02, 5.8, 22),
    "viola": Instrument(0, 700, 1.3, tuple(0.78 * f for f in _VIOLIN), 9, 0.06, -34, 3200, 0.07, 0.02, 5.6, 22),
    "cello": Instrument(0, 450, 1.3, _CELLO, 9, 0.06, -36, 2000, 0.08, 0.02, 5.3, 18),
    "flute": Instrument(-4, 700, 2.6, (800, 1300), 3, 0.3, -26, 2500, 0.07, 0.015, 5.2, 15),
    "oboe": Instrument(0, 1500, 2.0, (1050, 2700), 10, 0.12, -42, 5000, 0.04, 0.015, 5.4, 10),
    "clarinet": Instrument(-22, 1300, 2.0, (1500, 3200), 5, 0.25, -40, 4000, 0.04, 0.015, 5.0, 2),
    "bassoon": Instrument(0, 550, 2.0, (480, 1150), 9, 0.2, -42, 2500, 0.05, 0.015, 5.0, 7),
    "horn": Instrument(0, 500, 2.3, (350, 750), 5, 0.35, -46, 1500, 0.07, 0.015, 5.0, 2),
}
"""By name."""


def play(
    notes: Sequence[Note], name: str, duration_s: float, sample_rate: int, rng: np.random.Generator
) -> tuple[np.ndarray, Track]:
    """Play notes on an instrument.

    Parameters
    ----------
    notes
        One after the other; syllables are left aside.
    name
        A key of :data:`INSTRUMENTS`.
    duration_s
        Seconds to return.
    sample_rate
        Hz.
    rng
        Chance: tuning, body, bow. The same generator state gives the same F0 at every sample rate.

    Returns
    -------
    tuple
        Samples of shape (S,), where the loudest tenth of a second has an RMS of 1, and the exact F0 every 4 ms, 0 where
        it does not sound.

    Raises
    ------
    OptionError
        If there is no such instrument.
    """
    if name not in INSTRUMENTS:
        raise OptionError("an instrument", repr(name), nearest(name, INSTRUMENTS))
    instrument = INSTRUMENTS[name]
    times_s = control_times_s(duration_s)
    timed_s = times_s - rng.uniform(-0.02, 0.02)
    midi = pitch(notes, timed_s, 0.03, 0.0)
    cents = rng.normal(0, 3) + 2 * wander(len(times_s), 1.0, rng) + wander(len(times_s), 0.03, rng)
    cents = cents + instrument.vibrato_cents * vibrato(notes, timed_s, instrument.vibrato_hz, 0.1, rng)
    f0_hz = 440 * 2 ** ((midi - 69 + cents / 100) / 12)
    sounding = _sounding(notes, timed_s, instrument)
    loudness_db = swell_db(notes, timed_s, 2.5, 3.0) + 0.4 * wander(len(times_s), 0.3, rng)
    level = sounding * 10 ** (loudness_db / 20)
    body_hz = np.array(instrument.resonances_hz) * rng.uniform(0.97, 1.03, len(instrument.resonances_hz))
    samples = _sound(instrument, body_hz, times_s, f0_hz, level, round(duration_s * sample_rate), sample_rate, rng)
    every = CONTROL_HZ // 250
    heard = sounding > 0.02
    keep = times_s[::every] < duration_s
    track = Track(
        times_s[::every][keep], np.where(heard, f0_hz, 0.0)[::every][keep], heard[::every][keep].astype(float)
    )
    return samples, track


def _sounding(notes: Sequence[Note], times_s: np.ndarray, instrument: Instrument) -> np.ndarray:
    """Return 1 while notes sound and 0 between them, with soft edges."""
    sounding = np.zeros_like(times_s)
    for note, following in zip(notes, (*notes[1:], None), strict=True):
        gap_s = 0.0 if following is not None and following.slurred else instrument.gap_s
        sounding[slice(*np.searchsorted(times_s, (note.start_s, note.stop_s - gap_s)))] = 1
    return smoothed(sounding, instrument.attack_s)


def _sound(
    instrument: Instrument,
    body_hz: np.ndarray,
    times_s: np.ndarray,
    f0_hz: np.ndarray,
    level: np.ndarray,
    samples: int,
    sample_rate: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the sound: harmonics and noise through the body."""
    sampled_s = np.arange(samples) / sample_rate
    fine_hz = np.exp(np.interp(sampled_s, times_s, np.log(f0_hz)))
    envelope = np.interp(sampled_s, times_s, level)
    phase = phase_of(fine_hz, sample_rate)
    highest_hz = min(0.5 * sample_rate, 20_000.0)
    tone = harmonics(phase, fine_hz, highest_hz)
    if instrument.even_db < 0:
        even = harmonics(np.mod(2 * phase, 2 * np.pi), 2 * fine_hz, highest_hz)
        tone -= (1 - 10 ** (instrument.even_db / 20)) * even
    bins = bins_hz(sample_rate)
    body = body_response(instrument, body_hz, bins)
    frames = len(frame_times_s(samples, sample_rate))
    falling = (1 + (bins / instrument.corner_hz) ** 2) ** (-instrument.slope / 2)
    played = filtered(envelope * tone, np.broadcast_to(body * falling, (frames, len(bins))), sample_rate)
    unit = loudest_rms(played, sample_rate)
    hump = 1 / (1 + (np.log2(np.maximum(bins, 20) / instrument.noise_hz) / 1.2) ** 4)
    hump = hump / np.sqrt(instrument.noise_hz)
    white = rng.standard_normal(samples) * np.sqrt(sample_rate / 2)
    noise = filtered(white * np.minimum(envelope, 1), np.broadcast_to(hump, (frames, len(bins))), sample_rate)
    return played / unit + 10 ** (instrument.noise_db / 20) * noise


def body_response(instrument: Instrument, body_hz: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Return the gain of the body at every bin, shape (F,): bumps of the same height over a floor of 1."""
    octaves = np.log2(np.maximum(bins, 1)[:, None] / body_hz)
    bumps = np.exp(-0.5 * (octaves / (1.44 * instrument.width)) ** 2).max(1)
    radiates = 1 / (1 + (0.5 * body_hz.min() / np.maximum(bins, 1)) ** 4)
    return radiates * 10 ** (instrument.resonance_db * bumps / 20)


__all__ = ["INSTRUMENTS", "Instrument", "body_response", "play"]
