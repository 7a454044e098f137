"""Smooth bases over frequency."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def mel(frequency_hz: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """Return frequencies in mel (O'Shaughnessy 1987)."""
    return 2595 * torch.log10(1 + frequency_hz / 700)


def smooth_basis(bins_hz: Float[Tensor, " F"], count: int, top_hz: float | None = None) -> Float[Tensor, "F J"]:
    """Return ``count`` raised-cosine bumps spaced evenly in mel; they sum to 1 everywhere.

    The bumps reach from the first bin to ``top_hz``, without it to the last bin; bins above keep the last bump.
    """
    bins_mel = mel(bins_hz)
    top_mel = bins_mel[-1] if top_hz is None else mel(torch.tensor(top_hz, dtype=bins_hz.dtype))
    centres = torch.linspace(float(bins_mel[0]), float(top_mel), count)
    distance = (bins_mel.clamp_max(float(top_mel))[:, None] - centres).abs() / (centres[1] - centres[0]).clamp_min(1e-9)
    return 0.5 + 0.5 * torch.cos(torch.pi * distance.clamp_max(1))
