"""Harmonic sources in closed form.

The sum of ``J`` equally strong partials ``first, first + step, …`` of a phase ``phi`` is a Dirichlet kernel,

    sum_j cos((first + j step) phi) = sin(J step phi / 2) / sin(step phi / 2) * cos((first + step (J - 1) / 2) phi),

so a flat harmonic source costs two sines per sample, however many partials it has. Partials that fall by the same
factor from each to the next are a geometric series, ``sum_k (r e^{j phi})^k``, and cost as little.

F0 tracks stand still where nothing is voiced: :func:`upsampled` holds the nearest voiced F0 and closes a gate, so that
no partial ever glides to or from 0 Hz.
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


def harmonics(
    f0_hz: Float[Tensor, "... S"],
    sample_rate: float,
    edge_hz: float,
    decay: Float[Tensor, "*decay"] | float = 1.0,
) -> Float[Tensor, "... S"]:
    """Return the sum of all partials of a fundamental below an edge, partial ``k`` with amplitude ``decay^(k-1)``.

    Differentiable in fundamental and decay: the highest partial fades out as it nears the edge, so that nothing jumps.

    Parameters
    ----------
    f0_hz
        Fundamental frequency at every sample, above 0.
    sample_rate
        Hz.
    edge_hz
        Frequency at which partials have faded out; at most half the sample rate.
    decay
        Above 0, at most 1; at every sample, or one for all.

    Returns
    -------
    Tensor
        In the precision of ``f0_hz``.

    Examples
    --------
    >>> f0_hz = torch.full((800,), 100.0)
    >>> two = harmonics(f0_hz, 8000, 300, decay=0.5)
    >>> phi = 2 * torch.pi * 100 * torch.arange(1, 801) / 8000
    >>> bool(torch.allclose(two, torch.cos(phi) + 0.5 * torch.cos(2 * phi), atol=1e-4))
    True
    """
    phi = phase(f0_hz, sample_rate)
    decay = torch.as_tensor(decay, dtype=torch.float64, device=f0_hz.device).expand_as(phi)
    room = (edge_hz / f0_hz.double() - 1).clamp_min(0)
    whole = room.detach().floor()
    z = torch.polar(decay, phi)
    gap = 1 - z
    # On a pulse of a source without decay numerator and denominator vanish together; their limit is the count.
    singular = gap.detach().abs() < 1e-9
    quotient = (1 - torch.polar(decay**whole, whole * phi)) / torch.where(singular, torch.ones_like(gap), gap)
    series = torch.where(singular, whole.to(z.dtype), quotient)
    last = (room - whole) * torch.polar(decay**whole, whole * phi)
    return (torch.polar(torch.ones_like(phi), phi) * (series + last)).real.to(f0_hz.dtype)


def upsampled(
    f0_hz: Float[Tensor, "... T"], hop_samples: int, samples: int
) -> tuple[Float[Tensor, "... S"], Float[Tensor, "... S"]]:
    """Return F0 at every sample, always above 0, and a gate from 0 to 1 that is open where a voice sounds.

    Between voiced frames log F0 moves along a line; beside an unvoiced frame F0 is held and the gate opens or closes
    along a raised cosine. Differentiable in the voiced frames.

    Parameters
    ----------
    f0_hz
        F0 of frames centred on multiples of ``hop_samples``; 0 is unvoiced.
    hop_samples
        Samples from frame to frame.
    samples
        Samples to return; the last frame is held beyond its centre.
    """
    at = torch.arange(samples, device=f0_hz.device)
    left = (at // hop_samples).clamp_max(f0_hz.shape[-1] - 1)
    right = (left + 1).clamp_max(f0_hz.shape[-1] - 1)
    share = (at % hop_samples).to(f0_hz.dtype) / hop_samples
    voiced = f0_hz > 0
    # Where nothing is voiced any frequency does: the gate is closed.
    log_hz = torch.where(voiced, f0_hz, torch.full_like(f0_hz, 100.0)).log()
    on_left, on_right = voiced[..., left], voiced[..., right]
    weight = torch.where(on_left & on_right, share, (~on_left).to(share.dtype))
    held_hz = ((1 - weight) * log_hz[..., left] + weight * log_hz[..., right]).exp()
    rising = 0.5 - 0.5 * torch.cos(torch.pi * share)
    return held_hz, (1 - rising) * on_left + rising * on_right


__all__ = ["flat_partials", "harmonics", "phase", "upsampled"]
