"""A run that was stopped and taken up again is the run that was never stopped."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import pairwise

import pytest
import torch
from torch import nn

from partbook.errors import Cancelled, InputError
from partbook.train.loop import LoopConfig, last_figures, schedule, train

CONFIG = LoopConfig(steps=25, learning_rate=0.05, warm_up_steps=5, save_every=4, check_every=10)


class Line:
    """A straight line to be learned, through layers that keep state of their own."""

    def __init__(self, seed=0, spoiled=()):
        with torch.random.fork_rng():
            torch.random.set_rng_state(torch.Generator().manual_seed(seed).get_state())
            self.model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
        self.spoiled = spoiled
        self.seen = []

    def batch(self, seed, step):
        self.seen.append(step)
        x = torch.randn(16, 3, generator=torch.Generator().manual_seed(1000 * seed + step))
        x = x / (0.0 if step in self.spoiled else 1.0)
        return x, x @ torch.tensor([[1.0], [-2.0], [0.5]])

    def loss(self, batch):
        x, y = batch
        loss = (self.model(x) - y).square().mean()
        return loss, {"error": float(loss.detach())}

    def check(self):
        return {"error": self.loss(self.batch(7, 0))[1]["error"], "training": float(self.model.training)}


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def stopped_at(step, folder, config=CONFIG, task=None):
    """Train until the log says a step, and stop there as a kill would: nothing is tidied up."""

    def stop(record):
        if record["step"] == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(task or Line(), config, folder, on_log=stop)


def logged(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("low", [False, True])
def test_low_precision_is_for_processors_that_have_it(tmp_path, monkeypatch, low):
    monkeypatch.setattr("partbook.train.loop.low_precision_pays", lambda device: low)
    task, seen = Line(), []
    loss = task.loss

    def noted(batch):
        if task.model.training:
            seen.append(torch.is_autocast_enabled("cpu"))
        return loss(batch)

    task.loss = noted
    train(task, replace(CONFIG, steps=2, low_precision=True), tmp_path)
    assert set(seen) == {low}


@pytest.mark.parametrize("step", [1, 4, 7, 20, 25])
@pytest.mark.parametrize("low_precision", [False, True])
def test_a_killed_run_goes_on_to_the_bit(tmp_path, step, low_precision):
    config = replace(CONFIG, low_precision=low_precision)
    whole = train(Line(), config, tmp_path / "whole")
    stopped_at(step, tmp_path / "cut", config)
    # First weights of the second process do not matter.
    assert same(whole, train(Line(seed=9 if step > 4 else 0), config, tmp_path / "cut"))
    one, other = (
        [{key: value for key, value in record.items() if key != "seconds"} for record in logged(tmp_path / name)]
        for name in ("whole", "cut")
    )
    assert one == other


def test_steps_before_the_checkpoint_are_not_taken_again(tmp_path):
    stopped_at(11, tmp_path)
    task = Line()
    train(task, CONFIG, tmp_path)
    assert [step for step in task.seen if step] == list(range(8, 25))


def test_what_a_kill_left_half_written_does_no_harm(tmp_path):
    whole = train(Line(), CONFIG, tmp_path / "whole")
    stopped_at(9, tmp_path / "cut")
    (tmp_path / "cut" / "checkpoint.draft").write_bytes(b"half a che")
    with (tmp_path / "cut" / "log.jsonl").open("a") as file:
        file.write('{"step": 10, "lo')
    assert same(whole, train(Line(), CONFIG, tmp_path / "cut"))
    assert [record["step"] for record in logged(tmp_path / "cut")] == list(range(1, 26))


def test_a_finished_run_is_only_read(tmp_path):
    whole, task = train(Line(), CONFIG, tmp_path), Line(seed=3)
    assert same(whole, train(task, CONFIG, tmp_path)) and not task.seen


def test_the_seed_of_the_recipe_changes_the_run(tmp_path):
    one, other = (train(Line(), replace(CONFIG, seed=seed), tmp_path / str(seed)) for seed in (0, 1))
    assert not same(one, other)


def test_training_learns(tmp_path):
    train(Line(), replace(CONFIG, steps=300, learning_rate=0.02, averaged=0.9), tmp_path)
    assert logged(tmp_path)[-1]["check_error"] < 0.1 * logged(tmp_path)[0]["error"]


def test_validation_is_of_the_averaged_model_at_rest(tmp_path):
    task = Line()
    averaged = train(task, CONFIG, tmp_path)
    assert last_figures(tmp_path) == {"error": task.check()["error"], "training": 0.0}
    assert not averaged.training
    assert [record["step"] for record in logged(tmp_path) if "check_error" in record] == [10, 20, 25]


def test_the_average_is_of_the_weights_on_the_way(tmp_path):
    """Without memory it is the last weights; with memory it lags behind them."""
    last = train(Line(), replace(CONFIG, averaged=0.0), tmp_path / "last")
    lagging = train(Line(), CONFIG, tmp_path / "lagging")
    first = Line().model
    moved = [(a - b).norm() for a, b in zip(last.parameters(), first.parameters(), strict=True)]
    lagged = [(a - b).norm() for a, b in zip(lagging.parameters(), first.parameters(), strict=True)]
    assert sum(lagged) < sum(moved)


def test_steps_without_a_finite_loss_are_skipped_and_told(tmp_path):
    told = []
    learned = train(Line(spoiled=(3, 4, 17)), CONFIG, tmp_path, on_progress=lambda event: told.append(event.message))
    assert all(torch.isfinite(weight).all() for weight in learned.state_dict().values())
    assert [message for message in told if "skipped" in message] == [
        f"step {step} skipped: its loss or gradient is not finite" for step in (4, 5, 18)
    ]
    assert [record["step"] for record in logged(tmp_path) if record["loss"] is None] == [4, 5, 18]
    assert "NaN" not in (tmp_path / "log.jsonl").read_text() and "Infinity" not in (tmp_path / "log.jsonl").read_text()


def test_a_run_that_only_fails_says_what_to_try(tmp_path):
    with pytest.raises(InputError, match=r"finite loss, got none in 21 steps.*lower learning_rate"):
        train(Line(spoiled=range(100)), replace(CONFIG, steps=50), tmp_path)


def test_a_spoiled_step_leaves_the_weights(tmp_path):
    task = Line(spoiled=(0,))
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    after = train(task, replace(CONFIG, steps=1), tmp_path).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_batches_of_a_step_weigh_as_much_as_one_that_holds_them_all(tmp_path):
    class Plain(Line):
        together = 1

        def __init__(self):
            super().__init__()
            self.model = nn.Linear(3, 1)
            nn.init.zeros_(self.model.weight)
            nn.init.zeros_(self.model.bias)

        def batch(self, seed, step):
            drawn = [super(Plain, self).batch(seed, step * self.together + k) for k in range(self.together)]
            return tuple(torch.cat(each) for each in zip(*drawn, strict=True))

    whole, parts = Plain(), Plain()
    whole.together = 3
    train(whole, replace(CONFIG, steps=4), tmp_path / "whole")
    train(parts, replace(CONFIG, steps=4, batches=3), tmp_path / "parts")
    assert parts.seen[:12] == whole.seen[:12] == list(range(12))
    assert torch.allclose(whole.model.weight, parts.model.weight, atol=1e-6)
    one, three = (json.loads((tmp_path / f / "log.jsonl").read_text().splitlines()[0]) for f in ("whole", "parts"))
    for name in ("error", "loss", "norm"):
        assert one[name] == pytest.approx(three[name])


def test_large_gradients_are_clipped(tmp_path):
    train(Line(), replace(CONFIG, clip=1e-9, weight_decay=0.0, steps=3), tmp_path / "clipped")
    assert all(record["norm"] > 0.1 for record in logged(tmp_path / "clipped")), "the log tells the norm before"


def test_a_checkpoint_of_another_recipe_model_or_version_is_refused(tmp_path):
    stopped_at(9, tmp_path)
    with pytest.raises(InputError, match=r"of this recipe, got .*of another; try another folder"):
        train(Line(), replace(CONFIG, learning_rate=0.01), tmp_path)
    other = Line()
    other.model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    with pytest.raises(InputError, match="of this model"):
        train(other, CONFIG, tmp_path)


def test_a_checkpoint_of_another_version_is_refused(tmp_path, monkeypatch):
    stopped_at(9, tmp_path)
    monkeypatch.setattr("partbook.train.checkpoint.FORMAT", "2")
    with pytest.raises(InputError, match=r"version 2, got .*of version 1"):
        train(Line(), CONFIG, tmp_path)


def test_a_checkpoint_that_was_changed_is_refused(tmp_path):
    stopped_at(9, tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        InputError, match=r"a checkpoint with sha256 .*checkpoint\.safetensors with .*; try deleting it"
    ):
        train(Line(), CONFIG, tmp_path)


def test_a_checkpoint_of_a_version_that_knew_fewer_settings_goes_on(tmp_path):
    """What it did not know of had its default; it had no digest either."""
    from safetensors.torch import load_file, save_file

    whole = train(Line(), CONFIG, tmp_path / "whole")
    stopped_at(9, tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    config = {key: value for key, value in asdict(CONFIG).items() if key != "low_precision"}
    save_file(load_file(path), path, {"format": "1", "step": "8", "config": json.dumps(config)})
    assert same(whole, train(Line(), CONFIG, tmp_path))


@pytest.mark.parametrize("keep", [0, 7, 300])
def test_a_checkpoint_that_cannot_be_read_is_refused(tmp_path, keep):
    stopped_at(9, tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"that can be read, got .*checkpoint\.safetensors.*; try deleting it"):
        train(Line(), CONFIG, tmp_path)


def test_progress_counts_what_is_left_and_can_cancel(tmp_path):
    stopped_at(9, tmp_path)
    events = []
    train(Line(), CONFIG, tmp_path, on_progress=events.append)
    assert [event.done for event in events] == list(range(18)) and events[-1].total == 17
    assert "step 25 of 25: loss" in events[-1].message and ", error " in events[-1].message
    with pytest.raises(Cancelled):
        train(Line(), CONFIG, tmp_path / "other", on_progress=lambda event: event.done < 5)


def test_the_learning_rate_rises_and_falls():
    config = LoopConfig(steps=1000, warm_up_steps=100)
    rates = [schedule(step, config) for step in range(1000)]
    assert max(rates) == rates[99] == 1 and rates[-1] == pytest.approx(0.01) and min(rates) > 0
    assert all(a < b for a, b in pairwise(rates[:100]))
    assert all(a > b for a, b in pairwise(rates[99:]))
    assert all(0 < schedule(step, LoopConfig(steps=3)) < 0.1 for step in range(3)), "shorter than its rise"


def test_a_second_time_the_rate_rises_and_falls_like_the_first_but_lower():
    config = LoopConfig(steps=100, warm_up_steps=10, again_steps=60, again_rate=0.25)
    rates = [schedule(step, config) for step in range(config.total)]
    assert rates[:100] == [schedule(step, LoopConfig(steps=100, warm_up_steps=10)) for step in range(100)]
    alone = LoopConfig(steps=60, warm_up_steps=10)
    assert rates[100:] == pytest.approx([0.25 * schedule(step, alone) for step in range(60)])


def test_the_second_time_begins_with_the_averaged_weights_and_nothing_else(tmp_path):
    config = replace(CONFIG, again_steps=6, again_rate=0.3, save_every=25)
    first = train(Line(), CONFIG, tmp_path / "first")
    again = Line()
    again.model.load_state_dict(first.state_dict())
    again.batch = lambda seed, step, drawn=again.batch: drawn(seed, step + CONFIG.steps)
    alone = replace(CONFIG, steps=6, learning_rate=0.3 * CONFIG.learning_rate)
    assert same(train(Line(), config, tmp_path / "both"), train(again, alone, tmp_path / "again"))


@pytest.mark.parametrize("step", [24, 25, 26, 30])
def test_a_run_stopped_around_the_second_beginning_goes_on_to_the_same_weights(step, tmp_path):
    config = replace(CONFIG, again_steps=8, save_every=5)
    stopped_at(step, tmp_path / "stopped", config)
    assert same(train(Line(), config, tmp_path / "stopped"), train(Line(), config, tmp_path / "whole"))


@pytest.mark.parametrize(
    "wrong",
    [{"steps": 0}, {"learning_rate": 0.0}, {"clip": -1.0}, {"averaged": 1.0}, {"save_every": 0}, {"again_steps": -1}],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        replace(CONFIG, **wrong)
