"""Evaluations on a terminal."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from .evaluation import SYSTEM, Evaluation
from .protocols import METRICS
from .tables import PITCH_COLUMNS, Row, headline, number, pitch_figures, remarks, with_interval, with_sign

_LEAST_WIDTH, _FILE_WIDTH = 100, 240


def show(evaluation: Evaluation, table: Sequence[Row]) -> None:
    """Say on standard output what was found: figures, F0, and in words what the figures leave out."""
    terminal = shutil.get_terminal_size().columns
    console = Console(highlight=False)
    if not console.is_terminal or terminal < _LEAST_WIDTH:
        console = Console(highlight=False, width=_FILE_WIDTH if not console.is_terminal else _LEAST_WIDTH)
    console.print(figures_table(evaluation, table))
    if evaluation.pitch:
        console.print(pitch_table(evaluation))
    if evaluation.published_pitch:
        console.print(published_pitch_table(evaluation))
    for line in [*remarks(table), *map(str, evaluation.notes)]:
        console.print(line, markup=False)


def figures_table(evaluation: Evaluation, table: Sequence[Row]) -> Table:
    """Return figures with intervals, the main metric by source, and the lead of the first system."""
    main, first = evaluation.protocol.metrics[0], evaluation.systems[0]
    sources = list(dict.fromkeys(source for row in table for source in row.sources))
    shown = _table(headline(evaluation))
    if evaluation.places:
        shown.add_column("where")
    for title in [*(METRICS[metric] for metric in table[0].figures), *sources]:
        shown.add_column(title, justify="right")
    if len(evaluation.kinds) > 1:
        shown.add_column(f"{first} is better by", justify="right")
    for row in table:
        place = [row.place or "every microphone"] if evaluation.places else []
        figures = [with_interval(fig) if metric == main else number(fig.value) for metric, fig in row.figures.items()]
        by_source = [number(row.sources[s][main].value) if s in row.sources else "–" for s in sources]
        lead = [] if row.against_first is None else [with_sign(row.against_first)]
        style = "bold" if row.system == first else "" if row.kind == SYSTEM else "dim"
        shown.add_row(row.system, *place, *figures, *by_source, *lead, style=style)
    return shown


def pitch_table(evaluation: Evaluation) -> Table:
    """Return F0 scores, means over voices and pieces."""
    shown = _table("F0")
    for column in PITCH_COLUMNS:
        shown.add_column(column, justify="right")
    for system, pieces in evaluation.pitch.items():
        shown.add_row(system, *(number(value, 3) for value in pitch_figures(pieces.values()).values()))
    return shown


def published_pitch_table(evaluation: Evaluation) -> Table:
    """Return F0 scores as the published code has them."""
    shown = _table("F0, as published")
    for column in next(iter(evaluation.published_pitch.values())):
        shown.add_column(column.replace("_", " "), justify="right")
    for system, scores in evaluation.published_pitch.items():
        shown.add_row(system, *(number(value, 3) for value in scores.values()))
    return shown


def _table(title: str) -> Table:
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False)
    shown.add_column("system", no_wrap=True)
    return shown
