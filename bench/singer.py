"""What a training step of the singer costs: CPU seconds and memory of one thread."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from partbook.singer.model import SingerConfig
from partbook.train.singer import SingerTask, SingerTaskConfig

PUBLISHED = {"seconds": 16.5, "memory_gb": 4.3}
"""The published network on the same kind of batch, one thread (a sum of 101 sinusoids, an all-pole loop)."""


def training_step(order: int = 0, steps: int = 5) -> Mapping[str, float]:
    """Return CPU seconds of a step of batch 4 × 4 s × 4 voices with F0 given, its batch apart, and the peak memory."""
    torch.set_num_threads(1)
    config = SingerTaskConfig(SingerConfig(order=order), pieces=4, scenes=4, seconds=4.0, voices=(4,))
    with tempfile.TemporaryDirectory() as folder:
        task = SingerTask(config, Path(folder))
        optimiser = torch.optim.AdamW(task.model.parameters())
        task.batch(0, 0)
        batches, learning = 0.0, 0.0
        for step in range(steps):
            started = time.process_time()
            batch = task.batch(0, step)
            ready = time.process_time()
            loss, _ = task.loss(batch)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            batches += ready - started
            learning += time.process_time() - ready
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    weights = sum(weight.numel() for weight in task.model.parameters())
    return {"seconds": learning / steps, "batch_seconds": batches / steps, "memory_gb": peak_gb, "weights": weights}
