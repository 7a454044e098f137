"""What training steps cost: CPU seconds and memory of one thread, each in a process of its own.

``python -m bench.training`` prints them as JSON; :mod:`bench.ablation` puts them on its page.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from partbook.train.joint import JointConfig, JointTask, Phase
from partbook.train.loop import LoopConfig, train

from .machine import one_thread
from .material import REPOSITORY

JOINT = Phase(spectral=1.0, transport=1.0, total=1e4, ranges=1e5, commitment=1e4, taught=1.0)
GIVEN = Phase(spectral=1.0, given=True, trained=("singer",))
STEPS: Mapping[str, tuple[JointConfig, float, float]] = {
    "joint step, batch 1 × 4 s × 4 voices, local contour": (JointConfig(pieces=6, phases=(JOINT,)), 17.9, 2.0),
    "joint step, batch 1 × 4 s × 4 voices, contour by a decoded chain": (
        JointConfig(pieces=6, contour="path", phases=(JOINT,)), 17.9, 2.0
    ),
    "singer step in the joint model, F0 given, batch 4 × 4 s × 4 voices, a singer of bands": (
        JointConfig(singer="untrained", pieces=6, mixtures=4, windows_s=(0.128,), phases=(GIVEN,)), 16.5, 0.8
    ),
}  # fmt: skip
"""A configuration by what it measures, with the published seconds and those that are wanted."""

TAKEN, WARM = 4, 1


def costs() -> dict[str, dict[str, float]]:
    """Return CPU seconds of every step and the peak memory of its process."""
    return {name: _in_own_process([sys.executable, "-m", "bench.training", name]) for name in STEPS}


def measured(name: str) -> dict[str, float]:
    """Measure a step in this process, optimiser included, its batch apart."""
    torch.set_num_threads(1)
    config, published, wanted = STEPS[name]
    with tempfile.TemporaryDirectory() as folder:
        task = _Quartets(config, Path(folder))
        task.check = dict
        task.drawn = [task.excerpts.drawn(0, step) for step in range(TAKEN + WARM)]
        stamps: list[float] = []
        loop = LoopConfig(TAKEN + WARM, save_every=1000, check_every=1000, low_precision=True)
        train(task, loop, Path(folder), on_log=lambda record: stamps.append(time.process_time()))
    # The last step also writes the checkpoint.
    seconds = (stamps[-2] - stamps[WARM - 1]) / (len(stamps) - 1 - WARM)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"seconds": seconds, "memory_gb": peak_gb, "published": published, "wanted": wanted}


class _Quartets(JointTask):
    """Four voices in every batch, drawn before anything is timed."""

    def batch(self, seed: int, step: int):
        """Return a batch that was drawn before, its voices four."""
        heard = self.drawn[step]
        most = heard.octaves_BN.shape[1]
        voices = [min(n, most - 1) for n in range(4)]
        named = {name: value[:, voices] for name, value in heard._asdict().items() if "N" in name.split("_")[-1]}
        return heard._replace(**named), 0


def _in_own_process(command: list[str]) -> dict[str, float]:
    done = subprocess.run(command, cwd=REPOSITORY, env=one_thread(), check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main(arguments: list[str], say: Callable[[str], object] = sys.stdout.write) -> None:
    """Measure the step named, or all."""
    unknown = [name for name in arguments if name not in STEPS]
    if unknown:
        sys.exit(f"bench.training: expected one of {', '.join(STEPS)}, got {unknown[0]!r}")
    say(json.dumps(measured(arguments[0]) if arguments else costs(), indent=1, ensure_ascii=False) + "\n")


__all__ = ["STEPS", "costs", "measured"]

if __name__ == "__main__":
    main(sys.argv[1:])
