"""Write the page: measure, choose what is played, draw, put together."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .bleed import write_bleed
from .measure import measure
from .page import page
from .players import Players, players
from .result import Result, read_result
from .spectrogram import Axis, log_spectrogram, picture, reference_power

PAGE_BYTES = 20_000_000
"""Largest size of a page."""

# What remains, half a megabyte for the longest tracks and less than another for the rest, is bounded by itself.
_SOUND_BYTES = 15_000_000
_PICTURE_BYTES = 3_600_000
_LEVELS_PER_SECOND = 40
_LEVELS = (1000, 40_000)
_COLUMNS_PER_SECOND = 60
_COLUMNS = (300, 2400)
_HIGHEST_HZ = 5000.0


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a finished result folder, and ``bleed.csv`` into that of a session.

    Parameters
    ----------
    folder
        Holds the stems, the residual, ``manifest.json`` and ``f0``.

    Returns
    -------
    Path
        The page, at most 20 MB whatever the duration and the number of channels.

    Raises
    ------
    InputError
        If the folder is not a result.
    """
    result = read_result(Path(folder))
    levels, bleed = measure(result, min(int(np.clip(_LEVELS_PER_SECOND * result.duration_s, *_LEVELS)), result.length))
    if any(microphone.role == "spot" for microphone in result.microphones):
        write_bleed(result, bleed)
    played = players(result, levels, _SOUND_BYTES)
    axis = _axis(result)
    html = page(result, levels, bleed, played, axis, _pictures(result, played, axis)).encode()
    path = Path(folder) / "report.html"
    _write_atomically(path, html)
    return path


def _axis(result: Result) -> Axis:
    """Return an axis from below the lowest voice to 5 kHz, or to the highest frequency there is."""
    voiced = [track.f0_hz[track.f0_hz > 0] for track in result.f0.values()]
    lowest = min((float(np.quantile(f0_hz, 0.02)) for f0_hz in voiced if len(f0_hz)), default=70.0)
    low_hz = float(np.clip(lowest / 1.3, 25.0, 180.0))
    return Axis.covering(low_hz, max(2 * low_hz, min(_HIGHEST_HZ, result.sample_rate / 2)))


def _pictures(result: Result, played: Players, axis: Axis) -> dict[str, str]:
    """Return the spectrograms of the recording and, as far as they fit, of every source."""
    bank = played.banks[0]
    mono = [signal.mean(1, dtype=np.float32) for signal in played.signals[: len(bank.lines)]]
    seconds = (played.stop - played.start) / result.sample_rate
    columns = int(np.clip(_COLUMNS_PER_SECOND * seconds, *_COLUMNS))
    powers = (log_spectrogram(signal, played.rate, axis, columns) for signal in (np.sum(mono, 0), *mono))
    pictures: dict[str, str] = {}
    room, reference = _PICTURE_BYTES, 1.0
    for id_, power in zip(("recording", *(line.source for line in bank.lines)), powers, strict=True):
        if id_ == "recording":
            reference = reference_power(power, axis)
        drawn = picture(power, axis, reference)
        room -= len(drawn)
        if room < 0:
            break
        pictures[id_] = drawn
    return pictures


def _write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


__all__ = ["PAGE_BYTES", "write_report"]
