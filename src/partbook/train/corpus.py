"""Recordings to learn from: found in folders, read an excerpt at a time, and what is told of the F0 in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from ..audio import Recording, open_recording
from ..errors import AudioError, InputError
from ..progress import OnProgress, Progress

SUFFIXES = (".wav", ".flac", ".aif", ".aiff", ".caf", ".w64", ".rf64", ".ogg", ".opus", ".mp3")
"""Files of these kinds are looked for in folders."""


@dataclass(frozen=True)
class Corpus:
    """Recordings, and the files that could not be used.

    Attributes
    ----------
    recordings
        In the order of their names.
    skipped
        What is wrong with each file that was left out, by its name.
    """

    recordings: tuple[Recording, ...]
    skipped: Mapping[str, str]

    @property
    def seconds(self) -> np.ndarray:
        """Length of every recording."""
        return np.array([each.length / each.sample_rate for each in self.recordings])

    def described(self) -> dict[str, object]:
        """Return what it holds, ready for JSON; two of the same description teach the same."""
        names = {each.name: [each.length, each.sample_rate] for each in self.recordings}
        return {"recordings": names, "skipped": dict(self.skipped)}


@dataclass(frozen=True)
class Told:
    """What is told of the F0 of N voices of a recording, every frame of a network's.

    Attributes
    ----------
    f0_NT
        Hz, 0 where unvoiced.
    confidence_NT
        From 0 to 1, of what is said there, also of silence.
    heard_GT
        Logits of every candidate being sounded, by whoever told; empty where nobody listened.
    """

    f0_NT: np.ndarray
    confidence_NT: np.ndarray
    heard_GT: np.ndarray


def open_corpus(paths: Sequence[str | Path], on_progress: OnProgress | None = None) -> Corpus:
    """Open all sound files in folders and among files.

    Parameters
    ----------
    paths
        Folders, searched to the bottom, and files.
    on_progress
        Told of every file that is left out because it cannot be read.

    Raises
    ------
    InputError
        If a path does not exist, or not one file can be read.
    """
    files: dict[Path, None] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise InputError("a folder or file of recordings", f"'{path}', which does not exist", "--corpus FOLDER")
        found = sorted(each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        files |= dict.fromkeys(found)
    recordings, skipped = [], {}
    progress = Progress("open", max(1, len(files)), on_progress)
    for path in files:
        try:
            recordings.append(open_recording(path))
            progress.step()
        except AudioError as error:
            skipped[str(path)] = str(error)
            progress.step(f"left out: {error}")
    if not recordings:
        first = next(iter(skipped.values()), "no sound files")
        raise InputError(f"recordings in {', '.join(map(str, paths))}", first, "--corpus FOLDER")
    if skipped:
        progress.step(f"{len(skipped)} of {len(files)} files left out", 0)
    return Corpus(tuple(recordings), skipped)


def heard_excerpt(
    recording: Recording, first_s: float, seconds: float, sample_rate: int, ratio: float = 1.0
) -> np.ndarray:
    """Return so many seconds of a recording played faster by a ratio, its channels averaged; it ends in silence.

    Parameters
    ----------
    recording
        The recording.
    first_s
        Where it begins, in seconds of the recording as it is.
    seconds
        Of what is returned.
    sample_rate
        Of what is returned.
    ratio
        Above 1 is faster and higher.
    """
    first = round(first_s * recording.sample_rate)
    last = min(recording.length, first + math.ceil(seconds * ratio * recording.sample_rate) + 1)
    mono = recording.read(first, last).mean(0)
    heard = soxr.resample(mono, recording.sample_rate * ratio, sample_rate, quality="HQ")
    samples = round(seconds * sample_rate)
    return np.pad(heard[:samples], (0, max(0, samples - len(heard)))).astype(np.float32)


__all__ = ["SUFFIXES", "Corpus", "Told", "heard_excerpt", "open_corpus"]
