"""A separation as a folder of sound files, F0 files and a manifest."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np

from ..audio import LIBSNDFILE_VERSION, Recording, SoundWriter, flac_holds, open_recording, open_writer
from ..audio.writing import FULL_SCALE_24
from ..config import Format
from ..errors import OptionError
from ..pitch.tracks import write_f0
from ..progress import OnProgress, Progress
from .folder import MANIFEST, replacing
from .separation import Separation

SCHEMA = "partbook/1"
RESIDUAL = "residual"

_COPY_SAMPLES = 1 << 18


def write(
    separation: Separation,
    directory: str | Path = "separated",
    *,
    format: Format = "flac",
    name: str | None = None,
    on_progress: OnProgress | None = None,
    extras: Callable[[Path], object] | None = None,
    run: Callable[[], Mapping[str, object]] | None = None,
) -> Path:
    """Write a separation into ``directory/<track>``, block by block; an earlier result there is replaced at once.

    The residual is the recording minus the samples as they were written, so that stems and residual sum to the
    recording. Files are 24-bit FLAC; all are float WAV if asked for, or if a FLAC file cannot hold the rate, the
    channels or the peaks of one of them.

    Parameters
    ----------
    separation
        What to write.
    directory
        Made if absent.
    format
        ``"flac"`` or ``"wav"``.
    name
        Name of the track; the recording's if None.
    on_progress
        Progress callback.
    extras
        Called with the folder, complete but not yet in its place, to add further files.
    run
        Called at the end for what to keep in ``run.json`` beside the paths of the recording.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputError
        If it cannot be written, or something that Partbook did not write stands in its place.
    Cancelled
        If the progress callback asks to stop. In both cases an earlier result stays as it was.
    """
    track = track_name(name or separation.recording.name)
    target = Path(directory) / track
    with replacing(target) as folder:
        sounds = _write_sound(separation, folder, track, format, on_progress)
        _write_f0(separation, folder)
        _write_json(folder / MANIFEST, _manifest(separation, sounds))
        if extras is not None:
            extras(folder)
        paths = [str(path.resolve()) for path in separation.recording.paths]
        _write_json(folder / "run.json", {"paths": paths} | dict(run() if run else {}))
    return target


def track_name(name: str) -> str:
    """Return a name that can be that of a folder.

    Raises
    ------
    OptionError
        If it is empty, hidden or a path.
    """
    if not name or name.startswith(".") or re.search(r"[/\\\x00-\x1f]", name):
        raise OptionError("a name for the track that can be that of a folder", f"{name!r}", "--name")
    return name


class _Sounds:
    """The sound files of a run: FLAC until something passes full scale, then float WAV."""

    def __init__(self, folder: Path, track: str, parts: Sequence[str], recording: Recording, flac: bool) -> None:
        self._bases = [folder / f"{track}_{part}" for part in parts]
        self._shape = recording.sample_rate, len(recording.microphones), recording.length
        self._flac, self._written = flac, 0
        self._writers = self._open()

    @property
    def paths(self) -> list[Path]:
        """The files, in the order of the parts."""
        return [base.with_name(base.name + (".flac" if self._flac else ".wav")) for base in self._bases]

    def write(self, images_NMS: np.ndarray, mixture_MS: np.ndarray) -> None:
        """Append the images of all sources, and what their written samples leave of the mixture."""
        written = _in_24_bits(images_NMS) if self._flac else images_NMS
        residual = mixture_MS - written.sum(0, dtype=np.float64)
        parts = [*written, _in_24_bits(residual) if self._flac else residual]
        if self._flac and not all(_within_full_scale(part) for part in parts):
            self._turn_to_wav()
            return self.write(images_NMS, mixture_MS)
        for writer, part in zip(self._writers, parts, strict=True):
            writer.write(part)
        self._written += mixture_MS.shape[1]

    def close(self) -> None:
        """Finish all files."""
        for writer in self._writers:
            writer.close()

    def abandon(self) -> None:
        """Let go of all files, whatever state they are in."""
        for writer in self._writers:
            with suppress(Exception):
                writer.close()

    def _open(self) -> list[SoundWriter]:
        return [open_writer(path, *self._shape) for path in self.paths]

    def _turn_to_wav(self) -> None:
        """Copy what has been written to float WAV files, which hold 24 bits exactly, and go on with these."""
        self.close()
        before = self.paths
        self._flac = False
        self._writers = self._open()
        for path, writer in zip(before, self._writers, strict=True):
            if self._written:
                copied = open_recording(path)
                for start in range(0, self._written, _COPY_SAMPLES):
                    writer.write(copied.read(start, min(start + _COPY_SAMPLES, self._written)))
            path.unlink()


def _write_sound(
    separation: Separation, folder: Path, track: str, format: Format, on_progress: OnProgress | None
) -> list[Path]:
    """Write the stems and the residual; return their files in this order."""
    recording = separation.recording
    parts = [*(source.id for source in separation.sources), RESIDUAL]
    flac = format == "flac" and flac_holds(recording.sample_rate, len(recording.microphones))
    progress = Progress("write", recording.length, on_progress)
    sounds = _Sounds(folder, track, parts, recording, flac)
    try:
        for images_NMS, mixture_MS in checked_blocks(separation):
            sounds.write(images_NMS, mixture_MS)
            progress.step(units=mixture_MS.shape[1])
        sounds.close()
    except BaseException:
        sounds.abandon()
        raise
    return sounds.paths


def checked_blocks(separation: Separation) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the images (N, M, S) and the mixture (M, S) of every block, which must tile the recording.

    Raises
    ------
    RuntimeError
        If an engine breaks its contract: a gap, an overlap, a wrong shape, NaN or infinity.
    """
    recording, position = separation.recording, 0
    for block in separation.blocks():
        stop = block.start + block.images.shape[-1]
        shape = (len(separation.sources), len(recording.microphones), stop - block.start)
        if block.start != position or stop > recording.length or block.images.shape != shape:
            raise RuntimeError(f"block {block.images.shape} at {block.start} after {position} of {recording.length}")
        if not np.isfinite(block.images).all():
            raise RuntimeError(f"NaN or infinity in the images of samples {block.start} to {stop}")
        yield block.images, recording.read(block.start, stop)
        position = stop
    if position != recording.length:
        raise RuntimeError(f"blocks end at {position} of {recording.length} samples")


def _in_24_bits(samples: np.ndarray) -> np.ndarray:
    """Return the nearest multiples of one 24-bit step, in float64."""
    return np.rint(samples.astype(np.float64) * FULL_SCALE_24) / FULL_SCALE_24


def _within_full_scale(samples: np.ndarray) -> bool:
    """Return whether 24-bit integers can hold the samples."""
    return bool(samples.min(initial=0) >= -1 and samples.max(initial=0) <= 1 - 1 / FULL_SCALE_24)


def _write_f0(separation: Separation, folder: Path) -> None:
    """Write one F0 file per track, its frames at most 8 ms apart."""
    if separation.f0:
        (folder / "f0").mkdir()
    for id, track in separation.f0.items():
        start_s = separation.recording.start / separation.recording.sample_rate
        write_f0(folder / "f0" / f"{id}.csv", track.fine(), start_s)


def _manifest(separation: Separation, sounds: Sequence[Path]) -> dict[str, object]:
    """Return what ``manifest.json`` holds: everything that the same input and seed give again."""
    recording = separation.recording
    described = [{"file": path.name, "sha256": file_sha256(path)} for path in sounds]
    manifest = {
        "schema": SCHEMA,
        "input": described_input(recording),
        "microphones": [asdict(microphone) for microphone in recording.microphones],
        "sources": [
            {"id": source.id, "name": source.name, "confidence": round(source.confidence, 4)} | file
            for source, file in zip(separation.sources, described, strict=False)
        ],
        "residual": described[-1],
        "config": dict(separation.config),
        "seed": separation.seed,
        "versions": versions(),
    }
    return manifest | ({"setup": dict(recording.setup)} if recording.setup else {})


def described_input(recording: Recording) -> dict[str, object]:
    """Return what a manifest says of a recording: enough to know it again."""
    files = {microphone.file for microphone in recording.microphones}
    single = len(files) == 1 and "" not in files
    return {
        "name": files.pop() if single else recording.name,
        "sha256": recording.sha256(),
        "rate": recording.sample_rate,
        "length": recording.length,
        "start": recording.start,
    }


def versions() -> dict[str, str]:
    """Return the versions of everything that shapes the samples."""
    packages = {name: version(name) for name in ("partbook", "torch", "numpy", "scipy", "soundfile")}
    return packages | {"libsndfile": LIBSNDFILE_VERSION, "python": platform.python_version()}


def file_sha256(path: Path) -> str:
    """Return the hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


__all__ = ["RESIDUAL", "SCHEMA", "checked_blocks", "described_input", "file_sha256", "track_name", "versions", "write"]
