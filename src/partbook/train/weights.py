"""First weights from a seed, and last weights as files that the zoo can take in."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load as tensors_of
from safetensors.torch import save
from torch import Tensor, nn

from ..errors import InputError, nearest
from ..zoo import Model, load, models

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
    entry, data = model_entry(name, model, settings, told)
    _replace(folder / entry.file, data)
    _replace(folder / "models.toml", _as_toml(entry).encode())
    return entry


def model_entry(
    name: str, model: nn.Module, settings: Mapping[str, object], told: Mapping[str, str]
) -> tuple[Model, bytes]:
    """Return the entry of a model and what its file holds; parameters as in :func:`write_model`."""
    data = save({key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()})
    digest = hashlib.sha256(data).hexdigest()
    return Model(name=name, file=f"{name}.safetensors", sha256=digest, settings=json.dumps(settings), **told), data


def read_model(name: str, part: str) -> tuple[dict[str, Tensor], str]:
    """Return weights and settings of a model that comes with Partbook, or of one that a run left in its folder.

    Parameters
    ----------
    name
        Of the model, or its folder.
    part
        Which of several networks to take from the folder of a joint run.

    Raises
    ------
    InputError
        If there is none, or its weights are not those that the run wrote.
    """
    known = [model.name for model in models()]
    if name in known:
        return load(name)
    listing = Path(name) / "models.toml"
    if not listing.is_file():
        raise InputError(
            f"one of the models {', '.join(known)} or the folder of a run", repr(name), nearest(name, known)
        )
    entry = next(iter(tomllib.loads(listing.read_text("utf-8")).values()))
    path = Path(name) / entry["file"]
    data = path.read_bytes() if path.is_file() else b""
    found = hashlib.sha256(data).hexdigest()
    if found != entry["sha256"]:
        raise InputError(f"weights with sha256 {entry['sha256'][:12]}…", f"{path} with {found[:12]}…", "training again")
    tensors, settings = tensors_of(data), json.loads(entry["settings"])
    if part not in settings:
        return tensors, entry["settings"]
    start = f"{part}."
    own = {key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)}
    return own, json.dumps(settings[part])


def stored(name: str, part: str, build: Callable[[str], M]) -> M:
    """Return a network with the weights of a model.

    Parameters
    ----------
    name, part
        As for :func:`read_model`.
    build
        Makes the network of the settings that were stored with the weights.

    Raises
    ------
    InputError
        If there is no such model, or it is not one of this kind.
    """
    weights, settings = read_model(name, part)
    try:
        model = build(settings)
        model.load_state_dict(weights)
    except (KeyError, TypeError, RuntimeError):
        raise InputError(f"a model for the {part} of this version", f"{name}, which is none") from None
    return model


def _as_toml(entry: Model) -> str:
    """Return the entry as ``models.toml`` holds it. A JSON text is a TOML text too."""
    keys = ("about", "file", "sha256", "licence", "recipe", "figures")
    lines = [f"{key} = {json.dumps(getattr(entry, key), ensure_ascii=False)}" for key in keys]
    return "\n".join([f"[{entry.name}]", *lines, f"settings = '''{entry.settings}'''", ""])


def _replace(path: Path, data: bytes) -> None:
    draft = path.with_name(path.name + ".draft")
    draft.write_bytes(data)
    draft.replace(path)


__all__ = ["model_entry", "read_model", "seeded", "stored", "write_model"]
