"""Microphones of separate recorders on one time line: other rates, offsets and drifting clocks.

Every file of a session has a clock: sample ``p`` of the file was recorded at sample ``s = (p - offset) / ratio`` of the
session, whose time is that of the reference, the first main microphone or else the first spot. The clock of a file is
found in two steps, both by the generalised cross-correlation with phase transform (Knapp & Carter, IEEE TASSP 24,
1976): windows of the first minutes that sound, each sought in all of them, tell its offset to some milliseconds; then
windows spread over the recording tell how the offset moves, and a line through them its drift. Sound takes its time
from a player to a far microphone: offsets below 30 ms without a drift are left as they are.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from ..errors import AudioError
from .conditioning import sounding_ends
from .recording import FileRecording, Microphone, Sound, file_digest

ACOUSTIC_S = 0.03
"""Offsets up to that of 10 m of air are the room's."""
STEADY_PPM = 2.0
"""Drifts up to this are rounding."""

_TAPS, _PHASES = 64, 1024
_KAISER = 12.0
_BLOCK = 1 << 15
_COARSE_S, _COARSE_HZ, _COARSE_WINDOWS = 120.0, 8000, 16
_CELL_S, _AROUND = 0.01, 6
"""So far a clock may drift within the first minutes, and players sit from each other; and cells that this may take."""
_STANDS_OUT = 1.7
"""How much more than at any other offset the first minutes of one take resemble each other.

In simulated halls, from 12 s of music and with every player's spot against the far end of the main microphones, it was
1.75 at least; of two takes 1.03 at most, and up to 1.68 where both were made of the same few recorded notes.
"""
_WINDOW_S, _WINDOWS = 4.0, 32
_WANDER = 3e-4
_NEAR_S = 0.05
_AGREE_S, _ONE_WAY_S = 0.0015, 0.0003
"""Windows agree about the time that all players share, and more closely where they hear the same of them."""
_LEAST_AGREEING, _FEWEST = 0.4, 3
_BY_CHANCE = 0.25
"""Of few windows more must agree: some lie on a line by chance."""
_DRIFTING, _SLOPING = 5, 0.1
"""A drift is believed of so many windows, and of so little scatter that it leaves: in a hall peaks lie a millisecond
apart by chance."""


class Clock(NamedTuple):
    """When the samples of a file were recorded: sample s of the session is sample ``offset + ratio s`` of the file."""

    ratio: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class AlignedRecording:
    """A session whose files have clocks of their own; see :class:`~partbook.audio.recording.Recording`.

    Attributes
    ----------
    clocks
        Of the files, by path.
    """

    name: str
    sample_rate: int
    length: int
    microphones: tuple[Microphone, ...]
    paths: tuple[Path, ...]
    clocks: Mapping[Path, Clock]
    start: int = 0
    setup: Mapping[str, object] = field(default_factory=dict)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples ``start`` to ``stop`` of every channel, float32, shape (M, stop - start)."""
        samples = np.empty((len(self.microphones), stop - start), np.float32)
        for path in dict.fromkeys(self.paths):
            rows = [row for row, other in enumerate(self.paths) if other == path]
            channels = [self.microphones[row].channel - 1 for row in rows]
            samples[rows] = read_at(path, channels, self.clocks[path], self.start + start, self.start + stop)
        return samples

    def sha256(self) -> str:
        """Return the digest of the files and their clocks."""
        told = [f"{file_digest(path)} {self.clocks[path]}" for path in dict.fromkeys(self.paths)]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()


def read_at(path: Path, channels: list[int], clock: Clock, start: int, stop: int) -> np.ndarray:
    """Return samples of the session's time line from a file, float32; silence where the file has none.

    Between its samples the file is interpolated by a windowed sinc of 64 taps, band-limited where it is thinned out.
    """
    if clock.ratio == 1 and float(clock.offset).is_integer():
        return _stretch(path, channels, start + int(clock.offset), stop + int(clock.offset))
    out = np.empty((len(channels), stop - start), np.float32)
    taps_PT, half = _taps(min(1.0, 1.0 / clock.ratio)), _TAPS // 2
    for first in range(start, stop, _BLOCK):
        last = min(stop, first + _BLOCK)
        places = clock.offset + clock.ratio * np.arange(first, last, dtype=np.float64)
        whole = np.floor(places).astype(np.int64)
        around = _stretch(path, channels, int(whole[0]) - half + 1, int(whole[-1]) + half + 1)
        phase = (places - whole) * _PHASES
        nearest = phase.astype(np.int64)
        between = (phase - nearest).astype(np.float32)[:, None]
        taps = taps_PT[nearest] * (1 - between) + taps_PT[nearest + 1] * between
        frames = np.lib.stride_tricks.sliding_window_view(around, _TAPS, axis=-1)[:, whole - whole[0]]
        out[:, first - start : last - start] = np.einsum("st,mst->ms", taps, frames)
    return out


@lru_cache(maxsize=8)
def _taps(narrow: float) -> np.ndarray:
    """Return windowed sincs of a bandwidth at :data:`_PHASES` places from one sample to the next, and one more."""
    distance = np.linspace(0, 1, _PHASES + 1)[:, None] - np.arange(-_TAPS // 2 + 1, _TAPS // 2 + 1)
    window = np.i0(_KAISER * np.sqrt(np.maximum(0, 1 - (distance / (_TAPS / 2)) ** 2))) / np.i0(_KAISER)
    return (narrow * np.sinc(narrow * distance) * window).astype(np.float32)


def _stretch(path: Path, channels: list[int], start: int, stop: int) -> np.ndarray:
    """Return samples of channels of a file, zero outside it."""
    out = np.zeros((len(channels), stop - start), np.float32)
    with soundfile.SoundFile(path) as file:
        first, last = max(0, start), min(stop, file.frames)
        if first < last:
            file.seek(first)
            out[:, first - start : last - start] = file.read(last - first, dtype="float32", always_2d=True).T[channels]
    return out


def aligned(recording: FileRecording, sounds: Mapping[Path, Sound]) -> AlignedRecording:
    """Return a session on the time line of its first microphone.

    Parameters
    ----------
    recording
        The session, its files as they are; rate and length are those of the first microphone.
    sounds
        What the files hold.

    Raises
    ------
    AudioError
        If a file does not hold the same take.
    """
    reference = recording.paths[0]
    clocks, told = {reference: Clock()}, []
    channels = {path: recording.microphones[recording.paths.index(path)].channel - 1 for path in sounds}
    for path, sound in sounds.items():
        if path == reference:
            continue
        clock, agreeing = _clock(
            _File(reference, channels[reference], recording.sample_rate, recording.length),
            _File(path, channels[path], sound.sample_rate, sound.length),
        )
        nominal = sound.sample_rate / recording.sample_rate
        offset_ms, drift_ppm = 1000 * clock.offset / sound.sample_rate, 1e6 * (clock.ratio / nominal - 1)
        moved = abs(offset_ms) > 1000 * ACOUSTIC_S or abs(drift_ppm) > STEADY_PPM or nominal != 1
        clocks[path] = clock if moved else Clock()
        told.append(
            {
                "file": path.name,
                "rate": sound.sample_rate,
                "offset_ms": round(offset_ms, 3) if moved else 0.0,
                "drift_ppm": round(drift_ppm, 2) if moved else 0.0,
                "confidence": round(agreeing, 2),
                "ratio": clocks[path].ratio,
                "offset": clocks[path].offset,
            }
        )
    setup = dict(recording.setup) | {"alignment": told}
    fields = (recording.name, recording.sample_rate, recording.length, recording.microphones, recording.paths)
    return AlignedRecording(*fields, clocks, recording.start, setup)


class _File(NamedTuple):
    """One channel of a file to find the clock of."""

    path: Path
    channel: int
    rate: int
    length: int


def _clock(reference: _File, other: _File) -> tuple[Clock, float]:
    """Return the clock of a file against another, and the share of windows that agree.

    Where no offset stands out, the recorders may have been started at once: what more windows agree on counts.
    """
    nominal, longest_s = other.rate / reference.rate, min(reference.length / reference.rate, other.length / other.rate)
    coarse_s, contrast = _coarse(reference, other)
    one_take = contrast > _STANDS_OUT
    starts_s = (coarse_s,) if one_take else (coarse_s, 0.0)
    near_s = _CELL_S + _WANDER * min(_COARSE_S, longest_s) if one_take else _NEAR_S
    found = [_steady(reference, other, Clock(nominal, start_s * other.rate), near_s) for start_s in starts_s]
    clock, agreeing, windows = max(found, key=lambda each: each[1])
    fewest = max(_FEWEST, _LEAST_AGREEING * windows, min(windows, _FEWEST + _BY_CHANCE * windows))
    if not one_take and agreeing < fewest:
        got = f"'{other.path.name}', which shares no steady time with '{reference.path.name}'"
        raise AudioError("files of one take in a session", got, "the recordings of the same performance")
    return clock, agreeing / max(1, windows)


def _steady(reference: _File, other: _File, clock: Clock, near_s: float) -> tuple[Clock, int, int]:
    """Return a clock that windows agree on, near a given one, how many do and of how many; the given one if few do."""
    fewest, windows = math.inf, 0
    # Once the drift is known nearly, it no longer blurs the windows.
    for reach_s, wander in ((near_s, _WANDER), (_NEAR_S / 10, 0.0)):
        middles, lags = _tracked(reference, other, clock, reach_s, wander)
        best, closely = (
            _agreeing(middles / reference.rate, lags / reference.rate, within_s) for within_s in (_AGREE_S, _ONE_WAY_S)
        )
        fewest, windows = min(fewest, int(best.sum())), len(middles)
        if best.sum() < _FEWEST:
            break
        heard = closely if closely.sum() > max(_DRIFTING, windows / 2) else best
        slope, late = _line(middles[heard], lags[heard])
        clock = Clock(float(clock.ratio * (1 + slope)), float(clock.offset + clock.ratio * late))
    return clock, int(fewest), windows


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return slope and height of the line through points, level unless many of them say that it is not."""
    slope, height = np.polyfit(x, y, 1)
    left, level = (np.sum(np.square(error)) for error in (y - slope * x - height, y - y.mean()))
    sloping = len(x) >= _DRIFTING and left < _SLOPING * level
    return (slope, height) if sloping else (0.0, y.mean())


def _agreeing(times_s: np.ndarray, lags_s: np.ndarray, within_s: float) -> np.ndarray:
    """Return which lags lie near the line that most of them lie near."""
    best = np.zeros(len(times_s), bool)
    for i in range(len(times_s)):
        for j in range(i):
            slope = (lags_s[i] - lags_s[j]) / (times_s[i] - times_s[j])
            near = np.abs(lags_s - lags_s[i] - slope * (times_s - times_s[i])) < within_s
            if abs(slope) < _WANDER and near.sum() > best.sum():
                best = near
    return best


def _coarse(reference: _File, other: _File) -> tuple[float, float]:
    """Return by how much later windows of the reference are found in the other file, in seconds.

    And how much more they resemble it there than anywhere else. They are sought in the first minutes of both files, and
    in the first minutes that sound: a recorder may run for long before the music.
    """
    begins = {(0.0, 0.0), (_ends(reference)[0] / reference.rate, _ends(other)[0] / other.rate)}
    return max((_found(reference, other, *from_s) for from_s in sorted(begins)), key=lambda each: each[1])


def _found(reference: _File, other: _File, from_s: float, other_from_s: float) -> tuple[float, float]:
    """Return the same of the minutes that begin at these times of the files."""
    a, b = _minutes(reference, from_s), _minutes(other, other_from_s)
    window, cell = min(len(a), round(_WINDOW_S * _COARSE_HZ)), round(_CELL_S * _COARSE_HZ)
    found = np.zeros((len(a) + len(b)) // cell + 1)
    for first in np.unique(np.linspace(0, len(a) - window, _COARSE_WINDOWS).astype(int)):
        alike = np.abs(_whitened(a[first : first + window], b))
        # Circular: what is found before the other file begins stands at the end.
        alike = np.concatenate([alike[-window:], alike[: len(b)]]) / (np.median(alike) + 1e-12)
        highest = np.zeros_like(found)
        np.maximum.at(highest, (np.arange(len(alike)) + len(a) - window - first) // cell, alike)
        found += highest
    best = int(np.argmax(found))
    elsewhere = np.concatenate([[1e-12], found[: max(0, best - _AROUND)], found[best + _AROUND + 1 :]]).max()
    later_s = float((best + 0.5) * cell - len(a)) / _COARSE_HZ
    return later_s + other_from_s - from_s, float(found[best] / elsewhere)


def _minutes(file: _File, from_s: float) -> np.ndarray:
    """Return minutes of a file, from a time on, at a low rate."""
    first = round(from_s * file.rate)
    samples = _stretch(file.path, [file.channel], first, min(file.length, first + round(_COARSE_S * file.rate)))[0]
    return soxr.resample(samples, file.rate, _COARSE_HZ)


@lru_cache(maxsize=64)
def _ends(file: _File) -> tuple[int, int]:
    """Return the samples between which a file sounds, its ends if it never does."""
    microphone = Microphone(file.path.stem, file.path.name, file.channel + 1, "main")
    return sounding_ends(FileRecording(file.path.stem, file.rate, file.length, (microphone,), (file.path,), ""))


def _tracked(
    reference: _File, other: _File, clock: Clock, near_s: float, wander: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the middles of windows and by how much later a file with this clock has them, samples of the reference.

    Lags up to ``near_s``, and ``wander`` for every second that has gone by, are looked for.
    """
    rate, window = reference.rate, min(round(_WINDOW_S * reference.rate), reference.length)
    begin, end = _ends(reference)
    count = max(1, min(_WINDOWS, 2 * (end - begin) // window))
    middles, lags = [], []
    for first in np.unique(np.linspace(begin, max(begin, end - window), count).astype(int)):
        reach = round((near_s + wander * first / rate) * rate)
        a = _stretch(reference.path, [reference.channel], first, first + window)[0].astype(np.float64)
        b = read_at(other.path, [other.channel], clock, first - reach, first + window + reach)[0].astype(np.float64)
        if a.any() and b.any():
            middles.append(first + window / 2)
            lags.append(lag(a, b, 2 * reach) - reach)
    return np.array(middles), np.array(lags)


def lag(a: np.ndarray, b: np.ndarray, longest: int) -> float:
    """Return the lag from 0 to ``longest`` at which b resembles a most, to a fraction of a sample."""
    found = np.abs(_whitened(a, b)[: longest + 1])
    peak = int(np.argmax(found))
    if 0 < peak < longest:
        left, middle, right = found[peak - 1 : peak + 2]
        return peak + 0.5 * (left - right) / (left - 2 * middle + right)
    return float(peak)


def _whitened(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the circular cross-correlation with phase transform, where b is later by 0, 1, … samples."""
    size = 1 << (len(a) + len(b)).bit_length()
    cross = np.fft.rfft(b, size) * np.fft.rfft(a, size).conj()
    power = np.abs(cross)
    return np.fft.irfft(np.where(power > 1e-5 * power.max(), cross / np.maximum(power, 1e-30), 0), size)


__all__ = ["AlignedRecording", "Clock", "aligned", "lag", "read_at"]
