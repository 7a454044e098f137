"""Two channels: where every voice stands between them.

Source ``n`` reaches a pair of microphones, or of loudspeakers, with the covariance ``lambda_nft R_nf``: how loud it is
in either channel, and with what delay. A covariance is written as four real numbers, ``[r11, r22, Re r12, Im r12]``, so
that sums over sources and over frames are products of real matrices and an inverse is a division. Covariances have a
trace of 1: how loud a source is its power says.

They are learned from the powers that a model of the voices says, as in :mod:`~partbook.room.fullrank`. A few seconds
tell little of a single bin. But a voice stands where it stands at all frequencies: what a bin shows of it is held
against what its neighbours show, freed of the delay between the channels, the more firmly the less they differ by more
than chance.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv1d

from ..axes import Power_NFT, Spectrum_MFT
from ..dsp.divergence import EPS

Covariance_FN4 = Float[Tensor, "F N 4"]
"""One covariance of two channels per frequency and source: its diagonal, then the real and imaginary part of r12."""


@dataclass(frozen=True)
class PairConfig:
    """How places are learned.

    Attributes
    ----------
    updates
        Of every bin by itself, before it is held against its neighbours.
    first_turns
        Of both, from a start where all voices are alike; after every pull there is one.
    pulls, pull
        How often powers are moved by what the places say, and the exponent of that.
    near_hz
        Standard deviation of the frequencies that count as neighbours.
    firmness
        Frames that the word of the neighbours is worth: at least, and at most.
    diffuse
        What of every voice comes from everywhere, as a share of its power.
    longest_s
        Longest delay between the channels.
    """

    updates: int = 4
    first_turns: int = 3
    pulls: int = 4
    pull: float = 0.5
    near_hz: float = 150.0
    firmness: tuple[float, float] = (5.0, 3000.0)
    diffuse: float = 2e-3
    longest_s: float = 0.003


DELAY_HZ = 3000.0
"""Delays are looked for below."""

LOAD = 4 * torch.finfo(torch.float32).eps
"""Share of its trace by which a matrix is loaded."""

APART = 0.05
"""Distance of the places of two voices, relative to how diffuse they are, from which they tell them apart."""

ALIKE = 1e-6
"""Power that two channels do not share, relative to what they do, up to which they are one signal."""

STEP_S = 2e-5
"""Distance of the delays that are tried."""


def start(bins: int, sources: int) -> Covariance_FN4:
    """Return sources that are everywhere."""
    return torch.tensor([0.5, 0.5, 0.0, 0.0]).expand(bins, sources, 4)


def inverse(C: Float[Tensor, "*axes 4"]) -> Float[Tensor, "*axes 4"]:
    """Return the inverse of positive definite matrices."""
    a, d, re, im = C.unbind(-1)
    det = (a * d - re * re - im * im).clamp_min(torch.finfo(C.dtype).tiny)
    return torch.stack([d, a, -re, -im], -1) / det[..., None]


def det(C: Float[Tensor, "*axes 4"]) -> Float[Tensor, "*axes"]:
    """Return the determinant, at least 0."""
    a, d, re, im = C.unbind(-1)
    return (a * d - re * re - im * im).clamp_min(0)


def outer(x_2FT: Complex[Tensor, "2 ..."]) -> Float[Tensor, "... 4"]:
    """Return ``x x^H``."""
    one, two = x_2FT
    cross = one * two.conj()
    return torch.stack([_power(one), _power(two), cross.real, cross.imag], -1)


def times(C: Float[Tensor, "*#axes 4"], x_2: Complex[Tensor, "2 *#axes"]) -> Complex[Tensor, "2 ..."]:
    """Return ``C x``; axes of length 1 are stretched."""
    one, two = x_2
    a, d, re, im = C.unbind(-1)
    cross = torch.complex(re, im)
    return torch.stack([a * one + cross * two, cross.conj() * one + d * two])


def congruent(R: Float[Tensor, "*axes 4"], B: Float[Tensor, "*axes 4"]) -> Float[Tensor, "*axes 4"]:
    """Return ``R B R``."""
    product = matrix(R) @ matrix(B) @ matrix(R)
    return torch.stack(
        [product[..., 0, 0].real, product[..., 1, 1].real, product[..., 0, 1].real, product[..., 0, 1].imag], -1
    )


def matrix(R: Float[Tensor, "*axes 4"]) -> Complex[Tensor, "*axes 2 2"]:
    """Return the matrices themselves."""
    a, d, re, im = R.unbind(-1)
    cross = torch.complex(re, im)
    rows = torch.stack([a + 0j, cross], -1), torch.stack([cross.conj(), d + 0j], -1)
    return torch.stack(rows, -2)


def geometric_mean(A: Float[Tensor, "*axes 4"], B: Float[Tensor, "*axes 4"]) -> Float[Tensor, "*axes 4"]:
    """Return the geometric mean of 2 × 2 matrices, the positive definite X with ``X A^-1 X = B``.

    It has a closed form: with ``a = det(A)^(1/2)`` and ``b = det(B)^(1/2)`` it is ``(ab)^(1/2) M / det(M)^(1/2)`` with
    ``M = A / a + B / b`` (Bhatia, *Positive Definite Matrices*, 2007, proposition 4.1.12).
    """
    a, b = (det(each).sqrt().clamp_min(1e-150)[..., None] for each in (A, B))
    mean = A / a + B / b
    return (a * b).sqrt() * mean / det(mean).sqrt().clamp_min(1e-150)[..., None]


def triangle(R: Float[Tensor, "*axes 4"]) -> Complex[Tensor, "3 ..."]:
    """Return ``l11``, ``l21`` and ``l22`` of the Cholesky factors, ``R = L L^H``."""
    R = loaded(R)
    a, _, re, im = R.unbind(-1)
    l11 = a.sqrt()
    l21 = torch.complex(re, -im) / l11
    return torch.stack([l11 + 0j, l21, (det(R) / a).sqrt() + 0j])


def loaded(C: Float[Tensor, "*axes 4"]) -> Float[Tensor, "*axes 4"]:
    """Return matrices that are definite, if only by a few roundings of single precision."""
    trace = C[..., :2].sum(-1, keepdim=True)
    return C + (LOAD * trace + EPS**2) * torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=C.dtype)


def normalised(R: Covariance_FN4, diffuse: float) -> Covariance_FN4:
    """Return covariances with a trace of 1, of which a small part is diffuse."""
    everywhere = torch.tensor([0.5, 0.5, 0, 0], dtype=R.dtype)
    trace = R[..., :2].sum(-1, keepdim=True)
    return (R + (diffuse * trace + EPS) * everywhere) / ((1 + diffuse) * trace + EPS)


def mixture(lambda_FTN: Float[Tensor, "F T N"], R_FN4: Covariance_FN4) -> Float[Tensor, "F T 4"]:
    """Return ``C = sum_n lambda_n R_n``."""
    return lambda_FTN @ R_FN4


def updated(X_2FT: Spectrum_MFT, lambda_NFT: Power_NFT, R_FN4: Covariance_FN4) -> Covariance_FN4:
    """Return the covariances after one update that solves ``R A R = R' B R'``, as :func:`.fullrank.updated_R`."""
    lambda_FNT = lambda_NFT.transpose(0, 1)
    inverse_FT4 = inverse(mixture(lambda_FNT.mT, R_FN4))
    z_2FT = times(inverse_FT4, X_2FT)
    A_FN4, B_FN4 = (lambda_FNT @ each for each in (inverse_FT4, outer(z_2FT)))
    A_FN4, B_FN4, R_FN4 = A_FN4.double(), B_FN4.double(), R_FN4.double()
    return geometric_mean(inverse(loaded(A_FN4)), loaded(congruent(R_FN4, B_FN4))).float()


def pulled(X_2FT: Spectrum_MFT, lambda_NFT: Power_NFT, R_FN4: Covariance_FN4, exponent: float) -> Power_NFT:
    """Return powers moved by what the places say: by ``(z^H R z / tr(C^-1 R))^exponent``.

    A bin of two channels says little of several voices; it is asked together with its eight neighbours.
    """
    inverse_FT4 = inverse(mixture(lambda_NFT.permute(1, 2, 0), R_FN4))
    weights_4 = torch.tensor([1.0, 1.0, 2.0, 2.0])
    up_NFT, down_NFT = (
        avg_pool2d(lambda_NFT * (each @ (weights_4 * R_FN4).mT).permute(2, 0, 1), 3, 1, 1)
        for each in (outer(times(inverse_FT4, X_2FT)), inverse_FT4)
    )
    return lambda_NFT * (up_NFT / down_NFT.clamp_min(EPS)).clamp(1e-2, 1e2) ** exponent


def delays(R_FN4: Covariance_FN4, weight_FN: Tensor, bins_hz: Tensor, longest_s: float) -> Float[Tensor, " N"]:
    """Return by how many seconds every source reaches the second channel later than the first."""
    low = int((bins_hz < DELAY_HZ).sum())
    cross_FN = torch.complex(R_FN4[:low, :, 2], R_FN4[:low, :, 3])
    cross_FN = cross_FN / cross_FN.abs().clamp_min(EPS) * weight_FN[:low]
    tried = torch.arange(-math.floor(longest_s / STEP_S), math.floor(longest_s / STEP_S) + 1) * STEP_S
    turned_FD = torch.exp(-2j * math.pi * bins_hz[:low, None] * tried)
    return tried[(turned_FD.mT @ cross_FN).real.argmax(0)]


def turned(R_FN4: Covariance_FN4, delay_N: Tensor, bins_hz: Tensor) -> Covariance_FN4:
    """Return covariances with the second channel delayed further."""
    angle_FN = 2 * math.pi * bins_hz[:, None] * delay_N
    cos, sin = angle_FN.cos(), angle_FN.sin()
    a, d, re, im = R_FN4.unbind(-1)
    return torch.stack([a, d, re * cos - im * sin, re * sin + im * cos], -1)


def held(
    R_FN4: Covariance_FN4, weight_FN: Float[Tensor, "F N"], bins_hz: Float[Tensor, " F"], config: PairConfig
) -> Covariance_FN4:
    """Return covariances held to what their neighbours in frequency show, freed of delays.

    With ``w`` frames' worth of a voice in a bin, its covariance there is off by about ``1 / w`` by chance. What it
    differs from its neighbours' mean by more than that, ``v``, is the room's: the mean is worth ``1 / v`` frames.
    """
    delay_N = delays(R_FN4, weight_FN, bins_hz, config.longest_s)
    straight_FN4 = turned(R_FN4, -delay_N, bins_hz)
    spread = config.near_hz / float(bins_hz[1])
    reach = math.ceil(3 * spread)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / spread) ** 2)

    def near(x_FK: Tensor) -> Tensor:
        return conv1d(x_FK.T[:, None], kernel[None, None], padding=reach)[:, 0].T

    total_FN = near(weight_FN).clamp_min(EPS)
    around_FN4 = torch.stack([near(weight_FN * each) for each in straight_FN4.unbind(-1)], -1) / total_FN[..., None]
    off = (straight_FN4 - around_FN4).square() * torch.tensor([1.0, 1.0, 2.0, 2.0])
    chance_FN = 1 / weight_FN.clamp_min(1.0)
    differ_FN = near(weight_FN * (off.sum(-1) - chance_FN)) / total_FN
    firm_FN = (1 / differ_FN.clamp_min(1e-6)).clamp(*config.firmness)
    total = (weight_FN + firm_FN)[..., None]
    return turned((weight_FN[..., None] * straight_FN4 + firm_FN[..., None] * around_FN4) / total, delay_N, bins_hz)


def differ(x_2S: Float[Tensor, "2 S"]) -> bool:
    """Return whether two channels are more than one signal at two levels, that is, whether they tell of places."""
    x_2S = x_2S.double()
    values = torch.linalg.eigvalsh(x_2S @ x_2S.T)
    return bool(values[0] > ALIKE * values[1])


def stand_apart(R_FN4: Covariance_FN4, weight_FN: Float[Tensor, "F N"], bins_hz: Float[Tensor, " F"]) -> bool:
    """Return whether voices stand at different places, as far as it can be told.

    Those of a widened or delayed mono recording do not; what differs there is chance. Asked are the distances of all
    pairs, ``1 - tr(R_n R_k) / (tr(R_n^2) tr(R_k^2))^(1/2)``, and how diffuse voices are, ``4 det(R_n)``: 0 for sound
    from one direction, 1 for sound from everywhere.
    """
    low = bins_hz < DELAY_HZ
    R_FN4, weight_FN = R_FN4[low], weight_FN[low]
    straight_FN4 = R_FN4 * torch.tensor([1.0, 1.0, 2.0, 2.0]).sqrt()
    straight_FN4 = straight_FN4 / straight_FN4.norm(dim=-1, keepdim=True).clamp_min(EPS)
    distances = []
    for n, k in itertools.combinations(range(R_FN4.shape[1]), 2):
        both_F = (weight_FN[:, n] * weight_FN[:, k]).sqrt()
        off_F = 1 - (straight_FN4[:, n] * straight_FN4[:, k]).sum(-1)
        distances.append((both_F * off_F).sum() / both_F.sum().clamp_min(EPS))
    diffuse_N = (weight_FN * 4 * det(R_FN4)).sum(0) / weight_FN.sum(0).clamp_min(EPS)
    return bool(distances) and bool(torch.stack(distances).median() > APART * diffuse_N.median())


def placed(
    X_2FT: Spectrum_MFT, lambda_NFT: Power_NFT, bins_hz: Float[Tensor, " F"], config: PairConfig | None = None
) -> tuple[Covariance_FN4, Power_NFT]:
    """Return where every source stands, and its power with that known.

    Where voices do not stand apart all are said to be everywhere, and their powers stay what they are.

    Parameters
    ----------
    X_2FT
        Spectra of both channels; their summed power has a mean of 1.
    lambda_NFT
        Powers of the voices as a model says them, and of the background last.
    bins_hz
        Frequencies of the bins.
    config
        How places are learned.
    """
    config = config or PairConfig()
    everywhere_FN4 = start(len(bins_hz), len(lambda_NFT))
    power_NFT = lambda_NFT.clamp_min(EPS)
    R_FN4 = _learned(X_2FT, power_NFT, everywhere_FN4, bins_hz, config.first_turns, config)
    for _ in range(config.pulls):
        power_NFT = pulled(X_2FT, power_NFT, R_FN4, config.pull).clamp_min(EPS)
        R_FN4 = _learned(X_2FT, power_NFT, R_FN4, bins_hz, 1, config)
    apart = stand_apart(R_FN4[:, :-1], _observed(power_NFT)[:, :-1], bins_hz)
    return (R_FN4, power_NFT) if apart else (everywhere_FN4, lambda_NFT)


def _learned(
    X_2FT: Spectrum_MFT, lambda_NFT: Power_NFT, R_FN4: Covariance_FN4, bins_hz: Tensor, turns: int, config: PairConfig
) -> Covariance_FN4:
    """Return covariances after turns of updates of every bin by itself, each held to their neighbours."""
    observed_FN = _observed(lambda_NFT)
    # Neighbouring frames share most of their window.
    heard = X_2FT[..., ::2], lambda_NFT[..., ::2]
    for _ in range(turns):
        for _ in range(config.updates):
            R_FN4 = normalised(updated(*heard, R_FN4), config.diffuse)
        R_FN4 = held(R_FN4, observed_FN, bins_hz, config)
    return R_FN4


def _observed(lambda_NFT: Power_NFT) -> Float[Tensor, "F N"]:
    """Return how many samples, two a frame, tell of every source alone."""
    return 2 * (lambda_NFT / lambda_NFT.sum(0)).square().sum(-1).T


def _power(z: Complex[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """Return the squared magnitude."""
    return torch.view_as_real(z).square().sum(-1)
