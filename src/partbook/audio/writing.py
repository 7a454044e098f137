"""Writing sound block by block, in the two formats that keep at least 24 bits: FLAC and float WAV."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from ..errors import OutputError

FULL_SCALE_24 = 1 << 23
"""Steps of a 24-bit sample from zero to full scale."""

FLAC_CHANNELS = 8
"""Largest number of channels of a FLAC file."""

_RIFF_LIMIT = 0xFFFFFFFF


class SoundWriter(Protocol):
    """A sound file that grows block by block."""

    def write(self, samples: np.ndarray) -> None:
        """Append samples of shape (M, S)."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


def flac_holds(sample_rate: int, channels: int) -> bool:
    """Return whether a FLAC file can hold this rate and number of channels.

    Frame headers hold rates up to 65535 Hz, and above that multiples of 10 Hz.
    """
    return channels <= FLAC_CHANNELS and (sample_rate <= 65_535 or sample_rate % 10 == 0)


def open_writer(path: Path, sample_rate: int, channels: int, length: int) -> SoundWriter:
    """Start a sound file, FLAC or float WAV by its suffix, of a length known beforehand.

    Parameters
    ----------
    path
        Ends in ``.flac`` or ``.wav``.
    sample_rate
        Hz.
    channels, length
        Number of channels and of samples.
    """
    return (FlacWriter if path.suffix == ".flac" else WavWriter)(path, sample_rate, channels, length)


class FlacWriter:
    """24-bit FLAC of samples from −1 to just below 1; multiples of ``1 / FULL_SCALE_24`` are kept exactly."""

    def __init__(self, path: Path, sample_rate: int, channels: int, length: int) -> None:
        self._path, self._last = path, None
        try:
            self._file = soundfile.SoundFile(path, "w", sample_rate, channels, "PCM_24", format="FLAC")
        except soundfile.LibsndfileError as error:
            raise _unwritable(path) from error

    def write(self, samples: np.ndarray) -> None:
        """Append samples of shape (M, S)."""
        steps = np.rint(samples.T.astype(np.float64) * FULL_SCALE_24).astype(np.int32)
        try:
            self._file.write(steps << 8)
        except (soundfile.LibsndfileError, AssertionError) as error:
            raise _unwritable(self._path) from error
        self._last = (steps[-1:] / FULL_SCALE_24).astype(np.float32)

    def close(self) -> None:
        """Finish the file and read its end back: the encoder does not say when its last bytes found no room."""
        self._file.close()
        if self._last is None:
            return
        try:
            with soundfile.SoundFile(self._path) as file:
                file.seek(-1, soundfile.SEEK_END)
                end = file.read(dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise _unwritable(self._path) from error
        if not np.array_equal(end, self._last):
            raise _unwritable(self._path)


class WavWriter:
    """32-bit float WAV, or RF64 where it passes 4 GB.

    libsndfile writes the time of day into float WAV files; the same samples give the same bytes here.
    """

    def __init__(self, path: Path, sample_rate: int, channels: int, length: int) -> None:
        self._path = path
        try:
            # Unbuffered, so that a full disk is noticed by the write that meets it.
            self._file = path.open("wb", buffering=0)
            self._write(wav_header(sample_rate, channels, length))
        except OSError as error:
            raise _unwritable(path) from error

    def write(self, samples: np.ndarray) -> None:
        """Append samples of shape (M, S)."""
        try:
            self._write(samples.T.astype("<f4").tobytes())
        except OSError as error:
            raise _unwritable(self._path) from error

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while len(view):
            view = view[self._file.write(view) :]


def wav_header(sample_rate: int, channels: int, length: int) -> bytes:
    """Return everything that precedes the samples of a float WAV file.

    A file too long for 32-bit sizes is RF64: its sizes stand in a ``ds64`` chunk (EBU Tech 3306).
    """
    frame = 4 * channels
    size = frame * length
    fmt = struct.pack("<4sIHHIIHHH", b"fmt ", 18, 3, channels, sample_rate, frame * sample_rate, frame, 32, 0)
    fact = struct.pack("<4sII", b"fact", 4, min(length, _RIFF_LIMIT))
    riff = 4 + len(fmt) + len(fact) + 8 + size
    if riff <= _RIFF_LIMIT:
        return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + fmt + fact + struct.pack("<4sI", b"data", size)
    ds64 = struct.pack("<4sIQQQI", b"ds64", 28, riff + 36, size, length, 0)
    start = struct.pack("<4sI4s", b"RF64", _RIFF_LIMIT, b"WAVE")
    return start + ds64 + fmt + fact + struct.pack("<4sI", b"data", _RIFF_LIMIT)


def _unwritable(path: Path) -> OutputError:
    return OutputError("room and permission to write", f"a failed write of '{path.name}'", "another --out")


__all__ = [
    "FLAC_CHANNELS",
    "FULL_SCALE_24",
    "FlacWriter",
    "SoundWriter",
    "WavWriter",
    "flac_holds",
    "open_writer",
    "wav_header",
]
