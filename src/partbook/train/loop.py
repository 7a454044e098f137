"""One training loop for every model: seeded, resumable to the bit, guarded, logged.

A task says what a batch is and what it costs. The batch of a step depends on the seed and the step alone, so a run that
was killed goes on from its last checkpoint exactly as if nothing had happened.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import InputError
from ..progress import OnProgress, Progress

FORMAT = "1"
"""Version of the checkpoints."""

_PATIENCE = 20
"""Steps in a row without a finite loss before giving up."""


@dataclass(frozen=True)
class LoopConfig:
    """How to train.

    Attributes
    ----------
    steps
        How many.
    learning_rate
        Highest; it rises linearly over ``warm_up_steps`` and then falls as a cosine to a hundredth.
    warm_up_steps
        See above.
    weight_decay
        Of AdamW, on matrices and kernels only.
    clip
        Largest norm of a gradient.
    averaged
        Decay of the moving average of the weights, which is what is kept in the end.
    save_every, check_every
        Steps from checkpoint to checkpoint, and from validation to validation.
    seed
        Of everything.
    low_precision
        Whether products are computed in bfloat16.
    """

    steps: int
    learning_rate: float = 2e-3
    warm_up_steps: int = 100
    weight_decay: float = 0.01
    clip: float = 1.0
    averaged: float = 0.995
    save_every: int = 200
    check_every: int = 500
    seed: int = 0
    low_precision: bool = False


class Task(Protocol):
    """What is trained, on what."""

    model: nn.Module

    def batch(self, seed: int, step: int) -> Any:
        """Return the batch of a step."""

    def loss(self, batch: Any) -> tuple[Tensor, Mapping[str, float]]:
        """Return the loss, with a graph, and its parts for the log."""

    def check(self) -> Mapping[str, float]:
        """Return figures of the averaged model, on what it was not trained on."""


def train(
    task: Task,
    config: LoopConfig,
    folder: Path,
    *,
    on_progress: OnProgress | None = None,
    on_log: Callable[[Mapping[str, Any]], None] | None = None,
) -> nn.Module:
    """Train, or go on training, and return the model with averaged weights.

    Parameters
    ----------
    task
        Model, data and loss.
    config
        How.
    folder
        Where ``checkpoint.safetensors`` and ``log.jsonl`` are kept; a checkpoint found there is resumed.
    on_progress, on_log
        Where to report.

    Raises
    ------
    InputError
        If the checkpoint is of another model, recipe or version.
    FloatingPointError
        If the loss stays infinite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = _optimizer(task.model, config)
    average = {name: value.clone() for name, value in task.model.state_dict().items()}
    first = _resume(folder / "checkpoint.safetensors", task.model, optimizer, average, config)
    progress = Progress("train", config.steps, on_progress)
    if first:
        progress.step(units=first)
    failed, started = 0, perf_counter()
    for step in range(first, config.steps):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * schedule(step, config)
        task.model.train()
        loss, parts, norm = _step(task, optimizer, config, step)
        failed = failed + 1 if loss is None else 0
        if failed > _PATIENCE:
            raise FloatingPointError(f"no finite loss in {failed} steps up to step {step}; try a lower learning_rate")
        _follow(average, task.model, min(config.averaged, (1 + step) / (10 + step)))
        done = step + 1
        record = {"step": done, "loss": loss, "norm": norm, "seconds": perf_counter() - started, **parts}
        if done % config.check_every == 0 or done == config.steps:
            record |= {f"check_{name}": value for name, value in _with(average, task).items()}
        _log(folder / "log.jsonl", record, on_log)
        if done % config.save_every == 0 or done == config.steps:
            _save(folder / "checkpoint.safetensors", task.model, optimizer, average, config, done)
        progress.step()
    task.model.load_state_dict(average)
    return task.model.eval()


def schedule(step: int, config: LoopConfig) -> float:
    """Return the share of the highest learning rate at a step: a rise, then a cosine down to a hundredth.

    Examples
    --------
    >>> [round(schedule(step, LoopConfig(steps=201, warm_up_steps=101)), 2) for step in (0, 100, 150, 200)]
    [0.01, 1.0, 0.51, 0.01]
    """
    if step < config.warm_up_steps:
        return (step + 1) / config.warm_up_steps
    share = (step - config.warm_up_steps + 1) / max(1, config.steps - config.warm_up_steps)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share))


def _optimizer(model: nn.Module, config: LoopConfig) -> torch.optim.AdamW:
    kernels = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": kernels, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))


def _step(task: Task, optimizer: torch.optim.Optimizer, config: LoopConfig, step: int):
    """Take one step; return loss (None if it was not finite, and nothing was done), its parts, and the gradient's norm."""
    batch = task.batch(config.seed, step)
    with torch.autocast("cpu", torch.bfloat16, enabled=config.low_precision):
        loss, parts = task.loss(batch)
    optimizer.zero_grad(set_to_none=True)
    if not torch.isfinite(loss):
        return None, parts, None
    loss.backward()
    norm = float(nn.utils.clip_grad_norm_(task.model.parameters(), config.clip))
    if not math.isfinite(norm):
        return None, parts, None
    optimizer.step()
    return float(loss.detach()), parts, norm


def _follow(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)


def _with(average: dict[str, Tensor], task: Task) -> Mapping[str, float]:
    """Return the task's figures with the averaged weights in place."""
    own = {name: value.clone() for name, value in task.model.state_dict().items()}
    task.model.load_state_dict(average)
    task.model.eval()
    try:
        with torch.no_grad():
            return task.check()
    finally:
        task.model.load_state_dict(own)


def _log(path: Path, record: Mapping[str, Any], on_log: Callable[[Mapping[str, Any]], None] | None) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    if on_log:
        on_log(record)


def _save(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: Mapping[str, Tensor],
    config: LoopConfig,
    step: int,
) -> None:
    """Write everything that the next step depends on; a kill in between leaves the last checkpoint."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
    told = {"format": FORMAT, "step": str(step), "config": json.dumps(asdict(config))}
    draft = path.with_suffix(".draft")
    save_file({name: value.contiguous() for name, value in tensors.items()}, draft, told)
    os.replace(draft, path)


def _resume(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, average: dict[str, Tensor], config: LoopConfig
) -> int:
    """Restore what :func:`_save` wrote, if anything; return the step to take next."""
    if not path.exists():
        return 0
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        told = file.metadata() or {}
    if told.get("format") != FORMAT or told.get("config") != json.dumps(asdict(config)):
        raise InputError(
            "a checkpoint of this recipe and version", got=f"{path} of another", hint="another folder, or delete it"
        )
    tensors = load_file(path)

    def under(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    try:
        model.load_state_dict(under("model."))
    except RuntimeError:
        raise InputError("a checkpoint of this model", got=f"{path} of another", hint="another folder") from None
    average.update(under("average."))
    whole = optimizer.state_dict()
    for name, value in under("optimizer.").items():
        number, key = name.split(".", 1)
        whole["state"].setdefault(int(number), {})[key] = value
    optimizer.load_state_dict(whole)
    return int(told["step"])


__all__ = ["LoopConfig", "Task", "schedule", "train"]
