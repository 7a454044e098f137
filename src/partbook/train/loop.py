"""One training loop for every model: seeded, resumable to the bit, guarded, logged.

A task says what a batch is and what it costs. The batch of a step depends on the seed and the step alone, so a run that
was killed goes on from its last checkpoint exactly as if nothing had happened.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..dsp.precision import low_precision_pays
from ..errors import InputError, OptionError
from ..progress import OnProgress, Progress
from .checkpoint import load_checkpoint, save_checkpoint
from .parallel import ALONE, Team

_PATIENCE = 20
"""Steps in a row without a finite loss before giving up."""

_CHECKED = "check_"
"""Beginning of the names of validation's figures in the log."""


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
        Whether products are computed in bfloat16, where the device has such products.
    batches
        How many batches make a step, one after the other: the memory is that of one.
    again_steps, again_rate
        Steps of a second rise and fall, which begins with the averaged weights, and its height relative to the first
        (a warm restart: Loshchilov & Hutter, "SGDR", ICLR 2017).
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
    batches: int = 1
    again_steps: int = 0
    again_rate: float = 0.5

    @property
    def total(self) -> int:
        """Number of all steps."""
        return self.steps + self.again_steps

    def __post_init__(self) -> None:
        for name in ("steps", "warm_up_steps", "save_every", "check_every", "batches"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} from 1 up", f"{getattr(self, name)}")
        if self.learning_rate <= 0 or self.clip <= 0:
            raise OptionError("learning_rate and clip above 0", f"{self.learning_rate} and {self.clip}")
        if self.again_steps < 0 or self.again_rate <= 0:
            raise OptionError("again_steps from 0 up, again_rate above 0", f"{self.again_steps} and {self.again_rate}")
        if not 0 <= self.averaged < 1:
            raise OptionError("averaged from 0 to below 1", f"{self.averaged}")


class Task(Protocol):
    """What is trained, on what.

    A model may have ``rates``: by the name of a part of it, its share of the learning rate. Parameters that need no
    gradient stand still.
    """

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
    device: torch.device | str = "cpu",
    team: Team = ALONE,
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
    device
        Where to compute; the model comes back there.
    team
        The processes that train together; all of them see the folder.
    on_progress, on_log
        Where to report.

    Raises
    ------
    InputError
        If the checkpoint is of another model, recipe or version, or the loss stays infinite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    task.model.to(device)
    optimizer, checkpoint, told = _optimizer(task.model, config), folder / "checkpoint.safetensors", asdict(config)
    average = {name: value.clone() for name, value in task.model.state_dict().items()}
    first = load_checkpoint(checkpoint, task.model, optimizer, average, told)
    if team.writes:
        _rewind(folder / "log.jsonl", first)
    # Only what is left, for the time left to be right.
    progress = Progress("train", config.total - first, on_progress if team.writes else None)
    failed, started = 0, perf_counter()
    for step in range(first, config.total):
        begun = 0 if step < config.steps else config.steps
        if step == begun > 0:
            task.model.load_state_dict(average)
            optimizer = _optimizer(task.model, config)
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * group["share"] * schedule(step, config)
        task.model.train()
        loss, parts, norm = _step(task, optimizer, config, step, team)
        failed = failed + 1 if loss is None else 0
        if failed > _PATIENCE:
            raise InputError("a finite loss", f"none in {failed} steps up to step {step + 1}", "a lower learning_rate")
        _follow(average, task.model, min(config.averaged, (1 + step - begun) / (10 + step - begun)))
        done = step + 1
        record = {"step": done, "loss": loss, "norm": norm, "seconds": perf_counter() - started, **parts}
        if team.writes and (done % config.check_every == 0 or done == config.total):
            record |= {f"{_CHECKED}{name}": value for name, value in _with(average, task).items()}
        if team.writes:
            _log(folder / "log.jsonl", record, on_log)
        if team.writes and (done % config.save_every == 0 or done == config.total):
            save_checkpoint(checkpoint, task.model, optimizer, average, told, done)
        progress.step(_said(record, config.total))
    team.wait()
    task.model.load_state_dict(average)
    return task.model.eval()


def last_figures(folder: Path) -> dict[str, float]:
    """Return the figures of the last validation that the log in a folder holds."""
    lines = (folder / "log.jsonl").read_text("utf-8").splitlines()
    for record in map(json.loads, reversed(lines)):
        figures = {name.removeprefix(_CHECKED): value for name, value in record.items() if name.startswith(_CHECKED)}
        if figures:
            return figures
    return {}


def _said(record: Mapping[str, Any], steps: int) -> str:
    """Return what people are told of a step: mostly nothing."""
    step, loss = record["step"], record["loss"]
    if loss is None:
        return f"step {step} skipped: its loss or gradient is not finite"
    figures = [f"{name.removeprefix(_CHECKED)} {value:.3g}" for name, value in record.items() if _CHECKED in name]
    return ", ".join([f"step {step} of {steps}: loss {loss:.3g}", *figures]) if figures else ""


def schedule(step: int, config: LoopConfig) -> float:
    """Return the share of the highest learning rate at a step: a rise, then a cosine down to a hundredth; maybe again.

    Examples
    --------
    >>> [round(schedule(step, LoopConfig(steps=201, warm_up_steps=101)), 2) for step in (0, 100, 150, 200)]
    [0.01, 1.0, 0.51, 0.01]
    """
    if step >= config.steps:
        again = replace(config, steps=config.again_steps, again_steps=0)
        return config.again_rate * schedule(step - config.steps, again)
    if step < config.warm_up_steps:
        return (step + 1) / config.warm_up_steps
    share = (step - config.warm_up_steps + 1) / max(1, config.steps - config.warm_up_steps)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share))


def _optimizer(model: nn.Module, config: LoopConfig) -> torch.optim.AdamW:
    rates = getattr(model, "rates", {})
    groups = {}
    for name, p in model.named_parameters():
        # Matrices and kernels decay, what shifts and scales does not.
        groups.setdefault((p.dim() <= 1, rates.get(name.split(".")[0], 1.0)), []).append(p)
    told = [
        {"params": params, "weight_decay": 0.0 if small else config.weight_decay, "share": share}
        for (small, share), params in sorted(groups.items(), key=lambda each: each[0])
    ]
    return torch.optim.AdamW(told, lr=config.learning_rate, betas=(0.9, 0.98))


def _step(
    task: Task, optimizer: torch.optim.Optimizer, config: LoopConfig, step: int, team: Team
) -> tuple[float | None, Mapping[str, float], float | None]:
    """Take one step; return loss, parts and the gradient's norm, None if they are not finite and nothing was done."""
    device = next(task.model.parameters()).device
    held = [buffer.clone() for buffer in task.model.buffers()]
    optimizer.zero_grad(set_to_none=True)
    losses, told = [], []
    low_precision = config.low_precision and low_precision_pays(device)
    for number in range(step * config.batches, (step + 1) * config.batches):
        batch = moved(task.batch(config.seed, team.number(number)), device)
        with torch.autocast(device.type, torch.bfloat16, enabled=low_precision):
            loss, parts = task.loss(batch)
        (loss / config.batches).backward()
        losses.append(loss.detach())
        told.append(parts)
    team.agree(task.model)
    loss = team.mean(torch.stack(losses).mean())
    parts = {name: sum(each[name] for each in told) / len(told) for name in told[-1]}
    norm = float(nn.utils.clip_grad_norm_(task.model.parameters(), config.clip))
    if not (torch.isfinite(loss) and math.isfinite(norm)):
        # Running means have seen it; weights have not.
        for buffer, before in zip(task.model.buffers(), held, strict=True):
            buffer.copy_(before)
        return None, parts, None
    optimizer.step()
    return float(loss), parts, norm


def moved(batch: Any, device: torch.device) -> Any:
    """Return a batch with all its tensors on a device.

    Examples
    --------
    >>> moved((torch.ones(1), "as it was"), torch.device("meta"))
    (tensor(..., device='meta', size=(1,)), 'as it was')
    """
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, tuple):
        each = [moved(value, device) for value in batch]
        return type(batch)(*each) if hasattr(batch, "_fields") else tuple(each)
    return batch


def _follow(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)


def _with(average: dict[str, Tensor], task: Task) -> Mapping[str, float]:
    """Return the task's figures with the averaged weights in place, computed on the processor."""
    device = next(task.model.parameters()).device
    own = {name: value.clone() for name, value in task.model.state_dict().items()}
    task.model.load_state_dict(average)
    # A task draws what it checks on by itself, where nothing is moved to a device.
    task.model.to("cpu").eval()
    try:
        with torch.no_grad():
            return task.check()
    finally:
        task.model.to(device).load_state_dict(own)


def _log(path: Path, record: Mapping[str, Any], on_log: Callable[[Mapping[str, Any]], None] | None) -> None:
    # JSON knows no numbers that are none.
    record = {name: value if value is None or math.isfinite(value) else None for name, value in record.items()}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    if on_log:
        on_log(record)


def _rewind(path: Path, step: int) -> None:
    """Forget what was logged after a step: it will be taken again."""
    kept = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            if json.loads(line)["step"] > step:
                break
        except json.JSONDecodeError:
            # Cut short by the kill.
            break
        kept.append(line + "\n")
    path.write_text("".join(kept), "utf-8")


__all__ = ["LoopConfig", "Task", "last_figures", "moved", "schedule", "train"]
