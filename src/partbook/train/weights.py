"""First weights from a seed, and last weights as files that the zoo can take in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import save
from torch import nn

from ..zoo import Model

M = TypeVar("M", bound=nn.Module)


def seeded(build: Callable[[], M], seed: int) -> M:
    """Build a model whose first weights follow from a seed alone.

    PyTorch's constructors draw from its global generator; it is lent the state of one with this seed and given back as
    it was.

    Examples
    --------
    >>> one, other = (seeded(lambda: nn.Linear(2, 2), 5) for _ in range(2))
    >>> torch.equal(one.weight, other.weight)
    True
    """
    with torch.random.fork_rng(devices=()):
        torch.default_generator.set_state(torch.Generator().manual_seed(seed).get_state())
        return build()


def write_model(
    folder: Path, name: str, model: nn.Module, settings: Mapping[str, object], told: Mapping[str, str]
) -> Model:
    """Write a model as ``<name>.safetensors`` and its entry of the zoo as ``models.toml``; each is there whole or not.

    Parameters
    ----------
    folder
        Where; ``models.toml`` there is replaced.
    name
        Of the model.
    model
        Its weights.
    settings
        What is needed to build it.
    told
        The other fields of :class:`partbook.zoo.Model`: about, licence, recipe, figures.

    Returns
    -------
    Model
        The entry.
    """
    data = save({key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()})
    file = f"{name}.safetensors"
    entry = Model(name=name, file=file, sha256=hashlib.sha256(data).hexdigest(), settings=json.dumps(settings), **told)
    _replace(folder / file, data)
    _replace(folder / "models.toml", _as_toml(entry).encode())
    return entry


def _as_toml(entry: Model) -> str:
    """Return the entry as ``models.toml`` holds it. A JSON text is a TOML text too."""
    keys = ("about", "file", "sha256", "licence", "recipe", "figures")
    lines = [f"{key} = {json.dumps(getattr(entry, key), ensure_ascii=False)}" for key in keys]
    return "\n".join([f"[{entry.name}]", *lines, f"settings = '''{entry.settings}'''", ""])


def _replace(path: Path, data: bytes) -> None:
    draft = path.with_name(path.name + ".draft")
    draft.write_bytes(data)
    draft.replace(path)


__all__ = ["seeded", "write_model"]
