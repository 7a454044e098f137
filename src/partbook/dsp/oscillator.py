"""Harmonic sources in closed form.

The sum of ``J`` equally strong partials ``first, first + step, …`` of a phase ``phi`` is a Dirichlet kernel,

    sum_j cos((first + j step) phi) = sin(J step phi / 2) / sin(step phi / 2) * cos((first + step (J - 1) / 2) phi),

so a flat harmonic source costs two sines per sample, however many partials it has.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def phase(f0_hz: Float[Tensor, "... S"], sample_rate: float) -> Float[Tensor, "... S"]:
    """Return the phase in radians of an oscillator with this frequency at every sample, in float64."""
    return torch.cumsum(f0_hz.double() * (2 * torch.pi / sample_rate), -1)


def flat_partials(
    f0_hz: Float[Tensor, "... S"], sample_rate: float, edge_hz: float, first: int = 1, step: int = 1
) -> Float[Tensor, "... S"]:
    """Return the sum of the unit cosines ``first, first + step, …`` of a fundamental, below an edge.

    Parameters
    ----------
    f0_hz
        Fundamental frequency at every sample, above 0.
    sample_rate
        Hz.
    edge_hz
        Partials at or above it are left out.
    first, step
        Which partials: 1 and 1 is all of them, 1 and 2 the odd ones.

    Returns
    -------
    Tensor
        float32, same shape.

    Examples
    --------
    >>> f0_hz = torch.full((800,), 100.0)
    >>> three = flat_partials(f0_hz, 8000, 350)
    >>> t = torch.arange(1, 801) / 8000
    >>> bool(torch.allclose(three, sum(torch.cos(2 * torch.pi * 100 * k * t) for k in (1, 2, 3)), atol=1e-4))
    True
    """
    phi = phase(f0_hz, sample_rate)
    highest = torch.ceil(edge_hz / f0_hz.double()) - 1
    count = (torch.floor((highest - first) / step) + 1).clamp_min(0)
    half = torch.sin(step * phi / 2)
    # At a multiple of pi the kernel's limit is its count; the cosine's sign is right there already.
    near = half.abs() < 1e-7
    ratio = torch.where(near, count * torch.cos((count - 1) * step * phi / 2), torch.sin(count * step * phi / 2) / half)
    # The last partial comes and goes as the fundamental moves: its step is below the edge's resolution.
    return (ratio * torch.cos((first + step * (count - 1) / 2) * phi)).float()
