"""F0 tracks as a Standard MIDI File: a track per voice, with notes and the pitch bends that make them sound as sung.

A tick is one millisecond (480 to the beat, 125 beats a minute). Every voice has a channel of its own, a choral sound,
and its bend range set by the registered parameter 0, 0 (MIDI 1.0 Detailed Specification, "Pitch Bend Sensitivity").
Bends count from the tempered note at A4 = 440 Hz: what is played is what was sung, whatever the tuning of the choir.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import OptionError
from .notes import Note, NoteConfig, notes_of, semitones
from .tracks import WRITTEN_STEP_S, Track

BEND_SEMITONES = 2
"""Usual range of pitch bends, on either side."""

_TICKS_PER_BEAT, _BEAT_US = 480, 480_000
_TICKS_PER_S = 1000
_BEND_STEPS = 8192
_QUIETEST_BEND_CENTS = 1.0
_CHOIR_AAHS, _VELOCITY, _DRUMS, _CHANNELS = 52, 80, 9, 16


def write_midi(
    path: str | Path,
    tracks: Mapping[str, Track],
    config: NoteConfig | None = None,
    bend_semitones: int = BEND_SEMITONES,
) -> list[list[Note]]:
    """Write the notes and bends of all voices, and return the notes.

    Parameters
    ----------
    path
        A file ending in ``.mid``.
    tracks
        F0 by name of voice, at most 15.
    config
        How notes are told apart and named.
    bend_semitones
        Range of the bends on either side, 1 to 24; F0 further from its note stays at the edge.

    Raises
    ------
    OptionError
        If the range is out of bounds.
    """
    import mido

    check_range(bend_semitones)
    notes = notes_of(tracks.values(), config)
    file = mido.MidiFile(type=1, ticks_per_beat=_TICKS_PER_BEAT, charset="utf-8")
    file.add_track().append(mido.MetaMessage("set_tempo", tempo=_BEAT_US))
    channels = [channel for channel in range(_CHANNELS) if channel != _DRUMS]
    for channel, (name, track), sung in zip(channels, tracks.items(), notes, strict=False):
        written = file.add_track(name)
        written.extend(_setting_up(channel, bend_semitones))
        events = _note_events(sung, channel) + _bend_events(track, sung, channel, bend_semitones)
        at = 0
        for tick, _, message in sorted(events, key=lambda event: event[:2]):
            written.append(message.copy(time=tick - at))
            at = tick
    file.save(path)
    return notes


def check_range(bend_semitones: int) -> None:
    """Raise OptionError for a range of pitch bends that is out of bounds."""
    if not 1 <= bend_semitones <= 24:
        raise OptionError("a bend range of 1 to 24 semitones", f"{bend_semitones}", "--bend-range 2")


def _setting_up(channel: int, bend_semitones: int) -> list:
    """Return the messages that choose a sound and set the bend range."""
    import mido

    controls = [(101, 0), (100, 0), (6, bend_semitones), (38, 0), (101, 127), (100, 127)]
    sound = mido.Message("program_change", channel=channel, program=_CHOIR_AAHS)
    return [sound, *(mido.Message("control_change", channel=channel, control=c, value=v) for c, v in controls)]


def _note_events(notes: list[Note], channel: int) -> list[tuple[int, int, object]]:
    """Return (tick, order within the tick, message) of starts and stops: a stop comes first, a start last."""
    import mido

    events = []
    for note in notes:
        key = int(np.clip(note.midi, 0, 127))
        on = mido.Message("note_on", channel=channel, note=key, velocity=_VELOCITY)
        off = mido.Message("note_off", channel=channel, note=key, velocity=0)
        events += [(_tick(note.start_s), 2, on), (_tick(note.stop_s), 0, off)]
    return events


def _bend_events(track: Track, notes: list[Note], channel: int, range_semitones: int) -> list[tuple[int, int, object]]:
    """Return the bends, between a stop and a start of the same tick, wherever they change by a cent."""
    import mido

    events = []
    for note in notes:
        times_s = np.arange(note.start_s, note.stop_s, WRITTEN_STEP_S)
        away = semitones(track.at(times_s).f0_hz) - note.midi
        known = np.isfinite(away)
        if not known.any():
            continue
        away = np.interp(times_s, times_s[known], away[known])
        steps = np.clip(np.rint(away / range_semitones * _BEND_STEPS), -_BEND_STEPS, _BEND_STEPS - 1).astype(int)
        coarse = _QUIETEST_BEND_CENTS / 100 / range_semitones * _BEND_STEPS
        last = None
        for time_s, step in zip(times_s, steps.tolist(), strict=True):
            if last is None or abs(step - last) >= coarse:
                events.append((_tick(time_s), 1, mido.Message("pitchwheel", channel=channel, pitch=step)))
                last = step
    return events


def _tick(time_s: float) -> int:
    return round(time_s * _TICKS_PER_S)


__all__ = ["BEND_SEMITONES", "check_range", "write_midi"]
