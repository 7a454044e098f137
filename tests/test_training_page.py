"""What the page on training promises is true of the program."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from partbook import cli
from partbook.train.joint import PARTS
from partbook.train.recipes import read_recipe, recipe_of

PAGE = (Path(__file__).parents[1] / "docs/training.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in an empty folder with the recipe that the page speaks of."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(blocks("toml")[0])


def test_every_command_of_the_page_is_understood(here, monkeypatch, capsys):
    asked = []

    class Started(Exception):
        pass

    def started(recipe, folder, renders, **options):
        asked.append((recipe.name, str(folder)))
        raise Started

    monkeypatch.setattr("partbook.train.running.run", started)
    monkeypatch.setattr("torch.set_num_threads", lambda count: None)
    for line in "".join(blocks("sh")).splitlines():
        try:
            assert cli.main(shlex.split(line, comments=True)[1:]) == 0
        except Started:
            capsys.readouterr()
    expected = ("pitch", "singer", "singer-choir", "pitch-small", "mine", "joint")
    assert asked == [(name, f"trained/{name}") for name in expected]


def test_the_recipes_of_the_page_are_some():
    joint = recipe_of(tomllib.loads(blocks("toml")[1]), "mine", "joint")
    assert [phase.trained for phase in joint.settings.phases] == [("hearing", "assigner"), PARTS]
    recipe = recipe_of(tomllib.loads(blocks("toml")[0]), "mine", "pitch")
    own = read_recipe("pitch", "pitch")
    assert (recipe.loop.steps, recipe.settings.pieces) == (own.loop.steps, own.settings.pieces)
    assert recipe.settings.network == own.settings.network


def test_the_python_of_the_page_trains_and_leaves_what_the_table_says(here, tmp_path):
    told = {}
    exec(blocks("python")[0], told)
    assert told["trained"].figures["f"] > 0.1
    promised = re.findall(r"^\| `([^`]+)`", PAGE.split("goes on")[0], re.MULTILINE)
    written = {path.name for path in (tmp_path / "trained" / "pitch-small").iterdir()}
    assert {name.replace("<recipe>", "pitch-small").rstrip("/") for name in promised} - {
        "tensorboard",
        "corpus.json",
    } == (written - {"tensorboard"})


def test_every_recipe_that_the_page_names_comes_with_partbook():
    table = PAGE.split("published as")[1].split("\n\n")[0]
    for name in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE):
        assert read_recipe(name, name.split("-")[0]).about


def test_files_that_the_page_points_to_are_there():
    for target in re.findall(r"\]\((\.\./[^)]+)\)", PAGE):
        assert (Path(__file__).parents[1] / "docs" / target).is_file()
