"""Several microphones: spatial covariances that one matrix per frequency makes diagonal together (FastMNMF2).

Source ``n`` reaches the microphones with the covariance ``lambda_nft Q_f^-1 diag(g_n) Q_f^-H``. With
``x_mft = |(Q_f x_ft)_m|^2`` and ``y_mft = sum_n g_nm lambda_nft`` the negative log likelihood of a recording is

    sum_mft (x_mft / y_mft + log y_mft) - T sum_f log |det Q_f Q_f^H|

(Sekiguchi, Bando, Nugraha, Yoshii & Kawahara, "Fast multichannel nonnegative matrix factorization with
directivity-aware jointly-diagonalizable spatial covariance matrices for blind source separation", IEEE/ACM TASLP 28,
2020). Each update below is one of that paper's, and none of them raises it.

The work is done in bands of a few frequencies that stay in the cache: nothing as large as frequencies × frames ×
microphones² is ever held. Spectra and powers may be single precision; the M × M systems are solved in double.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from ..axes import Gain_NM, Mixing_FMM, Power_NFT, Spectrum_MFT
from ..dsp.divergence import EPS

Power_MFT = Float[Tensor, "M F T"]
"""Power of every (diagonalised) channel."""

BAND_BYTES = 2**23
"""Memory of the products of all microphone pairs in one band of frequencies."""

TINY = 1e-150
"""Keeps covariances of silence invertible in double precision."""


def bands(X_MFT: Spectrum_MFT | Power_MFT) -> Iterator[slice]:
    """Yield slices of frequencies whose products of microphone pairs take about :data:`BAND_BYTES`."""
    microphones, bins, frames = X_MFT.shape
    return _slices(bins, microphones**2 * frames * X_MFT.real.element_size())


def _slices(bins: int, bytes_per_bin: int) -> Iterator[slice]:
    """Yield slices of bins that take about :data:`BAND_BYTES`."""
    width = max(1, BAND_BYTES // max(1, bytes_per_bin))
    return (slice(start, min(start + width, bins)) for start in range(0, bins, width))


def frequency_first(X_MFT: Spectrum_MFT) -> Spectrum_MFT:
    """Return the same spectra laid out so that a band of frequencies is one piece of memory: twice as fast here."""
    return X_MFT.transpose(0, 1).contiguous().transpose(0, 1)


def diagonalised_power(X_MFT: Spectrum_MFT, Q_FMM: Mixing_FMM) -> Power_MFT:
    """Return ``|Q x|^2``."""
    x_MFT = torch.empty_like(X_MFT.real, memory_format=torch.contiguous_format)
    for band in bands(X_MFT):
        QX_MFT = (Q_FMM[band].to(X_MFT.dtype) @ X_MFT[:, band].transpose(0, 1)).transpose(0, 1)
        torch.mul(QX_MFT.real, QX_MFT.real, out=x_MFT[:, band]).addcmul_(QX_MFT.imag, QX_MFT.imag)
    return x_MFT


def mixture_power(lambda_NFT: Power_NFT, g_NM: Gain_NM) -> Power_MFT:
    """Return ``sum_n g_n lambda_n``, at least :data:`EPS`."""
    return (g_NM.T @ lambda_NFT.flatten(1)).clamp_min_(EPS).unflatten(1, lambda_NFT.shape[1:])


def pressure(x_MFT: Power_MFT, lambda_NFT: Power_NFT, g_NM: Gain_NM) -> tuple[Power_NFT, Power_NFT]:
    """Return ``sum_m g x / y^2`` and ``sum_m g / y``: what pulls the power of every source up, and down."""
    up_NFT, down_NFT = torch.empty_like(lambda_NFT), torch.empty_like(lambda_NFT)
    for band in bands(x_MFT):
        inverse_MFT = mixture_power(lambda_NFT[:, band], g_NM).reciprocal_()
        pull_MFT = (x_MFT[:, band] * inverse_MFT).mul_(inverse_MFT)
        down_NFT[:, band] = (g_NM @ inverse_MFT.flatten(1)).view_as(down_NFT[:, band])
        up_NFT[:, band] = (g_NM @ pull_MFT.flatten(1)).view_as(up_NFT[:, band])
    return up_NFT, down_NFT


def updated_g(x_MFT: Power_MFT, lambda_NFT: Power_NFT, g_NM: Gain_NM) -> Gain_NM:
    """Return the gains after ``g <- g sqrt(sum_ft lambda x / y^2 / sum_ft lambda / y)`` (equation 30)."""
    up_NM, down_NM = torch.zeros_like(g_NM), torch.zeros_like(g_NM)
    for band in bands(x_MFT):
        inverse_MFT = mixture_power(lambda_NFT[:, band], g_NM).reciprocal_()
        pull_MFT = (x_MFT[:, band] * inverse_MFT).mul_(inverse_MFT)
        lambda_NP = lambda_NFT[:, band].flatten(1)
        down_NM += lambda_NP @ inverse_MFT.flatten(1).T
        up_NM += lambda_NP @ pull_MFT.flatten(1).T
    return g_NM * (up_NM / down_NM.clamp_min(EPS)).sqrt()


def weighted_covariances(X_MFT: Spectrum_MFT, weight_MFT: Power_MFT) -> Complex[Tensor, "F M M M"]:
    """Return ``V_m = mean_t weight_mt x_t x_t^H`` for every weight ``m``, at index ``[f, m]``.

    The M² real numbers of every Hermitian ``x x^H`` are weighted by all M weights in one real matrix product, a quarter
    of the work of M complex ones.
    """
    microphones, bins, frames = X_MFT.shape
    r_FMT, i_FMT = X_MFT.real.transpose(0, 1).contiguous(), X_MFT.imag.transpose(0, 1).contiguous()
    products = r_FMT.new_empty(bins, microphones**2, frames)
    done = 0
    for a in range(microphones):
        pairs = products[:, done : done + microphones - a]
        torch.mul(r_FMT[:, a : a + 1], r_FMT[:, a:], out=pairs).addcmul_(i_FMT[:, a : a + 1], i_FMT[:, a:])
        done += microphones - a
    for a in range(microphones - 1):
        pairs = products[:, done : done + microphones - a - 1]
        torch.mul(i_FMT[:, a : a + 1], r_FMT[:, a + 1 :], out=pairs)
        pairs.addcmul_(r_FMT[:, a : a + 1], i_FMT[:, a + 1 :], value=-1)
        done += microphones - a - 1
    sums_FMP = (weight_MFT.transpose(0, 1) @ products.mT).double() / frames
    place_MM, sign_MM = _places(microphones, X_MFT.device)
    return torch.complex(sums_FMP[..., place_MM[0]], sums_FMP[..., place_MM[1]] * sign_MM)


def _places(microphones: int, device: torch.device) -> tuple[Int[Tensor, "2 M M"], Float[Tensor, "M M"]]:
    """Return where the real and the imaginary part of every entry stand among the products, and the latter's sign."""
    half = microphones * (microphones + 1) // 2
    place_MM = torch.zeros(2, microphones, microphones, dtype=torch.long, device=device)
    sign_MM = torch.zeros(microphones, microphones, dtype=torch.float64, device=device)
    a, b = torch.triu_indices(microphones, microphones, device=device)
    place_MM[0, a, b] = place_MM[0, b, a] = torch.arange(half, device=device)
    a, b = torch.triu_indices(microphones, microphones, 1, device=device)
    place_MM[1, a, b] = place_MM[1, b, a] = half + torch.arange(len(a), device=device)
    sign_MM[a, b], sign_MM[b, a] = 1, -1
    return place_MM, sign_MM


def loaded(V_FMMM: Complex[Tensor, "F M M M"], epsilon: float) -> Complex[Tensor, "F M M M"]:
    """Return covariances made positive definite by what rounding at precision ``epsilon`` can have taken from them.

    Nearly dependent microphones, fewer frames than microphones, and silence all need it.
    """
    power_FMM = V_FMMM.diagonal(dim1=-2, dim2=-1).real
    load_FM = power_FMM.amax(-1) * (epsilon * V_FMMM.shape[-1]) + TINY
    return V_FMMM.diagonal_scatter((power_FMM + load_FM[..., None]).to(V_FMMM.dtype), dim1=-2, dim2=-1)


def iterative_projection(Q_FMM: Mixing_FMM, V_FMMM: Complex[Tensor, "F M M M"]) -> Mixing_FMM:
    """Return Q after replacing its rows one by one: ``u = (Q V_m)^-1 e_m``, ``q_m^H = u^H / sqrt(u^H V_m u)``.

    (Equations 33 and 34; Ono, "Stable and fast update rules for independent vector analysis", WASPAA 2011.) The inverse
    of Q follows each new row by a rank-one correction, and V_m is factorised without knowing Q, all at once.
    """
    microphones = Q_FMM.shape[-1]
    identity = torch.eye(microphones, dtype=V_FMMM.dtype, device=V_FMMM.device)
    factor_FMMM = torch.linalg.cholesky(V_FMMM)
    Q_FMM, inverse_FMM = Q_FMM.clone(), torch.linalg.inv(Q_FMM)
    for m in range(microphones):
        column = inverse_FMM[:, :, m : m + 1]
        u = torch.cholesky_solve(column, factor_FMMM[:, m])
        row = (u / (u.conj() * column).sum(1, keepdim=True).real.sqrt()).mH
        Q_FMM[:, m : m + 1] = row
        moved = row @ inverse_FMM
        inverse_FMM = inverse_FMM - column * ((moved - identity[m]) / moved[:, :, m : m + 1])
    return Q_FMM


def iterative_source_steering(Q_FMM: Mixing_FMM, V_FMMM: Complex[Tensor, "F M M M"]) -> Mixing_FMM:
    """Return Q after steering it along its rows one by one: ``Q <- Q - v q_m^H``, without any inverse.

    ``v_k = q_k^H V_k q_m / q_m^H V_k q_m`` and ``v_m = 1 - (q_m^H V_m q_m)^(-1/2)``, where every step starts from the
    Q of the step before (Scheibler & Ono, "Fast and stable blind source separation with rank-1 updates", ICASSP 2020,
    equation 13). Each lowers the likelihood's bound as :func:`iterative_projection` does, by another path.
    """
    for m in range(Q_FMM.shape[-1]):
        row_FM = Q_FMM[:, m]
        towards_FMM = (V_FMMM @ row_FM.conj()[:, None, :, None])[..., 0]
        power_FM = (row_FM[:, None] * towards_FMM).sum(-1).real
        step_FM = (Q_FMM * towards_FMM).sum(-1) / power_FM
        step_FM[:, m] = 1 - power_FM[:, m].rsqrt()
        Q_FMM = Q_FMM - step_FM[..., None] * row_FM[:, None]
    return Q_FMM


UPDATES = {"ip": iterative_projection, "iss": iterative_source_steering}
"""Ways to update Q by name."""


def updated_Q(
    X_MFT: Spectrum_MFT, lambda_NFT: Power_NFT, Q_FMM: Mixing_FMM, g_NM: Gain_NM, update: str = "ip"
) -> Mixing_FMM:
    """Return Q after one round of iterative projection (``"ip"``) or of iterative source steering (``"iss"``)."""
    updated_FMM, epsilon = torch.empty_like(Q_FMM), torch.finfo(X_MFT.dtype).eps
    # The systems are far smaller than the products they come from: they are solved over wider bands.
    for wide in _slices(len(Q_FMM), 16 * Q_FMM.shape[-1] ** 3):
        X, lambda_ = X_MFT[:, wide], lambda_NFT[:, wide]
        V_FMMM = Q_FMM.new_empty(Q_FMM[wide].shape + Q_FMM.shape[-1:])
        for band in bands(X):
            V_FMMM[band] = weighted_covariances(X[:, band], mixture_power(lambda_[:, band], g_NM).reciprocal_())
        updated_FMM[wide] = UPDATES[update](Q_FMM[wide], loaded(V_FMMM, epsilon))
    return updated_FMM


def normalised(Q_FMM: Mixing_FMM, g_NM: Gain_NM) -> tuple[Mixing_FMM, Gain_NM, Float[Tensor, "N F"]]:
    """Return Q with rows of unit mean power, gains that sum to 1, and the gain that the sources must take over."""
    phi_F = Q_FMM.abs().square().mean(-1).mean(-1) * Q_FMM.shape[-1]
    mu_N = g_NM.sum(1).clamp_min(EPS)
    gain_NF = (mu_N[:, None].double() / phi_F).to(g_NM.dtype)
    return Q_FMM / phi_F.sqrt()[:, None, None], g_NM / mu_N[:, None], gain_NF


def negative_log_likelihood(X_MFT: Spectrum_MFT, lambda_NFT: Power_NFT, Q_FMM: Mixing_FMM, g_NM: Gain_NM) -> float:
    """Return ``sum (x / y + log y) - T sum log |det Q Q^H|``, without the constant of the Gaussian."""
    total = -2 * X_MFT.shape[-1] * float(torch.linalg.slogdet(Q_FMM.to(torch.complex128)).logabsdet.sum())
    for band in bands(X_MFT):
        y_MFT = mixture_power(lambda_NFT[:, band], g_NM)
        x_MFT = diagonalised_power(X_MFT[:, band], Q_FMM[band])
        total += float((x_MFT / y_MFT + y_MFT.log()).sum(dtype=torch.float64))
    return total


@dataclass(frozen=True)
class FastMnmf:
    """A room whose spatial covariances are diagonal together.

    Attributes
    ----------
    Q_FMM
        The diagonaliser, double precision.
    g_NM
        Power gain of every source in every diagonalised channel; sums to 1 over the channels.
    q_update
        How Q is updated, a key of :data:`UPDATES`.
    seen
        A recording, Q, and the power of the one in the channels of the other (:meth:`seeing`): every update of sources
        and gains needs it until Q is another. Half the recording's size; None forgets.
    """

    Q_FMM: Mixing_FMM
    g_NM: Gain_NM
    q_update: str = "ip"
    seen: tuple[Spectrum_MFT, Mixing_FMM, Power_MFT] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def identity(cls, bins: int, g_NM: Gain_NM, q_update: str = "ip") -> FastMnmf:
        """Return the room in which every diagonalised channel is one microphone."""
        eye_MM = torch.eye(g_NM.shape[1], dtype=torch.complex128, device=g_NM.device)
        return cls(eye_MM.repeat(bins, 1, 1), g_NM, q_update)

    def heard_NMF(self) -> Float[Tensor, "N M F"]:
        """Return the power of every source at every microphone, relative to its own."""
        inverse_FMM = torch.linalg.inv(self.Q_FMM).abs().square().to(self.g_NM.dtype)
        return (inverse_FMM @ self.g_NM.T).permute(2, 1, 0)

    def seeing(self, observed: Spectrum_MFT) -> FastMnmf:
        """Return the same room with the power of a recording in its channels at hand."""
        return replace(self, seen=(observed, self.Q_FMM, diagonalised_power(observed, self.Q_FMM)))

    def power(self, observed: Spectrum_MFT) -> Power_MFT:
        """Return the power of a recording in the diagonalised channels."""
        if self.seen is not None and self.seen[0] is observed and self.seen[1] is self.Q_FMM:
            return self.seen[2]
        return diagonalised_power(observed, self.Q_FMM)

    def pressure(self, observed: Spectrum_MFT, lambda_NFT: Power_NFT, beta: float) -> tuple[Power_NFT, Power_NFT]:
        """Return what pulls every source up and down. Raise ValueError unless beta is 0, the likelihood."""
        if beta != 0:
            raise ValueError(f"expected beta=0 with several microphones, got {beta}")
        return pressure(self.power(observed), lambda_NFT, self.g_NM)

    def update(self, observed: Spectrum_MFT, lambda_NFT: Power_NFT) -> tuple[FastMnmf, Float[Tensor, "N F"]]:
        """Return the room after one update of its gains and of Q, and the gain its normalisation gives the sources."""
        g_NM = updated_g(self.power(observed), lambda_NFT, self.g_NM)
        Q_FMM = updated_Q(observed, lambda_NFT, self.Q_FMM, g_NM, self.q_update)
        Q_FMM, g_NM, gain_NF = normalised(Q_FMM, g_NM)
        return FastMnmf(Q_FMM, g_NM, self.q_update).seeing(observed), gain_NF

    def divergence(self, observed: Spectrum_MFT, lambda_NFT: Power_NFT, beta: float = 0) -> float:
        """Return the negative log likelihood, up to a constant."""
        return negative_log_likelihood(observed, lambda_NFT, self.Q_FMM, self.g_NM)
