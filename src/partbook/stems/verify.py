"""Is a folder what it says it is, and do its files sum to the recording?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..audio import AlignedRecording, Clock, FileRecording, Microphone, Recording, open_recording, open_session
from ..errors import AudioError, InputError, OptionError, PartbookError
from ..pitch.tracks import read_f0
from .files import SCHEMA, file_sha256
from .folder import MANIFEST

TOLERANCE = 1e-6
"""Largest difference between the recording and the sum of its parts: −120 dBFS."""

_BLOCK_SAMPLES = 1 << 18


class Check(NamedTuple):
    """One truth about a folder: what was looked at, whether it holds, and what was found."""

    name: str
    passed: bool
    found: str


def verify(folder: str | Path, original: str | Path | None = None) -> list[Check]:
    """Check a folder that Partbook wrote.

    Every file must be there, unchanged since it was written, of the rate, length and channels of the recording, and
    with the recording at hand the parts must sum to it.

    Parameters
    ----------
    folder
        ``<out>/<track>``.
    original
        The recording (file, folder or ``session.toml``); None looks where it was when it was separated.

    Raises
    ------
    OptionError
        If the folder is none of Partbook's.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    entries = [*manifest["sources"], manifest["residual"]]
    checks = [_check_file(folder, entry, manifest) for entry in entries]
    checks.append(_check_nothing_else(folder, entries))
    checks += [_check_f0(path) for path in sorted((folder / "f0").glob("*.csv"))]
    try:
        recording = _original(folder, manifest, original)
    except PartbookError as error:
        return [*checks, Check("recording", False, str(error))]
    if recording is None:
        return [*checks, Check("sum", True, "not checked: the recording is not at hand")]
    same = recording.sha256() == manifest["input"]["sha256"]
    checks.append(Check("recording", same, "unchanged" if same else "not the one that was separated"))
    if all(check.passed for check in checks):
        checks.append(_check_sum(folder, entries, recording))
    return checks


def _read_manifest(folder: Path) -> dict:
    """Read ``manifest.json`` and make sure that it has the fields that are looked at."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        known = manifest["schema"] == SCHEMA
        complete = all(key in manifest for key in ("input", "microphones", "sources", "residual"))
    except (OSError, ValueError, TypeError, KeyError):
        known = complete = False
    if not (known and complete):
        raise OptionError("a folder that Partbook wrote, with its manifest.json", f"'{folder}'", "separated/<track>")
    return manifest


def _check_file(folder: Path, entry: dict, manifest: dict) -> Check:
    """Check that one sound file is there, unchanged and of the right shape."""
    path = folder / entry["file"]
    try:
        part = open_recording(path)
    except AudioError as error:
        return Check(path.name, False, str(error))
    shape = (part.sample_rate, part.length, len(part.microphones))
    expected = (manifest["input"]["rate"], manifest["input"]["length"], len(manifest["microphones"]))
    if shape != expected:
        return Check(path.name, False, f"rate, length and channels {shape} instead of {expected}")
    same = file_sha256(path) == entry["sha256"]
    return Check(path.name, same, part.subtype if same else "changed since written")


def _check_nothing_else(folder: Path, entries: Sequence[dict]) -> Check:
    """Check that no other sound file lies among the stems."""
    listed = {entry["file"] for entry in entries}
    other = [p.name for p in sorted(folder.iterdir()) if p.suffix in (".wav", ".flac") and p.name not in listed]
    return Check("other sound files", not other, ", ".join(other) or "none")


def _check_f0(path: Path) -> Check:
    try:
        track = read_f0(path)
    except InputError as error:
        return Check(f"f0/{path.name}", False, str(error))
    return Check(f"f0/{path.name}", True, f"{len(track.times_s)} frames")


def _original(folder: Path, manifest: dict, given: str | Path | None) -> FileRecording | AlignedRecording | None:
    """Open the recording that was separated, or return None if it is not known where it lies."""
    microphones = tuple(Microphone(**entry) for entry in manifest["microphones"])
    if given is None:
        try:
            paths = [Path(path) for path in json.loads((folder / "run.json").read_text(encoding="utf-8"))["paths"]]
        except (OSError, ValueError, KeyError):
            return None
        if len(paths) != len(microphones) or not all(path.is_file() for path in paths):
            return None
    elif Path(given).suffix.lower() == ".toml":
        opened_session = open_session(given, align="alignment" in manifest.get("setup", {}))
        found = {m.name: path for m, path in zip(opened_session.microphones, opened_session.paths, strict=True)}
        paths = [found.get(microphone.name, Path(given)) for microphone in microphones]
    elif Path(given).is_dir():
        paths = [Path(given) / microphone.file for microphone in microphones]
    else:
        paths = [Path(given)] * len(microphones)
    opened = {path: open_recording(path) for path in dict.fromkeys(paths)}
    first = opened[paths[0]]
    whole = FileRecording(first.name, first.sample_rate, first.length, microphones, tuple(paths), first.subtype)
    start, length = manifest["input"]["start"], manifest["input"]["length"]
    if "alignment" in manifest.get("setup", {}):
        told = {each["file"]: Clock(each["ratio"], each["offset"]) for each in manifest["setup"]["alignment"]}
        clocks = {path: told.get(path.name, Clock()) for path in paths}
        rate = manifest["input"]["rate"]
        return AlignedRecording(first.name, rate, length, microphones, tuple(paths), clocks, start)
    if any(len(each.microphones) < m.channel for each, m in zip((opened[p] for p in paths), microphones, strict=True)):
        raise OptionError(f"the recording with {len(microphones)} microphones", f"'{given}' with fewer channels")
    if start + length > min(each.length for each in opened.values()):
        raise OptionError(f"a recording of at least {start + length} samples", f"{whole.length} in '{paths[0]}'")
    return replace(whole, start=start, length=length)


def _check_sum(folder: Path, entries: Sequence[dict], recording: Recording) -> Check:
    """Check that stems and residual sum to the recording."""
    parts = [open_recording(folder / entry["file"]) for entry in entries]
    worst = 0.0
    for start in range(0, recording.length, _BLOCK_SAMPLES):
        stop = min(start + _BLOCK_SAMPLES, recording.length)
        total = np.zeros((len(recording.microphones), stop - start))
        for part in parts:
            total += part.read(start, stop)
        worst = max(worst, float(np.abs(recording.read(start, stop) - total).max()))
    found = "exact" if worst == 0 else f"within {20 * np.log10(worst):.0f} dBFS"
    return Check("sum", worst <= TOLERANCE, found)


__all__ = ["TOLERANCE", "Check", "verify"]
