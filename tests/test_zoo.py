"""The models that come with Partbook are the ones that they are said to be."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch
from safetensors.torch import save

from partbook import cli, zoo
from partbook.errors import InputError, OptionError


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Return a folder in the place of the shipped models, with one model in it."""
    data = save({"weight": torch.arange(3.0)})
    (tmp_path / "line.safetensors").write_bytes(data)
    keys = {"about": "a line", "file": "line.safetensors", "sha256": hashlib.sha256(data).hexdigest(), "licence": "CC0",
            "recipe": "partbook train line", "figures": "none", "settings": "{}"}  # fmt: skip
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    (tmp_path / "models.toml").write_text("\n".join(["[line]", *lines]))
    monkeypatch.setattr(zoo, "_folder", lambda: tmp_path)
    zoo.models.cache_clear()
    yield tmp_path
    zoo.models.cache_clear()


def test_every_shipped_model_is_whole_small_and_told():
    for model in zoo.models():
        weights, settings = zoo.load(model.name)
        assert weights and json.loads(settings) and 0 < model.size_bytes < 10e6
        assert model.about and model.licence.startswith("Apache-2.0") and model.recipe.startswith("partbook train")
    assert sum(model.size_bytes for model in zoo.models()) < 10e6


def test_every_file_beside_the_list_is_in_it():
    files = {path.name for path in zoo._folder().iterdir()} - {"models.toml"}
    assert files == {model.file for model in zoo.models()}


def test_the_shipped_networks_can_be_built_again():
    from partbook.pitch.network import network_of, spectral_features

    network = network_of(*zoo.load("pitch"))
    logits = network(spectral_features(torch.zeros(1, 1, 4000), torch.ones(1), network.config))
    assert torch.isfinite(logits).all() and (logits < 0).all(), "nobody sings in silence"


def test_a_model_is_loaded_by_name(shelf):
    weights, settings = zoo.load("line")
    assert weights["weight"].tolist() == [0, 1, 2] and settings == "{}"


def test_an_unknown_name_gets_the_nearest(shelf):
    with pytest.raises(OptionError, match="one of the models line, got 'lime'; try line"):
        zoo.load("lime")


@pytest.mark.parametrize("at", [0, 40, -1])
def test_a_file_that_is_not_the_shipped_one_is_refused(shelf, at):
    data = bytearray((shelf / "line.safetensors").read_bytes())
    data[at] ^= 1
    (shelf / "line.safetensors").write_bytes(data)
    with pytest.raises(InputError, match=r"with sha256 .*; try installing again"):
        zoo.load("line")


def test_the_verb_lists_them(shelf, capsys):
    assert cli.main(["models"]) == 0
    out = capsys.readouterr().out
    for word in ("line (0 kB): a line", "licence  CC0", "figures  none", "recipe   partbook train line"):
        assert word in out
    assert cli.main(["models", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["models"]
    assert told["name"] == "line" and told["bytes"] == (shelf / "line.safetensors").stat().st_size
    assert told["sha256"] == zoo.models()[0].sha256
