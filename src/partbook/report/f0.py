"""A picture of what was sung: every voice's F0 over the spectrogram of the recording, as one SVG file."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

import numpy as np

from ..audio import Recording
from ..pitch.files import COLOURS
from ..pitch.tracking import Tracks
from ..pitch.tracks import Track
from .spectrogram import Axis, log_spectrogram, picture, reference_power
from .words import clock, note

_PIXELS_PER_S, _WIDTHS = 90.0, (640, 4000)
_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 460, 64, 16, 44, 34
_COLUMNS_PER_S, _COLUMNS = 60.0, (300, 2400)
_BLOCK_COLUMNS = 600
_SURE = 0.5
"""Below this confidence a track is drawn faint."""

_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #5d5952; }
.title { font-size: 15px; fill: #1d1c1a; }
.rule { stroke: #5d5952; stroke-opacity: .18; }
.tick { stroke: #5d5952; }
.track { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.halo { fill: none; stroke: #fff; stroke-opacity: .75; stroke-width: 4; stroke-linejoin: round; }
.faint { stroke-opacity: .4; }
image { image-rendering: auto; filter: url(#paper); }
"""


def write_f0_picture(path: Path, recording: Recording, tracks: Tracks) -> None:
    """Write the picture of the tracks of a recording, or of the stretch of it that was heard."""
    Path(path).write_text(f0_picture(recording, tracks), encoding="utf-8")


def f0_picture(recording: Recording, tracks: Tracks) -> str:
    """Return the picture as SVG that needs nothing else.

    Time runs to the right from the start of what was heard, pitch upwards in octaves; lines lie at every C and every
    G. Where the confidence is below one half a track is faint.

    Parameters
    ----------
    recording
        What was heard.
    tracks
        Times count from the start of the whole recording.
    """
    start_s, seconds = recording.start / recording.sample_rate, recording.length / recording.sample_rate
    plot = int(np.clip(_PIXELS_PER_S * seconds, *_WIDTHS))
    width, height = _LEFT + plot + _RIGHT, _TOP + _HEIGHT + _BOTTOM
    axis = _axis(tracks, recording.sample_rate)

    def x(time_s: np.ndarray | float) -> np.ndarray | float:
        return _LEFT + plot * (time_s - start_s) / seconds

    def y(hz: np.ndarray | float) -> np.ndarray | float:
        return _TOP + _HEIGHT * (1 - np.log2(hz / axis.low_hz) / np.log2(axis.high_hz / axis.low_hz))

    box = f'x="{_LEFT}" y="{_TOP}" width="{plot}" height="{_HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<title>{escape(recording.name)}: F0</title><style>{_STYLE}</style>",
        # Loud is dark: the picture stores strength, 0 for nothing.
        '<filter id="paper" color-interpolation-filters="sRGB"><feComponentTransfer>'
        + "".join(f'<feFunc{c} type="gamma" amplitude="-.6" exponent="1.7" offset="1"/>' for c in "RGB")
        + "</feComponentTransfer></filter>",
        f'<clipPath id="inside"><rect {box}/></clipPath>',
        f'<rect width="{width}" height="{height}" fill="#fbfaf6"/><rect {box} fill="#fff"/>',
        f'<image {box} preserveAspectRatio="none" href="data:image/png;base64,{_spectrogram(recording, axis)}"/>',
        *_pitch_rules(axis, y, plot),
        *_time_ticks(start_s, seconds, x, plot),
        '<g clip-path="url(#inside)">',
        *(_drawn(track, COLOURS[n % len(COLOURS)], x, y) for n, track in enumerate(tracks.tracks)),
        "</g>",
        *_legend(recording.name, tracks),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _axis(tracks: Tracks, sample_rate: int) -> Axis:
    """Return an axis from a third below the lowest voice to an octave above the highest, at most 5 kHz."""
    voiced = [track.f0_hz[track.f0_hz > 0] for track in tracks.tracks]
    heard_hz = np.concatenate(voiced) if any(map(len, voiced)) else np.array([110.0, 440.0])
    low_hz = float(np.quantile(heard_hz, 0.002)) / 1.26
    high_hz = min(float(np.quantile(heard_hz, 0.998)) * 2, 5000.0, sample_rate / 2)
    return Axis.covering(low_hz, max(2 * low_hz, high_hz))


def _spectrogram(recording: Recording, axis: Axis) -> str:
    """Return the spectrogram of the sum of all channels as a PNG in base64, read block by block."""
    seconds = recording.length / recording.sample_rate
    columns = min(int(np.clip(_COLUMNS_PER_S * seconds, *_COLUMNS)), recording.length)
    edges = np.arange(columns + 1) * recording.length // columns
    blocks = []
    for first in range(0, columns, _BLOCK_COLUMNS):
        last = min(columns, first + _BLOCK_COLUMNS)
        samples = recording.read(int(edges[first]), int(edges[last])).mean(0)
        blocks.append(log_spectrogram(samples, recording.sample_rate, axis, last - first))
    power = np.concatenate(blocks, 1)
    return picture(power, axis, reference_power(power, axis))


def _drawn(track: Track, colour: str, x, y) -> str:
    """Return the lines of one voice, a path for each stretch of voiced frames of about equal confidence."""
    paths = []
    for first, last, sure in _stretches(track):
        at = slice(first, last)
        points = " ".join(f"{px:.1f},{py:.1f}" for px, py in zip(x(track.times_s[at]), y(track.f0_hz[at]), strict=True))
        if sure:
            paths.append(f'<polyline class="halo" points="{points}"/>')
        kind = "track" if sure else "track faint"
        paths.append(f'<polyline class="{kind}" stroke="{colour}" points="{points}"/>')
    return "<g>" + "".join(paths) + "</g>"


def _stretches(track: Track) -> Iterable[tuple[int, int, bool]]:
    """Yield first and last + 1 of the stretches that are drawn in one line, and whether they are sure."""
    voiced, sure = track.f0_hz > 0, track.confidence >= _SURE
    state = voiced * (1 + sure)
    gap = np.diff(track.times_s) > 2.5 * max(track.step_s, 1e-9)
    cuts = np.flatnonzero((np.diff(state) != 0) | gap) + 1
    for first, last in zip(np.r_[0, cuts], np.r_[cuts, len(state)], strict=True):
        if voiced[first]:
            # A line reaches the next stretch where the voice goes on, so that nothing looks torn.
            goes_on = last < len(state) and voiced[last] and not gap[last - 1]
            yield int(first), int(last + goes_on), bool(sure[first])


def _pitch_rules(axis: Axis, y, plot: int) -> Iterable[str]:
    """Yield lines and names of notes: every C and G."""
    lowest, highest = (69 + 12 * np.log2(hz / 440) for hz in (axis.low_hz, axis.high_hz))
    for midi in range(int(np.ceil(lowest)), int(highest) + 1):
        if midi % 12 in (0, 7):
            hz = 440 * 2 ** ((midi - 69) / 12)
            at = f"{y(hz):.1f}"
            yield f'<path class="rule" d="M{_LEFT} {at}h{plot}"/>'
            yield f'<text x="{_LEFT - 8}" y="{at}" dy=".35em" text-anchor="end">{note(hz)}</text>'


def _time_ticks(start_s: float, seconds: float, x, plot: int) -> Iterable[str]:
    """Yield marks and clock times about every hundred pixels, at round times of the recording."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600)
    step = next((each for each in steps if each * plot / seconds >= 80), steps[-1])
    bottom = _TOP + _HEIGHT
    for k in range(int(np.ceil(start_s / step - 1e-9)), int((start_s + seconds) / step + 1e-9) + 1):
        at = f"{x(k * step):.1f}"
        yield f'<path class="tick" d="M{at} {bottom}v5"/>'
        yield f'<text x="{at}" y="{bottom + 20}" text-anchor="middle">{clock(k * step)}</text>'


def _legend(name: str, tracks: Tracks) -> Iterable[str]:
    """Yield the title, and below it the names of the voices in their colours."""
    yield f'<text class="title" x="{_LEFT}" y="18">{escape(name)}</text>'
    at = float(_LEFT)
    for n, voice in enumerate(tracks.voices):
        colour = COLOURS[n % len(COLOURS)]
        silent = "" if tracks[voice.id].median_hz else " (not heard)"
        text = escape(voice.name + silent)
        yield f'<path class="track" stroke="{colour}" d="M{at:.0f} 33h16"/><text x="{at + 21:.0f}" y="37">{text}</text>'
        at += 36 + 7.2 * len(voice.name + silent)


__all__ = ["f0_picture", "write_f0_picture"]
