"""Box plots and curves as SVG, drawn by hand so that a page needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

_WIDTH, _LABEL, _ROW = 900, 210, 18
_PLOT = _WIDTH - _LABEL - 20


def box_plots(
    title: str, unit: str, samples: Mapping[str, np.ndarray], classes: Mapping[str, str], span: tuple[float, float]
) -> str:
    """Return one horizontal box per system.

    Boxes reach from the lower to the upper quartile, whiskers to the last value within 1.5 times that distance; the
    line is the median, the diamond the mean, dots are the values beyond.

    Parameters
    ----------
    title, unit
        What is shown.
    samples
        Values by system; only finite ones are drawn.
    classes
        Class of the drawing by system, for colours.
    span
        Ends of the axis, as from :func:`span`.
    """
    known = {name: values[np.isfinite(values)] for name, values in samples.items()}
    known = {name: values for name, values in known.items() if len(values)}
    if not known:
        return ""
    low, high = span
    height = _ROW * len(known) + 34
    parts = [_grid(low, high, height - 20, unit)]
    for row, (name, values) in enumerate(known.items()):
        parts.append(_box(name, values, 16 + row * _ROW, classes.get(name, ""), low, high))
    return _figure(title, height, parts)


def curves(
    title: str, unit: str, lines: Mapping[str, np.ndarray], classes: Mapping[str, str], span: tuple[float, float]
) -> str:
    """Return one line per system over the seconds of a piece; gaps where nothing was scored.

    Parameters
    ----------
    title, unit
        What is shown.
    lines
        Values by system, one per second.
    classes
        Class of the drawing by system, for colours.
    span
        Ends of the axis, as from :func:`span`.
    """
    known = {name: values for name, values in lines.items() if np.isfinite(values).any()}
    if not known:
        return ""
    low, high = span
    seconds = max(len(values) for values in known.values())
    height, inner = 150, 120

    def place(second: float, value: float) -> str:
        x = _LABEL + _PLOT * (second + 0.5) / seconds
        y = 6 + inner * (1 - (min(max(value, low), high) - low) / (high - low))
        return f"{x:.1f},{y:.1f}"

    parts = []
    for value in _ticks(low, high, 4):
        y = place(0, value).split(",")[1]
        parts.append(f'<path class="rule" d="M{_LABEL} {y}H{_LABEL + _PLOT}"/>')
        parts.append(f'<text x="{_LABEL - 6}" y="{y}" dy=".35em" text-anchor="end">{value:g} {unit}</text>')
    step = _nice(seconds / 8) or 1
    for second in range(0, seconds, max(1, int(step))):
        x = _LABEL + _PLOT * second / seconds
        parts.append(f'<text x="{x:.1f}" y="{height - 6}" text-anchor="middle">{second} s</text>')
    for name, values in known.items():
        runs = _runs(values)
        path = "".join("M" + "L".join(place(k, values[k]) for k in run) for run in runs)
        dots = "".join(
            f'<circle r="1.8" cx="{x}" cy="{y}"/>'
            for x, y in (place(run[0], values[run[0]]).split(",") for run in runs if len(run) == 1)
        )
        label = f"<title>{escape(name)}</title>"
        parts.append(f'<g class="curve {classes.get(name, "")}">{label}<path d="{path}"/>{dots}</g>')
    return _figure(title, height, parts)


def span(values: np.ndarray) -> tuple[float, float]:
    """Return rounded ends around nearly all finite values: single ones far out do not squeeze the rest."""
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = np.percentile(values, [1, 99])
    step = _nice(max(high - low, 1e-3) / 8)
    return step * math.floor(low / step), step * (math.floor(high / step) + 1)


def _box(name: str, values: np.ndarray, y: float, kind: str, low: float, high: float) -> str:
    q1, median, q3 = np.percentile(values, [25, 50, 75])
    reach = 1.5 * (q3 - q1)
    inside = values[(values >= q1 - reach) & (values <= q3 + reach)]
    beyond = values[(values < q1 - reach) | (values > q3 + reach)]

    def x(value: float) -> float:
        return _LABEL + _PLOT * (min(max(value, low), high) - low) / (high - low)

    middle = y + _ROW / 2
    note = (
        f"{name}: median {median:.2f}, mean {values.mean():.2f}, quartiles {q1:.2f} and {q3:.2f}, {len(values)} cells"
    )
    mean = x(float(values.mean()))
    shapes = [
        f'<text x="{_LABEL - 6}" y="{middle}" dy=".35em" text-anchor="end">{escape(name)}</text>',
        f'<path class="whisker" d="M{x(inside.min()):.1f} {middle}H{x(inside.max()):.1f}"/>',
        f'<rect x="{x(q1):.1f}" y="{y + 3}" width="{max(1.0, x(q3) - x(q1)):.1f}" height="{_ROW - 6}" rx="2"/>',
        f'<path class="median" d="M{x(median):.1f} {y + 3}v{_ROW - 6}"/>',
        f'<path class="mean" d="M{mean:.1f} {middle - 4}l4 4-4 4-4-4z"/>',
    ]
    shapes += [f'<circle r="1.5" cx="{x(value):.1f}" cy="{middle}"/>' for value in beyond[:200]]
    return f'<g class="box {kind}"><title>{escape(note)}</title>{"".join(shapes)}</g>'


def _grid(low: float, high: float, height: float, unit: str) -> str:
    marks = []
    for value in _ticks(low, high, 8):
        x = _LABEL + _PLOT * (value - low) / (high - low)
        marks.append(f'<path class="rule" d="M{x:.1f} 14V{height}"/>')
        marks.append(f'<text x="{x:.1f}" y="10" text-anchor="middle">{value:g} {unit}</text>')
    return "".join(marks)


def _figure(title: str, height: float, parts: Sequence[str]) -> str:
    caption = f"<figcaption>{escape(title)}</figcaption>"
    label = escape(title, quote=True)
    drawing = f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    return f"<figure>{caption}{drawing}</figure>"


def _ticks(low: float, high: float, count: int) -> list[float]:
    step = _nice((high - low) / count)
    return [step * k for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _nice(size: float) -> float:
    power = 10 ** math.floor(math.log10(size))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= size)


def _runs(values: np.ndarray) -> list[np.ndarray]:
    """Return the indices of finite values in unbroken runs."""
    known = np.flatnonzero(np.isfinite(values))
    return np.split(known, np.flatnonzero(np.diff(known) > 1) + 1) if len(known) else []
