"""The bleed between players as a picture: two matrices side by side, the recording's and the parts'."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from .measure import Bleed

_CELL, _LEFT, _TOP, _GAP = 34, 92, 84, 56
_RANGE_DB = 50.0
"""From the darkest cell, 0 dB, to an empty one."""


def bleed_figure(bleed: Bleed, names: Sequence[str]) -> str:
    """Return an SVG of the matrices before and after; every cell says its figure to the pointer.

    Parameters
    ----------
    bleed
        Levels in dB.
    names
        Of the players, in the order of the matrices.
    """
    side = _CELL * len(names)
    width, height = _LEFT + 2 * side + _GAP + 8, _TOP + side + 8
    matrices = (("in the recording", bleed.before_db, _LEFT), ("in the parts", bleed.after_db, _LEFT + side + _GAP))
    drawn = "".join(_matrix(title, values, left, names) for title, values, left in matrices)
    rows = "".join(
        f'<text x="{_LEFT - 8}" y="{_TOP + _CELL * (j + 0.5) + 4:g}" text-anchor="end">{escape(name)}</text>'
        for j, name in enumerate(names)
    )
    return (
        f'<figure class="bleed"><svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'style="max-width:100%;font-size:12px;fill:currentColor" role="img" '
        f'aria-label="Bleed between players before and after">{rows}{drawn}</svg></figure>'
    )


def _matrix(title: str, values_db: np.ndarray, left: int, names: Sequence[str]) -> str:
    """Return one matrix with its title and the names of its columns."""
    parts = [f'<text x="{left}" y="14" font-weight="bold">{title}</text>']
    for n, name in enumerate(names):
        x = left + _CELL * (n + 0.5)
        parts.append(f'<text transform="translate({x + 4:g} {_TOP - 6}) rotate(-50)">{escape(name)}</text>')
        for j, row in enumerate(values_db[:, n]):
            strength = 0.0 if np.isnan(row) else float(np.clip(1 + row / _RANGE_DB, 0, 1))
            told = "nothing dominated" if np.isnan(row) else f"{row:.1f} dB"
            parts.append(
                f'<rect x="{left + _CELL * n}" y="{_TOP + _CELL * j}" width="{_CELL - 2}" height="{_CELL - 2}" '
                f'fill-opacity="{strength:.2f}" stroke="currentColor" stroke-opacity="0.25">'
                f"<title>{escape(names[j])} at {escape(name)}, {title}: {told}</title></rect>"
            )
    return "".join(parts)


__all__ = ["bleed_figure"]
