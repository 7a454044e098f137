"""Several microphones: one free spatial covariance per source and frequency.

Source ``n`` reaches the microphones with the covariance ``lambda_nft R_nf``. With ``C = sum_n lambda_n R_n`` and
``z = C^-1 x`` the negative log likelihood of a recording is ``sum_ft (x^H z + log det C)``. Powers and covariances are
updated by minimising an upper bound that touches it, so it never rises (Sawada, Kameoka, Araki & Ueda, "Multichannel
extensions of non-negative matrix factorization with complex-valued data", IEEE TASLP 21, 2013).

The fit is worth its price only from a good start, the jointly diagonal model of :mod:`~partbook.room.fastmnmf`. Its
diagonaliser stays as the basis in which the covariances are written: there every ``C`` is nearly diagonal, and single
precision is enough to invert it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from ..axes import Mixing_FMM, Power_NFT, Spectrum_MFT
from ..dsp.divergence import EPS
from .fastmnmf import TINY, FastMnmf

Covariance_FNMM = Complex[Tensor, "F N M M"]
"""One spatial covariance per frequency and source."""

BAND_BYTES = 2**23
"""Memory of the mixture covariances of one band of frequencies."""


def load(A: Tensor) -> float:
    """Return the share of its diagonal, or trace, by which a matrix is loaded to stay definite: a few roundings."""
    return 4 * torch.finfo(A.dtype).eps


def bands(X_MFT: Spectrum_MFT) -> Iterator[slice]:
    """Yield slices of frequencies whose mixture covariances take about :data:`BAND_BYTES`."""
    microphones, bins, frames = X_MFT.shape
    width = max(1, BAND_BYTES // (microphones**2 * frames * X_MFT.element_size()))
    for start in range(0, bins, width):
        yield slice(start, min(start + width, bins))


def real(A: Complex[Tensor, "*axes M M"]) -> Float[Tensor, "*axes MM2"]:
    """Return matrices as vectors of their real and imaginary parts, whose inner product is ``tr(A B^H)``."""
    return torch.view_as_real(A).flatten(-3)


def hermitian(A_real: Float[Tensor, "*axes MM2"], microphones: int) -> Complex[Tensor, "*axes M M"]:
    """Return matrices from the vectors that :func:`real` makes of them."""
    return torch.view_as_complex(A_real.unflatten(-1, (microphones, microphones, 2)))


def trace(A: Complex[Tensor, "*axes M M"]) -> Float[Tensor, "*axes 1 1"]:
    """Return the trace of Hermitian matrices, as 1 × 1 matrices."""
    return A.diagonal(dim1=-2, dim2=-1).real.sum(-1)[..., None, None]


def factor(lambda_FTN: Float[Tensor, "F T N"], R_FNMM: Covariance_FNMM) -> Complex[Tensor, "F T M M"]:
    """Return the Cholesky factor of ``C = sum_n lambda_n R_n``, which rounding and silence may have left singular."""
    C_FTMM = hermitian(lambda_FTN @ real(R_FNMM), R_FNMM.shape[-1])
    C_FTMM.diagonal(dim1=-2, dim2=-1).mul_(1 + load(C_FTMM)).add_(torch.finfo(C_FTMM.dtype).tiny ** 0.5)
    return torch.linalg.cholesky(C_FTMM)


def filtered(
    X_MFT: Spectrum_MFT, lambda_FTN: Float[Tensor, "F T N"], R_FNMM: Covariance_FNMM
) -> tuple[Complex[Tensor, "F T M M"], Complex[Tensor, "F T M"]]:
    """Return ``C^-1`` and ``z = C^-1 x``."""
    inverse_FTMM = torch.cholesky_inverse(factor(lambda_FTN, R_FNMM))
    return inverse_FTMM, (inverse_FTMM @ X_MFT.permute(1, 2, 0)[..., None])[..., 0]


def pressure(X_MFT: Spectrum_MFT, lambda_NFT: Power_NFT, R_FNMM: Covariance_FNMM) -> tuple[Power_NFT, Power_NFT]:
    """Return ``z^H R z`` and ``tr(C^-1 R)``: what pulls the power of every source up, and down."""
    up_NFT, down_NFT = torch.empty_like(lambda_NFT), torch.empty_like(lambda_NFT)
    for band in bands(X_MFT):
        R = R_FNMM[band]
        inverse_FTMM, z_FTM = filtered(X_MFT[:, band], lambda_NFT[:, band].permute(1, 2, 0), R)
        down_NFT[:, band] = (real(inverse_FTMM) @ real(R).mT).permute(2, 0, 1)
        z_FNTM = z_FTM[:, None]
        up_NFT[:, band] = (torch.view_as_real(z_FNTM) * torch.view_as_real(z_FNTM @ R.mT)).sum((-2, -1)).transpose(0, 1)
    return up_NFT.clamp_min_(0), down_NFT


def updated_R(X_MFT: Spectrum_MFT, lambda_NFT: Power_NFT, R_FNMM: Covariance_FNMM) -> Covariance_FNMM:
    """Return the covariances that solve ``R A R = R' B R'`` with ``A = sum_t lambda C^-1``, ``B = sum_t lambda z z^H``.

    ``R'`` are those of now. (Sawada et al. 2013, equations 46 to 48.)
    """
    updated_FNMM = torch.empty_like(R_FNMM)
    for band in bands(X_MFT):
        R, lambda_FNT = R_FNMM[band], lambda_NFT[:, band].transpose(0, 1)
        inverse_FTMM, z_FTM = filtered(X_MFT[:, band], lambda_FNT.mT, R)
        A = hermitian(lambda_FNT @ real(inverse_FTMM), R.shape[-1])
        B = (lambda_FNT[..., None] * z_FTM[:, None]).mT @ z_FTM[:, None].conj()
        updated_FNMM[band] = riccati(A, R @ B @ R)
    return updated_FNMM


def riccati(A: Complex[Tensor, "*axes M M"], S: Complex[Tensor, "*axes M M"]) -> Complex[Tensor, "*axes M M"]:
    """Return the positive definite solution of ``X A X = S``, in double precision inside, loaded for its own.

    ``X = L^-H (L^H S L)^(1/2) L^-1`` with the Cholesky factor L of A.
    """
    dtype, loading = A.dtype, load(A)
    A, S = A.to(torch.complex128), S.to(torch.complex128)
    identity = torch.eye(A.shape[-1], dtype=A.dtype, device=A.device)
    L = torch.linalg.cholesky(A + (trace(A) * loading + TINY) * identity)
    values, vectors = torch.linalg.eigh(L.mH @ S @ L)
    # X = Y Y^H with Y = L^-H V s^(1/4): positive semidefinite by construction, and definite after rounding by the load.
    Y = torch.linalg.solve_triangular(L.mH, vectors * values.clamp_min(0).pow(0.25)[..., None, :], upper=True)
    X = Y @ Y.mH
    return (X + trace(X) * loading * identity).to(dtype)


@dataclass(frozen=True)
class FullRank:
    """A room with one free spatial covariance per source and frequency.

    Attributes
    ----------
    basis_FMM
        Invertible; the covariances are those of ``basis @ x``. Double precision.
    R_FNMM
        Hermitian.
    """

    basis_FMM: Mixing_FMM
    R_FNMM: Covariance_FNMM

    @classmethod
    def from_diagonal(cls, room: FastMnmf, spread: float = 1e-3) -> FullRank:
        """Start from a room of jointly diagonal covariances, its gains raised by ``spread`` of their mean.

        No direction starts at zero, where it would stay.
        """
        R_NMM = torch.diag_embed(room.g_NM + spread * room.g_NM.mean(1, keepdim=True))
        return cls(room.Q_FMM, R_NMM.to(R_NMM.dtype.to_complex()).repeat(len(room.Q_FMM), 1, 1, 1))

    def seen(self, observed: Spectrum_MFT) -> Spectrum_MFT:
        """Return the recording in the basis of the covariances."""
        return (self.basis_FMM.to(observed.dtype) @ observed.transpose(0, 1)).transpose(0, 1)

    def at_microphones(self) -> Covariance_FNMM:
        """Return the covariances of the microphones themselves, in double precision."""
        inverse_FNMM = torch.linalg.inv(self.basis_FMM)[:, None]
        return inverse_FNMM @ self.R_FNMM.to(inverse_FNMM.dtype) @ inverse_FNMM.mH

    def heard_NMF(self) -> Float[Tensor, "N M F"]:
        """Return the power of every source at every microphone, relative to its own."""
        return self.at_microphones().diagonal(dim1=-2, dim2=-1).real.to(self.R_FNMM.real.dtype).permute(1, 2, 0)

    def pressure(self, observed: Spectrum_MFT, lambda_NFT: Power_NFT, beta: float) -> tuple[Power_NFT, Power_NFT]:
        """Return what pulls every source up and down. Raise ValueError unless beta is 0, the likelihood."""
        if beta != 0:
            raise ValueError(f"expected beta=0 with several microphones, got {beta}")
        return pressure(self.seen(observed), lambda_NFT, self.R_FNMM)

    def update(self, observed: Spectrum_MFT, lambda_NFT: Power_NFT) -> tuple[FullRank, Float[Tensor, "N F"]]:
        """Return the room after one update, and the gain its normalisation gives the sources."""
        R_FNMM = updated_R(self.seen(observed), lambda_NFT, self.R_FNMM)
        mean_FN = R_FNMM.diagonal(dim1=-2, dim2=-1).real.mean(-1).clamp_min(EPS)
        return FullRank(self.basis_FMM, R_FNMM / mean_FN[..., None, None]), mean_FN.T

    def divergence(self, observed: Spectrum_MFT, lambda_NFT: Power_NFT, beta: float = 0) -> float:
        """Return the negative log likelihood, up to a constant."""
        X_MFT = self.seen(observed)
        total = -2 * X_MFT.shape[-1] * float(torch.linalg.slogdet(self.basis_FMM).logabsdet.sum())
        for band in bands(X_MFT):
            factor_FTMM = factor(lambda_NFT[:, band].permute(1, 2, 0), self.R_FNMM[band])
            x_FTM1 = X_MFT[:, band].permute(1, 2, 0)[..., None]
            whitened = torch.linalg.solve_triangular(factor_FTMM, x_FTM1, upper=False)
            log_det = 2 * factor_FTMM.diagonal(dim1=-2, dim2=-1).real.log()
            total += float(torch.view_as_real(whitened).square().sum(dtype=torch.float64))
            total += float(log_det.sum(dtype=torch.float64))
        return total
