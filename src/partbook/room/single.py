"""One microphone: no room to learn, the mixture's power is the sum of the sources' powers, or each is heard alone."""

from __future__ import annotations

from dataclasses import dataclass

from ..axes import Power_FT, Power_NFT
from ..dsp.divergence import EPS, beta_divergence


@dataclass(frozen=True)
class Single:
    """A single microphone, or several channels that share one mask (their powers summed)."""

    def pressure(self, observed: Power_FT, lambda_NFT: Power_NFT, beta: float) -> tuple[Power_NFT, Power_NFT]:
        """Return ``x y^(beta-2)`` and ``y^(beta-1)``, the same for every source."""
        y = lambda_NFT.sum(0).clamp_min(EPS)
        down = y ** (beta - 1)
        up = observed * down / y
        return up.expand_as(lambda_NFT), down.expand_as(lambda_NFT)

    def update(self, observed: Power_FT, lambda_NFT: Power_NFT) -> tuple[Single, None]:
        """Return the room itself: there is nothing to learn."""
        return self, None

    def divergence(self, observed: Power_FT, lambda_NFT: Power_NFT, beta: float) -> float:
        """Return the beta divergence of the observed power from the model, summed over bins and frames."""
        return float(beta_divergence(observed, lambda_NFT.sum(0).clamp_min(EPS), beta))


@dataclass(frozen=True)
class Apart:
    """Every source heard by itself: a model is fitted to an estimate of each, not to their sum."""

    def pressure(self, observed: Power_NFT, lambda_NFT: Power_NFT, beta: float) -> tuple[Power_NFT, Power_NFT]:
        """Return ``x_n lambda_n^(beta-2)`` and ``lambda_n^(beta-1)`` of every source."""
        y_NFT = lambda_NFT.clamp_min(EPS)
        down = y_NFT ** (beta - 1)
        return observed * down / y_NFT, down

    def update(self, observed: Power_NFT, lambda_NFT: Power_NFT) -> tuple[Apart, None]:
        """Return the room itself: there is nothing to learn."""
        return self, None

    def divergence(self, observed: Power_NFT, lambda_NFT: Power_NFT, beta: float) -> float:
        """Return the beta divergence of the observed powers from the model, summed over sources, bins and frames."""
        return float(beta_divergence(observed, lambda_NFT.clamp_min(EPS), beta))
