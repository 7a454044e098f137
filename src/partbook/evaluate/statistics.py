"""From the scores of cells to figures with intervals, and the comparison of two systems.

Cells of one excerpt are not independent: a hard chord is hard for all voices and for all systems. So uncertainty comes
from drawing whole *excerpts* with replacement (the percentile bootstrap of Efron & Tibshirani, 1993), and two systems
are compared on exactly the same cells.

A silent estimate of a sounding reference has an SI-SDR of −∞. It counts as :data:`SILENT_DB` in means, so that muting
what is hard never pays, and how often that happened is always told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .protocols import Protocol
from .scoring import Cell

SILENT_DB = -30.0
"""What a silent estimate counts in means, in dB."""

EXACT_DB = 100.0
"""What an exact estimate counts in means, in dB."""

_DRAWS = 1000


@dataclass(frozen=True)
class Figure:
    """One figure of a table.

    Attributes
    ----------
    value, low, high
        The figure and its 95 % interval over excerpts; NaN where nothing was scored, and for a single excerpt.
    median, deviation
        Median and standard deviation of the cells.
    cells, silent_references, silent_estimates
        How many cells count, how many were left out because their reference is silent, and how many of those that
        count have a silent estimate.
    """

    value: float
    low: float
    high: float
    median: float
    deviation: float
    cells: int
    silent_references: int
    silent_estimates: int


@dataclass(frozen=True)
class Comparison:
    """One system against another on the cells that both have.

    Attributes
    ----------
    difference, low, high
        Mean of the differences (positive: the first is better) and its 95 % interval over excerpts.
    better
        Share of excerpts in which the first is better.
    p
        Chance of a difference at least as large if the two were alike, by turning signs of excerpts.
    excerpts
        How many excerpts both have.
    """

    difference: float
    low: float
    high: float
    better: float
    p: float
    excerpts: int


def figure(cells: Sequence[Cell], metric: str, protocol: Protocol, seed: int = 0) -> Figure:
    """Summarise one metric of one system.

    Parameters
    ----------
    cells
        All cells of the system, or those of one source.
    metric
        As in :data:`~partbook.evaluate.protocols.METRICS`.
    protocol
        Says how cells become one figure.
    seed
        Of the bootstrap.
    """
    raw = np.array([cell.scores[metric] for cell in cells if not cell.silent])
    table = _table(cells, metric)
    counted = table[np.isfinite(table)]
    summary = _summary(protocol)
    low, high = _interval(table, summary, seed)
    return Figure(
        _point(table, summary) if len(counted) else math.nan,
        low,
        high,
        float(np.median(counted)) if len(counted) else math.nan,
        float(np.std(counted, ddof=1)) if len(counted) > 1 else math.nan,
        len(counted),
        sum(cell.silent for cell in cells),
        int(np.isneginf(raw).sum()),
    )


def compare(first: Sequence[Cell], second: Sequence[Cell], metric: str, seed: int = 0) -> Comparison:
    """Compare two systems cell by cell."""
    other = {_key(cell): cell for cell in second}
    pairs = [(cell, other[_key(cell)]) for cell in first if _key(cell) in other and not cell.silent]
    both = [_difference(mine, theirs, metric) for mine, theirs in pairs]
    table = _table(both, metric)
    known = np.isfinite(table).any((1, 2))
    if not known.any():
        return Comparison(*(math.nan,) * 5, 0)
    table = table[known]
    excerpt = np.nanmean(table, (1, 2))
    low, high = _interval(table, _mean_of_sources, seed)
    signs = np.random.default_rng(seed).choice([-1, 1], (_DRAWS, len(excerpt)))
    reached = np.abs((signs * excerpt).mean(1)) >= abs(excerpt.mean()) - 1e-12
    return Comparison(
        _point(table, _mean_of_sources),
        low,
        high,
        float((excerpt > 0).mean()),
        float((1 + reached.sum()) / (1 + _DRAWS)),
        len(excerpt),
    )


def exchanged(cells: Sequence[Cell]) -> Mapping[str, int]:
    """Count cells whose estimate fits another source better, as ``"alto → tenor"``."""
    counts: dict[str, int] = {}
    for cell in cells:
        if not cell.silent and cell.belongs_to != cell.source:
            change = f"{cell.source} → {cell.belongs_to}"
            counts[change] = counts.get(change, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def leakage_db(cells: Sequence[Cell]) -> float:
    """Return the median level of estimates relative to the mixture where their references are silent; NaN if never."""
    levels = [cell.leak_db for cell in cells if cell.silent and not math.isnan(cell.leak_db)]
    return float(np.median(levels)) if levels else math.nan


def _key(cell: Cell) -> tuple:
    return cell.piece, cell.source, cell.microphone, cell.start_s


def _difference(mine: Cell, theirs: Cell, metric: str) -> Cell:
    value = _bounded(mine.scores[metric]) - _bounded(theirs.scores[metric])
    sign = -1 if metric == "mel_cepstral" else 1
    return Cell(
        mine.system, mine.piece, mine.source, mine.microphone, mine.excerpt, mine.start_s, mine.duration_s,
        False, math.nan, mine.source, {metric: sign * value},
    )  # fmt: skip


def _bounded(score: float) -> float:
    return {-math.inf: SILENT_DB, math.inf: EXACT_DB}.get(score, score)


def _table(cells: Sequence[Cell], metric: str) -> np.ndarray:
    """Return scores as an array (excerpts, sources, cells of a source in an excerpt), NaN where there is none."""
    rows: dict[tuple[str, int], dict[str, list[float]]] = {}
    for cell in cells:
        sources = rows.setdefault((cell.piece, cell.excerpt), {})
        sources.setdefault(cell.source, []).append(math.nan if cell.silent else _bounded(cell.scores[metric]))
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    depth = max((len(values) for row in rows.values() for values in row.values()), default=0)
    table = np.full((len(rows), len(names), depth), np.nan)
    for e, row in enumerate(rows.values()):
        for name, values in row.items():
            table[e, names.index(name), : len(values)] = values
    return table


Summary = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Takes a table (E, N, D) and how often every excerpt counts (draws, E), gives a figure per draw."""


def _summary(protocol: Protocol) -> Summary:
    if protocol.median:
        return _median_of_sources
    return _mean_of_cells if protocol.pooled else _mean_of_sources


def _mean_of_cells(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total, count = _sums(table, weights)
    return _ratio(total.sum(1), count.sum(1))


def _mean_of_sources(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    means = _ratio(*_sums(table, weights))
    known = np.isfinite(means)
    return _ratio(np.where(known, means, 0).sum(1), known.sum(1))


def _median_of_sources(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    by_source = table.swapaxes(0, 1)
    heard = [source for source in by_source if np.isfinite(source).any()]
    return np.array([np.mean([_median(np.repeat(s, weight, axis=0)) for s in heard]) for weight in weights])


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else math.nan


def _sums(table: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = np.isfinite(table)
    return weights @ np.where(known, table, 0).sum(2), weights @ known.sum(2)


def _ratio(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _point(table: np.ndarray, summary: Summary) -> float:
    return float(summary(table, np.ones((1, len(table)), int))[0])


def _interval(table: np.ndarray, summary: Summary, seed: int, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of a summary when excerpts are drawn with replacement."""
    count = len(table)
    if count < 2 or not np.isfinite(table).any():
        return math.nan, math.nan
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=_DRAWS)
    low, high = np.nanpercentile(summary(table, weights), [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)
