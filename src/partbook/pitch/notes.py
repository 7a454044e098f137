"""From an F0 track to notes: what a singer bends, shakes and slides, as a score would write it.

A voiced stretch is cut into pieces of constant pitch by the least

    sum over frames of min(|pitch - level of its piece|, far) × step  +  change × number of changes,

the L1 Potts functional (Storath, Weinmann & Unser, "Jump-penalized least absolute values estimation", 2014), found
exactly by dynamic programming over a fine grid of levels. Vibrato swings around one level and is cheaper to bear than
to follow; a glide is parted in its middle; a glitch of an octave costs no more than any other; nothing is rounded to
semitones before the pieces are known, so that a choir that is out of tune is cut no worse.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.stats import trim_mean

from ..errors import OptionError
from .tracks import Track

A4_HZ, A4_MIDI = 440.0, 69

LEVEL_SEMITONES = 0.1
"""Step of the grid of levels."""

SEGMENT_STEP_S = 0.01
"""Frames between which a note may end."""


@dataclass(frozen=True)
class NoteConfig:
    """How notes are told apart.

    Attributes
    ----------
    change
        Price of a new note in semitone-seconds: a semitone away for more than this many seconds is a note. It must
        stay above what half a swing of vibrato is worth, about 0.06 for ± 1 semitone at 5 Hz.
    far_semitones
        Frames further from their note count as if they were so far: glitches are not notes.
    shortest_s
        What is shorter belongs to a neighbour, or is left out where it has none.
    gap_s
        A pause that is shorter does not end a note.
    apart_cents
        Neighbouring notes that differ by less are one that drifts.
    tuning_hz
        A4 of the tuning that names the notes; None finds the one that fits the notes best.
    """

    change: float = 0.06
    far_semitones: float = 3.0
    shortest_s: float = 0.08
    gap_s: float = 0.05
    apart_cents: float = 60.0
    tuning_hz: float | None = None

    def __post_init__(self) -> None:
        if self.tuning_hz is not None and not 300 <= self.tuning_hz <= 600:
            raise OptionError("a tuning of A4 from 300 to 600 Hz", f"{self.tuning_hz:g}", "--tuning 440")


@dataclass(frozen=True)
class Note:
    """One note of a voice.

    Attributes
    ----------
    start_s, stop_s
        Seconds.
    pitch
        Mean of the middle half of the pitches, as a MIDI number with a fraction: 69 is 440 Hz, 69.5 a quarter tone
        above. Half a swing of vibrato more moves a median by up to 0.3 semitones, and this by 0.07.
    midi
        MIDI number of the note in the tuning of the ensemble.
    confidence
        Mean confidence of its frames, 0 to 1.
    """

    start_s: float
    stop_s: float
    pitch: float
    midi: int
    confidence: float

    @property
    def duration_s(self) -> float:
        """Seconds from start to stop."""
        return self.stop_s - self.start_s


def semitones(f0_hz: np.ndarray) -> np.ndarray:
    """Return F0 as a MIDI number with a fraction, NaN where unvoiced.

    Examples
    --------
    >>> semitones(np.array([440.0, 466.16, 0.0])).round(2).tolist()
    [69.0, 70.0, nan]
    """
    f0_hz = np.asarray(f0_hz, np.float64)
    return A4_MIDI + 12 * np.log2(np.where(f0_hz > 0, f0_hz, np.nan) / A4_HZ)


def notes_of(tracks: Iterable[Track], config: NoteConfig | None = None) -> list[list[Note]]:
    """Return the notes of every voice of an ensemble, named in one tuning.

    Parameters
    ----------
    tracks
        F0 of the voices.
    config
        How notes are told apart.

    Examples
    --------
    >>> times_s = np.arange(0, 1, 0.008)
    >>> vibrato = 0.6 * np.sin(2 * np.pi * 5.5 * times_s)
    >>> f0_hz = 435 * 2 ** ((np.where(times_s < 0.5, 0, 2) + vibrato) / 12)
    >>> [[(round(note.start_s, 1), note.midi) for note in notes] for notes in notes_of([Track(times_s, f0_hz, f0_hz)])]
    [[(0.0, 69), (0.5, 71)]]
    """
    config = config or NoteConfig()
    found = [_notes(track, config) for track in tracks]
    offset = tuning_semitones([note for notes in found for note in notes], config.tuning_hz)
    return [[replace(note, midi=int(np.rint(note.pitch - offset))) for note in notes] for notes in found]


def tuning_semitones(notes: Sequence[Note], tuning_hz: float | None = None) -> float:
    """Return by how much of a semitone the ensemble is tuned above A4 = 440 Hz, from −0.5 to 0.5.

    It is the circular mean of the pitches modulo a semitone, weighed by duration.
    """
    if tuning_hz is not None:
        return float(12 * np.log2(tuning_hz / A4_HZ))
    turns = sum(note.duration_s * np.exp(2j * np.pi * note.pitch) for note in notes)
    return float(np.angle(turns) / (2 * np.pi)) if notes else 0.0


def _notes(track: Track, config: NoteConfig) -> list[Note]:
    """Return the notes of one voice, not yet named."""
    if not (track.f0_hz > 0).any():
        return []
    count = max(2, int(np.ceil((track.times_s[-1] - track.times_s[0]) / SEGMENT_STEP_S)) + 1)
    grid = track.at(np.linspace(track.times_s[0], track.times_s[-1], count))
    pitch = semitones(grid.f0_hz)
    step_s = grid.times_s[1] - grid.times_s[0] or SEGMENT_STEP_S
    notes = []
    for first, last in _voiced(pitch, max(1, round(config.gap_s / step_s))):
        for start, stop in _joined(pitch, *_pieces(pitch, first, last, step_s, config), step_s, config):
            inside = slice(start, stop)
            if (stop - start) * step_s >= config.shortest_s:
                voiced = np.isfinite(pitch[inside])
                sung = float(trim_mean(pitch[inside][voiced], 0.25))
                sure = float(grid.confidence[inside][voiced].mean())
                begin_s = float(grid.times_s[start])
                notes.append(Note(begin_s, begin_s + (stop - start) * step_s, sung, round(sung), sure))
    return notes


def _voiced(pitch_T: np.ndarray, gap: int) -> list[tuple[int, int]]:
    """Return first and last + 1 of the voiced stretches; pauses of fewer than ``gap`` frames do not part them."""
    voiced = np.flatnonzero(np.isfinite(pitch_T))
    cuts = np.flatnonzero(np.diff(voiced) > gap)
    return [(a, b + 1) for a, b in zip(voiced[np.r_[0, cuts + 1]], voiced[np.r_[cuts, -1]], strict=True)]


def _pieces(
    pitch_T: np.ndarray, first: int, last: int, step_s: float, config: NoteConfig
) -> tuple[list[int], list[float]]:
    """Return the ends of the pieces of constant pitch of one stretch, beginning with its start, and their levels."""
    inside_T = pitch_T[first:last]
    low, high = np.nanmin(inside_T), np.nanmax(inside_T)
    levels = np.arange(low, high + LEVEL_SEMITONES, LEVEL_SEMITONES)
    # Frames of a pause that is too short to count cost nothing.
    cost_TL = np.nan_to_num(np.minimum(np.abs(inside_T[:, None] - levels), config.far_semitones)) * step_s
    best_L = cost_TL[0]
    came_TL = np.empty(cost_TL.shape, np.int32)
    stay = np.arange(len(levels))
    for t in range(1, len(inside_T)):
        cheapest = int(best_L.argmin())
        changes = best_L > best_L[cheapest] + config.change
        came_TL[t] = np.where(changes, cheapest, stay)
        best_L = np.where(changes, best_L[cheapest] + config.change, best_L) + cost_TL[t]
    level = int(best_L.argmin())
    ends, path = [last], [float(levels[level])]
    for t in range(len(inside_T) - 1, 0, -1):
        before = int(came_TL[t, level])
        if before != level:
            ends.append(first + t)
            path.append(float(levels[before]))
        level = before
    return [first, *reversed(ends)], list(reversed(path))


def _joined(
    pitch_T: np.ndarray, ends: list[int], levels: list[float], step_s: float, config: NoteConfig
) -> list[tuple[int, int]]:
    """Join pieces that are too short or too near to their neighbours to be notes; return starts and stops."""
    ends, levels = list(ends), list(levels)
    while len(levels) > 1:
        apart = np.abs(np.diff(levels))
        length_s = np.diff(ends) * step_s
        short = int(length_s.argmin())
        if length_s[short] < config.shortest_s:
            left = short > 0 and (short == len(apart) or apart[short - 1] <= apart[short])
            at = short - 1 if left else short
        elif apart.min() * 100 < config.apart_cents:
            at = int(apart.argmin())
        else:
            break
        del ends[at + 1]
        levels[at : at + 2] = [float(np.nanmedian(pitch_T[ends[at] : ends[at + 1]]))]
    return list(pairwise(ends))


__all__ = ["A4_HZ", "A4_MIDI", "Note", "NoteConfig", "notes_of", "semitones", "tuning_semitones"]
