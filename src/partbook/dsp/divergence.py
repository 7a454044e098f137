"""The beta divergence between an observed and a modelled power."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

EPS = 1e-12
"""Floor of modelled powers; recordings are analysed at unit mean power, so this is −120 dB."""


def beta_divergence(x: Float[Tensor, "*axes"], y: Float[Tensor, "*axes"], beta: float) -> Float[Tensor, ""]:
    """Return the beta divergence of ``x`` from ``y``, summed over all entries.

    Zero where ``x == y`` and positive elsewhere. beta 0 is Itakura-Saito, 1 Kullback-Leibler, 2 half the squared
    Euclidean distance (Févotte & Idier, Neural Computation 2011, equation 2).

    Examples
    --------
    >>> import torch
    >>> float(beta_divergence(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]), 2))
    2.0
    """
    return divergences(x, y, beta).sum()


def divergences(x: Float[Tensor, "*axes"], y: Float[Tensor, "*axes"], beta: float) -> Float[Tensor, "*axes"]:
    """Return the same of every entry."""
    x, y = x.clamp_min(EPS), y.clamp_min(EPS)
    if beta == 0:
        return x / y - (x / y).log() - 1
    if beta == 1:
        return x * (x / y).log() - x + y
    return (x**beta + (beta - 1) * y**beta - beta * x * y ** (beta - 1)) / (beta * (beta - 1))


def exponent(beta: float) -> float:
    """Return the exponent that makes multiplicative updates monotone (Févotte & Idier 2011, table 2)."""
    if beta < 1:
        return 1 / (2 - beta)
    return 1.0 if beta <= 2 else 1 / (beta - 1)
