"""A singer made of harmonics, noise and formants: from notes and syllables to sound, with the exact F0.

The source-filter model of the voice (Fant, 1960): a train of glottal pulses whose spectrum falls with frequency (less
so when loud) and noise of breath and consonants, both coloured by the resonances of the vocal tract.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import OptionError, nearest
from ..pitch.tracks import Track
from .contours import CONTROL_HZ, control_times_s, pitch, smoothed, swell_db, vibrato, wander
from .excitation import bins_hz, filtered, frame_times_s, harmonics, loudest_rms, phase_of
from .phones import CONSONANTS, consonant_formants_hz, vowel_formants_hz
from .scores import Note

TRACTS = {"soprano": 1.19, "mezzo": 1.16, "alto": 1.13, "tenor": 1.04, "baritone": 1.0, "bass": 0.97}
"""Formants of the voices relative to the tables, which are of men."""

_BANDWIDTHS_HZ = np.array([75.0, 95.0, 130.0, 180.0, 230.0])
_RINGING_HZ = np.array([2700.0, 3050.0, 3400.0])
_UPPER_HZ = np.arange(5400.0, 20_000.0, 1150.0)
_HISS_UNIT = np.sqrt(50_000.0)
"""Amplitude of a noise of density 1 over the usual band of a consonant, with a choir singer's restraint."""
_VOICED_DB = -35.0
"""Below this level relative to the vowel nothing is heard of the voice: it counts as unvoiced."""


@dataclass(frozen=True)
class Singer:
    """The habits of one singer.

    Attributes
    ----------
    tract
        Formants relative to those of the tables.
    ringing
        How far the third to fifth formant gather around 3 kHz, 0 to 1.
    brightness_hz
        Above this the spectrum of the source falls twice as fast.
    vibrato_hz, vibrato_cents, vibrato_delay_s
        Rate, depth (centre to peak) and start within a note.
    glide_s, scoop_cents
        Length of the glide between notes; how low a phrase begins.
    tuning_cents, drift_cents, jitter_cents
        Constant, slow and fast deviation from the score (the last two as standard deviations).
    late_s
        Constant delay of every onset.
    breath_db
        Level of breath noise relative to the voice.
    """

    tract: float
    ringing: float = 0.0
    brightness_hz: float = 2200.0
    vibrato_hz: float = 5.5
    vibrato_cents: float = 40.0
    vibrato_delay_s: float = 0.15
    glide_s: float = 0.09
    scoop_cents: float = 60.0
    tuning_cents: float = 0.0
    drift_cents: float = 6.0
    jitter_cents: float = 2.0
    late_s: float = 0.0
    breath_db: float = -32.0


def some_singer(voice: str, rng: np.random.Generator) -> Singer:
    """Draw a singer of a voice: soprano, mezzo, alto, tenor, baritone or bass.

    Raises
    ------
    OptionError
        If the voice is none of these.
    """
    if voice not in TRACTS:
        raise OptionError("a voice word", repr(voice), nearest(voice, TRACTS))
    low = TRACTS[voice] < 1.1
    return Singer(
        tract=TRACTS[voice] * rng.uniform(0.96, 1.04),
        ringing=rng.uniform(0.2, 0.8) if low else rng.uniform(0.0, 0.35),
        brightness_hz=rng.uniform(1500, 3200),
        vibrato_hz=rng.uniform(4.8, 6.3),
        vibrato_cents=rng.uniform(12, 65),
        vibrato_delay_s=rng.uniform(0.05, 0.3),
        glide_s=rng.uniform(0.06, 0.14),
        scoop_cents=rng.uniform(0, 120),
        tuning_cents=float(np.clip(rng.normal(0, 5), -12, 12)),
        drift_cents=rng.uniform(3, 9),
        jitter_cents=rng.uniform(1, 3),
        late_s=float(np.clip(rng.normal(0, 0.018), -0.04, 0.04)),
        breath_db=rng.uniform(-40, -26),
    )


def sing(
    notes: Sequence[Note], singer: Singer, duration_s: float, sample_rate: int, rng: np.random.Generator
) -> tuple[np.ndarray, Track]:
    """Sing notes.

    Parameters
    ----------
    notes
        One after the other, each with its syllable.
    singer
        Who sings.
    duration_s
        Seconds to return; notes beyond are cut.
    sample_rate
        Hz.
    rng
        Chance: drift, jitter, breath. The same generator state gives the same F0 at every sample rate.

    Returns
    -------
    tuple
        Samples of shape (S,), where the loudest voiced tenth of a second has an RMS of 1, and the exact F0 every 4 ms,
        0 where the voice does not sound.
    """
    times_s = control_times_s(duration_s)
    timed_s = times_s - singer.late_s
    f0_hz = f0_sung_hz(notes, singer, times_s, rng)
    gestures = _gestures(notes, timed_s)
    loudness_db = swell_db(notes, timed_s, 3.0, 4.0) + 0.6 * wander(len(times_s), 0.3, rng)
    samples = _sound(singer, times_s, f0_hz, loudness_db, gestures, round(duration_s * sample_rate), sample_rate, rng)
    every = CONTROL_HZ // 250
    voiced = gestures.voice_db > _VOICED_DB
    track = Track(times_s[::every], np.where(voiced, f0_hz, 0.0)[::every], voiced[::every].astype(float))
    inside = track.times_s < duration_s
    return samples, Track(track.times_s[inside], track.f0_hz[inside], track.confidence[inside])


def f0_sung_hz(notes: Sequence[Note], singer: Singer, times_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the F0 in Hz of notes as a singer sings them, at control times; rests hold the note before."""
    timed_s = times_s - singer.late_s
    midi = pitch(notes, timed_s, singer.glide_s, singer.scoop_cents)
    cents = singer.tuning_cents + singer.drift_cents * wander(len(times_s), 0.8, rng)
    cents = cents + singer.jitter_cents * wander(len(times_s), 0.03, rng)
    cents = cents + singer.vibrato_cents * vibrato(notes, timed_s, singer.vibrato_hz, singer.vibrato_delay_s, rng)
    return 440 * 2 ** ((midi - 69 + cents / 100) / 12)


@dataclass(frozen=True)
class _Gestures:
    """What mouth and glottis do at every control time: levels in dB, noise edges and formants in Hz."""

    voice_db: np.ndarray
    noise_db: np.ndarray
    noise_hz: np.ndarray
    formants_hz: np.ndarray


def _gestures(notes: Sequence[Note], times_s: np.ndarray) -> _Gestures:
    """Lay the sounds of all syllables along the time: consonants lead to the beat, vowels start on it."""
    count = len(times_s)
    voice, noise = np.zeros(count), np.zeros(count)
    edges, formants = np.full((count, 2), (500.0, 5000.0)), np.zeros((count, 5))
    formants[:] = vowel_formants_hz(notes[0].syllable.vowel[0])[0]

    def between(start_s: float, stop_s: float) -> slice:
        return slice(*np.searchsorted(times_s, (start_s, stop_s)))

    for n, note in enumerate(notes):
        following = notes[n + 1] if n + 1 < len(notes) else None
        vowels = vowel_formants_hz(note.syllable.vowel)
        # Of two vowels the second is short; over slurred notes it waits for the last.
        turn_s = note.stop_s - min(0.16, 0.4 * (note.stop_s - note.start_s))
        held = following is not None and following.slurred
        here = between(note.start_s, note.stop_s)
        voice[here] = 1.0
        formants[here.start :] = vowels[0]
        if len(vowels) > 1 and not held:
            formants[between(turn_s, note.stop_s).start :] = vowels[1]
        if not note.slurred:
            free_s = (
                note.start_s - notes[n - 1].stop_s + 0.3 * (notes[n - 1].stop_s - notes[n - 1].start_s) if n else 0.3
            )
            _utter(note.syllable.onset, note.start_s, free_s, between, voice, noise, edges, formants)
        if not held:
            room_s = 0.3 * (note.stop_s - note.start_s)
            lead_s = _length_s(following.syllable.onset, room_s) if following is not None else 0.0
            _utter(note.syllable.coda, note.stop_s - lead_s, room_s, between, voice, noise, edges, formants)
            if following is None or following.start_s - note.stop_s > 0.02:
                voice[between(note.stop_s - 0.06, note.stop_s)] *= 0.4
    with np.errstate(divide="ignore"):
        return _Gestures(
            20 * np.log10(smoothed(voice, 0.05)), 20 * np.log10(smoothed(noise, 0.02)), edges, smoothed(formants, 0.07)
        )


def _length_s(sounds: str, most_s: float) -> float:
    return min(most_s, sum(CONSONANTS[sound].seconds for sound in sounds))


def _utter(sounds: str, stop_s: float, most_s: float, between, voice, noise, edges, formants) -> None:
    """Write the consonants that end at a time into the gestures."""
    wanted_s = sum(CONSONANTS[sound].seconds for sound in sounds)
    shrink = min(1.0, most_s / wanted_s) if sounds else 1.0
    for sound in reversed(sounds):
        consonant = CONSONANTS[sound]
        start_s = stop_s - shrink * consonant.seconds
        here = between(start_s, stop_s)
        burst = between(start_s + consonant.closure * (stop_s - start_s), stop_s)
        voice[here] = 10 ** (consonant.voice_db / 20)
        noise[here] = 0.0
        noise[burst] = 10 ** (consonant.noise_db / 20)
        edges[here] = consonant.noise_hz
        if consonant.voice_db > -np.inf:
            formants[here] = consonant_formants_hz(consonant)
        stop_s = start_s


def _sound(
    singer: Singer,
    times_s: np.ndarray,
    f0_hz: np.ndarray,
    loudness_db: np.ndarray,
    gestures: _Gestures,
    samples: int,
    sample_rate: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the sound of all that: source, filter, noise."""
    sampled_s = np.arange(samples) / sample_rate
    fine_hz = np.exp(np.interp(sampled_s, times_s, np.log(f0_hz)))
    phase = phase_of(fine_hz, sample_rate)
    voice = np.interp(sampled_s, times_s, 10 ** ((gestures.voice_db + loudness_db) / 20))
    frames_s = frame_times_s(samples, sample_rate)
    at = np.clip(np.searchsorted(times_s, frames_s), 0, len(times_s) - 1)
    bins = bins_hz(sample_rate)
    tract = tract_response(singer, gestures.formants_hz[at], f0_hz[at], bins)
    # Louder is brighter: 6 dB move the corner of the source's spectrum by an octave's half.
    corner_hz = singer.brightness_hz * 2 ** (loudness_db[at, None] / 12)
    source = 1 / np.sqrt((1 + (bins / 250) ** 2) * (1 + (bins / corner_hz) ** 2))
    highest_hz = min(0.5 * sample_rate, 20_000.0)
    sung = filtered(voice * harmonics(phase, fine_hz, highest_hz), tract * source, sample_rate)
    unit = loudest_rms(sung, sample_rate)
    breath = np.abs(tract) / np.sqrt(1 + (bins / 4000) ** 2)
    breath /= np.sqrt((breath**2).mean(1, keepdims=True))
    low_hz, high_hz = gestures.noise_hz[at].T[..., None]
    band = 1 / np.sqrt((1 + (low_hz / np.maximum(bins, 1)) ** 8) * (1 + (bins / high_hz) ** 8))
    white = rng.standard_normal(samples) * np.sqrt(sample_rate / 2)
    hiss = filtered(white * np.interp(sampled_s, times_s, 10 ** (gestures.noise_db / 20)), band, sample_rate)
    hiss /= _HISS_UNIT
    # Breath passes while the glottis is open, once a period.
    pulsed = white / np.sqrt(sample_rate / 2) * (1 + 0.6 * np.cos(phase)) * np.minimum(voice, 1)
    blown = 10 ** (singer.breath_db / 20) * filtered(pulsed, breath, sample_rate)
    return sung / unit + hiss + blown


def tract_response(singer: Singer, formants_hz: np.ndarray, f0_hz: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Return the response of the vocal tract, shape (T, F), complex: a cascade of resonances.

    Parameters
    ----------
    singer
        Whose tract.
    formants_hz
        Five formants of the sounds, shape (T, 5).
    f0_hz
        High voices open the mouth so that the first formant is never below F0, shape (T,).
    bins
        Frequencies in Hz, shape (F,).
    """
    formants_hz = singer.tract * formants_hz
    formants_hz[:, 2:] += singer.ringing * 0.7 * (_RINGING_HZ - formants_hz[:, 2:])
    formants_hz[:, 0] = np.maximum(formants_hz[:, 0], 1.03 * f0_hz)
    formants_hz[:, 1] = np.maximum(formants_hz[:, 1], formants_hz[:, 0] + 200)
    squared = bins.astype(np.float32) ** 2
    upper = np.ones(len(bins), complex)
    for pole_hz in singer.tract * _UPPER_HZ:
        upper *= pole_hz**2 / (pole_hz**2 - squared + 1j * bins * (0.05 * pole_hz + 100))
    response = np.broadcast_to(upper.astype(np.complex64), (len(formants_hz), len(bins))).copy()
    for pole_hz, width_hz in zip(formants_hz.T[..., None].astype(np.float32), _BANDWIDTHS_HZ, strict=True):
        response /= 1 - squared / pole_hz**2 + (1j * width_hz * bins).astype(np.complex64) / pole_hz**2
    return response


__all__ = ["TRACTS", "Singer", "f0_sung_hz", "sing", "some_singer", "tract_response"]
