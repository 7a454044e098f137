"""Carrying out a recipe: from its text to weights, picked up where an earlier run was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError, OutputError
from ..progress import OnProgress
from ..zoo import Model
from .loop import last_figures, train
from .recipes import KINDS, Recipe
from .weights import write_model


@dataclass(frozen=True)
class Trained:
    """What a run left.

    Attributes
    ----------
    folder
        Where it lies.
    model
        The model as the zoo would list it.
    figures
        What it reached on what was held out.
    """

    folder: Path
    model: Model
    figures: Mapping[str, float]


def run(recipe: Recipe, folder: Path, renders: Path, *, on_progress: OnProgress | None = None) -> Trained:
    """Train by a recipe, or go on with it.

    Parameters
    ----------
    recipe
        What and how.
    folder
        For ``recipe.json``, ``checkpoint.safetensors``, ``log.jsonl``, the weights and ``models.toml``, and the log of
        TensorBoard in ``tensorboard`` where that is installed. A run that was stopped there goes on to the bit.
    renders
        Where rendered pieces are kept, for this and other runs.
    on_progress
        Where to report.

    Raises
    ------
    InputError
        If a folder cannot be used, holds a run of another recipe or version, the loss stays infinite, or a batch does
        not fit into memory.
    """
    kind = KINDS[recipe.kind]
    for each in (folder, renders):
        _made(each)
    _claim(folder / "recipe.json", recipe)
    task = kind.task(recipe.settings, renders, recipe.loop.seed)
    try:
        with tensorboard(folder / "tensorboard") as on_log:
            model = train(task, recipe.loop, folder, on_progress=on_progress, on_log=on_log)
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        model = None
    if model is None:
        # Tried here, where the error holds on to nothing of the step that was too large.
        fits = largest_batch(recipe, renders)
        hint = f"{kind.size} = {fits}" if fits else "a smaller model"
        size = getattr(recipe.settings, kind.size)
        raise InputError("a batch that fits into memory", f"{kind.size} = {size}", hint)
    figures = last_figures(folder)
    told = {
        "about": recipe.about,
        "licence": recipe.licence,
        "recipe": f"partbook train {recipe.kind}" + (f" --recipe {recipe.name}" if recipe.name != recipe.kind else ""),
        "figures": ", ".join(f"{name} {value:.3g}" for name, value in figures.items())
        + " on held-out synthetic pieces",
    }
    return Trained(folder, write_model(folder, recipe.name, model, asdict(recipe.settings.network), told), figures)


def largest_batch(recipe: Recipe, renders: Path) -> int:
    """Return the largest of a half, a quarter … of the recipe's batch whose gradient fits into memory; 0 if none."""
    kind = KINDS[recipe.kind]
    size = getattr(recipe.settings, kind.size) // 2
    while size:
        task = kind.task(replace(recipe.settings, **{kind.size: size}), renders, recipe.loop.seed)
        try:
            task.loss(task.batch(recipe.loop.seed, 0))[0].backward()
            return size
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
        size //= 2
    return 0


def _out_of_memory(error: Exception) -> bool:
    # What PyTorch raises for the processor's memory has no type of its own.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)


def _made(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError("a folder that can be written to", f"{folder}: {error.strerror}", "another folder") from None


def _claim(path: Path, recipe: Recipe) -> None:
    """Write the recipe beside its results, or see that the one of the run there is the same."""
    resolved = json.loads(json.dumps(recipe.resolved()))
    if not (path.exists() and path.with_name("checkpoint.safetensors").exists()):
        path.write_text(json.dumps(resolved, indent=2) + "\n", "utf-8")
        return
    earlier = json.loads(path.read_text("utf-8"))
    for table in ("loop", recipe.kind):
        told, said = resolved[table], earlier.get(table, {})
        other = next((key for key in told if told[key] != said.get(key)), None)
        if other:
            raise InputError(
                f"a folder of the same recipe ({other} = {told[other]})",
                f"{path.parent} of another ({other} = {said.get(other)})",
                "--out with another folder",
            )


@contextmanager
def tensorboard(folder: Path) -> Iterator[Callable[[Mapping[str, Any]], None] | None]:
    """Hand out a function that writes records of the log for TensorBoard; None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield None
        return
    with SummaryWriter(str(folder)) as writer:

        def write(record: Mapping[str, Any]) -> None:
            for name, value in record.items():
                if name != "step" and value is not None:
                    writer.add_scalar(name, value, record["step"])

        yield write


__all__ = ["Trained", "largest_batch", "run", "tensorboard"]
