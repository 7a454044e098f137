"""The verb ``separate``."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from json import loads
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..config import At, Format, Options, SessionOptions, SpectraOf, Start, parse_bytes
from ..errors import InputError, OptionError
from .base import FINE, PARTLY_FAILED, Flag, Names, app, bars, complain, say_json


@app.command
def separate(
    *inputs: Path,
    voices: str | None = None,
    f0: Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative=(), show_default=False)] = (),
    spots: Names = "",
    main: Names = "",
    at: At = "all",
    align: Flag = False,
    sources: SpectraOf = "nmf",
    calibration: Path | None = None,
    plays: Path | None = None,
    start: Start = "spot",
    out: Path = Path("separated"),
    name: str | None = None,
    from_s: Annotated[float | None, Parameter(name="--from")] = None,
    to_s: Annotated[float | None, Parameter(name="--to")] = None,
    seed: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    memory: str = "2GB",
    salience: str = "network",
    model: str = "both",
    adapt: float = 0.0,
    format: Format = "flac",
    quiet: Flag = False,
    json: Flag = False,
) -> int:
    """Separate recordings into their parts.

    A file is one recording of voices. A folder, a session.toml or a file with
    --spots is a session of many microphones. Every INPUT gives OUT/<track>: a
    sound file per part, the residual, F0, report.html and manifest.json.

    Parameters
    ----------
    inputs
        Sound files, folders of one file per microphone, or session.toml.
    voices
        Who sings, high to low: letters of S M A T R B (SATB), names (Lead,Tenor,Bass), or a number from 2 to 8. Left
        out, it is guessed.
    f0
        F0 files of the voices, in the order of --voices or named by voice: lines of seconds, Hz[, confidence].
    spots
        Spot microphones of a session, which name the parts: Violin1,Cello, or Violin1=4,Cello=5 in a file of many
        channels.
    main
        Main microphones of a session, likewise.
    at
        At which microphones of a session the players are written: main, spot or all.
    align
        Align recordings of separate recorders, whose rates, starts or clocks differ.
    sources
        Spectra of the players of a session: nmf, learned from the recording; dictionary, those of --calibration; or
        source-filter, the harmonics of the pitch that every player is heard at.
    calibration
        File that partbook calibrate made of the same players at the same microphones in the same room.
    plays
        Who plays when in a session: a CSV file of player,start,end in seconds, or a score with a part per player (MIDI,
        MusicXML).
    start
        Where the fit of a session starts: at the spots, from the seating plan in session.toml, or, for comparison,
        circular, diagonal or random.
    out
        Folder for the results.
    name
        Name of the track, instead of that of the INPUT.
    from_s
        Start here, in seconds.
    to_s
        End here, in seconds.
    seed
        Seed of all random numbers; the same seed gives the same files.
    device
        PyTorch device: cpu, cuda ….
    threads
        Threads to compute with.
    memory
        About how much memory to use.
    salience
        What the pitch of voices is heard through where it is not given: network, which is trained, or harmonic.
    model
        What says the power of voices: network, which is trained, fit, to this very recording, or both, side by side.
    adapt
        Seconds for training the network on this very recording of voices first; a minute does, 0 leaves it as it is.
    format
        Sound files to write; FLAC gives way to float WAV where it cannot hold the result.
    quiet
        Say nothing but mistakes.
    json
        Say what was done as JSON.
    """
    from ..report import write_project, write_report
    from ..separate import separate_into

    def extras(folder: Path) -> None:
        write_report(folder)
        write_project(folder)

    check_batch(inputs, voices, name, "separate", f0)
    settings = {
        "voices": voices,
        "f0": f0,
        "spots": names_of(spots),
        "main": names_of(main),
        "from_s": from_s,
        "to_s": to_s,
    }
    session = SessionOptions(at, align, sources, calibration, plays, start)
    settings |= {"session": session} if session != SessionOptions() else {}
    options = Options(seed, device, threads, parse_bytes(memory), salience, model, adapt)
    results: list[dict[str, object]] = []
    for path in inputs:
        try:
            with bars(quiet) as on_progress:
                folder = separate_into(
                    out, path, **settings, options=options, name=name, format=format, on_progress=on_progress,
                    extras=extras,
                )  # fmt: skip
            results.append({"input": str(path), "folder": str(folder), "sources": _sources(folder)})
        except InputError as error:
            if len(inputs) == 1:
                raise
            complain(f"{path}: {error}")
            results.append({"input": str(path), "error": str(error)})
            continue
        if not quiet and not (voices or f0 or spots or (path.is_dir() and not main) or path.suffix == ".toml"):
            names = ", ".join(results[-1]["sources"])
            sys.stderr.write(f"voices guessed: {names}; --voices says who sings\n")
        if not quiet and not json:
            sys.stdout.write(f"{folder}\n")
    if json:
        say_json({"results": results})
    return PARTLY_FAILED if any("error" in result for result in results) else FINE


def check_batch(
    inputs: Sequence[Path], voices: str | None, name: str | None, verb: str, f0: Sequence[Path] = ()
) -> None:
    """Raise OptionError for what is wrong with the flags alone, whatever the inputs hold."""
    from ..ensemble import parse_voices

    if not inputs:
        raise OptionError("at least one INPUT", "none", f"partbook {verb} mix.wav --voices SATB")
    if voices is not None:
        parse_voices(voices)
    if len(inputs) > 1 and (name is not None or f0):
        raise OptionError("one INPUT with --name or --f0", f"{len(inputs)}")
    twice = [track for track, count in Counter(map(_track, inputs)).items() if count > 1]
    if twice:
        raise OptionError("inputs of different names", f"two named {twice[0]!r}", "one after the other, with --name")


def _track(path: Path) -> str:
    """Return the name of the track that an input gives."""
    if path.is_dir() or path.name == "session.toml":
        return (path if path.is_dir() else path.parent).resolve().name
    return path.stem


def names_of(text: str) -> list[str]:
    """Split names at commas."""
    return [name.strip() for name in text.split(",")] if text.strip() else []


def _sources(folder: Path) -> list[str]:
    """Return the ids of the parts in a result."""
    manifest = loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return [source["id"] for source in manifest["sources"]]
