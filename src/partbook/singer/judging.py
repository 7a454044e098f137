"""How well the powers of voices explain recordings of several voices each, heard only as their sum.

Mixtures alone are asked for (as in Wisdom et al., "Unsupervised sound separation using mixture invariant training",
NeurIPS 2020): powers are judged on how well the voices of each recording, *together*, explain that recording. The
expectation under a beta divergence is least at the posterior mean of the power, which is what a Wiener filter wants; a
second term is the error of that filter itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from ..dsp.divergence import beta_divergence
from .model import Spectra

FLOOR = 1e-6
"""Of powers in the likelihood, whose mean is 1."""

LIKELIHOOD, ERROR, EARLIER = 0.02, 0.1, 0.25
"""Weights in the loss: of the divergence, of the filter's error in dB, and of all rounds but the last."""

_TINY = 1e-10


def likelihood(x: Float[Tensor, "*axes"], y: Float[Tensor, "*axes"], beta: float, floor: float) -> Float[Tensor, ""]:
    """Return the mean beta divergence of observed from modelled powers, both raised by a floor."""
    return beta_divergence(x + floor, y + floor, beta) / x.numel()


def masked_error(
    X_BFT: Complex[Tensor, "B F T"], target_BFT: Complex[Tensor, "B F T"], mask_BFT: Float[Tensor, "B F T"]
) -> Float[Tensor, ""]:
    """Return the mean error in dB, relative to the target, of a mask on a mixture."""
    error = (target_BFT - mask_BFT * X_BFT).abs().square().sum((-1, -2))
    energy = target_BFT.abs().square().sum((-1, -2))
    return (10 * torch.log10((error + _TINY) / (energy + _TINY) + 1e-4)).mean()


def judged(
    said: Spectra,
    X_BFT: Complex[Tensor, "B F T"],
    recordings_GBFT: Complex[Tensor, "G B F T"],
    groups: Sequence[Sequence[int]],
    beta: float = 0.0,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return the divergence, and the filter's error in dB, means over the recordings.

    Parameters
    ----------
    said
        About the voices of mixtures of unit mean power.
    X_BFT, recordings_GBFT
        The mixtures, and what was added up in each of them.
    groups
        Which voices each recording holds. Of a single one there is the likelihood alone.
    beta
        Divergence.
    """
    lambda_BNFT = said.power()
    y = lambda_BNFT.sum(1) + said.background()
    if len(groups) == 1:
        return likelihood(X_BFT.abs().square(), y, beta, FLOOR), y.new_zeros(())
    fits, errors = [], []
    for recording_BFT, group in zip(recordings_GBFT, groups, strict=True):
        power = lambda_BNFT[:, list(group)].sum(1)
        fits.append(likelihood(recording_BFT.abs().square(), power, beta, FLOOR))
        errors.append(masked_error(X_BFT, recording_BFT, power / (y + 1e-8)))
    return torch.stack(fits).mean(), torch.stack(errors).mean()


def over_rounds(
    judgements: Sequence[tuple[Float[Tensor, ""], Float[Tensor, ""]]],
    likelihood: float = LIKELIHOOD,
    error: float = ERROR,
    earlier: float = EARLIER,
) -> Float[Tensor, ""]:
    """Return the loss of a network from what :func:`judged` says of each of its rounds, first to last."""
    losses = [likelihood * divergence + error * error_db for divergence, error_db in judgements]
    return earlier * sum(losses[:-1]) + losses[-1]


__all__ = ["EARLIER", "ERROR", "FLOOR", "LIKELIHOOD", "judged", "likelihood", "masked_error", "over_rounds"]
