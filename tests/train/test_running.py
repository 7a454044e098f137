"""A recipe becomes a folder of weights that the zoo can take in, however often it was stopped."""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
import types
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from partbook import cli, zoo
from partbook.errors import InputError
from partbook.pitch.network import network_of
from partbook.train import checkpoint
from partbook.train.pitch import PitchTask
from partbook.train.recipes import KINDS, read_recipe
from partbook.train.running import largest_batch, run
from partbook.train.weights import read_model

RECIPE = """
about = "an example, \\"quoted\\" and all"
licence = "Apache-2.0"
[loop]
steps = 4
warm_up_steps = 1
save_every = 2
check_every = 2
[pitch]
pieces = 1
held_out = 1
excerpts = 2
seconds = 0.5
[pitch.network]
channels = 4
exchanged = 1
reach = [[1, 1]]
"""


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "mine.toml").write_text(RECIPE)
    return read_recipe(str(tmp_path / "mine.toml"), "pitch")


@pytest.fixture
def partbook(capsys, tmp_path, renders, monkeypatch):
    """Run ``partbook train`` in an empty folder; return exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def command(*tokens):
        code = cli.main(["train", *map(str, tokens), "--renders", str(renders)])
        return code, *capsys.readouterr()

    return command


def test_the_weights_are_a_model_of_the_zoo(recipe, renders, tmp_path, monkeypatch):
    trained = run(recipe, tmp_path / "out", renders)
    told = tomllib.loads((tmp_path / "out" / "models.toml").read_text("utf-8"))["mine"]
    data = (tmp_path / "out" / told["file"]).read_bytes()
    assert told["sha256"] == hashlib.sha256(data).hexdigest()
    assert told["about"] == 'an example, "quoted" and all' and told["recipe"] == "partbook train pitch --recipe mine"
    monkeypatch.setattr(zoo, "_folder", lambda: tmp_path / "out")
    zoo.models.cache_clear()
    try:
        assert zoo.models() == (trained.model,)
        network = network_of(*zoo.load("mine"))
    finally:
        monkeypatch.undo()
        zoo.models.cache_clear()
    assert network.config == recipe.settings.network and not network.training
    assert set(trained.figures) == {"precision", "recall", "f"} and "precision 0" in trained.model.figures


def test_a_run_that_was_stopped_gives_the_same_weights(recipe, renders, tmp_path):
    run(recipe, tmp_path / "whole", renders)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, tmp_path / "cut", renders, on_progress=stop_at(3))
    assert not (tmp_path / "cut" / "mine.safetensors").exists()
    run(recipe, tmp_path / "cut", renders)
    one, other = ((tmp_path / name / "mine.safetensors").read_bytes() for name in ("whole", "cut"))
    assert one == other


def stop_at(done):
    def stop(event):
        if event.done == done:
            raise KeyboardInterrupt

    return stop


def test_a_folder_of_another_recipe_is_refused_by_the_key_that_differs(recipe, renders, tmp_path):
    run(recipe, tmp_path / "out", renders)
    other = replace(recipe, settings=replace(recipe.settings, seconds=0.75))
    with pytest.raises(InputError, match=r"same recipe \(seconds = 0.75\), got .*\(seconds = 0.5\); try --out"):
        run(other, tmp_path / "out", renders)
    other = replace(recipe, loop=replace(recipe.loop, steps=5))
    with pytest.raises(InputError, match=r"\(steps = 5\)"):
        run(other, tmp_path / "out", renders)


def test_folders_that_cannot_be_made_are_named(recipe, renders, tmp_path):
    (tmp_path / "file").write_text("")
    for folder, pieces in ((tmp_path / "file" / "out", renders), (tmp_path / "out", tmp_path / "file")):
        with pytest.raises(InputError, match=r"a folder that can be written to, got .*file"):
            run(recipe, folder, pieces)


class Narrow(PitchTask):
    """A machine on which a loss over more than two excerpts does not fit."""

    def loss(self, batch):
        """Run out of memory, as PyTorch does on a processor, or return the loss."""
        if len(batch[0]) > 2:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")
        return super().loss(batch)


@pytest.mark.parametrize(("excerpts", "fits"), [(3, 1), (4, 2), (9, 2), (16, 2)])
def test_out_of_memory_says_the_batch_that_would_fit(recipe, renders, tmp_path, monkeypatch, excerpts, fits):
    monkeypatch.setitem(KINDS, "pitch", replace(KINDS["pitch"], task=Narrow))
    large = replace(recipe, settings=replace(recipe.settings, excerpts=excerpts))
    with pytest.raises(InputError, match=f"fits into memory, got excerpts = {excerpts}; try excerpts = {fits}$"):
        run(large, tmp_path / "out", renders)
    assert largest_batch(large, renders) == fits
    smaller = replace(recipe, settings=replace(recipe.settings, excerpts=fits))
    assert run(smaller, tmp_path / "out", renders).figures, "in the same folder, where nothing was learned"


def test_other_failures_are_not_taken_for_want_of_memory(recipe, renders, tmp_path, monkeypatch):
    monkeypatch.setattr(PitchTask, "loss", lambda self, batch: torch.ones(2) @ torch.ones(3))
    with pytest.raises(RuntimeError, match="size"):
        run(recipe, tmp_path / "out", renders)


def test_tensorboard_gets_every_number_where_it_is_installed(recipe, renders, tmp_path, monkeypatch):
    written = []

    class SummaryWriter:
        def __init__(self, folder):
            self.folder = folder

        def __enter__(self):
            return self

        def __exit__(self, *error):
            written.append("closed")

        def add_scalar(self, name, value, step):
            written.append((name, step))

    fake = types.ModuleType("torch.utils.tensorboard")
    fake.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    run(recipe, tmp_path / "out", renders)
    assert {("loss", 1), ("loss", 4), ("norm", 2), ("check_f", 4)} <= set(written) and written[-1] == "closed"
    assert not any(name == "step" for name, _ in written[:-1])


def test_without_tensorboard_all_else_is_there(recipe, renders, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    run(recipe, tmp_path / "out", renders)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "checkpoint.safetensors", "log.jsonl", "mine.safetensors", "models.toml", "recipe.json"]  # fmt: skip
    assert json.loads((tmp_path / "out" / "recipe.json").read_text("utf-8"))["pitch"]["seconds"] == 0.5


def test_the_verb_trains_and_tells(partbook, recipe, tmp_path):
    code, out, err = partbook("pitch", "--recipe", "mine.toml", "--json")
    told = json.loads(out)
    assert code == 0 and told["reached"]["f"] >= 0 and told["name"] == "mine"
    assert "step 2 of 4: loss" in err and "min left" in err and "step 4 of 4" in err
    assert load_file(tmp_path / told["weights"]) and told["folder"] == "trained/mine"
    assert partbook("pitch", "--recipe", "mine.toml", "--quiet") == (0, "", "")
    assert partbook("pitch", "--recipe", "mine.toml")[1].startswith("trained/mine/mine.safetensors: precision")


def test_the_seed_of_the_command_counts(partbook, recipe, tmp_path):
    for seed in (0, 1):
        assert partbook("pitch", "--recipe", "mine.toml", "--out", f"s{seed}", "--seed", seed, "--quiet")[0] == 0
    one, other = (load_file(tmp_path / f"s{seed}" / "mine.safetensors") for seed in (0, 1))
    assert not torch.equal(one["look.weight"], other["look.weight"])


def test_mistakes_of_the_verb_are_one_line_and_leave_nothing(partbook, recipe, tmp_path, monkeypatch):
    (tmp_path / "bad.toml").write_text(RECIPE.replace("save_every", "save_evry"))
    before = sorted(path.name for path in tmp_path.iterdir())
    for tokens, said in (
        (("pich",), "try pitch"),
        (("pitch", "--recipe", "pitch-smal"), "try pitch-small"),
        (("pitch", "--recipe", "bad.toml"), "a key of [loop], got 'save_evry'; try save_every"),
        (("pitch", "--recipe", "mine.toml", "--threads", "0"), "--threads from 1 up, got 0"),
    ):
        code, out, err = partbook(*tokens)
        assert (code, out, err.count("\n")) == (2, "", 1) and said in err
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert partbook("pitch", "--recipe", "mine.toml", "--out", "out", "--quiet")[0] == 0
    monkeypatch.setattr(checkpoint, "FORMAT", "9")
    code, out, err = partbook("pitch", "--recipe", "mine.toml", "--out", "out", "--quiet")
    assert (code, out, err.count("\n")) == (2, "", 1) and "a checkpoint of version 9" in err


JOINT = """
[loop]
steps = 2
warm_up_steps = 1
save_every = 1
check_every = 2
[joint]
hearing = "untrained"
singer = "untrained"
mixtures = 2
seconds = 0.5
windows_s = [0.064]
[[joint.phases]]
trained = ["assigner", "singer"]
spectral = 1.0
"""


@pytest.fixture
def corpus(tmp_path):
    """Return a folder with a recording and a file that is none."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    soundfile.write(folder / "hum.wav", 0.1 * np.sin(np.arange(16_000) / 10), 16_000)
    (folder / "broken.wav").write_bytes(b"nothing")
    return folder


def test_joint_training_on_recordings_of_ones_own(partbook, corpus, tmp_path):
    (tmp_path / "mine.toml").write_text(JOINT)
    command = ("joint", "--recipe", "mine.toml", "--corpus", corpus, "--voices", "2")
    code, out, err = partbook(*command, "--json")
    told = json.loads(out)
    assert code == 0 and told["reached"]["spectral"] > 0 and "on 1 recordings" in told["figures"]
    assert "broken.wav" in err and "1 of 2 files left out" in err
    heard = json.loads((tmp_path / "trained/mine/corpus.json").read_text("utf-8"))
    assert heard["recordings"] == {"hum": [16_000, 16_000]} and len(heard["skipped"]) == 1
    assert set(json.loads(told["settings"])) == {"hearing", "assigner", "singer"}
    own, whole = read_model(str(tmp_path / "trained/mine"), "singer")[0], load_file(tmp_path / told["weights"])
    assert {f"singer.{name}" for name in own} == {name for name in whole if name.startswith("singer.")}
    soundfile.write(corpus / "other.wav", np.zeros(16_000), 16_000)
    code, _, err = partbook(*command, "--quiet")
    assert code == 2 and "the 1 recordings of the run in" in err and "other differs" in err


def test_mistakes_about_recordings_are_one_line(partbook, recipe, corpus, tmp_path):
    (tmp_path / "joint.toml").write_text(JOINT)
    for tokens, said in (
        (("pitch", "--recipe", "mine.toml", "--corpus", corpus), "--corpus with partbook train joint"),
        (("joint", "--recipe", "joint.toml", "--corpus", "none"), "'none', which does not exist; try --corpus FOLDER"),
        (("joint", "--recipe", "joint.toml", "--corpus", corpus / "broken.wav"), "which is none; try --corpus FOLDER"),
        (("joint", "--recipe", "joint.toml", "--voices", "SAX"), "letters of S M A T R B"),
        (("joint", "--recipe", "joint.toml", "--device", "cud"), "got 'cud'; try --device cpu"),
        (("joint", "--recipe", "mine.toml"), "mine, one of pitch; try partbook train pitch"),
    ):
        code, out, err = partbook(*tokens, "--quiet")
        assert (code, out, err.count("\n")) == (2, "", 1) and said in err
    assert not (tmp_path / "trained").exists()
