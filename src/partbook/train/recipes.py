"""Recipes: all that a training run depends on, as a file.

A recipe is TOML whose tables are the settings' dataclasses, key by key::

    about = "what the model does"
    licence = "under which it may be used, and what it was trained on"

    [loop]            # partbook.train.loop.LoopConfig
    steps = 3600

    [pitch]           # partbook.train.pitch.PitchConfig; the name of the table says what is trained
    pieces = 500

    [pitch.network]   # partbook.pitch.network.NetworkConfig
    channels = 32

What is left out has its default. The recipes of the models that come with Partbook lie in the folder ``recipes`` of the
package and are known by name.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from ..errors import InputError, OptionError, nearest
from .joint import JointConfig, JointTask
from .loop import LoopConfig, Task
from .pitch import PitchConfig, PitchTask
from .singer import SingerTask, SingerTaskConfig


@dataclass(frozen=True)
class Kind:
    """Something that can be trained.

    Attributes
    ----------
    config
        Dataclass of its settings.
    task
        Makes the task from settings, the folder of rendered pieces and the seed of the first weights.
    size
        Which of the settings is the size of a batch.
    network
        What is needed to build the model of a task.
    """

    config: type
    task: Callable[[Any, Path, int], Task]
    size: str
    network: Callable[[Any], dict[str, Any]] = lambda task: asdict(task.config.network)


KINDS = {
    "pitch": Kind(PitchConfig, PitchTask, "excerpts"),
    "singer": Kind(SingerTaskConfig, SingerTask, "scenes", lambda task: asdict(task.model.config)),
    "joint": Kind(JointConfig, JointTask, "mixtures", lambda task: task.model.settings()),
}
"""What can be trained, by the name of its table in a recipe."""


@dataclass(frozen=True)
class Recipe:
    """What to train, on what and how.

    Attributes
    ----------
    name
        Of the recipe; the model is named after it.
    kind
        What is trained, one of :data:`KINDS`.
    loop
        How.
    settings
        The model and what it is trained on.
    about, licence
        What the zoo will say of the model.
    """

    name: str
    kind: str
    loop: LoopConfig
    settings: Any
    about: str = ""
    licence: str = ""

    def resolved(self) -> dict[str, Any]:
        """Return every key with its value, as tables that JSON can hold."""
        return {
            "about": self.about,
            "licence": self.licence,
            "loop": asdict(self.loop),
            self.kind: asdict(self.settings),
        }


def read_recipe(text: str, kind: str) -> Recipe:
    """Return a recipe by its name or file.

    Raises
    ------
    InputError
        If there is none, or it is not a recipe of this kind.

    Examples
    --------
    >>> read_recipe("pitch-small", "pitch").loop.steps
    20
    """
    if kind not in KINDS:
        raise OptionError("something that can be trained", repr(kind), nearest(kind, KINDS))
    shipped = {entry.name.removesuffix(".toml"): entry for entry in (files("partbook") / "recipes").iterdir()}
    path = shipped.get(text, Path(text))
    if not path.is_file():
        raise InputError(f"a recipe file or one of {', '.join(sorted(shipped))}", repr(text), nearest(text, shipped))
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("a recipe in TOML", f"{text}: {error}") from None
    return recipe_of(told, path.name.removesuffix(".toml"), kind)


def recipe_of(told: Mapping[str, Any], name: str, kind: str) -> Recipe:
    """Return the recipe that tables say."""
    tables = ("about", "licence", "loop", kind)
    for key in told:
        if key in KINDS and key != kind:
            raise InputError(f"a recipe of {kind}", f"{name}, one of {key}", f"partbook train {key}")
        if key not in tables:
            raise OptionError(f"a table of the recipe {name}", repr(key), nearest(key, tables))
    return Recipe(
        name,
        kind,
        _valued(told.get("loop", {}), LoopConfig, "loop"),
        _valued(told.get(kind, {}), KINDS[kind].config, kind),
        _valued(told.get("about", ""), str, "about"),
        _valued(told.get("licence", ""), str, "licence"),
    )


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def _valued(told: Any, kind: Any, where: str) -> Any:
    """Return what a recipe says as a value of this type."""
    if is_dataclass(kind):
        return _filled(told, kind, where)
    if get_origin(kind) is tuple:
        return _listed(told, get_args(kind), where)
    if kind is float and type(told) is int:
        return float(told)
    if type(told) is not kind:
        raise OptionError(f"{_WORDS[kind]} for {where}", repr(told))
    return told


def _filled(told: Any, kind: type, where: str) -> Any:
    """Return a dataclass with the values of a table."""
    if not isinstance(told, Mapping):
        raise OptionError(f"a table [{where}]", repr(told))
    hints = get_type_hints(kind)
    for key in told:
        if key not in hints:
            raise OptionError(f"a key of [{where}]", repr(key), nearest(key, hints))
    for each in fields(kind):
        if each.name not in told and each.default is MISSING and each.default_factory is MISSING:
            raise OptionError(f"{each.name} in [{where}]", "none", f"{each.name} = …")
    values = {key: _valued(value, hints[key], f"{where}.{key}") for key, value in told.items()}
    try:
        return kind(**values)
    except InputError:
        raise
    except ValueError as error:
        raise OptionError(f"possible values in [{where}]", str(error)) from None


def _listed(told: Any, kinds: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    """Return a list as a tuple: of any length where the type says so, else of its length."""
    if not isinstance(told, list):
        raise OptionError(f"a list for {where}", repr(told))
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(told)
    if len(kinds) != len(told):
        raise OptionError(f"{len(kinds)} values for {where}", repr(told))
    return tuple(_valued(value, kind, f"{where}[{n}]") for n, (value, kind) in enumerate(zip(told, kinds, strict=True)))


__all__ = ["KINDS", "Kind", "Recipe", "read_recipe", "recipe_of"]
