"""All that the next step of a run depends on, as one file that is there whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import InputError

FORMAT = "1"
"""Version of the checkpoints."""

_ELSE = "another folder, or deleting it"


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: Mapping[str, Tensor],
    config: Mapping[str, object],
    step: int,
) -> None:
    """Write everything that the next step depends on; a kill in between leaves the last checkpoint."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    told = {"format": FORMAT, "step": str(step), "config": json.dumps(config), "sha256": _digest(tensors)}
    draft = path.with_suffix(".draft")
    save_file(tensors, draft, told)
    os.replace(draft, path)


def load_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
    config: Mapping[str, object],
) -> int:
    """Restore what :func:`save_checkpoint` wrote, if anything; return the step to take next.

    Raises
    ------
    InputError
        If the file cannot be read, was changed, or is of another version, recipe or model.
    """
    if not path.exists():
        return 0
    try:
        with safe_open(path, "pt") as file:
            told = file.metadata() or {}
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError("a checkpoint that can be read", f"{path}: {error}", "deleting it") from None
    if told.get("format") != FORMAT:
        raise InputError(f"a checkpoint of version {FORMAT}", f"{path} of version {told.get('format')}", _ELSE)
    if told.get("sha256", found := _digest(tensors)) != found:
        raise InputError(
            f"a checkpoint with sha256 {told['sha256'][:12]}…", f"{path} with {found[:12]}…", "deleting it"
        )
    # What an earlier version did not know of had its default.
    if (dict(config) | json.loads(told["config"])) != dict(config):
        raise InputError("a checkpoint of this recipe", f"{path} of another", _ELSE)

    def under(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    try:
        model.load_state_dict(under("model."))
    except RuntimeError:
        raise InputError("a checkpoint of this model", f"{path} of another", "another folder") from None
    for name, value in under("average.").items():
        average[name].copy_(value)
    whole = optimizer.state_dict()
    for name, value in under("optimizer.").items():
        number, key = name.split(".", 1)
        whole["state"].setdefault(int(number), {})[key] = value
    optimizer.load_state_dict(whole)
    return int(told["step"])


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 of names and values."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


__all__ = ["FORMAT", "load_checkpoint", "save_checkpoint"]
