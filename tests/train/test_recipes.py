"""Recipes are their dataclasses, key by key; what is wrong in one is said in one line."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, fields
from importlib.resources import files

import pytest

from partbook import zoo
from partbook.errors import InputError
from partbook.train.loop import LoopConfig
from partbook.train.recipes import KINDS, read_recipe, recipe_of

LOOP = {"loop": {"steps": 5}}
SHIPPED = sorted(entry.name.removesuffix(".toml") for entry in (files("partbook") / "recipes").iterdir())


def refused(told, kind="pitch"):
    with pytest.raises(InputError) as error:
        recipe_of(told, "mine", kind)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_shipped_models_are_those_of_their_recipes():
    for model in zoo.models():
        if model.name in KINDS:
            assert model.recipe == f"partbook train {model.name}"
            network = asdict(read_recipe(model.name, model.name).settings.network)
            assert json.loads(model.settings) == json.loads(json.dumps(network))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_recipe_is_one(name):
    told = tomllib.loads((files("partbook") / "recipes" / f"{name}.toml").read_text("utf-8"))
    kind = next(key for key in told if key in KINDS)
    recipe = read_recipe(name, kind)
    assert recipe.name == name and recipe.about and recipe.licence
    json.dumps(recipe.resolved())


def test_a_recipe_that_says_everything_is_the_dataclasses():
    """All keys of the resolved recipe, read again, are the recipe."""
    recipe = read_recipe("pitch-small", "pitch")
    again = recipe_of(json.loads(json.dumps(recipe.resolved())), "pitch-small", "pitch")
    assert again == recipe
    assert set(recipe.resolved()["loop"]) == {each.name for each in fields(LoopConfig)}
    assert recipe.resolved()["pitch"] == asdict(recipe.settings)


def test_whole_numbers_may_stand_for_fractions_and_are_such():
    recipe = recipe_of({"loop": {"steps": 5, "clip": 1}, "pitch": {"network": {"harmonics": [1, 2]}}}, "mine", "pitch")
    assert type(recipe.loop.clip) is float and recipe.settings.network.harmonics == (1.0, 2.0)


def test_a_file_is_read_and_named_after_itself(tmp_path):
    (tmp_path / "mine.toml").write_text("[loop]\nsteps = 7\n[pitch.network.transform]\nhop_samples = 256\n")
    recipe = read_recipe(str(tmp_path / "mine.toml"), "pitch")
    assert (recipe.name, recipe.loop.steps, recipe.settings.network.transform.hop_samples) == ("mine", 7, 256)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"loop": {"steps": 5, "learning_rat": 1.0}}, "a key of [loop], got 'learning_rat'; try learning_rate"),
        ({"loop": {"steps": 5}, "pich": {}}, "a table of the recipe mine, got 'pich'; try pitch"),
        ({**LOOP, "pitch": {"network": {"chanels": 4}}}, "a key of [pitch.network], got 'chanels'; try channels"),
        ({"loop": {}}, "steps in [loop], got none; try steps = …"),
        ({}, "steps in [loop], got none"),
        ({"loop": {"steps": "many"}}, "a whole number for loop.steps, got 'many'"),
        ({"loop": {"steps": 5.5}}, "a whole number for loop.steps, got 5.5"),
        ({"loop": {"steps": True}}, "a whole number for loop.steps, got True"),
        ({"loop": {"steps": 5, "low_precision": 1}}, "true or false for loop.low_precision, got 1"),
        ({"loop": {"steps": 5, "clip": "1"}}, "a number for loop.clip, got '1'"),
        ({"loop": {"steps": 0}}, "steps from 1 up, got 0"),
        ({"loop": 3}, "a table [loop], got 3"),
        ({"loop": {"steps": 5}, "pitch": {"network": {"harmonics": 3.0}}}, "a list for pitch.network.harmonics"),
        ({"loop": {"steps": 5}, "pitch": {"network": {"reach": [[1, 1, 1]]}}}, "2 values for pitch.network.reach[0]"),
        ({**LOOP, "pitch": {"network": {"transform": {"rows": 900}}}}, "possible values in [pitch.network.transform]"),
        ({"loop": {"steps": 5}, "about": 3}, "a text for about, got 3"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_place(told, said):
    assert f"expected {said}" in refused(told)


def test_recipes_that_are_not_there_or_not_recipes(tmp_path):
    for text, said in (
        ("pich", "got 'pich'; try pitch"),
        (str(tmp_path), "a recipe file or one of"),
        (str(tmp_path / "none.toml"), "a recipe file or one of joint, "),
    ):
        with pytest.raises(InputError) as error:
            read_recipe(text, "pitch")
        assert said in str(error.value)
    (tmp_path / "bad.toml").write_text("[loop\nsteps")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    for name in ("bad", "bytes"):
        with pytest.raises(InputError, match="a recipe in TOML"):
            read_recipe(str(tmp_path / f"{name}.toml"), "pitch")
    with pytest.raises(InputError, match="something that can be trained, got 'pich'; try pitch"):
        read_recipe("pitch", "pich")


def test_a_recipe_of_something_else_is_told_apart(monkeypatch):
    monkeypatch.setitem(KINDS, "other", KINDS["pitch"])
    assert "a recipe of other, got mine, one of pitch; try partbook train pitch" in refused(
        {"loop": {"steps": 5}, "pitch": {}}, "other"
    )
