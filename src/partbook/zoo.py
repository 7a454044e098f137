"""The trained models that come with Partbook: weights, licence, recipe and figures of each, by name.

Weights are safetensors in the folder ``models`` beside this module; ``models.toml`` there says the rest, with the
sha256 of every file, which is checked when it is read.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from safetensors.torch import load as tensors_of
from torch import Tensor

from .errors import InputError, OptionError, nearest


@dataclass(frozen=True)
class Model:
    """A trained model.

    Attributes
    ----------
    name
        By which it is loaded.
    about
        What it does.
    file, sha256
        Its weights.
    licence
        Under which they may be used, and what they were trained on.
    recipe
        The command that trains them again.
    figures
        What it reaches, as people read it.
    settings
        What is needed to build it, as JSON.
    """

    name: str
    about: str
    file: str
    sha256: str
    licence: str
    recipe: str
    figures: str
    settings: str

    @property
    def size_bytes(self) -> int:
        """Size of its weights."""
        return len((_folder() / self.file).read_bytes())


@lru_cache(maxsize=1)
def models() -> tuple[Model, ...]:
    """Return the models that come with Partbook."""
    told = tomllib.loads((_folder() / "models.toml").read_text("utf-8"))
    return tuple(Model(name=name, **entry) for name, entry in told.items())


def load(name: str) -> tuple[dict[str, Tensor], str]:
    """Return the weights of a model by their names, and its settings.

    Raises
    ------
    OptionError
        If there is no such model.
    InputError
        If its file is not the one that was shipped.
    """
    known = {model.name: model for model in models()}
    if name not in known:
        raise OptionError(f"one of the models {', '.join(known)}", repr(name), nearest(name, known))
    data = (_folder() / known[name].file).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != known[name].sha256:
        raise InputError(
            f"weights of the model {name} with sha256 {known[name].sha256[:12]}…", f"{found[:12]}…", "installing again"
        )
    return tensors_of(data), known[name].settings


def _folder():
    return files(__package__) / "models"


__all__ = ["Model", "load", "models"]
