"""The pitch of every voice as fine as a separation hears it, in memory or as files.

A separation begins by following the voices, and moves their tracks to where they are in a first estimate; what is
here stops at that point, so that its F0 is that of :func:`partbook.separate` with the same settings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .config import Options
from .ensemble import Voices
from .errors import OptionError, OutputError, nearest
from .progress import Messages, OnProgress, Stopwatch
from .separate import open_input, separate_recording

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .audio import Recording
    from .pitch import Tracks
    from .pitch.notes import Note, NoteConfig
    from .stems import Separation

FORMATS = ("csv", "tsv", "mid", "svl", "svg")
"""Kinds of files of F0: a table per voice, one of all voices, notes, layers of Sonic Visualiser, and a picture."""

SCHEMA = "partbook-f0/1"


def track(
    source: str | Path | ArrayLike,
    sample_rate: int | None = None,
    *,
    voices: Voices = None,
    from_s: float | None = None,
    to_s: float | None = None,
    options: Options | None = None,
    on_progress: OnProgress | None = None,
) -> Tracks:
    """Follow the pitch of every voice of a recording, as finely as a separation does.

    Parameters as in :func:`separate`; the times of the tracks are those of the whole recording.

    Raises
    ------
    InputError
        If something given cannot be used.
    Cancelled
        If the progress callback asks to stop.

    Examples
    --------
    >>> tracks = track("quartet.wav", voices="SATB")                    # doctest: +SKIP
    >>> tracks["alto"].f0_hz, tracks.messages                           # doctest: +SKIP
    """
    recording = open_voices(source, sample_rate, from_s, to_s)
    return _tracked(recording, voices, options or Options(), on_progress)[0]


def track_into(
    directory: str | Path,
    source: str | Path | ArrayLike,
    sample_rate: int | None = None,
    *,
    voices: Voices = None,
    from_s: float | None = None,
    to_s: float | None = None,
    options: Options | None = None,
    name: str | None = None,
    formats: Sequence[str] = FORMATS,
    notes: NoteConfig | None = None,
    bend_semitones: int = 2,
    on_progress: OnProgress | None = None,
    draw: Callable[[Path, Recording, Tracks], object] | None = None,
) -> Path:
    """Write the pitch of every voice of a recording into the folder ``directory/<track>``, and return it.

    An earlier result of this function there is replaced as a whole when the new one is complete, or not at all.

    Parameters
    ----------
    directory, source, sample_rate, voices, from_s, to_s, options, name, on_progress
        As in :func:`separate_into`.
    formats
        Which of :data:`FORMATS` to write.
    notes, bend_semitones
        How notes are told apart and named, and the range of pitch bends.
    draw
        Called with a file to write, the recording and the tracks for the format ``svg``.

    Raises
    ------
    OptionError
        If a format is unknown.
    OutputError
        If the folder cannot be written, or holds something else than F0.
    """
    from .stems.folder import MANIFEST, replacing

    check_formats(formats)
    recording = open_voices(source, sample_rate, from_s, to_s)
    target = check_place(Path(directory), name or recording.name)
    watch = Stopwatch(on_progress)
    tracks, separation = _tracked(recording, voices, options or Options(), watch)
    with replacing(target) as folder:
        sung = _write(folder, target.name, recording, tracks, formats, notes, bend_semitones)
        if draw is not None and "svg" in formats:
            draw(folder / f"{target.name}_f0.svg", recording, tracks)
        _write_json(folder / MANIFEST, _manifest(separation, tracks, sung))
        paths = [str(path.resolve()) for path in recording.paths]
        _write_json(folder / "run.json", {"paths": paths} | watch.times())
    return target


def open_voices(
    source: str | Path | ArrayLike, sample_rate: int | None, from_s: float | None, to_s: float | None
) -> Recording:
    """Open one recording of voices.

    Raises
    ------
    OptionError
        If it is a session of several microphones.
    """
    recording = open_input(source, sample_rate, from_s=from_s, to_s=to_s)
    if any(microphone.role != "mono" for microphone in recording.microphones):
        raise OptionError("one recording of voices", f"the session '{recording.name}'", "one of its files")
    return recording


def check_formats(formats: Sequence[str]) -> None:
    """Raise OptionError if a format is unknown, or none is given."""
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        hint = nearest(unknown[0], FORMATS) if unknown else "csv,mid"
        raise OptionError("formats of F0", repr(unknown[0]) if unknown else "none", f"--format {hint}")


def check_place(directory: Path, name: str) -> Path:
    """Return the folder for a track, which must not hold separated parts: they would be lost.

    Raises
    ------
    OutputError
        If it does, or something that Partbook did not write.
    """
    from .stems import check_target
    from .stems.files import track_name
    from .stems.folder import MANIFEST

    target = directory / track_name(name)
    check_target(target)
    manifest = target / MANIFEST
    if manifest.is_file() and SCHEMA not in manifest.read_text(encoding="utf-8", errors="replace"):
        raise OutputError(f"a folder of F0, or none, at '{target}'", "separated parts", "another --out or --name")
    return target


def _tracked(
    recording: Recording, voices: Voices, options: Options, on_progress: OnProgress | None
) -> tuple[Tracks, Separation]:
    """Return the tracks of a separation whose sound is never asked for, and that separation."""
    from .ensemble import Voice, range_hz
    from .pitch.tracking import in_recording

    said = Messages(on_progress)
    separation = separate_recording(recording, voices=voices, options=options, on_progress=said)
    found = tuple(Voice(each.id, each.name, *range_hz(each.name)) for each in separation.sources)
    return in_recording(recording, found, separation.f0, said.lines), separation


def _write(
    folder: Path,
    name: str,
    recording: Recording,
    tracks: Tracks,
    formats: Sequence[str],
    config: NoteConfig | None,
    bend_semitones: int,
) -> list[list[Note]]:
    """Write all files of F0 but the picture; return the notes of every voice."""
    from .pitch.files import COLOURS, write_layer, write_multi_f0
    from .pitch.midi import write_midi
    from .pitch.notes import notes_of
    from .pitch.tracks import write_f0

    if {"csv", "svl"} & set(formats):
        (folder / "f0").mkdir()
    end = recording.start + recording.length
    for n, (voice, track) in enumerate(zip(tracks.voices, tracks.tracks, strict=True)):
        if "csv" in formats:
            write_f0(folder / "f0" / f"{voice.id}.csv", track.fine())
        if "svl" in formats:
            colour = COLOURS[n % len(COLOURS)]
            write_layer(folder / "f0" / f"{voice.id}.svl", track, voice.name, recording.sample_rate, end, colour)
    if "tsv" in formats:
        write_multi_f0(folder / f"{name}_f0.tsv", tracks.values())
    if "mid" in formats:
        named = {voice.name: track for voice, track in zip(tracks.voices, tracks.tracks, strict=True)}
        return write_midi(folder / f"{name}_f0.mid", named, config, bend_semitones)
    return notes_of(tracks.values(), config)


def _manifest(separation: Separation, tracks: Tracks, notes: list[list[Note]]) -> dict[str, object]:
    """Return what ``manifest.json`` holds: everything that the same input and seed give again."""
    from .pitch.notes import A4_HZ, tuning_semitones
    from .stems.files import described_input, versions

    return {
        "schema": SCHEMA,
        "input": described_input(separation.recording),
        "tuning_hz": round(A4_HZ * 2 ** (tuning_semitones([n for each in notes for n in each]) / 12), 2),
        "voices": [
            {
                "id": voice.id,
                "name": voice.name,
                "confidence": round(tracks.confidence(voice.id), 4),
                "median_hz": round(tracks[voice.id].median_hz, 2),
                "notes": len(sung),
            }
            for voice, sung in zip(tracks.voices, notes, strict=True)
        ],
        "messages": list(tracks.messages),
        "config": dict(separation.config),
        "seed": separation.seed,
        "versions": versions(),
    }


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


__all__ = ["FORMATS", "track", "track_into"]
