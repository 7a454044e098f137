"""Recordings whose truth nobody knows: whether anything is lost, and how much is given to no voice."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from partbook.separate import separate_into

from .material import OUT, SHARED

FOLDER = SHARED / "voices/choir_mixes"


def choirs() -> list[dict[str, object]]:
    """Return the table of choirs with several singers per section, separated blindly into four voices."""
    OUT.mkdir(parents=True, exist_ok=True)
    columns = ["choir mixes, blind", "seconds", "lost in dBFS", "residual in dB", "in seconds"]
    rows = [[path.stem, *_measured(path)] for path in sorted(FOLDER.glob("*.flac"))]
    return [{"title": "Real choirs, several singers to a part, no truth", "columns": columns, "rows": rows}]


def _measured(path: Path) -> list[str]:
    mixture, rate = soundfile.read(path)
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=OUT) as folder:
        written = separate_into(folder, path, voices="SATB")
        seconds = time.perf_counter() - begun
        parts = {part.stem: soundfile.read(part)[0] for part in written.glob("*.flac")}
    residual = next(samples for name, samples in parts.items() if name.endswith("residual"))
    lost = np.abs(mixture - sum(parts.values())).max()
    lost_db = f"{20 * np.log10(lost):.0f}" if lost else "nothing"
    residual_db = 10 * np.log10(np.square(residual).sum() / np.square(mixture).sum())
    figures = f"{len(mixture) / rate:.0f}", lost_db, f"{residual_db:.1f}", f"{seconds:.0f}"
    return [figure.replace("-", "−") for figure in figures]
