"""Carrying out a recipe: from its text to weights, picked up where an earlier run was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError, OutputError
from ..progress import OnProgress
from ..zoo import Model
from .corpus import Corpus
from .joint import JointTask
from .loop import last_figures, moved, train
from .parallel import device_of, team
from .recipes import KINDS, Recipe
from .weights import model_entry, write_model


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


def run(
    recipe: Recipe, folder: Path, renders: Path, *, device: str = "cpu", on_progress: OnProgress | None = None
) -> Trained:
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
    device
        Where to compute: ``cpu``, ``cuda``, ``mps``, or ``auto`` for the fastest there is.
    on_progress
        Where to report.

    Raises
    ------
    InputError
        If a folder cannot be used, holds a run of another recipe or version, the loss stays infinite, or a batch does
        not fit into memory.
    """
    kind, place = KINDS[recipe.kind], device_of(device)
    task = kind.task(recipe.settings, renders, recipe.loop.seed)
    corpus = task.opened(on_progress) if isinstance(task, JointTask) else None
    # Whatever cannot be used is told before anything is written.
    task.model.to(place)
    for each in (folder, renders):
        _made(each)
    try:
        with team(place) as together:
            if together.writes:
                _claim(folder / "recipe.json", recipe)
                _claim_corpus(folder / "corpus.json", corpus)
            together.wait()
            with tensorboard(folder / "tensorboard", wanted=together.writes) as on_log:
                model = train(
                    task, recipe.loop, folder, device=place, team=together, on_progress=on_progress, on_log=on_log
                )
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        model = None
    if model is None:
        # Tried here, where the error holds on to nothing of the step that was too large.
        fits = largest_batch(recipe, renders, place)
        hint = f"{kind.size} = {fits}" if fits else "a smaller model"
        size = getattr(recipe.settings, kind.size)
        raise InputError("a batch that fits into memory", f"{kind.size} = {size}", hint)
    figures = last_figures(folder)
    heard = f"{len(corpus.recordings)} recordings" if corpus else "held-out synthetic pieces"
    told = {
        "about": recipe.about,
        "licence": recipe.licence,
        "recipe": f"partbook train {recipe.kind}" + (f" --recipe {recipe.name}" if recipe.name != recipe.kind else ""),
        "figures": ", ".join(f"{name} {value:.3g}" for name, value in figures.items()) + f" on {heard}",
    }
    if not together.writes:
        return Trained(folder, model_entry(recipe.name, model, kind.network(task), told)[0], figures)
    return Trained(folder, write_model(folder, recipe.name, model, kind.network(task), told), figures)


def largest_batch(recipe: Recipe, renders: Path, device: torch.device | str = "cpu") -> int:
    """Return the largest of a half, a quarter … of the recipe's batch whose gradient fits into memory; 0 if none."""
    kind = KINDS[recipe.kind]
    size = getattr(recipe.settings, kind.size) // 2
    while size:
        task = kind.task(replace(recipe.settings, **{kind.size: size}), renders, recipe.loop.seed)
        try:
            task.model.to(device)
            task.loss(moved(task.batch(recipe.loop.seed, 0), torch.device(device)))[0].backward()
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
        # A key that the earlier version did not know of had its default.
        other = next((key for key in told if told[key] != said.get(key, told[key])), None)
        if other:
            raise InputError(
                f"a folder of the same recipe ({other} = {told[other]})",
                f"{path.parent} of another ({other} = {said.get(other)})",
                "--out with another folder",
            )


def _claim_corpus(path: Path, corpus: Corpus | None) -> None:
    """Write beside the results which recordings are learned from, or see that they are those of the run there."""
    if corpus is None:
        return
    described = json.loads(json.dumps(corpus.described()))
    if path.exists() and path.with_name("checkpoint.safetensors").exists():
        earlier = json.loads(path.read_text("utf-8"))["recordings"]
        other = sorted({name for name, _ in _pairs(described["recordings"]) ^ _pairs(earlier)})
        if other:
            raise InputError(
                f"the {len(earlier)} recordings of the run in {path.parent}",
                f"{len(described['recordings'])}; {other[0]} differs",
                "--out with another folder",
            )
    path.write_text(json.dumps(described, indent=2) + "\n", "utf-8")


def _pairs(recordings: Mapping[str, list[int]]) -> set[tuple[str, tuple[int, ...]]]:
    return {(name, tuple(size)) for name, size in recordings.items()}


@contextmanager
def tensorboard(folder: Path, *, wanted: bool = True) -> Iterator[Callable[[Mapping[str, Any]], None] | None]:
    """Hand out a function that writes records of the log for TensorBoard; None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        wanted = False
    if not wanted:
        yield None
        return
    with SummaryWriter(str(folder)) as writer:

        def write(record: Mapping[str, Any]) -> None:
            for name, value in record.items():
                if name != "step" and value is not None:
                    writer.add_scalar(name, value, record["step"])

        yield write


__all__ = ["Trained", "largest_batch", "run", "tensorboard"]
