"""How well the powers of voices explain recordings of several voices each, heard only as their sum.

Mixtures alone are asked for (as in Wisdom et al., "Unsupervised sound separation using mixture invariant training",
NeurIPS 2020): powers are judged on how well the voices of each recording, *together*, explain that recording. The
expectation under a beta divergence is least at the posterior mean of the power, which is what a Wiener filter wants; a
second term is the error of that filter itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from ..dsp.divergence import divergences
from .bands import Sight, slower
from .spectra import Spectra

FLOOR = 1e-6
"""Of powers in the likelihood, whose mean is 1."""

LIKELIHOOD, ERROR, EARLIER = 0.02, 0.1, 0.25
"""Weights in the loss: of the divergence, of the filter's error in dB, and of all rounds but the last."""

SILENT = 1e-3
"""Power, relative to the mixture's, below which a recording is as good as silent."""

_TINY = 1e-10


def cross_power(X: Complex[Tensor, "*axes"], Y: Complex[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """Return the real part of ``X Y*``, of a spectrum with itself its power, without making the imaginary one."""
    return torch.addcmul(X.real * Y.real, X.imag, Y.imag)


def likelihood(
    x: Float[Tensor, "*axes F T"],
    y: Float[Tensor, "*axes F T"],
    beta: float,
    floor: float,
    width_F: Float[Tensor, " F"] | None = None,
) -> Float[Tensor, ""]:
    """Return the mean beta divergence of observed from modelled powers, both raised by a floor.

    Some of their bins may count for several.
    """
    of_bins = divergences(x + floor, y + floor, beta).mean(-1)
    return of_bins.mean() if width_F is None else (of_bins @ width_F).mean() / width_F.sum()


def masked_error(asked: Asked, mask_GBFT: Sequence[Float[Tensor, "B F T"]]) -> Float[Tensor, " G"]:
    """Return the mean error in dB, relative to every recording, of its mask on the mixtures.

    Where a recording is silent, it is relative to a little of the mixture.
    """
    errors, silence_B = [], SILENT * asked.total(asked.mixture_BFT) + _TINY
    for power_BFT, cross_BFT, mask_BFT in zip(asked.power_GBFT, asked.cross_GBFT, mask_GBFT, strict=True):
        error_BFT = power_BFT + mask_BFT * (mask_BFT * asked.mixture_BFT - 2 * cross_BFT)
        error_B, level_B = asked.total(error_BFT).clamp_min(0), asked.total(power_BFT)
        errors.append((10 * torch.log10(error_B / (level_B + silence_B) + 1e-4)).mean())
    return torch.stack(errors)


@dataclass(frozen=True)
class Asked:
    """What powers are judged by: all that the rounds have in common.

    Attributes
    ----------
    mixture_BFT, power_GBFT
        Power of the mixtures, of unit mean, and of what was added up in each of them.
    cross_GBFT
        Real part of the product of a recording and the mixture's conjugate.
    width_F
        For how many bins each stands, where some are means of several.
    """

    mixture_BFT: Float[Tensor, "B F T"]
    power_GBFT: Float[Tensor, "G B F T"]
    cross_GBFT: Float[Tensor, "G B F T"]
    width_F: Float[Tensor, " F"]

    @classmethod
    def of(
        cls,
        X_BFT: Complex[Tensor, "B F T"],
        recordings_GBFT: Complex[Tensor, "G B F T"],
        sight: Sight | None = None,
    ) -> Asked:
        """Return it from spectra, as they are or as the rounds see them."""
        mixture_BFT, power_GBFT = cross_power(X_BFT, X_BFT), cross_power(recordings_GBFT, recordings_GBFT)
        cross_GBFT, width_F = cross_power(recordings_GBFT, X_BFT), X_BFT.real.new_ones(X_BFT.shape[1])
        if sight is None:
            return cls(mixture_BFT, power_GBFT, cross_GBFT, width_F)
        return cls(*(sight(each) for each in (mixture_BFT, power_GBFT, cross_GBFT)), sight.widths(width_F))

    def about(self, said: Spectra) -> Asked:
        """Return what the frames are judged by that something is said about, one by one or so many together."""
        timed = (self.mixture_BFT, self.power_GBFT, self.cross_GBFT)
        return Asked(*(slower(each[..., said.frames], said.pace) for each in timed), self.width_F)

    def total(self, x_BFT: Float[Tensor, "B F T"]) -> Float[Tensor, " B"]:
        """Return the sum over bins and frames."""
        return x_BFT.sum(-1) @ self.width_F


def judged(
    said: Spectra, asked: Asked, groups: Sequence[Sequence[int]], beta: float = 0.0
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return the divergence, and the filter's error in dB, means over the recordings.

    Parameters
    ----------
    said
        About the voices of mixtures of unit mean power.
    asked
        Mixtures and recordings, at all frames.
    groups
        Which voices each recording holds. Of a single one there is the likelihood alone.
    beta
        Divergence.
    """
    lambda_BNFT, asked = said.power(), asked.about(said)
    if len(groups) == 1:
        y = lambda_BNFT.sum(1) + said.background()
        return likelihood(asked.mixture_BFT, y, beta, FLOOR, asked.width_F), y.new_zeros(())
    powers = [sum(lambda_BNFT[:, n] for n in group) for group in groups]
    y = sum(powers) + said.background()
    fits = [likelihood(x, power, beta, FLOOR, asked.width_F) for x, power in zip(asked.power_GBFT, powers, strict=True)]
    return torch.stack(fits).mean(), masked_error(asked, [power / (y + 1e-8) for power in powers]).mean()


def over_rounds(
    judgements: Sequence[tuple[Float[Tensor, ""], Float[Tensor, ""]]],
    likelihood: float = LIKELIHOOD,
    error: float = ERROR,
    earlier: float = EARLIER,
) -> Float[Tensor, ""]:
    """Return the loss of a network from what :func:`judged` says of each of its rounds, first to last."""
    losses = [likelihood * divergence + error * error_db for divergence, error_db in judgements]
    return earlier * sum(losses[:-1]) + losses[-1]


__all__ = [
    "EARLIER",
    "ERROR",
    "FLOOR",
    "LIKELIHOOD",
    "Asked",
    "cross_power",
    "judged",
    "likelihood",
    "masked_error",
    "over_rounds",
]
