"""All-pole filters from line spectral frequencies: as a power response, as a complex response, and sample by sample.

An all-pole filter ``1/A(z)`` of even order ``K`` is told by ``K`` line spectral frequencies
``0 < omega_1 < … < omega_K < pi``, the angles of the zeros of two polynomials with ``A = (P + Q) / 2``,

    P(z) = (1 + z^-1) prod_{m odd}  (1 - 2 cos(omega_m) z^-1 + z^-2)
    Q(z) = (1 - z^-1) prod_{m even} (1 - 2 cos(omega_m) z^-1 + z^-2)

(Itakura, "Line spectrum representation of linear predictor coefficients", JASA 57, 1975). Any frequencies in order give
a stable filter, so a network may name them freely, and they may be interpolated. On the unit circle ``P`` and ``Q`` are
in quadrature,

    A(e^jw) = e^{-jw (K+1)/2} [cos(w/2) prod_odd (2 cos w - 2 cos omega_m) + j sin(w/2) prod_even (…)],

so the power response is a sum of two squares and needs no coefficients at all.

Filtering sample by sample with coefficients that move is one triangular banded system ``A y = x``, which LAPACK solves
exactly; its gradient is the transposed system, that is, the same filter run backwards (Yu & Fazekas, "Differentiable
time-varying linear prediction in the context of end-to-end analysis-by-synthesis", Interspeech 2024).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Complex, Float
from scipy.linalg import lapack
from torch import Tensor

FLOOR = 1e-9
"""Smallest squared magnitude of ``A``: a pole on the unit circle is heard 90 dB above the gain of 1."""


def line_spectral_frequencies(logits: Float[Tensor, "... K1"]) -> Float[Tensor, "... K"]:
    """Return line spectral frequencies in radians, in order between 0 and pi, from the logits of the gaps between them.

    Equal logits give evenly spaced frequencies, which is the filter that lets everything through unchanged.
    """
    # Every gap keeps a twentieth of its even share: poles stay off the unit circle.
    share = 0.95 * logits.softmax(-1) + 0.05 / logits.shape[-1]
    return math.pi * share.cumsum(-1)[..., :-1]


def halves(
    lsf: Float[Tensor, "... K"], omega_F: Float[Tensor, " F"]
) -> tuple[Float[Tensor, "... F"], Float[Tensor, "... F"]]:
    """Return the real parts of ``P/2`` and the imaginary part of ``Q/2`` at angles ``omega_F``, their delay left out.

    Raises
    ------
    ValueError
        If the order is odd.
    """
    if lsf.shape[-1] % 2:
        raise ValueError(f"expected an even number of line spectral frequencies, got {lsf.shape[-1]}")
    # 2 cos w - 2 cos v as a product of sines keeps its precision where w is close to v, at the top of a resonance.
    difference = 4 * torch.sin((lsf[..., None] + omega_F) / 2) * torch.sin((lsf[..., None] - omega_F) / 2)
    odd, even = difference[..., 0::2, :].prod(-2), difference[..., 1::2, :].prod(-2)
    return torch.cos(omega_F / 2) * odd, torch.sin(omega_F / 2) * even


def power_response(lsf: Float[Tensor, "... K"], omega_F: Float[Tensor, " F"]) -> Float[Tensor, "... F"]:
    """Return ``1/|A|^2`` at angles ``omega_F`` in radians per sample.

    Examples
    --------
    >>> even = line_spectral_frequencies(torch.zeros(9))
    >>> bool(torch.allclose(power_response(even, torch.linspace(0, 3.1, 5)), torch.ones(5), atol=1e-4))
    True
    """
    real, imaginary = halves(lsf, omega_F)
    return 1 / (real.square() + imaginary.square()).clamp_min(FLOOR)


def response(lsf: Float[Tensor, "... K"], omega_F: Float[Tensor, " F"]) -> Complex[Tensor, "... F"]:
    """Return the complex ``1/A`` at angles ``omega_F``: the filter as a division in frequency."""
    real, imaginary = halves(lsf, omega_F)
    power = (real.square() + imaginary.square()).clamp_min(FLOOR)
    delay = torch.polar(torch.ones_like(omega_F), omega_F * ((lsf.shape[-1] + 1) / 2))
    return torch.complex(real / power, -imaginary / power) * delay


def polynomial(lsf: Float[Tensor, "... K"]) -> Float[Tensor, "... K1"]:
    """Return the coefficients of ``A``, the first of which is 1."""
    middle = -2 * torch.cos(lsf)
    P, Q = _product(middle[..., 0::2], 1.0), _product(middle[..., 1::2], -1.0)
    return ((P + Q) / 2)[..., :-1]


def _product(middle: Float[Tensor, "... H"], sign: float) -> Float[Tensor, "... K2"]:
    """Return the coefficients of ``(1 + sign z^-1) prod (1 + middle z^-1 + z^-2)``."""
    one = torch.ones_like(middle[..., :1])
    product = torch.cat([one, sign * one], -1)
    for m in range(middle.shape[-1]):
        padded = torch.nn.functional.pad(product, (2, 2))
        product = padded[..., 2:] + middle[..., m : m + 1] * padded[..., 1:-1] + padded[..., :-2]
    return product


def allpole(x: Float[Tensor, "... S"], a: Float[Tensor, "... S K"]) -> Float[Tensor, "... S"]:
    """Filter signals from silence by coefficients that move with every sample.

    ``y[s] = x[s] - sum_k a[s, k] y[s - k]``, exact, in double precision inside, with exact gradients in both arguments.

    Parameters
    ----------
    x
        What goes in.
    a
        ``a_1 … a_K`` of every sample, the leading 1 left out. Shape as ``x``, with K last.
    """
    return _AllPole.apply(x, a)


class _AllPole(torch.autograd.Function):
    """The triangular system ``A y = x``; gradients ``g = A^-T dy`` and ``-g[s] y[s - k]``."""

    @staticmethod
    def forward(ctx, x: Tensor, a: Tensor) -> Tensor:
        """Solve the system forwards."""
        order = a.shape[-1]
        bands = _bands(a.detach().double().reshape(-1, x.shape[-1], order).cpu().numpy())
        y = _solved(bands, x.detach().double().reshape(-1, x.shape[-1]).cpu().numpy(), transposed=False)
        ctx.bands, ctx.order = bands, order
        y = torch.from_numpy(y).reshape(x.shape).to(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, dy: Tensor) -> tuple[Tensor, Tensor]:
        """Solve the transposed system: the filter runs from the end to the start."""
        (y,) = ctx.saved_tensors
        g = _solved(ctx.bands, dy.double().reshape(-1, dy.shape[-1]).cpu().numpy(), transposed=True)
        g = torch.from_numpy(g).reshape(dy.shape).to(dy)
        past = torch.nn.functional.pad(y, (ctx.order, 0)).unfold(-1, ctx.order, 1)[..., :-1, :].flip(-1)
        return g, -g[..., None] * past


def _bands(a: np.ndarray) -> list[np.ndarray]:
    """Return LAPACK's storage of every lower triangular system: diagonal ``k`` in row ``k``, by column."""
    signals, samples, order = a.shape
    ab = np.zeros((signals, order + 1, samples), order="C")
    ab[:, 0] = 1
    for k in range(1, min(order + 1, samples)):
        ab[:, k, : samples - k] = a[:, k:, k - 1]
    return [np.asfortranarray(each) for each in ab]


def _solved(bands: list[np.ndarray], right: np.ndarray, *, transposed: bool) -> np.ndarray:
    trans = "T" if transposed else "N"
    solved = [lapack.dtbtrs(ab, each[:, None], uplo="L", trans=trans) for ab, each in zip(bands, right, strict=True)]
    return np.stack([y[:, 0] for y, _ in solved])


__all__ = ["allpole", "halves", "line_spectral_frequencies", "polynomial", "power_response", "response"]
