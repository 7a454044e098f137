"""A recording drawn from the multichannel Gaussian model itself, so that its truth is known."""

from dataclasses import dataclass

import pytest
import torch


@dataclass(frozen=True)
class Drawn:
    X_MFT: torch.Tensor
    images_NMFT: torch.Tensor
    lambda_NFT: torch.Tensor
    Q_FMM: torch.Tensor
    g_NM: torch.Tensor


def draw(sources=3, microphones=4, bins=24, frames=120, seed=0) -> Drawn:
    """Draw low-rank powers, a diagonaliser near the identity, gains that tie source n to channel n, and images."""
    rng = torch.Generator().manual_seed(seed)
    double = torch.float64

    def uniform(*shape):
        return torch.rand(*shape, generator=rng, dtype=double)

    def normal(*shape):
        return torch.complex(*(torch.randn(2, *shape, generator=rng, dtype=double) / 2**0.5))

    W, H = uniform(sources, bins, 3) ** 3, uniform(sources, 3, frames) ** 3
    lambda_NFT = W @ H + 1e-3
    Q_FMM = torch.eye(microphones, dtype=torch.complex128) + 0.3 * normal(bins, microphones, microphones)
    g_NM = 0.05 * uniform(sources, microphones)
    g_NM[torch.arange(sources), torch.arange(sources)] = 1
    channels = normal(sources, microphones, bins, frames) * (g_NM[..., None, None] * lambda_NFT[:, None]).sqrt()
    images_NMFT = (torch.linalg.inv(Q_FMM) @ channels.transpose(1, 2)).transpose(1, 2)
    return Drawn(images_NMFT.sum(0), images_NMFT, lambda_NFT, Q_FMM, g_NM)


@pytest.fixture
def drawn() -> Drawn:
    return draw()
