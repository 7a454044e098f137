"""From the powers of the sources to their images: the Wiener filter, whose images sum to the mixture."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from .axes import Gain_NM, Images_NMFT, Mixing_FMM, Power_NFT, Spectrum_MFT
from .dsp.divergence import EPS


def masks(lambda_NFT: Power_NFT) -> Power_NFT:
    """Return the share of every source in every bin; the shares of a bin sum to 1."""
    lambda_NFT = lambda_NFT.clamp_min(EPS)
    return lambda_NFT / lambda_NFT.sum(0)


def soft_masked(X_MFT: Spectrum_MFT, lambda_NFT: Power_NFT) -> Images_NMFT:
    """Return the images at one microphone, or at several channels that share one mask."""
    return masks(lambda_NFT)[:, None] * X_MFT


def multichannel(X_MFT: Spectrum_MFT, lambda_NFT: Power_NFT, Q_FMM: Mixing_FMM, g_NM: Gain_NM) -> Images_NMFT:
    """Return the images at every microphone under jointly diagonalised spatial covariances.

    Source ``n`` has the covariance ``lambda_n Q^-1 diag(g_n) Q^-H``, so its image is ``Q^-1 diag(m_n) Q x`` with the
    shares ``m_n = g_n lambda_n / sum_k g_k lambda_k`` (Sekiguchi et al., "Fast multichannel nonnegative matrix
    factorization with directivity-aware jointly-diagonalizable spatial covariance matrices", TASLP 2020, eq. 38).
    """
    QX_FMT = Q_FMM @ X_MFT.transpose(0, 1)
    inverse_FMM = torch.linalg.inv(Q_FMM)
    y_FMT = torch.einsum("nm,nft->fmt", g_NM, lambda_NFT).clamp_min(EPS)
    images = [
        inverse_FMM @ (QX_FMT * (g_NM[n][:, None] * lambda_NFT[n][:, None, :] / y_FMT)) for n in range(len(g_NM))
    ]
    return torch.stack(images).transpose(1, 2)


def extended(lambda_NFT: Power_NFT, bins: int) -> Float[Tensor, "N F2 T"]:
    """Return powers for ``bins`` bins: above the analysed band every source keeps its share of the top octave.

    A recording is analysed up to a band edge but separated up to its own Nyquist frequency; what lies between the two
    (sibilants, bow noise) is shared out as the model shares the octave below the edge, frame by frame.
    """
    analysed = lambda_NFT.shape[1]
    if bins <= analysed:
        return lambda_NFT[:, :bins]
    top = lambda_NFT[:, analysed // 2 :].mean(1, keepdim=True)
    return torch.cat([lambda_NFT, top.expand(-1, bins - analysed, -1)], 1)


__all__ = ["extended", "masks", "multichannel", "soft_masked"]
