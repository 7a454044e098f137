"""Two small recordings of our own making, separated: four singers in a chamber, three players on a stage.

The singers sing a chorale, the players a trio sonata, both long in the public domain; all sound is computed. So the
truth is known, and the demo can tell how near it came.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .audio import open_writer
from .audio.writing import FULL_SCALE_24
from .config import Options
from .data.render import Performance, choir, session
from .data.scores import bundled_score
from .evaluate.separation import si_sdr
from .progress import OnProgress
from .report import write_report
from .report.result import read_result
from .separate import separate_into

SAMPLE_RATE = 44_100


@dataclass(frozen=True)
class Shown:
    """One recording of the demo and what became of it.

    Attributes
    ----------
    title
        Of the piece.
    recording
        The file or folder that was separated.
    folder
        The result; ``report.html`` lies in it.
    before_db, after_db
        SI-SDR of every part by its name: of the recording (at the part's own spot, if it has one) and of the separated
        part.
    """

    title: str
    recording: Path
    folder: Path
    before_db: dict[str, float]
    after_db: dict[str, float]


def run(out: str | Path, on_progress: OnProgress | None = None, options: Options | None = None) -> tuple[Shown, ...]:
    """Make both recordings, separate them and write a report on each.

    Parameters
    ----------
    out
        Folder for recordings and results; made if absent.
    on_progress
        Progress callback.
    options
        Seed, device, threads and memory.

    Raises
    ------
    OutputError
        If it cannot be written.
    Cancelled
        If the progress callback asks to stop.
    """
    out = Path(out)
    chorale, trio = bundled_score("jesu"), bundled_score("grave")
    quartet, stage = choir(chorale, SAMPLE_RATE), session(trio, SAMPLE_RATE)
    file = _write_channels(out / "recordings" / "chorale.flac", quartet, range(len(quartet.microphones)))
    folder = out / "recordings" / "trio"
    for m, microphone in enumerate(stage.microphones):
        _write_channels(folder / microphone.file, stage, [m])
    main = [microphone.name for microphone in stage.microphones if microphone.role == "main"]
    shared = {"options": options, "on_progress": on_progress, "extras": write_report}
    voices = separate_into(out, file, voices=",".join(quartet.names), **shared)
    players = separate_into(out, folder, main=main, spots=stage.names, **shared)
    return (
        Shown(chorale.title, file, voices, *_scores(quartet, voices)),
        Shown(trio.title, folder, players, *_scores(stage, players)),
    )


def _write_channels(path: Path, performance: Performance, channels: range | list[int]) -> Path:
    """Write some channels of a mixture as 24-bit FLAC."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mixture = np.round(performance.mixture[channels].astype(float) * FULL_SCALE_24) / FULL_SCALE_24
    writer = open_writer(path, performance.sample_rate, *mixture.shape)
    writer.write(mixture)
    writer.close()
    return path


def _scores(performance: Performance, folder: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Return the SI-SDR in dB of every part before and after, at its spot microphone or else over all channels."""
    result = read_result(folder)
    files = {source.id: file for source, file in zip(result.sources, result.files, strict=True)}
    mixture = performance.mixture
    before, after = {}, {}
    for name, truth in zip(performance.names, performance.parts, strict=True):
        own = [m for m, mic in enumerate(performance.microphones) if mic.source == name.lower()]
        home = own or list(range(len(performance.microphones)))
        separated = files[name.lower()].read(0, result.length)
        before[name] = float(si_sdr(truth[home].ravel(), mixture[home].ravel()))
        after[name] = float(si_sdr(truth[home].ravel(), separated[home].ravel()))
    return before, after


__all__ = ["Shown", "run"]
