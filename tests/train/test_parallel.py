"""Two processes that train together take the step of one with a batch of both."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from partbook.errors import InputError
from partbook.train.loop import LoopConfig, moved, train
from partbook.train.parallel import ALONE, Team, device_of

SCRIPT = """
import sys, torch
from pathlib import Path
from torch import nn
from partbook.train.loop import LoopConfig, train
from partbook.train.parallel import team
from partbook.train.weights import seeded

class Line:
    def __init__(self):
        # A bias before a mean is taken off has no gradient but rounding, which steps of Adam make large.
        layers = lambda: nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4), nn.Linear(4, 1))
        self.model = seeded(layers, 0)
    def batch(self, seed, number):
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(number))
        return x / (0.0 if number == 5 else 1.0), x.sum(1, keepdim=True)
    def loss(self, batch):
        return (self.model(batch[0]) - batch[1]).square().mean(), {}
    def check(self):
        return {"one": 1.0}

torch.set_num_threads(1)
config = LoopConfig(steps=5, learning_rate=0.05, warm_up_steps=1, save_every=2, check_every=5, clip=1e3)
with team(torch.device("cpu")) as together:
    model = train(Line(), config, Path(sys.argv[1]), team=together)
    torch.save([p.detach() for p in model.parameters()], f"{sys.argv[1]}/{together.rank}.pt")
"""


class TwoBatches:
    """The mean loss of the two batches that two processes would draw for a step, in one."""

    def __init__(self):
        told = {"__name__": "told", "sys": sys}
        exec(SCRIPT.split("torch.set_num_threads")[0], told)
        self.line = told["Line"]()
        self.model = self.line.model
        # Running means would be followed twice a step.
        self.model[1].momentum = 0.0

    def batch(self, seed, step):
        return [self.line.batch(seed, 2 * step + rank) for rank in (0, 1)]

    def loss(self, batch):
        return sum(self.line.loss(each)[0] for each in batch) / 2, {}

    def check(self):
        return {}


def test_two_processes_take_the_step_of_one_that_draws_both_batches(tmp_path):
    (tmp_path / "two.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29517"]
    told = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(tmp_path / "two.py"), str(tmp_path)], capture_output=True, text=True, timeout=250, env=told
    )
    assert done.returncode == 0, done.stderr
    zero, one = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(a, b) for a, b in zip(zero, one, strict=True))
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text("utf-8").splitlines()]
    assert [record["step"] for record in records] == [1, 2, 3, 4, 5], "the first process alone writes"
    assert records[2]["loss"] is None, "the sixth batch was spoiled, so both left out the step"
    config = LoopConfig(steps=5, learning_rate=0.05, warm_up_steps=1, clip=1e3)
    task = TwoBatches()
    task.model = task.model.to("cpu")
    alone = train(task, config, tmp_path / "alone")
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(zero, alone.parameters(), strict=True))
    assert load_file(tmp_path / "checkpoint.safetensors")


def test_processes_draw_different_batches_that_together_are_all():
    team = [Team(rank, 3) for rank in range(3)]
    assert sorted(each.number(step) for each in team for step in range(4)) == list(range(12))
    assert [each.writes for each in team] == [True, False, False]
    assert ALONE.number(7) == 7 and ALONE.writes


@pytest.mark.parametrize("name", ["cud", "cuda:77", "tpu"])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(InputError, match=f"a device of this machine: .*, got '{name}'; try --device cpu"):
        device_of(name)


def test_auto_is_the_fastest_there_is():
    assert device_of("auto").type in ("cpu", "cuda", "mps") and device_of("cpu") == torch.device("cpu")


def test_batches_move_whole():
    batch = moved((torch.ones(2), [1], (torch.zeros(1), "word")), torch.device("meta"))
    assert batch[0].device.type == "meta" and batch[1] == [1] and batch[2][1] == "word"
