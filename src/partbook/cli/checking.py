"""The verbs that look at a result or at the installation: ``verify``, ``demo`` and ``doctor``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

from ..config import Options
from .base import CHECK_FAILED, FINE, Flag, app, bars, say_checks, say_json


@app.command
def verify(
    folder: Path,
    recording: Path | None = None,
    /,
    *,
    quiet: Flag = False,
    json: Flag = False,
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
    from ..stems import verify as checks_of

    checks = checks_of(folder, recording)
    if json:
        say_json({"folder": str(folder), "checks": [check._asdict() for check in checks]})
    elif not quiet:
        say_checks(checks)
    return FINE if all(check.passed for check in checks) else CHECK_FAILED


@app.command
def demo(*, out: Path = Path("demo"), threads: int | None = None, quiet: Flag = False, json: Flag = False) -> int:
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
    from ..demo import run

    with bars(quiet) as on_progress:
        shown = run(out, on_progress, Options(threads=threads))
    if json:
        say_json({"results": [asdict(each) | {"report": each.folder / "report.html"} for each in shown]})
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
def doctor(*, json: Flag = False) -> int:
    """Say what this installation consists of and whether it works.

    Parameters
    ----------
    json
        Say it as JSON.
    """
    from ..doctor import examine

    checks = examine()
    if json:
        say_json({check.name: {"found": check.found, "passed": check.passed} for check in checks})
    else:
        say_checks(checks)
    return FINE if all(check.passed for check in checks) else CHECK_FAILED
