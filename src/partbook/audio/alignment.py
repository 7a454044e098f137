"""Microphones of separate recorders on one time line: other rates, offsets and drifting clocks.

Every file of a session has a clock: sample ``p`` of the file was recorded at sample ``s = (p - offset) / ratio`` of the
session, whose time is that of the reference, the first main microphone or else the first spot. The clock of a file is
found in two steps: onsets of the first minutes tell its offset to some milliseconds; then windows spread over the
recording tell, by the generalised cross-correlation with phase transform (Knapp & Carter, IEEE TASSP 24, 1976), how the
offset moves, and a line through them its drift. Sound takes its time from a player to a far microphone: offsets below
30 ms without a drift are left as they are.
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
import scipy.signal
import soundfile

from ..errors import AudioError
from .recording import FileRecording, Microphone, Sound, file_digest

ACOUSTIC_S = 0.03
"""Offsets up to that of 10 m of air are the room's."""
STEADY_PPM = 2.0
"""Drifts up to this are rounding."""

_TAPS, _PHASES = 64, 1024
_KAISER = 12.0
_BLOCK = 1 << 15
_ENVELOPE_HZ = 200
_COARSE_S = 120.0
_WINDOW_S, _WINDOWS = 4.0, 32
_WANDER = 3e-4
_NEAR_S = 0.05
_AGREE_S = 0.0015
_LEAST_AGREEING, _FEWEST = 0.4, 3
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

    The recorders may have been started at different times, or at once: what more windows agree on counts.
    """
    nominal, longest = other.rate / reference.rate, min(reference.length, other.length * reference.rate / other.rate)
    found = [
        _steady(reference, other, Clock(nominal, offset_s * other.rate))
        for offset_s in dict.fromkeys((_coarse_s(reference, other), 0.0))
    ]
    clock, agreeing, windows = max(found, key=lambda each: each[1])
    told = longest >= _FEWEST * _WINDOW_S / 2
    if told and agreeing < max(_FEWEST, _LEAST_AGREEING * windows):
        got = f"'{other.path.name}', which shares no steady time with '{reference.path.name}'"
        raise AudioError("files of one take in a session", got, "the recordings of the same performance")
    return clock, agreeing / max(1, windows)


def _steady(reference: _File, other: _File, clock: Clock) -> tuple[Clock, int, int]:
    """Return a clock that windows agree on, near a given one, how many do and of how many; the given one if few do."""
    fewest, windows = math.inf, 0
    # Once the drift is known nearly, it no longer blurs the windows.
    for near_s, wander in ((_NEAR_S, _WANDER), (_NEAR_S / 10, 0.0)):
        middles, lags = _tracked(reference, other, clock, near_s, wander)
        best = _agreeing(middles / reference.rate, lags / reference.rate)
        fewest, windows = min(fewest, int(best.sum())), len(middles)
        if best.sum() < _FEWEST:
            break
        slope, late = _line(middles[best], lags[best])
        clock = Clock(float(clock.ratio * (1 + slope)), float(clock.offset + clock.ratio * late))
    return clock, int(fewest), windows


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return slope and height of the line through points, level unless many of them say that it is not."""
    slope, height = np.polyfit(x, y, 1)
    left, level = (np.sum(np.square(error)) for error in (y - slope * x - height, y - y.mean()))
    sloping = len(x) >= _DRIFTING and left < _SLOPING * level
    return (slope, height) if sloping else (0.0, y.mean())


def _agreeing(times_s: np.ndarray, lags_s: np.ndarray) -> np.ndarray:
    """Return which lags lie on the line that most of them lie on."""
    best = np.zeros(len(times_s), bool)
    for i in range(len(times_s)):
        for j in range(i):
            slope = (lags_s[i] - lags_s[j]) / (times_s[i] - times_s[j])
            near = np.abs(lags_s - lags_s[i] - slope * (times_s - times_s[i])) < _AGREE_S
            if abs(slope) < _WANDER and near.sum() > best.sum():
                best = near
    return best


def _coarse_s(reference: _File, other: _File) -> float:
    """Return by how much later the same onsets stand in the other file, in seconds."""
    a, b = _onsets(*reference), _onsets(*other)
    correlation = scipy.signal.correlate(b, a, "full", "fft")
    overlap = scipy.signal.correlate(np.ones(len(b)), np.ones(len(a)), "full", "fft")
    likely = correlation / np.sqrt(np.maximum(overlap, 0.25 * min(len(a), len(b))))
    return float(np.argmax(likely) - (len(a) - 1)) / _ENVELOPE_HZ


def _onsets(path: Path, channel: int, rate: int, length: int) -> np.ndarray:
    """Return how much the logarithmic level rises from frame to frame, without its mean."""
    step = rate / _ENVELOPE_HZ
    samples = _stretch(path, [channel], 0, min(length, round(_COARSE_S * rate)))[0].astype(np.float64)
    edges = np.round(np.arange(0, len(samples), step)).astype(int)
    # The difference lifts high frequencies, where onsets are sharp.
    power = np.add.reduceat(np.diff(samples, prepend=0) ** 2, edges) + 1e-12
    level = np.log(power + 1e-4 * power.mean())
    rise = np.maximum(0, level[4:] - level[:-4]) if len(level) > 4 else np.zeros(1)
    return rise - rise.mean()


def _tracked(
    reference: _File, other: _File, clock: Clock, near_s: float, wander: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the middles of windows and by how much later a file with this clock has them, samples of the reference.

    Lags up to ``near_s``, and ``wander`` for every second that has gone by, are looked for.
    """
    rate, window = reference.rate, min(round(_WINDOW_S * reference.rate), reference.length)
    count = max(1, min(_WINDOWS, 2 * reference.length // window))
    middles, lags = [], []
    for first in np.unique(np.linspace(0, reference.length - window, count).astype(int)):
        reach = round((near_s + wander * first / rate) * rate)
        a = _stretch(reference.path, [reference.channel], first, first + window)[0].astype(np.float64)
        b = read_at(other.path, [other.channel], clock, first - reach, first + window + reach)[0].astype(np.float64)
        if a.any() and b.any():
            middles.append(first + window / 2)
            lags.append(lag(a, b, 2 * reach) - reach)
    return np.array(middles), np.array(lags)


def lag(a: np.ndarray, b: np.ndarray, longest: int) -> float:
    """Return the lag from 0 to ``longest`` at which b resembles a most, to a fraction of a sample."""
    size = 1 << (len(a) + len(b)).bit_length()
    cross = np.fft.rfft(b, size) * np.fft.rfft(a, size).conj()
    power = np.abs(cross)
    correlation = np.fft.irfft(np.where(power > 1e-5 * power.max(), cross / np.maximum(power, 1e-30), 0), size)
    found = np.abs(correlation[: longest + 1])
    peak = int(np.argmax(found))
    if 0 < peak < longest:
        left, middle, right = found[peak - 1 : peak + 2]
        return peak + 0.5 * (left - right) / (left - 2 * middle + right)
    return float(peak)


__all__ = ["AlignedRecording", "Clock", "aligned", "lag", "read_at"]
