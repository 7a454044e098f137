"""F0 of several voices in the formats of other programs: mir_eval's multi-F0 files and layers of Sonic Visualiser.

A multi-F0 file holds a line per frame: seconds, then the Hz of every voice that sounds, separated by tabs; it is what
``mir_eval.io.load_ragged_time_series`` reads. A layer of Sonic Visualiser (``.svl``) is XML: a sparse model of two
dimensions whose points are sample frames and values, and a layer of type ``timevalues`` that shows it. Drawn as
discrete curves (plot style 6) it has gaps where points are two or more of the model's resolution apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from .tracks import Track

COLOURS = ("#c2410f", "#1768ac", "#157a55", "#8445a0", "#946200", "#0c7789", "#b9316c", "#59616d")
"""Colours of voices, in their order."""

_DISCRETE_CURVES, _OWN_SCALE = 6, 0


def on_one_grid(tracks: Iterable[Track]) -> list[Track]:
    """Return the tracks on the frames of the finest of them, at most 8 ms apart."""
    tracks = [track.fine() for track in tracks]
    finest = min(tracks, key=lambda track: track.step_s or np.inf)
    return [t if np.array_equal(t.times_s, finest.times_s) else t.at(finest.times_s) for t in tracks]


def write_multi_f0(path: str | Path, tracks: Iterable[Track]) -> None:
    """Write a line per frame: seconds and the F0 of all voices that sound, in the order of the voices."""
    gridded = on_one_grid(tracks)
    f0_TN = np.stack([track.f0_hz for track in gridded], 1)
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        for time_s, f0_hz in zip(gridded[0].times_s, f0_TN, strict=True):
            file.write("\t".join([f"{time_s:.6f}", *(f"{hz:.4f}" for hz in f0_hz if hz > 0)]) + "\n")


def write_layer(path: str | Path, track: Track, name: str, sample_rate: int, length: int, colour: str) -> None:
    """Write a track as a layer that Sonic Visualiser opens over the recording.

    Parameters
    ----------
    path
        A file ending in ``.svl``.
    track
        F0, with times from the start of the recording.
    name
        Of the layer.
    sample_rate, length
        Of the recording, in Hz and samples.
    colour
        ``#rrggbb``.
    """
    track = track.fine()
    voiced = track.f0_hz > 0
    frames, f0_hz = np.rint(track.times_s[voiced] * sample_rate).astype(int), track.f0_hz[voiced]
    low_hz, high_hz = (f0_hz.min(), f0_hz.max()) if len(f0_hz) else (0.0, 0.0)
    resolution = max(1, round(track.step_s * sample_rate))
    points = "".join(
        f'      <point frame="{f}" value="{hz:.4f}" label=""/>\n' for f, hz in zip(frames, f0_hz, strict=True)
    )
    Path(path).write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE sonic-visualiser>\n<sv>\n  <data>\n'
        f'    <model id="1" name={quoteattr(name)} sampleRate="{sample_rate}" start="0" end="{length}" type="sparse"'
        f' dimensions="2" resolution="{resolution}" notifyOnAdd="true" dataset="0"'
        f' minimum="{low_hz:.4f}" maximum="{high_hz:.4f}" units="Hz"/>\n'
        f'    <dataset id="0" dimensions="2">\n{points}    </dataset>\n  </data>\n  <display>\n'
        f'    <layer id="2" type="timevalues" name={quoteattr(name)} model="1" plotStyle="{_DISCRETE_CURVES}"'
        f' verticalScale="{_OWN_SCALE}" colourName={quoteattr(name)} colour="{colour}" darkBackground="false"/>\n'
        "  </display>\n</sv>\n",
        encoding="utf-8",
        newline="\n",
    )


__all__ = ["COLOURS", "on_one_grid", "write_layer", "write_multi_f0"]
