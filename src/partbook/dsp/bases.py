"""Smooth bases over frequency."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def mel(frequency_hz: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """Return frequencies in mel (O'Shaughnessy 1987)."""
    return 2595 * torch.log10(1 + frequency_hz / 700)


def smooth_basis(bins_hz: Float[Tensor, " F"], count: int) -> Float[Tensor, "F J"]:
    """Return ``count`` raised-cosine bumps spaced evenly in mel over the given bins; they sum to 1 everywhere."""
    bins_mel = mel(bins_hz)
    centres = torch.linspace(float(bins_mel[0]), float(bins_mel[-1]), count)
    distance = (bins_mel[:, None] - centres).abs() / (centres[1] - centres[0]).clamp_min(1e-9)
    return 0.5 + 0.5 * torch.cos(torch.pi * distance.clamp_max(1))
