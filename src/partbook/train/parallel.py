"""Training over several processes and machines: each draws batches of its own, all take the same step.

Processes are started by ``torchrun``, which says through the environment how many there are. Gradients, losses and what
normalises are averaged; the first process alone writes. With one process nothing happens here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..errors import OptionError


@dataclass(frozen=True)
class Team:
    """The processes that train together.

    Attributes
    ----------
    rank, size
        Which process this is, and how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def writes(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def number(self, step: int) -> int:
        """Return the number of this process's batch of a step: all processes draw different ones."""
        return step * self.size + self.rank

    def mean(self, x: Tensor) -> Tensor:
        """Return the mean over all processes."""
        if self.size == 1:
            return x
        x = x.clone()
        dist.all_reduce(x)
        return x / self.size

    def agree(self, model: nn.Module) -> None:
        """Put the mean over all processes in the place of gradients and of what normalises."""
        if self.size == 1:
            return
        learning = [p for p in model.parameters() if p.requires_grad]
        for p in learning:
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        for x in [*(p.grad for p in learning), *(b for b in model.buffers() if b.is_floating_point())]:
            x.copy_(self.mean(x))

    def wait(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            dist.barrier()


ALONE = Team()
"""One process by itself."""


@contextmanager
def team(device: torch.device) -> Iterator[Team]:
    """Join the processes that ``torchrun`` started, if it did."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Team(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()


def device_of(name: str) -> torch.device:
    """Return a device by its name; ``auto`` is a graphics processor where there is one.

    Raises
    ------
    OptionError
        If there is no such device here.

    Examples
    --------
    >>> device_of("cpu")
    device(type='cpu')
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        # Asked for something, a device that is not there says so.
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise OptionError("a device of this machine: auto, cpu, cuda or mps", repr(name), "--device cpu") from None
    return device


__all__ = ["ALONE", "Team", "device_of", "team"]
