"""One self-contained page about an evaluation: figures, box plots, curves, and the worst moments to listen to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.metadata import version
from importlib.resources import files

import numpy as np

from .charts import box_plots, curves, span
from .evaluation import DO_NOTHING, SYSTEM, Evaluation
from .moments import Moment, moments
from .protocols import METRICS
from .tables import PITCH_COLUMNS, Row, headline, number, pitch_figures, remarks, with_interval, with_sign

_MOST_PIECES = 12


def page(evaluation: Evaluation, table: Sequence[Row]) -> str:
    """Return the whole page as HTML that needs nothing else."""
    folder = files(__package__)
    slots = {
        "title": escape(headline(evaluation)),
        "about": escape(f"Protocol “{evaluation.protocol.name}”: {evaluation.protocol.about}."),
        "style": (folder / "page.css").read_text("utf-8"),
        "script": (folder / "page.js").read_text("utf-8"),
        "sections": "\n".join(_sections(evaluation, table)),
        "version": escape(version("partbook")),
    }
    return re.sub(r"{{(\w+)}}", lambda slot: slots[slot[1]], (folder / "page.html").read_text("utf-8"))


def _sections(evaluation: Evaluation, table: Sequence[Row]) -> Iterator[str]:
    classes = _classes(evaluation)
    main = evaluation.protocol.metrics[0]
    yield "<h2>Figures</h2>"
    yield (
        '<p class="note">Brackets: 95 % interval when excerpts are drawn with replacement. “Better by”: mean '
        f"difference of the main figure to {escape(evaluation.systems[0])} on the same cells. In grey: what doing "
        "nothing reaches, and what masks made from the references themselves reach.</p>"
    )
    yield _figures(evaluation, table)
    yield from _told(evaluation, table)
    yield f"<h2>{METRICS[main]} by source</h2>"
    yield '<p class="note">Box: quartiles; line: median; diamond: mean; one dot per cell beyond the whiskers.</p>'
    sources = dict.fromkeys(source for row in table for source in row.sources)
    samples = {source: _samples(evaluation, source, main) for source in sources}
    ends = span(np.concatenate([values for by_system in samples.values() for values in by_system.values()]))
    for source, by_system in samples.items():
        yield box_plots(source, "dB", by_system, classes, ends)
    yield "<h2>Second by second</h2>"
    yield _legend({name: kind for name, kind in classes.items() if _is_drawn(evaluation, name)})
    yield from _curves(evaluation, classes)
    yield "<h2>Moments</h2>"
    yield (
        '<p class="note">Press to listen; press another to switch in time; press again to stop. All sounds of one '
        "moment have the same gain.</p>"
    )
    yield from (_moment(evaluation, moment) for moment in moments(evaluation))
    if evaluation.pitch:
        yield "<h2>F0</h2>"
        yield _pitch(evaluation)


def _figures(evaluation: Evaluation, table: Sequence[Row]) -> str:
    main = evaluation.protocol.metrics[0]
    sources = list(dict.fromkeys(source for row in table for source in row.sources))
    places = ["where"] if evaluation.places else []
    metrics = list(table[0].figures)
    head = ["system", *places, *(METRICS[metric] for metric in metrics), *sources, "better by"]
    body = []
    for row in table:
        where = [row.place or "every microphone"] if evaluation.places else []
        figures = [with_interval(f) if m == main else number(f.value) for m, f in row.figures.items()]
        voices = [number(row.sources[s][main].value) if s in row.sources else "–" for s in sources]
        lead = with_sign(row.against_first) if row.against_first else ""
        kind = "first" if row.system == evaluation.systems[0] else row.kind
        body.append(_line([row.system, *where, *figures, *voices, lead], "td", kind))
    return f'<div class="scroll"><table>{_line(head, "th")}{"".join(body)}</table></div>'


def _pitch(evaluation: Evaluation) -> str:
    body = (
        _line([system, *(number(value, 3) for value in pitch_figures(pieces.values()).values())], "td")
        for system, pieces in evaluation.pitch.items()
    )
    return f'<div class="scroll"><table>{_line(["system", *PITCH_COLUMNS], "th")}{"".join(body)}</table></div>'


def _line(cells: Sequence[str], tag: str, kind: str = "") -> str:
    return f'<tr class="{kind}">' + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _told(evaluation: Evaluation, table: Sequence[Row]) -> Iterator[str]:
    for kind, lines in (
        ("warn", map(str, evaluation.problems)),
        ("note", map(str, evaluation.notes)),
        ("note", remarks(table)),
    ):
        items = "".join(f"<li>{escape(line)}</li>" for line in lines)
        if items:
            yield f'<ul class="{kind}">{items}</ul>'


def _samples(evaluation: Evaluation, source: str, metric: str) -> dict[str, np.ndarray]:
    place = "own spot" if evaluation.places else ""
    return {
        name: np.array([cell.scores[metric] for cell in evaluation.cells(name, place) if cell.source == source])
        for name in evaluation.kinds
    }


def _curves(evaluation: Evaluation, classes: Mapping[str, str]) -> Iterator[str]:
    """Yield one drawing per piece and source, of the first pieces."""
    for piece, scores in list(evaluation.pieces.items())[:_MOST_PIECES]:
        sources = evaluation.opened[piece][0].sources
        drawn = {name: curve for name, curve in scores.curves.items() if _is_drawn(evaluation, name)}
        if next(iter(drawn.values())).shape[-1] < 2:
            continue
        ends = span(np.clip(np.stack(list(drawn.values())), -20, 40))
        yield f"<h3>{escape(piece)}</h3>"
        for n, source in enumerate(sources):
            yield curves(source, "dB", {name: curve[n] for name, curve in drawn.items()}, classes, ends)
    if len(evaluation.pieces) > _MOST_PIECES:
        yield f'<p class="note">And {len(evaluation.pieces) - _MOST_PIECES} more pieces.</p>'


def _moment(evaluation: Evaluation, moment: Moment) -> str:
    minutes, seconds = divmod(moment.start_s, 60)
    figures = ", ".join(
        f"{name} {number(score, 1)} dB" for name, score in moment.scores.items() if _is_drawn(evaluation, name)
    )
    where = f"{moment.piece}, {moment.source}, {minutes:.0f}:{seconds:04.1f} ({moment.why})"
    buttons = "".join(
        f'<button aria-pressed="false" data-clip="{clip}">{escape(name)}</button>'
        for name, clip in moment.clips.items()
    )
    return (
        f'<div class="moment" role="group" aria-label="{escape(where, quote=True)}">'
        f'<p><strong>{escape(where)}</strong><br>{escape(figures)}</p><div class="lines">{buttons}</div></div>'
    )


def _is_drawn(evaluation: Evaluation, name: str) -> bool:
    return evaluation.kinds[name] == SYSTEM or name == DO_NOTHING


def _classes(evaluation: Evaluation) -> dict[str, str]:
    systems = evaluation.systems
    return {name: f"s{systems.index(name) % 5}" if name in systems else kind for name, kind in evaluation.kinds.items()}


def _legend(classes: Mapping[str, str]) -> str:
    items = (f'<li class="{kind}"><span>{escape(name)}</span></li>' for name, kind in classes.items())
    return f'<ul class="legend">{"".join(items)}</ul>'
