"""The front end made better for recordings at hand, of which nothing is known but who sings."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..audio import Recording
from ..pitch.network import SalienceNetwork
from ..progress import OnProgress
from .corpus import Corpus
from .joint import JointConfig, JointTask, Phase
from .loop import LoopConfig, train

LOOP = LoopConfig(steps=120, learning_rate=1e-3, warm_up_steps=15, averaged=0.97, clip=5.0)
"""About a minute of one core for the network that comes with Partbook."""

SETTINGS = JointConfig(mixtures=2, seconds=2.0, phases=(Phase(trained=("hearing",), taught=1.0),))
"""What is learned: what the decoder says."""


class _Quiet(JointTask):
    """The task without figures, for nothing was held out."""

    def check(self) -> Mapping[str, float]:
        """Return nothing."""
        return {}


def adapted_hearing(
    recordings: Sequence[Recording],
    voices: str,
    *,
    hearing: SalienceNetwork | None = None,
    steps: int = LOOP.steps,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> SalienceNetwork:
    """Return a salience network that has learned from recordings what the decoder makes of them.

    Parameters
    ----------
    recordings
        To learn from; those that are to be heard better, or others of the same singers and hall.
    voices
        Who sings in all of them: ``SATB``, or a number.
    hearing
        The network to begin with, not fused; the one that comes with Partbook if left out.
    steps, seed
        How many excerpts to learn from, two a step, and which.
    on_progress
        Where to report.
    """
    task = _Quiet(replace(SETTINGS, voices=voices), Path(), seed, Corpus(tuple(recordings), {}), hearing)
    loop = replace(LOOP, steps=steps, save_every=steps, check_every=steps, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        return train(task, loop, Path(folder), on_progress=on_progress).hearing.requires_grad_(False)


__all__ = ["LOOP", "SETTINGS", "adapted_hearing"]
