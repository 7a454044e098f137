"""Sections of a recording: each has spectra of its own, all share one room."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..axes import Power_NFT


@dataclass(frozen=True)
class Sections:
    """Models of the same sources over consecutive stretches of frames.

    Attributes
    ----------
    models
        One model of the sources per section, all with the same parts.
    frames
        Frames of every section.
    """

    models: tuple[Any, ...]
    frames: tuple[int, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of every model."""
        return self.models[0].parts

    def power(self) -> Power_NFT:
        """Return the power of every source, section after section."""
        return torch.cat([model.power() for model in self.models], -1)

    def update(self, part: str, up: Power_NFT, down: Power_NFT, beta: float) -> Sections:
        """Return the models after one update of the same part of each."""
        pulls = zip(self.models, up.split(self.frames, -1), down.split(self.frames, -1), strict=True)
        return replace(self, models=tuple(model.update(part, *pull, beta) for model, *pull in pulls))

    def rescale(self, gain_NF: Float[Tensor, "N F"]) -> Sections:
        """Return the models with a static gain per bin."""
        return replace(self, models=tuple(model.rescale(gain_NF) for model in self.models))


__all__ = ["Sections"]
