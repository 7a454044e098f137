"""What the page plays: every source mixed down, encoded so that all of them fit into one page.

A *line* is one signal that can be switched on and off; a *bank* is the set of lines of one place to listen from. All
lines of all banks have the same number of samples, so a browser can start them together and switch by gains alone.
"""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import soxr

from ..audio.encoding import MP3_RATES_HZ, flac_bytes, mp3_bytes
from .measure import Levels
from .result import Result

_PEAK = 0.89
"""The loudest possible sample of a bank, −1 dBFS."""
_MOST_GAIN = 10.0
_ENCODERS = 2
_SIDES = {"left": 0.0, "l": 0.0, "center": 0.5, "centre": 0.5, "c": 0.5, "right": 1.0, "r": 1.0}


@dataclass(frozen=True)
class Line:
    """One signal to play.

    Attributes
    ----------
    source
        Id of the source it belongs to.
    kind
        ``"part"``: the source alone; ``"raw"``: its microphone as recorded.
    images
        Indices of the images that are summed.
    weights
        From microphones to loudspeakers, shape (1 or 2, M).
    """

    source: str
    kind: str
    images: tuple[int, ...]
    weights: np.ndarray


@dataclass(frozen=True)
class Bank:
    """All lines heard from one place, and the gain they are played with."""

    id: str
    label: str
    lines: tuple[Line, ...]
    gain: float = 1.0


@dataclass(frozen=True)
class Encoding:
    """How lines are stored.

    Attributes
    ----------
    codec
        ``"FLAC"`` or ``"MP3"``.
    rate
        Highest sample rate in Hz.
    bytes_per_second
        About so many for a line (MP3) or for each of its channels (FLAC).
    smallness
        As :func:`~partbook.audio.encoding.mp3_bytes` takes it.
    """

    codec: str
    rate: int
    bytes_per_second: int
    smallness: float = 0.0


# Constant rates at which the encoder's header fits into a frame, so that decoders know the padding and stay in time.
_ENCODINGS = (
    Encoding("FLAC", 48_000, 45_000),
    Encoding("MP3", 48_000, 20_500, 0.5),
    Encoding("MP3", 48_000, 12_400, 0.75),
    Encoding("MP3", 24_000, 8_300, 0.6),
    Encoding("MP3", 16_000, 5_300, 0.8),
)
_SPOT_ENCODINGS = 3
"""Rather than hear everything worse than this, one hears the main microphones only."""
_LONG_EXCERPT, _SHORT_EXCERPT = _ENCODINGS[2], _ENCODINGS[3]
_SHORT_S = 60.0


@dataclass(frozen=True)
class Players:
    """Everything the page needs to play.

    Attributes
    ----------
    banks
        Places to listen from; the first is the usual one.
    signals
        16-bit samples of every line of every bank in order, each of shape (S, 1 or 2).
    data
        The same signals as encoded files, in base64.
    encoding, rate
        How, and at which rate in Hz.
    start, stop
        The stretch of the recording that is played, samples of the recording.
    """

    banks: tuple[Bank, ...]
    signals: tuple[np.ndarray, ...]
    data: tuple[str, ...]
    encoding: Encoding
    rate: int
    start: int
    stop: int


def players(result: Result, levels: Levels, limit_bytes: int) -> Players:
    """Choose banks, encoding and, if nothing else helps, an excerpt, so that the encoded lines fit.

    Parameters
    ----------
    result, levels
        The result and what was measured of it.
    limit_bytes
        Most characters of all encoded lines together.

    Returns
    -------
    Players
        The whole recording in the best encoding that fits, with the spot microphones as a second bank if they fit
        too; else its most eventful excerpt.
    """
    main, spots = _main_bank(result), _spot_bank(result)
    banks = [bank for bank in (main, spots) if bank is not None]
    banks = tuple(replace(bank, gain=_gain(bank, levels)) for bank in banks)
    choices = [(banks, encoding) for encoding in _ENCODINGS[: _SPOT_ENCODINGS if spots else None]]
    choices += [(banks[:1], encoding) for encoding in _ENCODINGS]
    for chosen, encoding in choices:
        if _estimated_bytes(result, chosen, encoding) <= limit_bytes:
            made = _encoded(result, chosen, encoding, (0, result.length))
            if sum(map(len, made.data)) <= limit_bytes:
                return made
    share = 0.98
    while True:
        stretch, encoding = _excerpt(result, banks[:1], levels, share * limit_bytes)
        made = _encoded(result, banks[:1], encoding, stretch)
        if sum(map(len, made.data)) <= limit_bytes:
            return made
        share /= 2


def _main_bank(result: Result) -> Bank:
    """Return the bank of all sources and the residual, at the main microphones of a session."""
    main = [m for m, microphone in enumerate(result.microphones) if microphone.role == "main"]
    weights = np.zeros((1, len(result.microphones)))
    if main:
        label = "Main microphones"
        weights = _panned(result, main)
    elif len(result.microphones) == 2:
        label, weights = "Stereo", np.eye(2)
    else:
        label = "Mono" if len(result.microphones) == 1 else "All microphones, averaged"
        weights[:] = 1 / len(result.microphones)
    lines = [Line(source.id, "part", (n,), weights) for n, source in enumerate(result.sources)]
    return Bank("main", label, tuple(lines))


def _panned(result: Result, main: list[int]) -> np.ndarray:
    """Return the weights that spread main microphones from left to right, by their names or their order."""
    names = [result.microphones[m].name.casefold() for m in main]
    order = np.linspace(0, 1, len(main)) if len(main) > 1 else np.array([0.5])
    places = np.array([_SIDES[name] for name in names]) if all(name in _SIDES for name in names) else order
    weights = np.zeros((1 if len(main) == 1 else 2, len(result.microphones)))
    weights[0, main] = 1 if len(main) == 1 else np.cos(places * np.pi / 2)
    if len(main) > 1:
        weights[1, main] = np.sin(places * np.pi / 2)
    return weights


def _spot_bank(result: Result) -> Bank | None:
    """Return the bank of every player at its own spot microphone, each before and after; None without spots."""
    lines = []
    for n, source in enumerate(result.sources):
        own = [m for m, mic in enumerate(result.microphones) if mic.role == "spot" and mic.source == source.id]
        if own:
            weights = np.zeros((1, len(result.microphones)))
            weights[0, own] = 1 / len(own)
            lines.append(Line(source.id, "part", (n,), weights))
            lines.append(Line(source.id, "raw", tuple(range(len(result.sources))), weights))
    return Bank("spots", "Each at its own spot microphone", tuple(lines)) if lines else None


def _gain(bank: Bank, levels: Levels) -> float:
    """Return the gain at which nothing a bank can play passes full scale, at most 20 dB."""
    bounds = [np.abs(line.weights) @ levels.peak[list(line.images)].T for line in bank.lines if line.kind == "part"]
    whole = [np.abs(line.weights) @ levels.mixture_peak for line in bank.lines]
    most = max(float(np.max(bound)) for bound in (*bounds, *whole))
    return min(_PEAK / most, _MOST_GAIN) if most > 0 else 1.0


def _estimated_bytes(result: Result, banks: tuple[Bank, ...], encoding: Encoding) -> float:
    """Return how many characters the whole recording takes, never much less than it will."""
    lines = [line for bank in banks for line in bank.lines]
    channels = sum(len(line.weights) for line in lines) if encoding.codec == "FLAC" else len(lines)
    # Below 32 kHz the same setting gives half the bit rate.
    share = min(1.0, result.sample_rate / encoding.rate) if encoding.codec == "FLAC" else 1.0
    if encoding.codec == "MP3" and min(result.sample_rate, encoding.rate) <= 24_000 < encoding.rate:
        share = 0.51
    return 4 / 3 * channels * share * encoding.bytes_per_second * result.duration_s


def _excerpt(
    result: Result, banks: tuple[Bank, ...], levels: Levels, limit_bytes: float
) -> tuple[tuple[int, int], Encoding]:
    """Return the stretch, as long as fits, in which most sources sound, and its encoding."""
    encoding = _LONG_EXCERPT
    seconds = result.duration_s * limit_bytes / _estimated_bytes(result, banks, encoding)
    if seconds < _SHORT_S:
        encoding = _SHORT_EXCERPT
        seconds = result.duration_s * limit_bytes / _estimated_bytes(result, banks, encoding)
    columns = levels.columns.shape[1]
    wide = int(np.clip(seconds / result.duration_s * columns, 1, columns))
    sounding = (levels.columns > 0.03 * levels.columns.mean(1, keepdims=True)).sum(0)
    summed = np.concatenate([[0], np.cumsum(sounding)])
    start = int(np.argmax(summed[wide:] - summed[:-wide])) * result.length // columns
    samples = max(1, int(seconds * result.sample_rate))
    return (start, min(result.length, start + samples)), encoding


def _encoded(result: Result, banks: tuple[Bank, ...], encoding: Encoding, stretch: tuple[int, int]) -> Players:
    wanted = min(result.sample_rate, encoding.rate)
    rate = next(rate for rate in MP3_RATES_HZ if rate >= wanted)
    signals = _signals(result, banks, rate, stretch)
    with ThreadPoolExecutor(_ENCODERS) as pool:
        files = pool.map(lambda signal: _file(signal, rate, encoding), signals)
        data = tuple(base64.b64encode(file).decode() for file in files)
    return Players(banks, signals, data, encoding, rate, *stretch)


def _signals(result: Result, banks: tuple[Bank, ...], rate: int, stretch: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Return every line of every bank at a rate, 16-bit, shape (S, 1 or 2) each."""
    lines = [(line, bank.gain) for bank in banks for line in bank.lines]
    streams = [soxr.ResampleStream(result.sample_rate, rate, len(line.weights), dtype="float32") for line, _ in lines]
    pieces: list[list[np.ndarray]] = [[] for _ in lines]
    at = stretch[0]
    for images in result.blocks(*stretch):
        at += images.shape[-1]
        for (line, gain), stream, piece in zip(lines, streams, pieces, strict=True):
            used = np.flatnonzero(line.weights.any(0))
            heard = (gain * line.weights[:, used] @ images[np.ix_(line.images, used)].sum(0)).T.astype(np.float32)
            resampled = stream.resample_chunk(np.ascontiguousarray(heard), last=at == stretch[1])
            piece.append(np.clip(np.round(resampled * 32768), -32768, 32767).astype(np.int16))
    return tuple(
        np.concatenate(piece).reshape(-1, len(line.weights)) for (line, _), piece in zip(lines, pieces, strict=True)
    )


def _file(signal: np.ndarray, rate: int, encoding: Encoding) -> bytes:
    """Return a sound file in memory."""
    return flac_bytes(signal, rate) if encoding.codec == "FLAC" else mp3_bytes(signal, rate, encoding.smallness)
