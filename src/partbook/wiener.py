"""From the powers of the sources to their images: the Wiener filter, whose images sum to the mixture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from .axes import Gain_NM, Images_NMFT, Mixing_FMM, Power_NFT, Spectrum_MFT
from .dsp.divergence import EPS
from .room import fastmnmf, fullrank

TINY = 1e-150
"""Power of every source in silence, which they share alike; of no consequence elsewhere, in double precision."""


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
    All in double precision inside: an ill-conditioned Q must not cost the sum of the images.
    """
    images_NMFT = X_MFT.new_empty(len(g_NM), *X_MFT.shape)
    for band in fastmnmf.bands(X_MFT):
        Q = Q_FMM[band].to(torch.complex128)
        QX_FMT, inverse = Q @ X_MFT[:, band].transpose(0, 1).to(Q.dtype), torch.linalg.inv(Q)
        y_NFMT = g_NM.double()[:, None, :, None] * lambda_NFT[:, band, None].double() + TINY
        y_FMT = y_NFMT.sum(0)
        for n in range(len(g_NM)):
            share_FMT = y_NFMT[n] / y_FMT
            images_NMFT[n, :, band] = (inverse @ (share_FMT * QX_FMT)).transpose(0, 1).to(X_MFT.dtype)
    return images_NMFT


def full_rank(
    X_MFT: Spectrum_MFT,
    lambda_NFT: Power_NFT,
    basis_FMM: Mixing_FMM,
    R_FNMM: fullrank.Covariance_FNMM,
    groups: Sequence[Sequence[int]] | None = None,
) -> Complex[Tensor, "G M F T"]:
    """Return the images of sources, or of groups of them, under one free spatial covariance per source and bin.

    In the given basis the image of source ``n`` is ``lambda_n R_n C^-1 x`` with ``C = sum_k lambda_k R_k`` (Duong,
    Vincent & Gribonval, "Under-determined reverberant audio source separation using a full-rank spatial covariance
    model", IEEE TASLP 18, 2010, equation 22).
    """
    groups = [[n] for n in range(len(lambda_NFT))] if groups is None else groups
    images_NMFT = X_MFT.new_empty(len(groups), *X_MFT.shape)
    for band in fullrank.bands(X_MFT):
        basis, R = basis_FMM[band].to(torch.complex128), R_FNMM[band].to(torch.complex128)
        lambda_FTN, inverse = lambda_NFT[:, band].permute(1, 2, 0).double(), torch.linalg.inv(basis)
        seen = (basis @ X_MFT[:, band].transpose(0, 1).to(basis.dtype)).transpose(0, 1)
        z_FTM = fullrank.filtered(seen, lambda_FTN, R)[1]
        for g, group in enumerate(groups):
            image_FTM = sum(lambda_FTN[..., n, None] * (z_FTM @ (inverse @ R[:, n]).mT) for n in group)
            images_NMFT[g, :, band] = image_FTM.permute(2, 0, 1).to(X_MFT.dtype)
    return images_NMFT


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


def at_half_steps(lambda_NFT: Power_NFT, frames: int) -> Float[Tensor, "N F T2"]:
    """Return powers at twice as many frames, ``frames`` in all: between two of them lies their geometric mean."""
    next_NFT = torch.cat([lambda_NFT[..., 1:], lambda_NFT[..., -1:]], -1)
    between_NFT = lambda_NFT.sqrt() * next_NFT.sqrt()
    return torch.stack([lambda_NFT, between_NFT], -1).flatten(-2)[..., :frames]


__all__ = ["at_half_steps", "extended", "full_rank", "masks", "multichannel", "soft_masked"]
