"""Scores as plain text: who sings or plays which note when, on which syllable.

A score file is TOML::

    title = "…"
    tempo_bpm = 96
    syllables = ["j-e", "s-u", "m-ai"]

    [[part]]
    name = "Alto"
    notes = "G4 F#4 E4/.5 ~D#4/.5 r E4/2"

Notes follow one another from beat 0: ``pitch/beats`` (one beat if left out), ``r`` is a rest, ``~`` slurs a note to the
one before. Notes that are not slurred take the syllables in turn. A syllable is ``onset-vowel-coda``; onset and coda
may be empty, as in ``-a`` or ``v-u-n``. The sounds are those of :mod:`partbook.data.phones`.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files

from ..errors import InputError, nearest

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NOTE = re.compile(r"(~?)(?:([A-G])([#b]?)(-?\d)|r)(?:/(\d*\.?\d+))?")


@dataclass(frozen=True)
class Syllable:
    """What is sung on a note: consonants before, a vowel (or two that glide), consonants after."""

    onset: str = ""
    vowel: str = "a"
    coda: str = ""


@dataclass(frozen=True)
class Note:
    """One note.

    Attributes
    ----------
    start_s, stop_s
        Seconds from the start of the piece.
    midi
        MIDI number: 69 is A4.
    syllable
        What is sung; of a slurred note that of the note before.
    slurred
        Whether it follows the note before without a new attack.
    """

    start_s: float
    stop_s: float
    midi: float
    syllable: Syllable = Syllable()
    slurred: bool = False


@dataclass(frozen=True)
class Part:
    """The notes of one singer or player, in order."""

    name: str
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Score:
    """A piece: its parts, high to low."""

    title: str
    parts: tuple[Part, ...]

    @property
    def duration_s(self) -> float:
        """Seconds until the last note ends."""
        return max(part.notes[-1].stop_s for part in self.parts)


def read_score(text: str) -> Score:
    """Read a score in the format of this module.

    Raises
    ------
    InputError
        If something in it cannot be read.

    Examples
    --------
    >>> score = read_score('title = "T"\\ntempo_bpm = 60\\n[[part]]\\nname = "A"\\nnotes = "A4/2 ~B4 r C5/.5"')
    >>> [(note.start_s, note.stop_s, note.midi) for note in score.parts[0].notes]
    [(0.0, 2.0, 69), (2.0, 3.0, 71), (4.0, 4.5, 72)]
    """
    told = tomllib.loads(text)
    beat_s = 60 / told["tempo_bpm"]
    syllables = [_syllable(word) for word in told.get("syllables", [])]
    parts = (Part(part["name"], _notes(part["notes"], syllables, beat_s)) for part in told["part"])
    return Score(told["title"], tuple(parts))


def bundled_score(name: str) -> Score:
    """Return one of the scores that come with Partbook, by name."""
    folder = files(__package__) / "pieces"
    known = sorted(path.name.removesuffix(".toml") for path in folder.iterdir() if path.name.endswith(".toml"))
    if name not in known:
        raise InputError(f"one of the scores {', '.join(known)}", got=repr(name), hint=nearest(name, known))
    return read_score((folder / f"{name}.toml").read_text("utf-8"))


def _notes(text: str, syllables: list[Syllable], beat_s: float) -> tuple[Note, ...]:
    notes: list[Note] = []
    words, word, beat = iter(syllables), Syllable(), 0.0
    for token in text.split():
        found = _NOTE.fullmatch(token)
        if found is None:
            raise InputError("notes such as C4, F#4/.5, ~Bb3/2 or r", got=repr(token))
        slur, letter, accidental, octave, beats = found.groups()
        length = float(beats) if beats else 1.0
        if letter:
            midi = 12 * (int(octave) + 1) + _STEPS[letter] + {"#": 1, "b": -1}.get(accidental, 0)
            word = word if slur else next(words, word)
            notes.append(Note(beat * beat_s, (beat + length) * beat_s, midi, word, bool(slur)))
        beat += length
    return tuple(notes)


def _syllable(text: str) -> Syllable:
    onset, vowel, coda = [*text.split("-"), ""][:3]
    return Syllable(onset, vowel, coda)


__all__ = ["Note", "Part", "Score", "Syllable", "bundled_score", "read_score"]
