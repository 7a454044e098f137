"""Seconds and memory, each measured in a process of its own and beside other implementations of the same thing."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import torch
from rich.console import Console
from rich.table import Table

from partbook.audio import Microphone, Recording

from .material import OUT, REPOSITORY, SHARED

SCORED_SECONDS, SCORED_RATE = 60, 44_100
SPOTS, MAIN = ["Violin1", "Violin2", "Flute", "Clarinet", "Cello"], ["Left", "Center", "Right"]

Job = Callable[[Path], Callable[[], object]]
"""Sets something up in an empty folder and returns what is to be timed."""


def speed(names: list[str] | None = None) -> dict[str, object]:
    """Run every job, or those named, and return seconds, memory and, for scores, how much faster ours is."""
    measured = {name: _in_own_process(name) for name in JOBS if not names or name in names}
    table = Table(title="Speed and memory", title_justify="left", box=None)
    for column in ("job", "seconds", "CPU seconds", "memory in GB"):
        table.add_column(column, justify="left" if column == "job" else "right")
    for name, result in measured.items():
        table.add_row(name, *(f"{result[key]:.2f}" for key in ("seconds", "cpu_seconds", "memory_gb")))
    Console().print(table)
    return measured


def scores(channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return four references and estimates of a minute, each (4, channels, S)."""
    rng = np.random.default_rng(0)
    references = rng.standard_normal((4, channels, SCORED_SECONDS * SCORED_RATE))
    return references, references + 0.3 * references[::-1] + 0.1 * rng.standard_normal(references.shape)


def ours_images(channels: int) -> Job:
    """BSS Eval 4 of a minute in windows of a second."""

    def job(folder: Path) -> Callable[[], object]:
        from partbook.evaluate.bss_eval import bss_eval_windows, reader

        read = reader(*scores(channels))
        return lambda: bss_eval_windows(read, SCORED_SECONDS * SCORED_RATE, SCORED_RATE, SCORED_RATE)

    return job


def museval_images(channels: int) -> Job:
    """The same by museval."""

    def job(folder: Path) -> Callable[[], object]:
        found = importlib.util.find_spec("museval")
        # The package itself refuses to load where FFmpeg is missing; its metrics do not need it.
        spec = importlib.util.spec_from_file_location(
            "metrics", Path(found.submodule_search_locations[0]) / "metrics.py"
        )
        museval = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(museval)
        references, estimates = (x.swapaxes(1, 2).copy() for x in scores(channels))
        return lambda: museval.bss_eval(
            references, estimates, compute_permutation=False, window=SCORED_RATE, hop=SCORED_RATE,
            framewise_filters=False,
        )  # fmt: skip

    return job


def ours_sources(folder: Path) -> Callable[[], object]:
    """BSS Eval 3 of a minute as a whole."""
    from partbook.evaluate.bss_eval import bss_eval_sources

    references, estimates = (torch.from_numpy(x[:, 0]) for x in scores(1))
    return lambda: bss_eval_sources(references, estimates)


def mir_eval_sources(folder: Path) -> Callable[[], object]:
    """The same by mir_eval."""
    import mir_eval.separation

    references, estimates = (x[:, 0] for x in scores(1))
    return lambda: mir_eval.separation.bss_eval_sources(references, estimates, compute_permutation=False)


def fast_bss_eval_sources(folder: Path) -> Callable[[], object]:
    """The same by fast_bss_eval, exact solver."""
    import fast_bss_eval

    references, estimates = (torch.from_numpy(x[:, 0]) for x in scores(1))
    return lambda: fast_bss_eval.bss_eval_sources(references, estimates, compute_permutation=False)


def evaluate_hour(folder: Path) -> Callable[[], object]:
    """What ``partbook evaluate`` does for an hour of five sources at 44.1 kHz: floors, ceilings and all files."""
    from partbook.evaluate.evaluation import evaluate
    from partbook.evaluate.tables import rows
    from partbook.evaluate.writing import write_evaluation

    rng = np.random.default_rng(0)
    for kind in ("references", "estimates"):
        (folder / kind).mkdir()
        for n in range(5):
            with soundfile.SoundFile(folder / kind / f"part{n}.wav", "w", 44_100, 1, "PCM_16") as file:
                for _ in range(3600):
                    file.write(0.05 * rng.standard_normal(44_100))

    def run() -> None:
        evaluation = evaluate(folder / "references", folder / "estimates")
        write_evaluation(folder / "scores", evaluation, rows(evaluation))

    return run


def separate_voices(mixture: str, references: str, blind: bool) -> Job:
    """Separate a recording of voices."""

    def job(folder: Path) -> Callable[[], object]:
        from partbook.separate import separate_into

        f0 = sorted((OUT / references / "f0").glob("*.csv"))
        order = [path for voice in ("soprano", "alto", "tenor", "bass") for path in f0 if path.stem == voice]
        return lambda: separate_into(folder, SHARED / mixture, voices="SATB", f0=() if blind else order)

    return job


def separate_session(folder: Path) -> Callable[[], object]:
    """Separate a session of eight microphones at 48 kHz, 12 s: the quintet and its own beginning."""
    from partbook.separate import separate_into

    recorded = folder / "session"
    recorded.mkdir()
    for path in sorted((SHARED / "ensembles/quintet_session/mics").glob("*.flac")):
        samples, rate = soundfile.read(path)
        soundfile.write(recorded / path.name, np.concatenate([samples, samples[: 2 * rate]])[: 12 * rate], rate)
    return lambda: separate_into(folder, recorded, spots=SPOTS, main=MAIN)


@dataclass(frozen=True)
class Repeated:
    """A recording that goes round and round, of any length and held only once."""

    recording: Recording
    length: int
    name: str = "repeated"
    start: int = 0
    setup: Mapping[str, object] = field(default_factory=dict)

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.recording.sample_rate

    @property
    def microphones(self) -> tuple[Microphone, ...]:
        """Those of the recording."""
        return self.recording.microphones

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples ``start`` to ``stop`` of every channel."""
        once = self.recording.read(0, self.recording.length)
        return np.take(once, np.arange(start, stop), axis=1, mode="wrap")


def long_session(minutes: int, rounds: int) -> Job:
    """Separate a long session of eight microphones at 48 kHz in so many rounds; nothing is written."""

    def job(folder: Path) -> Callable[[], object]:
        from partbook.audio import open_session
        from partbook.config import Options, SessionConfig
        from partbook.engine.session import separate_session

        once = open_session(SHARED / "ensembles/quintet_session/mics", spots=SPOTS, main=MAIN)
        recording = Repeated(once, minutes * 60 * once.sample_rate)
        full = min(5, rounds // 2)
        config = SessionConfig(diagonal_rounds=rounds - full, full_rounds=full)

        def run() -> None:
            for _ in separate_session(recording, options=Options(), config=config).blocks():
                pass

        return run

    return job


def session_on_disk(minutes: int, rounds: int) -> Job:
    """Separate a long session of eight files at 48 kHz, the quintet over and over, in so many rounds into files."""

    def job(folder: Path) -> Callable[[], object]:
        from partbook.audio import open_session
        from partbook.config import Options, SessionConfig
        from partbook.engine.session import separate_session
        from partbook.stems import write

        recorded = folder / "session"
        recorded.mkdir()
        for path in sorted((SHARED / "ensembles/quintet_session/mics").glob("*.flac")):
            samples, rate = soundfile.read(path, dtype="float32")
            with soundfile.SoundFile(recorded / f"{path.stem}.wav", "w", rate, 1, "PCM_24") as file:
                for start in range(0, minutes * 60 * rate, len(samples)):
                    file.write(samples[: minutes * 60 * rate - start])
        config = SessionConfig(diagonal_rounds=rounds - rounds // 2, full_rounds=rounds // 2)

        def run() -> None:
            recording = open_session(recorded, spots=SPOTS, main=MAIN)
            write(separate_session(recording, options=Options(), config=config), folder / "separated")

        return run

    return job


_EXCERPT = ("voices/rossinyol_excerpts/7.984/mix.flac", "quartet-excerpts/references/7.984")
_SONG = ("voices/rossinyol/mix.flac", "quartet-song/references/rossinyol")

JOBS: Mapping[str, Job] = {
    "BSS Eval 4, mono, 60 s: Partbook": ours_images(1),
    "BSS Eval 4, mono, 60 s: museval": museval_images(1),
    "BSS Eval 4, stereo, 60 s: Partbook": ours_images(2),
    "BSS Eval 4, stereo, 60 s: museval": museval_images(2),
    "BSS Eval 3, mono, 60 s: Partbook": ours_sources,
    "BSS Eval 3, mono, 60 s: mir_eval": mir_eval_sources,
    "BSS Eval 3, mono, 60 s: fast_bss_eval": fast_bss_eval_sources,
    "evaluate 1 h × 5 sources": evaluate_hour,
    "quartet, 4 s, F0 given": separate_voices(*_EXCERPT, blind=False),
    "quartet, 4 s, blind": separate_voices(*_EXCERPT, blind=True),
    "quartet, 137 s, F0 given": separate_voices(*_SONG, blind=False),
    "quartet, 137 s, blind": separate_voices(*_SONG, blind=True),
    "session, 12 s × 8 microphones, 48 kHz": separate_session,
    "session, 3 min × 8 microphones, 48 kHz, 50 rounds": long_session(3, 50),
    "session, 20 min × 8 microphones, 48 kHz, 4 rounds": long_session(20, 4),
    "session, 1 h × 8 microphones, 48 kHz, 4 rounds, files to files": session_on_disk(60, 4),
}
"""Every job by name. All scores are of four sources at 44.1 kHz with filters of 512 taps."""


def _in_own_process(name: str) -> dict[str, float]:
    """Run a job in a fresh interpreter, so that its memory is its own."""
    command = [sys.executable, "-m", "bench.speed", name]
    # Scores on one thread each: on a busy machine more threads wait for each other, in any of the libraries.
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    env = os.environ | (one_thread if name.startswith(("BSS Eval", "evaluate")) else {})
    found = subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False)
    if found.returncode:
        raise RuntimeError(f"{name}: {found.stderr.strip().splitlines()[-1]}")
    return json.loads(found.stdout.splitlines()[-1])


def _measure(name: str) -> None:
    warnings.simplefilter("ignore")
    OUT.mkdir(parents=True, exist_ok=True)
    seconds, cpu_seconds, runs = math.inf, math.inf, 0
    with tempfile.TemporaryDirectory(dir=OUT) as folder:
        run = JOBS[name](Path(folder))
        # The best of some runs: other work on the machine only ever adds to the time.
        while runs < 1 or (runs < 3 and seconds < 20):
            started, cpu_started = time.perf_counter(), time.process_time()
            run()
            seconds, runs = min(seconds, time.perf_counter() - started), runs + 1
            cpu_seconds = min(cpu_seconds, time.process_time() - cpu_started)
    memory_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    sys.stdout.write(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "memory_gb": memory_gb}) + "\n")


if __name__ == "__main__":
    _measure(sys.argv[1])
