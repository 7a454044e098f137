"""From measurements to one page of HTML."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from html import escape
from importlib.metadata import version
from importlib.resources import files

import numpy as np

from ..pitch.tracks import Track
from .measure import Bleed, Levels, reference_channels
from .players import Players
from .result import RESIDUAL, Result
from .sections import sections
from .spectrogram import Axis
from .words import clock, counted, number

_COLOURS = 8
_LOUDNESS = 0.3
"""Exponent from power to drawn height: 10 dB less is half as loud and half as high."""
_F0_FRAMES = 150_000


def page(
    result: Result, levels: Levels, bleed: Bleed | None, played: Players, axis: Axis, pictures: Mapping[str, str]
) -> str:
    """Return the whole page.

    Parameters
    ----------
    result, levels, bleed, played
        What is told.
    axis, pictures
        Frequency axis, and spectrograms in base64 by source id; ``"recording"`` is the sum.

    Returns
    -------
    str
        HTML that needs nothing else.
    """
    folder = files(__package__)
    data = (f'<script type="text/plain" id="line-{i}">{text}</script>' for i, text in enumerate(played.data))
    seconds = (played.stop - played.start) / result.sample_rate
    slots = {
        "title": escape(result.name),
        "subtitle": escape(_subtitle(result)),
        "style": (folder / "page.css").read_text("utf-8"),
        "script": "\n".join((folder / name).read_text("utf-8") for name in ("engine.js", "score.js", "main.js")),
        "played": clock(played.stop / result.sample_rate),
        "seconds": f"{seconds:.3f}",
        "banks": _bank_choice(played),
        "legend": _legend(result),
        "rows": "\n".join(_row(result, levels, n) for n in range(len(result.sources))),
        "played_note": escape(_played_note(result, played)),
        "sections": sections(result, levels, bleed),
        "version": escape(version("partbook")),
        "json": _embedded(_payload(result, levels, played, axis, pictures, seconds)),
        "data": "\n".join(data),
    }
    template = (folder / "page.html").read_text("utf-8")
    return re.sub(r"{{(\w+)}}", lambda slot: slots[slot[1]], template)


def _payload(
    result: Result, levels: Levels, played: Players, axis: Axis, pictures: Mapping[str, str], seconds: float
) -> dict[str, object]:
    """Return what the page's script works with."""
    columns = levels.columns.shape[1]
    stretch = slice(played.start * columns // result.length, max(1, -(-played.stop * columns // result.length)))
    loudest = max(float(levels.columns.max()), 1e-12)
    heights = (levels.columns[:, stretch] / loudest) ** _LOUDNESS
    sources = []
    for n, source in enumerate(result.sources):
        one: dict[str, object] = {"id": source.id, "name": source.name, "levels": _base64(heights[n] * 255, np.uint8)}
        one |= {"colour": _colour(source.id, n), "dash": n >= _COLOURS}
        if source.id in result.f0:
            one["f0"] = _f0(result, result.f0[source.id], played)
        sources.append(one)
    banks = [
        {"id": bank.id, "lines": [{"source": line.source, "kind": line.kind} for line in bank.lines]}
        for bank in played.banks
    ]
    return {
        "seconds": seconds,
        "from_s": played.start / result.sample_rate,
        "rate": played.rate,
        "axis": {"low_hz": axis.low_hz, "high_hz": axis.high_hz},
        "sources": sources,
        "banks": banks,
        "pictures": pictures,
    }


def _f0(result: Result, track: Track, played: Players) -> dict[str, object]:
    """Return a track on a regular grid: cents above 10 Hz (0 is unvoiced) and confidence as bytes."""
    from_s, to_s = played.start / result.sample_rate, played.stop / result.sample_rate
    step_s = max(0.005, (to_s - from_s) * len(result.f0) / _F0_FRAMES)
    grid_s = np.arange(from_s, to_s, step_s)
    on_grid = track.at(grid_s) if len(track.times_s) else Track(grid_s, np.zeros_like(grid_s), np.zeros_like(grid_s))
    cents = np.where(on_grid.f0_hz > 0, 1200 * np.log2(np.maximum(on_grid.f0_hz, 10.1) / 10), 0)
    return {
        "step_s": step_s,
        "cents": _base64(cents, "<u2"),
        "confidence": _base64(255 * on_grid.confidence, np.uint8),
    }


def _base64(values: np.ndarray, dtype: str | type) -> str:
    return base64.b64encode(np.round(values).astype(dtype).tobytes()).decode()


def _embedded(payload: object) -> str:
    """Return JSON that cannot end the element it stands in."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _colour(id_: str, n: int) -> str:
    return "--residual" if id_ == RESIDUAL.id else f"--c{n % _COLOURS}"


def _subtitle(result: Result) -> str:
    count = len(result.sources) - 1
    session = any(mic.role in ("spot", "main") for mic in result.microphones)
    mics = len(result.microphones)
    channels = f"{mics} microphones" if session else {1: "mono", 2: "stereo"}.get(mics, f"{mics} channels")
    rate = f"{result.sample_rate / 1000:g} kHz"
    parts = counted(count, "player" if session else "voice")
    return f"{parts} · {clock(result.duration_s)} · {channels} at {rate}"


def _played_note(result: Result, played: Players) -> str:
    """Return what the players play, in words."""
    coding = "FLAC, 16 bit" if played.encoding.codec == "FLAC" else "MP3"
    gain_db = 20 * np.log10(played.banks[0].gain)
    note = f"The players hold {coding}, {played.rate / 1000:g} kHz; the files beside this page keep full quality."
    if abs(gain_db) >= 0.05:
        note += f" They play {abs(gain_db):.1f} dB {'louder' if gain_db > 0 else 'softer'} than the files."
    if played.stop - played.start < result.length:
        whole, part = result.duration_s, (played.start / result.sample_rate, played.stop / result.sample_rate)
        note = (
            f"This recording lasts {clock(whole)}; to keep the page small it plays and draws the stretch from "
            f"{clock(part[0])} to {clock(part[1])}. Levels in the tables are of the whole recording. {note}"
        )
    return note + " The recording is the sum of all parts and the residual."


def _bank_choice(played: Players) -> str:
    if len(played.banks) < 2:
        return ""
    options = "".join(f'<option value="{bank.id}">{escape(bank.label)}</option>' for bank in played.banks)
    return f'<select id="bank" aria-label="Where it is heard">{options}</select>'


def _legend(result: Result) -> str:
    items = [
        f'<li style="--colour:var({_colour(source.id, n)})"><button data-source="{escape(source.id)}" '
        f'aria-pressed="true" aria-label="Show the F0 of {escape(source.name)}">'
        f'<span class="stroke"></span>{escape(source.name)}</button></li>'
        for n, source in enumerate(result.sources)
        if source.id in result.f0
    ]
    return f'<ul class="legend" aria-label="F0 tracks">{"".join(items)}</ul>' if items else ""


def _row(result: Result, levels: Levels, n: int) -> str:
    source, name = result.sources[n], escape(result.sources[n].name)
    channels = reference_channels(result)[n]
    rms_db = 20 * np.log10(max(np.sqrt(np.mean(levels.rms[n, channels] ** 2)), 1e-12))
    peak_db = 20 * np.log10(max(levels.peak[n, channels].max(), 1e-12))
    facts = [("RMS", number(rms_db, "dB")), ("Peak", number(peak_db, "dB"))]
    if source.confidence == source.confidence:
        percent = f"{100 * source.confidence:.0f}%"
        bar = f'<span class="bar" aria-hidden="true"><i style="width:{percent}"></i></span>'
        facts.append(("Confidence", f"{bar}{source.confidence:.2f}"))
    figures = "".join(f"<div><dt>{key}</dt><dd>{value}</dd></div>" for key, value in facts)
    colour = _colour(source.id, n)
    return f"""<div class="row" data-source="{escape(source.id)}" data-colour="{colour}" style="--colour:var({colour})">
<div class="side">
<p class="name"><span class="chip"></span>{name}</p>
<div class="hear" role="group" aria-label="{name}">
<button class="solo" aria-pressed="false" aria-label="Solo {name}" title="Solo (Shift adds)">S</button>
<button class="mute" aria-pressed="false" aria-label="Mute {name}" title="Mute">M</button>
<input type="range" min="-36" max="12" step="1" value="0" aria-label="Volume of {name}" aria-valuetext="0 dB">
</div>
</div>
<div class="time"><canvas role="img" aria-label="Level of {name} over time"></canvas><i class="playhead"></i></div>
<div class="figures"><dl>{figures}</dl></div>
</div>"""
