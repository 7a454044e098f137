"""When every part of a MusicXML score sounds, in seconds: notes, their durations and the tempo, and nothing else.

Scores are read part by part (``score-partwise``), from ``.musicxml`` and ``.xml`` files or compressed ``.mxl`` ones.
Without a tempo a minute has 120 quarter notes, as in MIDI. Repeats and jumps are refused: where a performance goes from
there is not for a file to say; notation programs write scores out without them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from ..errors import TrackError

SUFFIXES = (".musicxml", ".mxl", ".xml")
"""File name endings of scores."""

_LARGEST_BYTES = 2**26
_USUAL_TEMPO = 120.0
_JUMPS = ("dacapo", "dalsegno", "segno", "coda", "tocoda", "fine")
_QUARTERS = {"whole": 4, "half": 2, "quarter": 1, "eighth": Fraction(1, 2), "16th": Fraction(1, 4)}


class _Note(NamedTuple):
    """A note of a part, in quarters from the start of its measure."""

    part: str
    measure: int
    start: Fraction
    end: Fraction


class _Tempo(NamedTuple):
    """Quarters a minute from a place on."""

    measure: int
    start: Fraction
    quarters: float


def sounding_parts(path: Path) -> list[tuple[str, float, float]]:
    """Return the name of the part and the seconds from beginning to end of every note.

    Raises
    ------
    TrackError
        If the file is no such score, or repeats anything.
    """
    root = _root(path)
    if root.tag != "score-partwise":
        raise TrackError(
            "a MusicXML score part by part", f"{root.tag!r} in '{path.name}'", "saving it as score-partwise"
        )
    names = {
        part.get("id"): (part.findtext("part-name") or "").strip() for part in root.iterfind("part-list/score-part")
    }
    notes, tempos, lengths = [], [], []
    for part in root.iterfind("part"):
        name = names.get(part.get("id")) or str(part.get("id"))
        divisions = Fraction(1)
        for number, measure in enumerate(part.iterfind("measure")):
            _check_straight(measure, path)
            try:
                divisions, length = _read(measure, number, name, divisions, notes, tempos)
            except (ValueError, ZeroDivisionError) as error:
                got = f"{error} in measure {measure.get('number')} of {name}"
                raise TrackError("numbers as durations in a MusicXML score", got) from error
            lengths += [Fraction(0)] * (number + 1 - len(lengths))
            lengths[number] = max(lengths[number], length)
    starts = [sum(lengths[:number], Fraction(0)) for number in range(len(lengths) + 1)]
    changes = sorted((starts[tempo.measure] + tempo.start, tempo.quarters) for tempo in tempos)
    return [
        (note.part, *(_seconds(starts[note.measure] + place, changes) for place in (note.start, note.end)))
        for note in notes
    ]


def _root(path: Path) -> ElementTree.Element:
    """Return the root of a score, compressed or not."""
    try:
        text = _unpacked(path) if path.suffix.lower() == ".mxl" else path.read_bytes()
        if len(text) > _LARGEST_BYTES or b"<!ENTITY" in text.replace(b"\0", b""):
            raise TrackError("a MusicXML score below 64 MB without entities of its own", f"'{path}'")
        return ElementTree.fromstring(text)
    except (OSError, KeyError, zipfile.BadZipFile, ElementTree.ParseError, ValueError) as error:
        if isinstance(error, TrackError):
            raise
        raise TrackError("a MusicXML score", f"'{path}' ({error})") from error


def _unpacked(path: Path) -> bytes:
    """Return the score that the container of a compressed file names."""
    with zipfile.ZipFile(path) as file:
        container = ElementTree.fromstring(file.read("META-INF/container.xml"))
        roots = [each.get("full-path", "") for each in container.iter() if each.tag.endswith("rootfile")]
        name = roots[0] if roots else ""
        if file.getinfo(name).file_size > _LARGEST_BYTES:
            raise ValueError("too large")
        return file.read(name)


def _check_straight(measure: ElementTree.Element, path: Path) -> None:
    """Raise TrackError if a measure repeats, or jumps."""
    jumps = [f"{word} in" for sound in measure.iter("sound") for word in _JUMPS if sound.get(word)]
    if jumps or next(measure.iter("repeat"), None) is not None:
        got = f"{jumps[0] if jumps else 'a repeat in'} measure {measure.get('number')} of '{path.name}'"
        raise TrackError("a score that is written out", got, "exporting it with repeats unfolded, or MIDI")


def _read(
    measure: ElementTree.Element,
    number: int,
    name: str,
    divisions: Fraction,
    notes: list[_Note],
    tempos: list[_Tempo],
) -> tuple[Fraction, Fraction]:
    """Add the notes and tempos of a measure to those known; return divisions of a quarter, and quarters it lasts."""
    place, begun, length = Fraction(0), Fraction(0), Fraction(0)
    for element in measure:
        if element.tag == "attributes":
            divisions = Fraction((element.findtext("divisions") or str(divisions)).strip())
        tempos += [_Tempo(number, place, quarters) for quarters in _tempos(element)]
        if element.tag not in ("note", "backup", "forward") or element.find("grace") is not None:
            continue
        lasting = Fraction((element.findtext("duration") or "0").strip()) / divisions
        if element.tag == "backup":
            place = max(Fraction(0), place - lasting)
            continue
        if element.find("chord") is None:
            begun, place = place, place + lasting
        length = max(length, place, begun + lasting)
        if element.tag == "note" and element.find("rest") is None and element.find("cue") is None and lasting > 0:
            notes.append(_Note(name, number, begun, begun + lasting))
    return divisions, length


def _tempos(element: ElementTree.Element) -> Iterator[float]:
    """Yield the quarters a minute that a direction says, as sound or else as a metronome mark."""
    sounds = [element] if element.tag == "sound" else element.findall("sound") if element.tag == "direction" else []
    said = [float(sound.get("tempo", "")) for sound in sounds if sound.get("tempo")]
    marks = element.iter("metronome") if element.tag == "direction" and not said else ()
    for mark in marks:
        unit, minute = mark.findtext("beat-unit"), mark.findtext("per-minute")
        if unit in _QUARTERS and minute and minute.strip().replace(".", "", 1).isdecimal():
            dotted = Fraction(3, 2) if mark.find("beat-unit-dot") is not None else 1
            said.append(float(_QUARTERS[unit] * dotted) * float(minute))
    yield from (quarters for quarters in said if quarters > 0)


def _seconds(place: Fraction, changes: Sequence[tuple[Fraction, float]]) -> float:
    """Return the time of a place in quarters, where the tempo changes at places."""
    total, since, quarters = 0.0, Fraction(0), _USUAL_TEMPO
    for at, new in changes:
        if at >= place:
            break
        total, since, quarters = total + 60 * float(at - since) / quarters, at, new
    return total + 60 * float(place - since) / quarters


__all__ = ["SUFFIXES", "sounding_parts"]
