"""Pictures of what was heard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from partbook.pitch.tracks import Track


def plot_f0(path: Path, truth: Mapping[str, Track], found: Mapping[str, Track]) -> None:
    """Draw the F0 of every voice over its truth, in grey, to a PNG file."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import ScalarFormatter

    last_s = max((track.times_s[-1] for track in (*truth.values(), *found.values())), default=1.0)
    figure = Figure(figsize=(float(np.clip(last_s / 2, 8, 60)), 5), layout="constrained")
    axes = figure.subplots()
    for track in truth.values():
        axes.plot(track.times_s, _voiced(track), color="0.75", linewidth=5)
    for voice, track in found.items():
        axes.plot(track.times_s, _voiced(track), linewidth=1.2, label=voice)
    axes.set(yscale="log", xlabel="time in s", ylabel="F0 in Hz", xlim=(0, last_s), title=path.stem)
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(ScalarFormatter())
    axes.legend(loc="upper right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def _voiced(track: Track) -> np.ndarray:
    return np.where(track.f0_hz > 0, track.f0_hz, np.nan)
