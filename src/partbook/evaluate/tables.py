"""Evaluations as tables: figures of every system, JSON, and CSV with one line per cell."""

from __future__ import annotations

import csv
import io
import math
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version

from .evaluation import CEILING, FLOOR, SYSTEM, Evaluation
from .pitch import EnsemblePitch
from .statistics import Comparison, Figure, compare, exchanged, figure, leakage_db

SCHEMA = "partbook-evaluation-1"

OWN_SPOT, MAIN, EVERYWHERE = "own spot", "main", ""


@dataclass(frozen=True)
class Row:
    """One system at one place.

    Attributes
    ----------
    system, kind
        Name, and ``"system"``, ``"floor"`` or ``"ceiling"``.
    place
        In session tests ``"own spot"``, ``"main"`` or ``""`` for every microphone; else ``""``.
    figures
        By metric, over all sources.
    sources
        By source and metric.
    against_first
        Comparison of the first system with this one by the main metric; None for itself.
    exchanged
        Cells whose estimate fits another source better.
    leakage_db
        Median level of estimates relative to the mixture where references are silent.
    """

    system: str
    kind: str
    place: str
    figures: Mapping[str, Figure]
    sources: Mapping[str, Mapping[str, Figure]]
    against_first: Comparison | None
    exchanged: Mapping[str, int]
    leakage_db: float


def rows(evaluation: Evaluation) -> list[Row]:
    """Return the table of an evaluation: floors, then systems as given, then ceilings."""
    protocol, first = evaluation.protocol, evaluation.systems[0]
    places = (OWN_SPOT, MAIN, EVERYWHERE) if evaluation.places else (EVERYWHERE,)
    kinds = [FLOOR, SYSTEM, CEILING]
    table = []
    for place in places:
        measured = _measured(evaluation)
        for system, kind in sorted(evaluation.kinds.items(), key=lambda item: kinds.index(item[1])):
            cells = evaluation.cells(system, place)
            if not cells:
                continue
            by_source = {
                name: [c for c in cells if c.source == name] for name in dict.fromkeys(c.source for c in cells)
            }
            other = None if system == first else compare(evaluation.cells(first, place), cells, protocol.metrics[0])
            table.append(
                Row(
                    system,
                    kind,
                    place,
                    {metric: figure(cells, metric, protocol) for metric in measured},
                    {
                        name: {metric: figure(own, metric, protocol) for metric in measured}
                        for name, own in by_source.items()
                    },
                    other,
                    exchanged(cells),
                    leakage_db(cells),
                )
            )
    return table


PITCH_COLUMNS = (
    "multi-F0 F", "assigned F", "raw pitch", "overall", "missed", "swapped", "octave", "wrong", "false alarms",
    "cents", "calibration error",
)  # fmt: skip


def pitch_figures(pieces: Iterable[EnsemblePitch]) -> dict[str, float]:
    """Return the F0 scores of a system by column, each the mean over the voices of all pieces."""
    pieces = list(pieces)
    voices = [voice for piece in pieces for voice in piece.voices.values()]

    def mean(values: Iterable[float]) -> float:
        known = [value for value in values if not math.isnan(value)]
        return sum(known) / len(known) if known else math.nan

    values = (
        mean(piece.f_measure for piece in pieces),
        mean(piece.assignment_f_measure for piece in pieces),
        mean(voice.raw_pitch for voice in voices),
        mean(voice.overall for voice in voices),
        mean(voice.missed for voice in voices),
        mean(voice.swapped for voice in voices),
        mean(voice.octave for voice in voices),
        mean(voice.wrong for voice in voices),
        mean(voice.voicing_false_alarm for voice in voices),
        mean(voice.cents.median for voice in voices),
        mean(piece.calibration.expected_error for piece in pieces),
    )
    return dict(zip(PITCH_COLUMNS, values, strict=True))


def remarks(table: Iterable[Row]) -> Iterator[str]:
    """Yield in words what the figures leave out: silence and exchanged voices."""
    for row in table:
        main = next(iter(row.figures.values()))
        where = f"{row.system}{f' ({row.place})' if row.place else ''}"
        if row.kind == SYSTEM and main.silent_references:
            told = math.isfinite(row.leakage_db)
            leak = f", estimates there at {row.leakage_db:.0f} dB of the mixture" if told else ""
            yield f"{where}: {main.silent_references} cells with a silent reference left out{leak}"
        if row.kind == SYSTEM and main.silent_estimates:
            yield f"{where}: {main.silent_estimates} estimates are silent where their reference sounds"
        if row.kind == SYSTEM and row.exchanged:
            counts = ", ".join(f"{change} {count}" for change, count in row.exchanged.items())
            yield f"{where}: voices exchanged in {sum(row.exchanged.values())} of {main.cells} cells ({counts})"


def headline(evaluation: Evaluation) -> str:
    """Return in one line what was scored and how."""
    pieces = len(evaluation.pieces)
    cells = evaluation.cells(evaluation.systems[0])
    excerpts = len({(cell.piece, cell.excerpt) for cell in cells})
    bugs = ", as published" if evaluation.as_published else ""
    return (
        f"{evaluation.protocol.name}{bugs}: {pieces} piece{'s' * (pieces > 1)}, "
        f"{excerpts} excerpt{'s' * (excerpts > 1)}, {len(cells)} cells"
    )


def as_json(evaluation: Evaluation, table: Iterable[Row]) -> dict[str, object]:
    """Return an evaluation ready for JSON; what is undefined is null, and infinity a word."""
    return plain(
        {
            "schema": SCHEMA,
            "protocol": asdict(evaluation.protocol),
            "as_published": evaluation.as_published,
            "systems": [asdict(row) for row in table],
            "pitch": {
                system: {piece: asdict(scores) for piece, scores in pieces.items()}
                for system, pieces in evaluation.pitch.items()
            },
            "published_pitch": evaluation.published_pitch,
            "places": {piece: asdict(places) for piece, places in evaluation.places.items()},
            "problems": [str(problem) for problem in evaluation.problems],
            "notes": [str(note) for note in evaluation.notes],
            "versions": {name: version(name) for name in ("partbook", "numpy", "torch")}
            | {"python": platform.python_version()},
        }
    )


def as_csv(evaluation: Evaluation) -> str:
    """Return one line per cell."""
    metrics = _measured(evaluation)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ["system", "piece", "source", "microphone", "excerpt", "start_s", "duration_s", "silent", "leak_db",
         "belongs_to", *metrics]
    )  # fmt: skip
    for scores in evaluation.pieces.values():
        for cell in scores.cells:
            places = evaluation.places.get(cell.piece)
            microphone = places.names[cell.microphone] if places else ""
            values = (f"{cell.scores[metric]:.4f}" for metric in metrics)
            writer.writerow(
                [cell.system, cell.piece, cell.source, microphone, cell.excerpt, f"{cell.start_s:.3f}",
                 f"{cell.duration_s:.3f}", int(cell.silent), f"{cell.leak_db:.2f}", cell.belongs_to, *values]
            )  # fmt: skip
    return file.getvalue()


def _measured(evaluation: Evaluation) -> list[str]:
    """Return the metrics that have a value anywhere, and the main one always."""
    main, *others = evaluation.protocol.metrics
    cells = [cell for scores in evaluation.pieces.values() for cell in scores.cells]
    return [main, *(m for m in others if any(not math.isnan(cell.scores[m]) for cell in cells))]


def number(value: float, digits: int = 2) -> str:
    """Return a figure for people, a dash where there is none."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def with_interval(fig: Figure) -> str:
    """Return a figure with its interval."""
    return number(fig.value) if math.isnan(fig.low) else f"{fig.value:.2f} [{fig.low:.1f}, {fig.high:.1f}]"


def with_sign(comparison: Comparison) -> str:
    """Return a difference with its interval."""
    if math.isnan(comparison.low):
        return number(comparison.difference)
    return f"{comparison.difference:+.2f} [{comparison.low:+.1f}, {comparison.high:+.1f}]"


def plain(value: object) -> object:
    """Return a value ready for JSON: arrays as lists, NaN as null, infinity as a word."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value
