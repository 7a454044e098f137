"""F0 tracks: one fundamental frequency per frame of one voice.

Files
-----
One line per frame: seconds, Hz and possibly a confidence, separated by ``,`` ``;`` tab or space (with ``;`` a decimal
comma is understood). A first line of words is a header; lines that begin with ``#`` are comments, except that
``# start_s 12.5`` says that the times count from 12.5 s of the recording, as in the files of an excerpt.
Conventions: 0, negative or NaN means unvoiced; times increase. A negative value is where the voice would be if it
sounded, as pYIN and ``mir_eval`` have it: raw pitch accuracy counts the pitch whatever is said of voicing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..ensemble import RANGES_HZ, Voice, named_voices
from ..errors import TrackError

FINEST_GAP_STEPS = 2.5
"""Voiced frames further apart than this many usual steps have silence between them."""

WRITTEN_STEP_S = 0.008
"""Longest step of a written track."""


@dataclass(frozen=True)
class Track:
    """The F0 of one voice on a regular or irregular grid of times.

    Attributes
    ----------
    times_s
        Seconds from the start of the recording, strictly increasing, shape (T,).
    f0_hz
        Fundamental frequency in Hz, 0 where unvoiced, shape (T,).
    confidence
        Between 0 and 1, shape (T,).
    resting_hz
        Where an unvoiced voice would be if it sounded, in Hz, 0 where nothing is known of that, shape (T,); None where
        nothing is known anywhere.
    """

    times_s: np.ndarray
    f0_hz: np.ndarray
    confidence: np.ndarray
    resting_hz: np.ndarray | None = None

    @property
    def signed_hz(self) -> np.ndarray:
        """F0 in Hz where voiced, and minus the pitch at which the voice would be elsewhere, shape (T,)."""
        # Zero has no sign.
        return self.f0_hz if self.resting_hz is None else np.where(self.f0_hz > 0, self.f0_hz, 0.0 - self.resting_hz)

    @property
    def step_s(self) -> float:
        """Usual distance of two frames: the median; 0 for a single frame."""
        return float(np.median(np.diff(self.times_s))) if len(self.times_s) > 1 else 0.0

    @property
    def median_hz(self) -> float:
        """Median F0 of the voiced frames, 0 if there are none."""
        voiced = self.f0_hz[self.f0_hz > 0]
        return float(np.median(voiced)) if len(voiced) else 0.0

    def at(self, times_s: np.ndarray) -> Track:
        """Return the track at other times.

        Between two voiced frames that are close in time F0 runs straight in logarithmic frequency; anywhere else a time
        has the F0 of its nearest frame, if that is less than a usual step away. So an edge between voiced and unvoiced
        stays an edge, no glide leads through zero, and nothing is invented before the first frame or after the last.

        Parameters
        ----------
        times_s
            Increasing seconds, shape (T,).

        Examples
        --------
        >>> track = Track(np.array([0.0, 0.01, 0.02]), np.array([100.0, 400.0, 0.0]), np.ones(3))
        >>> track.at(np.array([0.005, 0.012, 0.018, 0.03])).f0_hz.round().tolist()
        [200.0, 400.0, 0.0, 0.0]
        """
        times_s = np.asarray(times_s, np.float64)
        grid_s, f0_hz = self.times_s, self.f0_hz
        right = np.clip(np.searchsorted(grid_s, times_s, side="left"), 1, max(1, len(grid_s) - 1))
        right = np.minimum(right, len(grid_s) - 1)
        left = np.maximum(right - 1, 0)
        gap_s = np.maximum(grid_s[right] - grid_s[left], np.finfo(float).tiny)
        share = np.clip((times_s - grid_s[left]) / gap_s, 0, 1)
        nearest = np.where(share < 0.5, left, right)
        # A tolerance in time: the same instant is often computed in two ways.
        tiny = 1e-9 + 1e-6 * self.step_s
        inside = (times_s >= grid_s[0] - tiny) & (times_s <= grid_s[-1] + tiny)
        near = inside & (np.abs(times_s - grid_s[nearest]) <= max(self.step_s, tiny))
        held_hz = np.where(near, f0_hz[nearest], 0.0)
        close = (f0_hz[left] > 0) & (f0_hz[right] > 0) & (gap_s <= FINEST_GAP_STEPS * self.step_s) & inside
        log_hz = np.log(np.where(f0_hz > 0, f0_hz, 1.0))
        glide_hz = np.exp((1 - share) * log_hz[left] + share * log_hz[right])
        confidence = np.interp(times_s, grid_s, self.confidence)
        resting_hz = None if self.resting_hz is None else np.where(near, self.resting_hz[nearest], 0.0)
        return Track(times_s, np.where(close, glide_hz, held_hz), np.where(near | close, confidence, 0.0), resting_hz)

    def between(self, from_s: float, to_s: float) -> Track:
        """Return the frames from one time to another, with times that count from the first."""
        inside = (self.times_s >= from_s) & (self.times_s <= to_s)
        resting_hz = None if self.resting_hz is None else self.resting_hz[inside]
        return Track(self.times_s[inside] - from_s, self.f0_hz[inside], self.confidence[inside], resting_hz)

    def fine(self, step_s: float = WRITTEN_STEP_S) -> Track:
        """Return the track with further frames wherever two are more than ``step_s`` apart."""
        gap_s = np.diff(self.times_s)
        pieces = np.maximum(np.ceil(gap_s / step_s - 1e-6), 1).astype(int)
        if not len(gap_s) or pieces.max() == 1:
            return self
        frame = np.repeat(np.arange(len(gap_s)), pieces)
        piece = np.arange(len(frame)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        return self.at(np.append(self.times_s[frame] + gap_s[frame] * piece / pieces[frame], self.times_s[-1]))


def read_f0(path: str | Path) -> Track:
    """Read an F0 file in the format of this module.

    Raises
    ------
    TrackError
        If there is no such file, it holds no numbers, or its times do not increase.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TrackError("a readable F0 file", f"'{path}' ({_reason(error)})") from error
    start_s, rows = 0.0, []
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("#"):
            found = re.fullmatch(r"#\s*start_s[\s=:]+([-+.\deE]+)", line.strip())
            start_s = float(found[1]) if found else start_s
        elif line.strip():
            row = _numbers(line)
            if row is not None:
                rows.append(row)
            elif rows or not re.search(r"[A-Za-z]", line):
                raise TrackError("seconds, Hz[, confidence]", f"{line.strip()[:40]!r} in line {number} of '{path}'")
    if not rows:
        raise TrackError("lines of seconds, Hz[, confidence]", f"none in '{path}'")
    times_s, f0_hz, confidence = np.array(rows, np.float64).T
    backwards = np.flatnonzero(~(np.diff(times_s) > 0))
    if not np.isfinite(times_s).all() or len(backwards):
        frame = int(backwards[0]) + 1 if len(backwards) else 0
        raise TrackError("times that increase", f"{times_s[frame]:g} s after {times_s[frame - 1]:g} s in '{path}'")
    f0_hz = np.where(np.isfinite(f0_hz), f0_hz, 0.0)
    confidence = np.clip(np.nan_to_num(confidence), 0, 1)
    resting_hz = np.maximum(-f0_hz, 0) if (f0_hz < 0).any() else None
    return Track(times_s + start_s, np.maximum(f0_hz, 0), confidence, resting_hz)


def write_f0(path: str | Path, track: Track, start_s: float = 0.0) -> None:
    """Write ``time,frequency,confidence``, negative where unvoiced, or 0 if nothing is known of the pitch there.

    Above 0, ``start_s`` is noted as the time at which the recording begins.
    """
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        if start_s:
            file.write(f"# start_s {start_s:.6f}\n")
        file.write("time,frequency,confidence\n")
        for row in zip(track.times_s, track.signed_hz, track.confidence, strict=True):
            file.write("{:.6f},{:.4f},{:.4f}\n".format(*row))


def match_f0_files(paths: Sequence[str | Path], voices: Sequence[Voice]) -> dict[str, Path]:
    """Say which F0 file belongs to which voice.

    Files whose names hold the id of exactly one voice each (``mix_alto.csv``) are matched by name, wherever they stand;
    otherwise the files are taken in the order of the voices.

    Returns
    -------
    dict
        Path per id.

    Raises
    ------
    TrackError
        If there are more or fewer files than voices, or a name contradicts the order.
    """
    paths = [Path(path) for path in paths]
    ids = [voice.id for voice in voices]
    if len(paths) != len(ids):
        raise TrackError(f"{len(ids)} F0 files, one for each of {', '.join(ids)}", f"{len(paths)}")
    for pattern in (r"(?<![a-z0-9]){}(?![a-z0-9])", "{}"):
        named = [[id for id in ids if re.search(pattern.format(re.escape(id)), path.stem.lower())] for path in paths]
        if sorted(named) == sorted([id] for id in ids):
            return {found[0]: path for found, path in zip(named, paths, strict=True)}
        for id, found, path in zip(ids, named, paths, strict=True):
            if "(" in pattern and found and id not in found:
                hint = "files in the order of --voices, or with one id in every name"
                raise TrackError(f"the F0 of {id} in this place", f"'{path.name}'", hint)
    return dict(zip(ids, paths, strict=True))


def voices_of_files(paths: Sequence[str | Path]) -> tuple[Voice, ...]:
    """Name voices after their F0 files, in the order of the files.

    A name that holds one voice word, possibly numbered, gives that word (``mix_alto2.csv``: ``alto2``), any other its
    stem.
    """
    word = rf"(?<![a-z0-9])(?:{'|'.join(RANGES_HZ)})\d*(?![a-z0-9])"
    found = [re.findall(word, Path(path).stem.lower()) for path in paths]
    return named_voices(
        words[0] if len(words) == 1 else Path(path).stem for words, path in zip(found, paths, strict=True)
    )


def within(track: Track, id: str, from_s: float, to_s: float) -> Track:
    """Return what the track of the voice ``id`` says of a recording that lasts from one time to another.

    Raises
    ------
    TrackError
        If the track lies entirely before or after the recording.
    """
    first_s, last_s = track.times_s[[0, -1]]
    if first_s > to_s or last_s < from_s:
        got = f"F0 of {id} from {first_s:.3f} to {last_s:.3f} s"
        raise TrackError(f"F0 between {from_s:.3f} and {to_s:.3f} s", got, "the file of this recording")
    inside = track.between(from_s, to_s)
    # A stretch without frames is a rest.
    return inside if len(inside.times_s) else Track(np.zeros(1), np.zeros(1), np.zeros(1))


def _numbers(line: str) -> tuple[float, float, float] | None:
    """Return seconds, Hz and confidence of a line, or None if it does not hold numbers."""
    line, separator = (line.replace(",", "."), ";") if ";" in line else (line, "," if "," in line else None)
    fields = line.split(separator)
    try:
        time_s, f0_hz = (float(field) if field.strip() else float("nan") for field in fields[:2])
    except ValueError:
        return None
    try:
        return time_s, f0_hz, float(fields[2])
    except (IndexError, ValueError):
        return time_s, f0_hz, 1.0


def _reason(error: Exception) -> str:
    return error.strerror or "unreadable" if isinstance(error, OSError) else "not text"


__all__ = ["Track", "match_f0_files", "read_f0", "voices_of_files", "within", "write_f0"]
