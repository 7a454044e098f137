"""A recording that is read piece by piece, from a file or from an array."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import soundfile

from ..errors import AudioError, OptionError, nearest
from .headers import missing_bytes

RATES_HZ = (1_000, 192_000)
"""Lowest and highest sample rate."""

MAX_CHANNELS = 32
"""Largest number of channels of a recording."""

LIBSNDFILE_VERSION = soundfile.__libsndfile_version__

_SCAN_SAMPLES = 1 << 20


@dataclass(frozen=True)
class Microphone:
    """One channel of a recording.

    Attributes
    ----------
    name
        Spelled as given.
    file
        File name (no folder) it was read from, empty for an array.
    channel
        1-based channel in that file.
    role
        ``"spot"``, ``"main"``, ``"ambient"``, or ``"mono"`` for a channel of one recording of voices.
    source
        Id of the source whose spot it is, or None.
    """

    name: str
    file: str
    channel: int
    role: str
    source: str | None = None


class Recording(Protocol):
    """A multi-channel recording that is read piece by piece.

    Attributes
    ----------
    name
        Name of the track: the stem of the file or the name of the folder.
    sample_rate
        Hz.
    length
        Samples.
    microphones
        One per channel, in order.
    start
        Sample of the original at which this recording begins; above 0 for an excerpt.
    paths
        The file of every channel; empty for an array.
    setup
        What ``session.toml`` says of sources and room, ready for JSON; mostly empty.
    """

    name: str
    sample_rate: int
    length: int
    microphones: tuple[Microphone, ...]
    start: int
    paths: tuple[Path, ...]
    setup: Mapping[str, object]

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples ``start`` to ``stop`` of every channel, float32, shape (M, stop - start)."""
        ...

    def sha256(self) -> str:
        """Return the hexadecimal digest of the original."""
        ...


@dataclass(frozen=True)
class FileRecording:
    """A recording in one or several files; see :class:`Recording`.

    Attributes
    ----------
    subtype
        Sample format of the first file in the words of libsndfile, for instance ``"PCM_24"``.
    """

    name: str
    sample_rate: int
    length: int
    microphones: tuple[Microphone, ...]
    paths: tuple[Path, ...]
    subtype: str
    start: int = 0
    setup: Mapping[str, object] = field(default_factory=dict)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples ``start`` to ``stop`` of every channel, float32, shape (M, stop - start)."""
        samples = np.empty((len(self.microphones), stop - start), np.float32)
        for path in dict.fromkeys(self.paths):
            with soundfile.SoundFile(path) as file:
                file.seek(self.start + start)
                frames = file.read(stop - start, dtype="float32", always_2d=True)
            if len(frames) != stop - start:
                raise AudioError(f"{stop - start} samples from {start} in '{path.name}'", f"{len(frames)}")
            rows = [row for row, other in enumerate(self.paths) if other == path]
            samples[rows] = frames.T[[self.microphones[row].channel - 1 for row in rows]]
        return samples

    def sha256(self) -> str:
        """Return the digest of the file; of several files, the digest of their digests in the order of channels."""
        digests = [file_digest(path) for path in dict.fromkeys(self.paths)]
        return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


@dataclass(frozen=True)
class ArrayRecording:
    """A recording in memory; see :class:`Recording`.

    Attributes
    ----------
    samples
        float32, shape (M, S of the original).
    """

    name: str
    sample_rate: int
    length: int
    microphones: tuple[Microphone, ...]
    samples: np.ndarray
    start: int = 0
    paths: tuple[Path, ...] = ()
    setup: Mapping[str, object] = field(default_factory=dict)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples ``start`` to ``stop`` of every channel, float32, shape (M, stop - start)."""
        return self.samples[:, self.start + start : self.start + stop].copy()

    def sha256(self) -> str:
        """Return the digest of the float32 samples, channel after channel."""
        return hashlib.sha256(np.ascontiguousarray(self.samples)).hexdigest()


class Sound(NamedTuple):
    """What a sound file holds: Hz, samples, channels and libsndfile's name of the sample format."""

    sample_rate: int
    length: int
    channels: int
    subtype: str


def open_recording(path: str | Path) -> FileRecording:
    """Open one recording of voices: all channels of one file.

    The file is checked from end to end, so that nothing can go wrong in the middle of a separation.

    Parameters
    ----------
    path
        A sound file that libsndfile reads (WAV, RF64, W64, AIFF, CAF, FLAC, Ogg, MP3, …).

    Returns
    -------
    FileRecording
        Its microphones are named by the stem of the file, in a file of several channels ``stem.1``, ``stem.2`` ….

    Raises
    ------
    AudioError
        If it is missing, a folder, empty, not sound, cut short, holds NaN or infinity, or has a rate or a number of
        channels that cannot be used.
    """
    path = Path(path)
    sound = inspect(path)
    names = [path.stem] if sound.channels == 1 else [f"{path.stem}.{c + 1}" for c in range(sound.channels)]
    microphones = tuple(Microphone(name, path.name, c + 1, "mono") for c, name in enumerate(names))
    return FileRecording(
        path.stem, sound.sample_rate, sound.length, microphones, (path,) * sound.channels, sound.subtype
    )


def recording_from_array(array: np.ndarray, sample_rate: int, name: str = "recording") -> ArrayRecording:
    """Take a recording of voices from an array.

    Parameters
    ----------
    array
        Shape (S,) or (M, S). Floating point is taken as it is (full scale 1), integers are divided by their full scale.
    sample_rate
        Hz.
    name
        Name of the track.

    Raises
    ------
    AudioError
        If the array is empty, holds NaN or infinity, or has an unusable shape or rate.

    Examples
    --------
    >>> recording = recording_from_array(np.zeros((2, 8)), 8000, "duet")
    >>> [microphone.name for microphone in recording.microphones], recording.length
    (['duet.1', 'duet.2'], 8)
    """
    samples = np.asarray(array)
    shape = samples.shape
    if samples.ndim not in (1, 2):
        raise AudioError("an array of shape (samples,) or (channels, samples)", f"{shape}")
    samples = samples if samples.ndim == 2 else samples[None]
    if len(samples) > MAX_CHANNELS >= samples.shape[1] > 0:
        raise AudioError("an array of shape (channels, samples)", f"{shape}", "its transpose, array.T")
    if samples.dtype.kind in "iu":
        info = np.iinfo(samples.dtype)
        middle = (int(info.max) + int(info.min) + 1) // 2
        samples = (samples.astype(np.float64) - middle) / (int(info.max) + 1 - middle)
    elif samples.dtype.kind != "f":
        raise AudioError("an array of numbers", f"{samples.dtype}")
    with np.errstate(over="ignore"):
        samples = samples.astype(np.float32)
    channels, length = samples.shape
    _check_shape(f"the array {name!r}", int(sample_rate), length, channels)
    _check_finite(f"the array {name!r}", samples.T, 0)
    names = [name] if channels == 1 else [f"{name}.{c + 1}" for c in range(channels)]
    microphones = tuple(Microphone(each, "", c + 1, "mono") for c, each in enumerate(names))
    return ArrayRecording(name, int(sample_rate), length, microphones, samples)


R = TypeVar("R", FileRecording, ArrayRecording)


def excerpt(recording: R, from_s: float | None = None, to_s: float | None = None) -> R:
    """Return the stretch of a recording between two times in seconds; None is its start or its end.

    Raises
    ------
    OptionError
        If the stretch is empty or lies outside the recording.
    """
    duration_s = recording.length / recording.sample_rate
    if from_s is not None and not 0 <= from_s < duration_s:
        raise OptionError(f"--from between 0 and {duration_s:.3f} s", f"{from_s:g}")
    if to_s is not None and not (from_s or 0) < to_s <= duration_s:
        raise OptionError(f"--to between --from and {duration_s:.3f} s", f"{to_s:g}")
    first = 0 if from_s is None else min(round(from_s * recording.sample_rate), recording.length - 1)
    last = recording.length if to_s is None else max(round(to_s * recording.sample_rate), first + 1)
    return replace(recording, start=recording.start + first, length=last - first)


def heard_at(recording: R, role: str) -> R:
    """Return the recording at the microphones of one role only.

    Raises
    ------
    OptionError
        If there is no such microphone.
    """
    rows = [row for row, microphone in enumerate(recording.microphones) if microphone.role == role]
    if not rows:
        raise OptionError(f"microphones of the role {role}", "none", "--at all")
    kept = {"microphones": tuple(recording.microphones[row] for row in rows)}
    if recording.paths:
        kept["paths"] = tuple(recording.paths[row] for row in rows)
    if isinstance(recording, ArrayRecording):
        kept["samples"] = recording.samples[rows]
    return replace(recording, **kept)


def readable_formats() -> list[str]:
    """Return libsndfile's names of all file formats that can be read."""
    return sorted(soundfile.available_formats())


def inspect(path: Path) -> Sound:
    """Check a sound file from end to end and return what it holds; errors as in :func:`open_recording`."""
    if path.is_dir():
        raise AudioError("a sound file", f"the folder '{path}'")
    if not path.exists():
        raise AudioError("a sound file", f"'{path}', which does not exist", similar_name(path))
    try:
        if path.stat().st_size == 0:
            raise AudioError("a sound file", f"'{path}', which is empty")
        missing = missing_bytes(path)
        with soundfile.SoundFile(path) as file:
            sound = Sound(file.samplerate, file.frames, file.channels, file.subtype)
            _check_shape(f"'{path}'", sound.sample_rate, sound.length, sound.channels)
            if missing:
                raise AudioError(
                    f"{missing} more bytes at the end of '{path}'",
                    "a file shorter than its header says",
                    "a fresh copy",
                )
            if file.format == "FLAC" or not sound.subtype.startswith(("PCM", "ULAW", "ALAW")):
                sound = sound._replace(length=_scan(path, file))
    except PermissionError as error:
        raise AudioError("a sound file that may be read", f"'{path}' without permission") from error
    except (soundfile.LibsndfileError, TypeError) as error:
        raise AudioError("a sound file (WAV, FLAC, AIFF, …)", f"'{path}', which is none") from error
    return sound


def _check_shape(what: str, sample_rate: int, length: int, channels: int) -> None:
    """Raise unless rate, length and number of channels can be used."""
    if not RATES_HZ[0] <= sample_rate <= RATES_HZ[1]:
        raise AudioError(f"a sample rate of {RATES_HZ[0]} to {RATES_HZ[1]} Hz", f"{sample_rate} in {what}")
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(f"1 to {MAX_CHANNELS} channels", f"{channels} in {what}")
    if length < 1:
        raise AudioError("at least one sample", f"none in {what}")


def _check_finite(what: str, frames: np.ndarray, first: int) -> None:
    """Raise if frames of shape (S, M), the first of which has the number ``first``, hold NaN or infinity."""
    finite = np.isfinite(frames).all(1)
    if not finite.all():
        raise AudioError("finite samples", f"NaN or infinity at sample {first + int(np.argmin(finite))} of {what}")


def _scan(path: Path, file: soundfile.SoundFile) -> int:
    """Decode a whole file and return its length in samples."""
    length = 0
    promised = file.frames
    block = max(1, _SCAN_SAMPLES // file.channels)
    try:
        while len(frames := file.read(block, dtype="float32", always_2d=True)):
            _check_finite(f"'{path}'", frames, length)
            length += len(frames)
    except soundfile.LibsndfileError as error:
        raise _cut_short(path, promised, length) from error
    # The header of an MP3 may only estimate its length: what was decoded counts.
    if length < promised and not file.format.startswith("MP"):
        raise _cut_short(path, promised, length)
    return length


def _cut_short(path: Path, promised: int, length: int) -> AudioError:
    return AudioError(f"{promised} samples in '{path}'", f"a damaged file, readable up to {length}", "a fresh copy")


def similar_name(path: Path) -> str:
    """Return what stands beside ``path`` under the name that is nearest to it, or nothing."""
    try:
        names = [other.name for other in path.parent.iterdir()]
    except OSError:
        return ""
    found = nearest(path.name, names)
    return f"'{found}'" if found in names else ""


def file_digest(path: Path) -> str:
    """Return the hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


__all__ = [
    "LIBSNDFILE_VERSION",
    "MAX_CHANNELS",
    "RATES_HZ",
    "ArrayRecording",
    "FileRecording",
    "Microphone",
    "Recording",
    "Sound",
    "excerpt",
    "file_digest",
    "heard_at",
    "inspect",
    "open_recording",
    "readable_formats",
    "recording_from_array",
    "similar_name",
]
