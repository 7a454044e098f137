"""One iteration of FastMNMF2, ours against pyroomacoustics': processor time side by side, memory each alone.

``python -m bench.iteration`` measures both in one process; ``python -m bench.iteration ours|theirs`` says the memory
that one of them adds at its peak.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from partbook.fit import fit
from partbook.room.fastmnmf import FastMnmf, frequency_first
from partbook.room.start import circular_gains
from partbook.sources.nmf import Nmf

from .machine import one_thread

MICROPHONES, SOURCES, BINS, FRAMES, COMPONENTS = 8, 5, 1025, 376, 16


def ours(iterations: int, spectra: torch.Tensor) -> Callable[[], object]:
    """Return iterations of ours; like theirs, they update W and H from one pull."""
    X_MFT = frequency_first(spectra)
    factors = Nmf.random(SOURCES, BINS, COMPONENTS, FRAMES, torch.Generator().manual_seed(0))
    room = FastMnmf.identity(BINS, circular_gains(SOURCES, MICROPHONES))
    return lambda: fit(X_MFT, factors, room, iterations=iterations, beta=0.0, together=True)


def theirs(iterations: int, spectra: torch.Tensor) -> Callable[[], object]:
    """Return iterations of pyroomacoustics'."""
    from pyroomacoustics.bss import fastmnmf2

    X_TFM = spectra.permute(2, 1, 0).numpy().astype(np.complex128)
    return lambda: fastmnmf2(X_TFM, n_src=SOURCES, n_components=COMPONENTS, n_iter=iterations)


def iteration_speed() -> dict[str, object]:
    """Return the table of processor milliseconds on one thread and megabytes of both."""
    torch.set_num_threads(1)
    spectra, seconds = _spectra(), {}
    for method in (ours, theirs):
        # Their images after the last iteration are in neither.
        seconds[method] = (_least_seconds(method(5, spectra)) - _least_seconds(method(1, spectra))) / 4
    megabytes = {method: _megabytes_alone(method.__name__) for method in seconds}
    rows = [
        [name, f"{1000 * seconds[method]:.0f}", f"{seconds[method] / seconds[ours]:.1f}", f"{megabytes[method]:.0f}",
         f"{megabytes[method] / megabytes[ours]:.1f}"]
        for name, method in (("Partbook", ours), ("pyroomacoustics", theirs))
    ]  # fmt: skip
    size = f"{MICROPHONES} microphones × {SOURCES} × {BINS} bins × {FRAMES} frames"
    columns = ["by", "CPU milliseconds", "times ours", "peak megabytes", "times ours"]
    return {"title": f"One iteration of FastMNMF2, {size}", "columns": columns, "rows": rows}


def _spectra() -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randn(MICROPHONES, BINS, FRAMES, dtype=torch.complex64, generator=rng)


def _least_seconds(run: Callable[[], object], times: int = 4) -> float:
    """Return the least processor time of several runs."""
    best = float("inf")
    for _ in range(times):
        begun = time.process_time()
        run()
        best = min(best, time.process_time() - begun)
    return best


def _megabytes_alone(name: str) -> float:
    command = [sys.executable, "-m", "bench.iteration", name]
    return float(subprocess.run(command, env=one_thread(), capture_output=True, text=True, check=True).stdout)


def _added_megabytes(name: str) -> float:
    """Return by how much two iterations raise the peak of this process's memory, the recording itself included."""
    method = {"ours": ours, "theirs": theirs}[name]
    torch.set_num_threads(1)
    small = torch.randn(2, 3, 4, dtype=torch.complex64)
    if name == "theirs":
        from pyroomacoustics.bss import fastmnmf2

        fastmnmf2(small.permute(2, 1, 0).numpy(), n_src=2, n_iter=1)
    else:
        room = FastMnmf.identity(3, circular_gains(2, 2))
        fit(small, Nmf.random(2, 3, 2, 4, torch.Generator().manual_seed(0)), room, iterations=1, beta=0.0)
    before = _peak_megabytes()
    method(2, _spectra())()
    return _peak_megabytes() - before


def _peak_megabytes() -> float:
    """Return the most memory this process has held; unlike the figure of ``getrusage``, not its parent's."""
    status = Path("/proc/self/status").read_text()
    return float(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024 / 1e6


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.stdout.write(f"{_added_megabytes(sys.argv[1])}\n")
    else:
        table = iteration_speed()
        for row in (table["columns"], *table["rows"]):
            sys.stdout.write("\t".join(row) + "\n")
