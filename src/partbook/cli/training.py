"""The verbs ``train`` and ``models``."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, replace
from pathlib import Path

from ..errors import OptionError
from ..progress import OnProgress, ProgressEvent
from .base import FINE, Flag, app, bars, say_json


@app.command
def train(
    what: str,
    /,
    *,
    recipe: str | None = None,
    corpus: list[Path] | None = None,
    voices: str | None = None,
    out: Path | None = None,
    renders: Path | None = None,
    seed: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
    quiet: Flag = False,
    json: Flag = False,
) -> int:
    """Train a model.

    OUT gets the weights, their entry for the list of models, the recipe with all
    its keys, and a log. A run that was stopped goes on when it is asked for again.

    Parameters
    ----------
    what
        What to train: pitch, singer, or joint for F0 and singer together.
    recipe
        A TOML file, or the name of a recipe that comes with Partbook; left out, the one that trained the model that
        comes with Partbook.
    corpus
        Folders and files of recordings to train on, for joint; synthetic pieces if left out.
    voices
        Who sings in those recordings, high to low: SATB if the recipe says nothing else.
    out
        Folder for the results; trained/<recipe> if left out.
    renders
        Folder where synthetic pieces are kept, for later runs too; in the user's cache if left out.
    seed
        Seed of all random numbers, instead of the recipe's.
    threads
        Threads to compute with.
    device
        Where to compute: cpu, cuda, mps, or auto for the fastest there is.
    quiet
        Say nothing but mistakes.
    json
        Say what was done as JSON.
    """
    import torch

    from ..train.recipes import read_recipe
    from ..train.running import run

    found = read_recipe(recipe or what, what)
    if seed is not None:
        found = replace(found, loop=replace(found.loop, seed=seed))
    heard = {"corpus": tuple(map(str, corpus)) if corpus else None, "voices": voices}
    heard = {name: value for name, value in heard.items() if value is not None}
    if heard and what != "joint":
        raise OptionError(f"--{next(iter(heard))} with partbook train joint", f"partbook train {what}")
    if heard:
        found = replace(found, settings=replace(found.settings, **heard))
    if threads is not None:
        if threads < 1:
            raise OptionError("--threads from 1 up", f"{threads}")
        torch.set_num_threads(threads)
    # Of several processes that torchrun started, one speaks.
    quiet = quiet or os.environ.get("RANK", "0") != "0"
    json = json and os.environ.get("RANK", "0") == "0"
    with bars(quiet) as on_progress:
        trained = run(
            found,
            out or Path("trained") / found.name,
            renders or _renders(),
            device=device,
            on_progress=_with_time_left(on_progress),
        )
    if json:
        say_json(
            {"folder": trained.folder, "weights": trained.folder / trained.model.file, "reached": trained.figures}
            | asdict(trained.model)
        )
    elif not quiet:
        sys.stdout.write(f"{trained.folder / trained.model.file}: {trained.model.figures}\n")
    return FINE


@app.command
def models(*, json: Flag = False) -> int:
    """List the trained models that come with Partbook.

    Parameters
    ----------
    json
        Say it as JSON.
    """
    from ..zoo import models as known

    if json:
        say_json({"models": [asdict(model) | {"bytes": model.size_bytes} for model in known()]})
        return FINE
    for model in known():
        sys.stdout.write(f"{model.name} ({model.size_bytes / 1000:.0f} kB): {model.about}\n")
        for word in ("licence", "figures", "recipe"):
            sys.stdout.write(f"  {word:8} {getattr(model, word)}\n")
    return FINE


def _renders() -> Path:
    """Return where synthetic pieces are kept: one folder for each version, for another may render others."""
    from importlib.metadata import version

    from platformdirs import user_cache_path

    return user_cache_path("partbook") / "renders" / version("partbook")


def _with_time_left(on_progress: OnProgress | None) -> OnProgress | None:
    """Add the time left to what is said on the way, which may be hours."""
    if on_progress is None:
        return None

    def told(event: ProgressEvent) -> object:
        if event.message and event.eta_s > 0:
            event = replace(event, message=f"{event.message}, {event.eta_s / 60:.0f} min left")
        return on_progress(event)

    return told
