"""Low-rank spectra: the power of every source is a product of spectral patterns and their activations."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from ..axes import Power_NFT
from ..dsp.divergence import EPS, exponent


@dataclass(frozen=True)
class Nmf:
    """Non-negative matrix factors of every source, ``lambda_n = W_n H_n``.

    Attributes
    ----------
    W_NFK
        Spectral patterns.
    H_NKT
        Their activations over time.
    static
        Number of sources, at the end, whose activations are never updated: a stationary background.

    Examples
    --------
    >>> rng = torch.Generator().manual_seed(0)
    >>> Nmf.random(2, 5, 3, 7, rng).power().shape
    torch.Size([2, 5, 7])
    """

    W_NFK: Float[Tensor, "N F K"]
    H_NKT: Float[Tensor, "N K T"]
    static: int = 0

    @classmethod
    def random(cls, sources: int, bins: int, components: int, frames: int, rng: torch.Generator) -> Nmf:
        """Return factors drawn uniformly from 0.1 to 1.1: no entry starts at zero, where it would stay."""
        W_NFK = torch.rand(sources, bins, components, generator=rng) + 0.1
        return cls(W_NFK, torch.rand(sources, components, frames, generator=rng) + 0.1)

    @classmethod
    def approximating(
        cls,
        power_NFT: Power_NFT,
        components: int,
        rng: torch.Generator,
        iterations: int = 20,
        beta: float = 1.0,
        W_NFK: Float[Tensor, "N F K"] | None = None,
    ) -> Nmf:
        """Return factors of given powers: random ones after some multiplicative updates of the beta divergence.

        All sources start from the same random numbers, so that their order does not matter. Patterns that are given,
        a dictionary, stay as they are.
        """
        sources, bins, frames = power_NFT.shape
        drawn = cls.random(1, bins, components, frames, rng)
        found_NFK = drawn.W_NFK.to(power_NFT) * (power_NFT.mean(-1) / components)[..., None]
        H_NKT = drawn.H_NKT.to(power_NFT).expand(sources, -1, -1)
        factors = cls(found_NFK if W_NFK is None else W_NFK, H_NKT)
        for _ in range(iterations):
            for part in factors.parts if W_NFK is None else ("H",):
                y_NFT = factors.power().clamp_min(EPS)
                factors = factors.update(part, power_NFT * y_NFT ** (beta - 2), y_NFT ** (beta - 1), beta)
        return factors

    def joined(self, other: Nmf) -> Nmf:
        """Return the factors of the same sources with the components of both."""
        W_NFK, H_NKT = torch.cat([self.W_NFK, other.W_NFK], -1), torch.cat([self.H_NKT, other.H_NKT], 1)
        return replace(self, W_NFK=W_NFK, H_NKT=H_NKT)

    def with_background(self, power_F: Float[Tensor, " F"]) -> Nmf:
        """Return the factors with one more source, the last, of constant power."""
        W_NFK = torch.cat([self.W_NFK, torch.zeros_like(self.W_NFK[:1])])
        W_NFK[-1, :, 0] = power_F
        H_NKT = torch.cat([self.H_NKT, torch.ones_like(self.H_NKT[:1])])
        return Nmf(W_NFK, H_NKT, self.static + 1)

    @property
    def parts(self) -> tuple[str, str]:
        """Patterns, then activations."""
        return ("W", "H")

    def power(self) -> Power_NFT:
        """Return the power of every source."""
        return self.W_NFK @ self.H_NKT

    def update(self, part: str, up: Power_NFT, down: Power_NFT, beta: float) -> Nmf:
        """Return the factors after one multiplicative update of ``"W"`` or ``"H"``.

        ``W <- W (up H^T / down H^T)^gamma`` and likewise for H.
        """
        if part == "W":
            ratio = (up @ self.H_NKT.mT) / (down @ self.H_NKT.mT).clamp_min(EPS)
            return replace(self, W_NFK=self.W_NFK * ratio ** exponent(beta))
        ratio = (self.W_NFK.mT @ up) / (self.W_NFK.mT @ down).clamp_min(EPS)
        if self.static:
            ratio[-self.static :] = 1
        return replace(self, H_NKT=self.H_NKT * ratio ** exponent(beta))

    def rescale(self, gain_NF: Float[Tensor, "N F"]) -> Nmf:
        """Return the factors with a static gain per bin moved into the patterns."""
        return replace(self, W_NFK=self.W_NFK * gain_NF[..., None])


__all__ = ["Nmf"]
