"""What the page tells below the player: tables and words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from urllib.parse import quote

import numpy as np

from ..pitch.tracks import Track
from .figure import bleed_figure
from .measure import Bleed, Levels, decibels
from .result import Result
from .words import note, number

_LONGEST_VALUE = 500


def sections(result: Result, levels: Levels, bleed: Bleed | None) -> str:
    """Return all sections, as HTML."""
    session = any(mic.role in ("spot", "main") for mic in result.microphones)
    parts = [
        _parts_section(result),
        _confidence_section(result),
        _levels_section(result, levels) if session else "",
        _bleed_section(result, bleed) if bleed else "",
        _making_section(result),
        (files(__package__) / "keys.html").read_text("utf-8"),
    ]
    return "\n".join(filter(None, parts))


def _parts_section(result: Result) -> str:
    """Return the table of files, ranges and confidences."""
    rows = ""
    for source, file in zip(result.sources, result.files, strict=True):
        name = file.paths[0].name
        cells = [f'<th scope="row">{escape(source.name)}</th>']
        cells += _pitch_cells(result.f0.get(source.id)) if result.f0 else []
        cells.append(f'<td class="number">{number(source.confidence, digits=2)}</td>')
        cells.append(f'<td><a href="{quote(name)}">{escape(name)}</a></td>')
        rows += f"<tr>{''.join(cells)}</tr>"
    pitch = '<th scope="col">Range</th><th scope="col" class="number">Sounds</th>' if result.f0 else ""
    head = f'<th scope="col">Part</th>{pitch}<th scope="col" class="number">Confidence</th><th scope="col">File</th>'
    return (
        '<section><h2>Parts</h2><div class="scroll" tabindex="0" role="region" aria-label="Parts"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _pitch_cells(track: Track | None) -> list[str]:
    """Return the range from the lowest to the highest note, rare ones left out, and how much of the time it sounds."""
    voiced = track.f0_hz[track.f0_hz > 0] if track is not None else np.zeros(0)
    if not len(voiced):
        return ["<td>–</td>", '<td class="number">–</td>']
    low_hz, high_hz = np.quantile(voiced, [0.03, 0.97])
    share = 100 * len(voiced) / len(track.f0_hz)
    return [f"<td>{note(low_hz)} – {note(high_hz)}</td>", f'<td class="number">{share:.0f} %</td>']


def _levels_section(result: Result, levels: Levels) -> str:
    """Return the table of every source at every microphone."""
    rms_db = decibels(np.vstack([levels.rms, levels.mixture_rms]) ** 2)
    names = [source.name for source in result.sources] + ["Recording"]
    top = max(float(rms_db.max()), -150.0)
    own = [[mic.source == source.id for mic in result.microphones] for source in result.sources]
    own.append([False] * len(result.microphones))
    cells = [[(number(value), 1 + (value - top) / 50) for value in row] for row in rms_db]
    table = _matrix(names, [mic.name for mic in result.microphones], cells, own)
    return (
        '<section class="wide"><h2>Levels at the microphones</h2><p>RMS level of every source at every microphone, '
        f"dB of full scale. Outlined: a player at its own spot.</p>{table}</section>"
    )


def _bleed_section(result: Result, bleed: Bleed) -> str:
    names = {source.id: source.name for source in result.sources}
    players = [names[id_] for id_ in bleed.ids]
    cells = []
    for before, after in zip(bleed.before_db, bleed.after_db, strict=True):
        cells.append([_change(a, b) for a, b in zip(before, after, strict=True)])
    own = [[i == j for j in range(len(players))] for i in range(len(players))]
    table = _matrix(players, [f"at {name}" for name in players], cells, own)
    figure = bleed_figure(bleed, players)
    return (
        '<section class="wide"><h2>Bleed, before and after</h2>'
        "<p>Each row looks only at moments and frequencies where that player's own spot is at least 10 dB above every "
        "other spot, and tells how loud they are at each spot relative to the player's own: in the recording → in the "
        "separated part. Outside the diagonal lower is better. On the diagonal 0 means that the player kept "
        "its full level. All this is measured on the recording, without knowing the true parts: what remains at the "
        f"other spots may be bleed, or what that player itself played just there.</p>{figure}{table}</section>"
    )


def _change(before_db: float, after_db: float) -> tuple[str, float]:
    """Return the text and the shade of a change of level; a player who dominates nothing has none."""
    if before_db != before_db:
        return "–", 0.0
    return f"<small>{number(before_db)} →</small> {number(after_db)}", 1 + after_db / 50


def _matrix(
    rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[tuple[str, float]]], own: list[list[bool]]
) -> str:
    """Return a table with shaded cells of (text, strength from 0 to 1)."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = ""
    for name, line, marks in zip(rows, cells, own, strict=True):
        shaded = "".join(
            f'<td{" class=own" if mark else ""} style="--strength:{min(max(strength, 0), 1):.2f}">{text}</td>'
            for (text, strength), mark in zip(line, marks, strict=True)
        )
        body += f'<tr><th scope="row">{escape(name)}</th>{shaded}</tr>'
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table class="matrix">'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _confidence_section(result: Result) -> str:
    paler = "In the picture above, paler F0 lines are less certain." if result.f0 else ""
    text = (files(__package__) / "confidence.html").read_text("utf-8")
    return text.replace("{{paler}}", paler)


def _making_section(result: Result) -> str:
    """Return input, seed, versions and configuration."""
    manifest = result.manifest
    facts = {
        "Input": manifest["input"]["name"],
        "SHA-256": manifest["input"]["sha256"],
        "Seed": manifest["seed"],
        **dict(manifest["versions"]),
    }
    rows = _table_rows((key, str(value)) for key, value in facts.items())
    config = _table_rows(_flat(manifest["config"]))
    return (
        "<section><h2>How it was made</h2>"
        f'<div class="scroll"><table><tbody>{rows}</tbody></table></div>'
        f'<details><summary>Configuration</summary><div class="scroll"><table><tbody>{config}</tbody></table></div>'
        "</details></section>"
    )


def _table_rows(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(
        f'<tr><th scope="row">{escape(key)}</th><td><code>{escape(value)}</code></td></tr>' for key, value in pairs
    )


def _flat(value: object, prefix: str = "") -> list[tuple[str, str]]:
    """Return nested mappings as pairs of dotted names and values."""
    if isinstance(value, Mapping):
        pairs = [_flat(inner, f"{prefix}.{key}" if prefix else str(key)) for key, inner in value.items()]
        return [pair for group in pairs for pair in group]
    text = json.dumps(value, ensure_ascii=False)
    return [(prefix, text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]} …")]
