"""Who plays when, as the user knows it: what a score or a pair of ears says, in a file.

A CSV file has lines ``player,start,end`` in seconds; a header and ``#`` lines are left aside. A standard MIDI file has
a track, and a MusicXML score a part, named after every player, whose notes say when it plays. Players that a file does
not name may play at any time.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import OptionError, TrackError, nearest
from .musicxml import SUFFIXES, sounding_parts

Stretches = Sequence[tuple[float, float]]
"""Beginnings and ends, in seconds."""

_TOUCHING_S = 1e-6


def read_plays(path: str | Path, ids: Sequence[str]) -> dict[str, Stretches]:
    """Return the stretches in which every player named in a file plays, by id.

    Raises
    ------
    TrackError
        If the file cannot be read, or a line is none.
    OptionError
        If it names somebody who is no player.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    read = _of_midi if suffix in (".mid", ".midi") else sounding_parts if suffix in SUFFIXES else _of_csv
    entries = read(path)
    plays: dict[str, list[tuple[float, float]]] = {}
    for name, start_s, end_s in entries:
        if name.lower() not in ids:
            raise OptionError(f"players of the session in '{path.name}'", f"{name!r}", nearest(name.lower(), ids))
        plays.setdefault(name.lower(), []).append((start_s, end_s))
    return {id: _joined(stretches) for id, stretches in plays.items()}


def _joined(stretches: Stretches) -> list[tuple[float, float]]:
    """Return stretches in order, those that touch as one."""
    joined: list[tuple[float, float]] = []
    for start_s, end_s in sorted(stretches):
        if joined and start_s <= joined[-1][1] + _TOUCHING_S:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end_s))
        else:
            joined.append((start_s, end_s))
    return joined


def _of_csv(path: Path) -> list[tuple[str, float, float]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row and row[0].strip()]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrackError("a CSV file of player,start,end", f"'{path}' ({error})") from error
    entries = []
    for number, row in enumerate(rows, 1):
        if row[0].startswith("#"):
            continue
        try:
            name, start_s, end_s = row[0], float(row[1]), float(row[2])
        except (IndexError, ValueError) as error:
            if not entries and len(row) > 1 and not row[1][:1].isdigit():
                continue
            got = f"{','.join(row)!r} in line {number} of '{path.name}'"
            raise TrackError("player,start,end with seconds", got, "Flute,12.5,30") from error
        if not 0 <= start_s <= end_s < float("inf"):
            raise TrackError("0 <= start <= end", f"{','.join(row)!r} in line {number} of '{path.name}'")
        entries.append((name, start_s, end_s))
    return entries


def _of_midi(path: Path) -> list[tuple[str, float, float]]:
    import mido

    try:
        file = mido.MidiFile(path)
    except (OSError, EOFError, ValueError) as error:
        raise TrackError("a standard MIDI file", f"'{path}' ({error})") from error
    tempos = [(0, 500_000)]
    for track in file.tracks:
        tick = 0
        for message in track:
            tick += message.time
            tempos += [(tick, message.tempo)] if message.type == "set_tempo" else []
    tempos.sort(key=lambda each: each[0])
    return [entry for track in file.tracks for entry in _sounding(track, tempos, file.ticks_per_beat)]


def _sounding(track: list, tempos: Sequence[tuple[int, int]], ticks_per_beat: int) -> list[tuple[str, float, float]]:
    """Return the name of a track and the seconds from on to off of each of its notes."""

    def seconds(tick: int) -> float:
        begun = [(at, tempo) for at, tempo in tempos if at <= tick]
        ends = [*(at for at, _ in begun[1:]), tick]
        microseconds = sum((end - at) * tempo for (at, tempo), end in zip(begun, ends, strict=True)) / ticks_per_beat
        return microseconds / 1e6

    tick, on, entries = 0, {}, []
    for message in track:
        tick += message.time
        if message.type == "note_on" and message.velocity > 0:
            on.setdefault(message.note, tick)
        elif message.type in ("note_on", "note_off") and message.note in on:
            entries.append((track.name, seconds(on.pop(message.note)), seconds(tick)))
    return entries


def playing(
    plays: Sequence[Stretches | None], times_s: Float[Tensor, " T"], margin_s: float, lingering_s: float = 0.0
) -> Float[Tensor, "N T"]:
    """Return 1 where every player may sound and 0 elsewhere.

    Parameters
    ----------
    plays
        Stretches of every player; None plays at any time.
    times_s
        Middle of every frame.
    margin_s
        How much sooner or later than told somebody may play.
    lingering_s
        How long the sound lingers after that.
    """
    may_NT = torch.ones(len(plays), len(times_s))
    for n, stretches in enumerate(plays):
        if stretches is not None:
            inside = [(times_s >= a - margin_s) & (times_s <= b + margin_s + lingering_s) for a, b in stretches]
            may_NT[n] = torch.stack(inside).any(0).float()
    return may_NT


__all__ = ["Stretches", "playing", "read_plays"]
