"""What all verbs share: the application, exit codes, what is said to people and to programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from json import dumps
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from ..progress import OnProgress, ProgressEvent

if TYPE_CHECKING:
    from ..stems import Check

FINE, CHECK_FAILED, MISTAKE, PARTLY_FAILED, CANCELLED = 0, 1, 2, 3, 130

app = App(
    name="partbook",
    help="Each part of an ensemble recording as if it had been recorded alone.",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)
Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
Names = Annotated[str, Parameter(show_default=False)]


@contextmanager
def bars(quiet: bool) -> Iterator[OnProgress | None]:
    """Show what the events of a run say, and on a terminal one progress bar per stage."""
    if quiet:
        yield None
        return
    if not sys.stderr.isatty():
        yield lambda event: complain(event.message) if event.message else None
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
            if event.message:
                progress.console.print(f"partbook: {event.message}", markup=False, highlight=False)
            progress.update(tasks[event.stage], completed=event.done, total=event.total, left=left)

        yield show


def say_checks(checks: Sequence[Check]) -> None:
    """Say one line for every check."""
    for check in checks:
        sys.stdout.write(f"{'ok ' if check.passed else 'BAD'}  {check.name}: {check.found}\n")


def complain(what: object) -> None:
    """Say what went wrong in one line."""
    sys.stderr.write(f"partbook: {' '.join(str(what).split())}\n")


def say_json(value: object) -> None:
    """Say a value as JSON."""
    sys.stdout.write(dumps(value, indent=2, default=str) + "\n")
