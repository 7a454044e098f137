"""The verb ``f0``."""

from __future__ import annotations

import sys
from json import loads
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..config import Options, parse_bytes
from ..errors import InputError
from .base import FINE, PARTLY_FAILED, Flag, app, bars, complain, say_json
from .separation import check_batch


@app.command
def f0(
    *inputs: Path,
    voices: str | None = None,
    out: Path = Path("tracked"),
    name: str | None = None,
    from_s: Annotated[float | None, Parameter(name="--from")] = None,
    to_s: Annotated[float | None, Parameter(name="--to")] = None,
    tuning: float | None = None,
    bend_range: int = 2,
    salience: str = "network",
    seed: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    memory: str = "2GB",
    format: str = "csv,tsv,mid,svl,svg",
    quiet: Flag = False,
    json: Flag = False,
) -> int:
    """Follow the pitch of every voice of a recording.

    Every INPUT gives OUT/<track>: tables of F0 by voice and of all voices, a MIDI
    file of notes and pitch bends, layers for Sonic Visualiser, and a picture.

    Parameters
    ----------
    inputs
        Sound files.
    voices
        Who sings, high to low: letters of S M A T R B (SATB), names (Lead,Tenor,Bass), or a number from 2 to 8. Left
        out, it is guessed.
    out
        Folder for the results.
    name
        Name of the track, instead of that of the INPUT.
    from_s
        Start here, in seconds.
    to_s
        End here, in seconds.
    tuning
        A4 in Hz by which notes are named. Left out, it is found.
    bend_range
        Range of the pitch bends of the MIDI file, in semitones.
    salience
        What the pitch is heard through: network, which is trained, or harmonic, which is not.
    seed
        Seed of all random numbers; the same seed gives the same files.
    device
        PyTorch device: cpu, cuda ….
    threads
        Threads to compute with.
    memory
        About how much memory to use.
    format
        Kinds of files to write, of csv, tsv, mid, svl and svg.
    quiet
        Say nothing but mistakes.
    json
        Say what was done as JSON.
    """
    from ..pitch.midi import check_range
    from ..pitch.notes import NoteConfig
    from ..report import write_f0_picture
    from ..track import check_formats, track_into

    check_batch(inputs, voices, name, "f0")
    options = Options(seed, device, threads, parse_bytes(memory), salience)
    notes = NoteConfig(tuning_hz=tuning)
    formats = [each.strip() for each in format.split(",")]
    check_formats(formats)
    check_range(bend_range)
    results: list[dict[str, object]] = []
    for path in inputs:
        try:
            with bars(quiet) as on_progress:
                folder = track_into(
                    out, path, voices=voices, from_s=from_s, to_s=to_s, options=options, name=name, formats=formats,
                    notes=notes, bend_semitones=bend_range, on_progress=on_progress, draw=write_f0_picture,
                )  # fmt: skip
        except InputError as error:
            if len(inputs) == 1:
                raise
            complain(f"{path}: {error}")
            results.append({"input": str(path), "error": str(error)})
            continue
        found = loads((folder / "manifest.json").read_text(encoding="utf-8"))
        told = {key: found[key] for key in ("voices", "tuning_hz", "messages")}
        results.append({"input": str(path), "folder": str(folder)} | told)
        if not quiet and not voices:
            names = ", ".join(voice["id"] for voice in found["voices"])
            sys.stderr.write(f"voices guessed: {names}; --voices says who sings\n")
        if not quiet and not json:
            sys.stdout.write(f"{folder}\n")
    if json:
        say_json({"results": results})
    return PARTLY_FAILED if any("error" in result for result in results) else FINE
