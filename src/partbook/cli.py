"""The command line: one function per verb.

Results go to standard output, everything for people to standard error. Exit codes: 0 fine, 1 a check failed, 2 the
user's mistake (one line, nothing written), 3 part of a batch failed, 130 cancelled.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from json import dumps, loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, Parameter

from .config import Format, Options, parse_bytes
from .errors import Cancelled, InputError, OptionError
from .progress import OnProgress, ProgressEvent

if TYPE_CHECKING:
    from .stems import Check

FINE, CHECK_FAILED, MISTAKE, PARTLY_FAILED, CANCELLED = 0, 1, 2, 3, 130

app = App(
    name="partbook",
    help="Each part of an ensemble recording as if it had been recorded alone.",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)
_Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
_Names = Annotated[str, Parameter(show_default=False)]


def main(tokens: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    try:
        return app(tokens, exit_on_error=False, print_error=False, result_action="return_value") or FINE
    except (CycloptsError, InputError) as error:
        _complain(error)
        return MISTAKE
    except (KeyboardInterrupt, Cancelled):
        _complain("cancelled")
        return CANCELLED


@app.command
def separate(
    *inputs: Path,
    voices: str | None = None,
    f0: Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative=(), show_default=False)] = (),
    spots: _Names = "",
    main: _Names = "",
    out: Path = Path("separated"),
    name: str | None = None,
    from_s: Annotated[float | None, Parameter(name="--from")] = None,
    to_s: Annotated[float | None, Parameter(name="--to")] = None,
    seed: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    memory: str = "2GB",
    format: Format = "flac",
    quiet: _Flag = False,
    json: _Flag = False,
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
    format
        Sound files to write; FLAC gives way to float WAV where it cannot hold the result.
    quiet
        Say nothing but mistakes.
    json
        Say what was done as JSON.
    """
    from .report import write_report
    from .separate import separate_into

    _check_batch(inputs, voices, f0, name)
    settings = {
        "voices": voices,
        "f0": f0,
        "spots": _names(spots),
        "main": _names(main),
        "from_s": from_s,
        "to_s": to_s,
    }
    options = Options(seed, device, threads, parse_bytes(memory))
    results: list[dict[str, object]] = []
    for path in inputs:
        try:
            with _bars(quiet) as on_progress:
                folder = separate_into(
                    out, path, **settings, options=options, name=name, format=format, on_progress=on_progress,
                    extras=write_report,
                )  # fmt: skip
            results.append({"input": str(path), "folder": str(folder), "sources": _sources(folder)})
        except InputError as error:
            if len(inputs) == 1:
                raise
            _complain(f"{path}: {error}")
            results.append({"input": str(path), "error": str(error)})
            continue
        if not quiet and not (voices or f0 or spots or path.is_dir() or path.suffix == ".toml"):
            names = ", ".join(results[-1]["sources"])
            sys.stderr.write(f"voices guessed: {names}; --voices says who sings\n")
        if not quiet and not json:
            sys.stdout.write(f"{folder}\n")
    if json:
        _say_json({"results": results})
    return PARTLY_FAILED if any("error" in result for result in results) else FINE


@app.command
def verify(
    folder: Path,
    recording: Path | None = None,
    /,
    *,
    quiet: _Flag = False,
    json: _Flag = False,
) -> int:
    """Check that a result is complete and unchanged, and that its parts sum to the recording.

    Parameters
    ----------
    folder
        OUT/<track>.
    recording
        What was separated, if it no longer lies where it did.
    quiet
        Only set the exit code: 1 if a check failed.
    json
        Say what was found as JSON.
    """
    from .stems import verify as checks_of

    checks = checks_of(folder, recording)
    if json:
        _say_json({"folder": str(folder), "checks": [check._asdict() for check in checks]})
    elif not quiet:
        _say_checks(checks)
    return FINE if all(check.passed for check in checks) else CHECK_FAILED


@app.command
def evaluate(
    references: str,
    estimates: str,
    /,
    *,
    against: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=(), show_default=False)] = (),
    protocol: str = "excerpts",
    corpus: str | None = None,
    as_published: _Flag = False,
    alone: _Flag = False,
    out: Path = Path("evaluation"),
    threads: int = 1,
    quiet: _Flag = False,
    json: _Flag = False,
) -> int:
    """Score separated parts against the true ones.

    Gives a table with intervals, beside what doing nothing and ideal masks reach
    on the same material, and in OUT a page to listen to, JSON, and CSV by cell.

    Parameters
    ----------
    references
        A folder with a mixture and the true stems, a folder of such folders, or a corpus.
    estimates
        A folder of stems, a folder of one folder per piece, or the beginning of the files' names; {piece} stands for
        the name of the piece.
    against
        Other estimates to compare with, likewise.
    protocol
        Test protocol: excerpts, umss, museval or session.
    corpus
        Name of a published corpus, for instance cantoria or musdb, whose files have names of their own.
    as_published
        Bring back the bugs of the protocol's published code.
    alone
        Leave out what doing nothing and ideal masks reach.
    out
        Folder for the files.
    threads
        Threads to compute with.
    quiet
        Say nothing but mistakes.
    json
        Say what was found as JSON.
    """
    import torch

    from .evaluate.evaluation import evaluate as evaluated
    from .evaluate.tables import as_json, rows
    from .evaluate.writing import write_evaluation

    if threads < 1:
        raise OptionError("--threads from 1 up", f"{threads}")
    torch.set_num_threads(threads)
    with _bars(quiet) as on_progress:
        evaluation = evaluated(
            references, estimates, against=against, protocol=protocol, corpus=corpus, as_published=as_published,
            baselines=not alone, on_progress=on_progress,
        )  # fmt: skip
    table = rows(evaluation)
    written = write_evaluation(out, evaluation, table)
    if json:
        _say_json(as_json(evaluation, table))
    elif not quiet:
        from .evaluate.terminal import show

        show(evaluation, table)
        sys.stdout.write("".join(f"{path}\n" for path in written))
    for problem in evaluation.problems:
        _complain(problem)
    return PARTLY_FAILED if evaluation.problems else FINE


@app.command
def demo(*, out: Path = Path("demo"), threads: int | None = None, quiet: _Flag = False, json: _Flag = False) -> int:
    """Separate a bundled chorale and a small session, and say how near the parts come to the truth.

    Parameters
    ----------
    out
        Folder for the recordings and their parts.
    threads
        Threads to compute with.
    quiet
        Say nothing but mistakes.
    json
        Say what was done as JSON.
    """
    from .demo import run

    with _bars(quiet) as on_progress:
        shown = run(out, on_progress, Options(threads=threads))
    if json:
        _say_json({"results": [asdict(each) | {"report": each.folder / "report.html"} for each in shown]})
    elif not quiet:
        for each in shown:
            sys.stdout.write(f"{each.title}: {each.recording}\n")
            for part, after_db in each.after_db.items():
                sys.stdout.write(
                    f"  {part:12}{each.before_db[part]:6.1f} dB in the recording, {after_db:.1f} dB alone\n"
                )
            sys.stdout.write(f"  listen: {each.folder / 'report.html'}\n")
    return FINE


@app.command
def doctor(*, json: _Flag = False) -> int:
    """Say what this installation consists of and whether it works.

    Parameters
    ----------
    json
        Say it as JSON.
    """
    from .doctor import examine

    checks = examine()
    if json:
        _say_json({check.name: {"found": check.found, "passed": check.passed} for check in checks})
    else:
        _say_checks(checks)
    return FINE if all(check.passed for check in checks) else CHECK_FAILED


def _check_batch(inputs: Sequence[Path], voices: str | None, f0: Sequence[Path], name: str | None) -> None:
    """Raise OptionError for what is wrong with the flags alone, whatever the inputs hold."""
    from .ensemble import parse_voices

    if not inputs:
        raise OptionError("at least one INPUT", "none", "partbook separate mix.wav --voices SATB")
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


def _names(text: str) -> list[str]:
    """Split names at commas."""
    return [name.strip() for name in text.split(",")] if text.strip() else []


def _sources(folder: Path) -> list[str]:
    """Return the ids of the parts in a result."""
    manifest = loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return [source["id"] for source in manifest["sources"]]


@contextmanager
def _bars(quiet: bool) -> Iterator[OnProgress | None]:
    """Show one progress bar per stage on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:>9}"),
        BarColumn(),
        TextColumn("{task.fields[left]:>12}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks = {}

        def show(event: ProgressEvent) -> None:
            if event.stage not in tasks:
                tasks[event.stage] = progress.add_task(event.stage, total=event.total, left="")
            left = f"{event.eta_s:.0f} s left" if event.eta_s > 0 else ""
            progress.update(tasks[event.stage], completed=event.done, total=event.total, left=left)

        yield show


def _say_checks(checks: Sequence[Check]) -> None:
    """Say one line for every check."""
    for check in checks:
        sys.stdout.write(f"{'ok ' if check.passed else 'BAD'}  {check.name}: {check.found}\n")


def _complain(what: object) -> None:
    """Say what went wrong in one line."""
    sys.stderr.write(f"partbook: {' '.join(str(what).split())}\n")


def _say_json(value: object) -> None:
    sys.stdout.write(dumps(value, indent=2, default=str) + "\n")
