"""Polyphony by rule and chance: unlimited scores for any ensemble, owing nothing to anybody.

A chain of chords is drawn; every voice moves to the chord tone that lies best for it and then decorates its way there:
held, repeated, passing, neighbouring notes and rests. What matters for learning to hear is kept as it is in real music:
consonance (partials that coincide), notes that begin together, ranges, crossings, unisons, octaves and parallel thirds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .phones import CONSONANTS, FORMANTS_HZ
from .scores import Note, Part, Score, Syllable

RANGES_MIDI = {
    "soprano": (60, 82),
    "mezzo": (57, 78),
    "alto": (53, 75),
    "tenor": (47, 69),
    "baritone": (43, 65),
    "bass": (38, 62),
    "violin": (55, 93),
    "viola": (48, 81),
    "cello": (36, 69),
    "flute": (60, 93),
    "oboe": (58, 87),
    "clarinet": (50, 86),
    "bassoon": (34, 69),
    "horn": (41, 74),
}
"""Lowest and highest note of a chord that a voice or an instrument is given; an ornament may lie a step beyond."""

_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 11), "dorian": (0, 2, 3, 5, 7, 9, 10)}
_DEGREES = np.array([4.0, 1.5, 0.7, 2.5, 3.0, 2.0, 0.5])
"""How often a chord stands on each degree of the scale."""


@dataclass(frozen=True)
class Style:
    """How a piece moves.

    Attributes
    ----------
    tempo_bpm
        Beats per minute.
    together
        Share of the chords at which all voices move in the same rhythm.
    ornament
        Share of the ways from note to note that are filled.
    rest
        Chance of a rest per voice and chord.
    staccato
        Share of a note that sounds is at least 1 minus this.
    tuning
        Semitones that everything is sharp or flat.
    """

    tempo_bpm: float
    together: float
    ornament: float
    rest: float
    staccato: float
    tuning: float


def some_style(rng: np.random.Generator) -> Style:
    """Draw a style, from slow homophony to quick imitation."""
    return Style(
        tempo_bpm=float(np.exp(rng.uniform(np.log(45), np.log(150)))),
        together=rng.uniform(0, 1),
        ornament=rng.uniform(0, 0.8),
        rest=rng.choice([0.01, 0.04, 0.15]),
        staccato=rng.choice([0.0, 0.1, 0.5], p=[0.6, 0.25, 0.15]),
        tuning=rng.uniform(-0.5, 0.5),
    )


def some_score(names: Sequence[str], duration_s: float, rng: np.random.Generator) -> Score:
    """Draw a piece for voices and instruments.

    Parameters
    ----------
    names
        Keys of :data:`RANGES_MIDI`, possibly numbered, high to low.
    duration_s
        About how long it is.
    rng
        Chance.

    Examples
    --------
    >>> score = some_score(["alto", "bass"], 10.0, np.random.default_rng(0))
    >>> [part.name for part in score.parts], round(score.duration_s)
    (['alto', 'bass'], 10)
    """
    style = some_style(rng)
    beat_s = 60 / style.tempo_bpm
    scale = np.array(_SCALES[rng.choice(list(_SCALES))]) + rng.integers(12)
    lengths = _chord_lengths(duration_s / beat_s, rng)
    chords = [_chord(scale, rng) for _ in lengths]
    ranges = [RANGES_MIDI[name.rstrip("0123456789")] for name in names]
    targets = _lead(chords, ranges, rng)
    joint = [_rhythm(length, style, rng) if rng.random() < style.together else None for length in lengths]
    parts = []
    for name, line in zip(names, targets.T, strict=True):
        beats = _decorated(line, lengths, scale, joint, style, rng)
        parts.append(Part(name, _sung(beats, beat_s, style, rng)))
    sounding = tuple(part for part in parts if part.notes)
    # A piece of which nothing but rests was drawn is none.
    return Score("counterpoint", sounding) if sounding else some_score(names, duration_s, rng)


def _chord_lengths(beats: float, rng: np.random.Generator) -> np.ndarray:
    lengths = rng.choice([1.0, 2.0, 3.0, 4.0], size=max(2, int(beats) + 1), p=[0.4, 0.38, 0.07, 0.15])
    return lengths[: max(2, int(np.searchsorted(np.cumsum(lengths), beats)))]


def _chord(scale: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the pitch classes of a triad or seventh, root first."""
    degree = rng.choice(7, p=_DEGREES / _DEGREES.sum())
    tones = 4 if rng.random() < 0.15 else 3
    return scale[(degree + 2 * np.arange(tones)) % 7] % 12


def _lead(chords: Sequence[np.ndarray], ranges: Sequence[tuple[int, int]], rng: np.random.Generator) -> np.ndarray:
    """Return the note of every voice at every chord, shape (chords, voices): near the last one, apart from others."""
    spread = rng.uniform(0.6, 2.5)
    notes = np.zeros((len(chords), len(ranges)), int)
    before = [rng.uniform(low + 4, high - 4) for low, high in ranges]
    for row, chord in enumerate(chords):
        chosen: list[int] = []
        for voice in reversed(range(len(ranges))):
            low, high = ranges[voice]
            pitches = np.arange(low, high + 1)
            pitches = pitches[np.isin(pitches % 12, chord)]
            cost = 0.45 * np.abs(pitches - before[voice]) + 0.12 * np.abs(pitches - (low + high) / 2)
            for other in chosen:
                cost = cost + 2.0 * (pitches == other) + 0.4 * ((pitches - other) % 12 == 0) + 1.5 * (pitches < other)
            if voice == len(ranges) - 1:
                cost = cost - 1.5 * (pitches % 12 == chord[0])
            pick = int(pitches[np.argmin(cost + spread * rng.gumbel(size=len(pitches)))])
            chosen.append(pick)
            notes[row, voice] = before[voice] = pick
    return notes


def _rhythm(length: float, style: Style, rng: np.random.Generator) -> list[float]:
    """Return the lengths, in beats, of the notes that fill one chord."""
    if rng.random() > style.ornament:
        return [length]
    step = rng.choice([0.25, 0.5, 1.0], p=[0.1, 0.5, 0.4])
    step = max(step, 0.15 * style.tempo_bpm / 60)
    count = max(1, int(length / step))
    lengths = [length / count] * count
    if count > 1 and rng.random() < 0.3:
        lengths[0], lengths[1] = 1.5 * lengths[0], 0.5 * lengths[1]
    return lengths


def _decorated(
    line: np.ndarray,
    lengths: np.ndarray,
    scale: np.ndarray,
    joint: Sequence[list[float] | None],
    style: Style,
    rng: np.random.Generator,
) -> list[tuple[float, float, int, bool]]:
    """Return one voice as (start, stop, MIDI, slurred), in beats, its way from chord to chord filled."""
    starts = np.cumsum(lengths) - lengths
    steps = np.flatnonzero(np.isin(np.arange(128) % 12, scale % 12))
    silent_until = starts[min(len(starts) - 1, rng.integers(6))] if rng.random() < 0.25 else 0.0
    notes: list[tuple[float, float, int, bool]] = []
    for row, (start, length, midi) in enumerate(zip(starts, lengths, line, strict=True)):
        if rng.random() < style.rest:
            silent_until = start + length * rng.choice([1, 1, 2, 4])
        if start < silent_until:
            continue
        rhythm = joint[row] or _rhythm(length, style, rng)
        target = line[min(row + 1, len(line) - 1)]
        way = _way(int(midi), int(target), len(rhythm), steps, rng)
        slurred = rng.random() < 0.4
        held = bool(notes) and notes[-1][1] == start and notes[-1][2] == way[0] and rng.random() < 0.3
        at = start
        for count, (pitch, beats) in enumerate(zip(way, rhythm, strict=True)):
            if held and count == 0:
                notes[-1] = (notes[-1][0], at + beats, pitch, notes[-1][3])
            else:
                notes.append((at, at + beats, pitch, slurred and count > 0))
            at += beats
    return notes


def _way(midi: int, target: int, count: int, steps: np.ndarray, rng: np.random.Generator) -> list[int]:
    """Return ``count`` notes of the scale that begin at a note and lead to the next: passing, turning or repeating."""
    if count == 1 or rng.random() < 0.15:
        return [midi] * count
    here, there = np.searchsorted(steps, (midi, target))
    if abs(there - here) > 1:
        place = np.round(np.linspace(here, there, count + 1)[:-1]).astype(int)
    else:
        place = here + np.where(np.arange(count) % 2, rng.choice([-1, 1]), 0)
    return [midi, *(int(steps[np.clip(p, 0, len(steps) - 1)]) for p in place[1:])]


def _sung(
    beats: list[tuple[float, float, int, bool]], beat_s: float, style: Style, rng: np.random.Generator
) -> tuple[Note, ...]:
    notes: list[Note] = []
    for start, stop, midi, slurred in beats:
        joined = slurred and bool(notes) and abs(notes[-1].stop_s - start * beat_s) < 1e-6
        word = notes[-1].syllable if joined else some_syllable(rng)
        length_s = (stop - start) * beat_s * (1 if joined else 1 - style.staccato * rng.random())
        notes.append(Note(start * beat_s, start * beat_s + length_s, midi + style.tuning, word, joined))
    return tuple(notes)


def some_syllable(rng: np.random.Generator) -> Syllable:
    """Draw a syllable: maybe consonants before and after, one vowel or a glide of two."""
    sounds, vowels = list(CONSONANTS), list(FORMANTS_HZ)
    onset = rng.choice(sounds) if rng.random() < 0.75 else ""
    coda = rng.choice(sounds) if rng.random() < 0.3 else ""
    vowel = "".join(rng.choice(vowels, 2 if rng.random() < 0.12 else 1))
    return Syllable(str(onset), vowel, str(coda))


__all__ = ["RANGES_MIDI", "Style", "some_score", "some_style", "some_syllable"]
