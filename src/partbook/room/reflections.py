"""Whether two covariances of a player were heard in the same room, by what its walls send to the microphones.

Relative to the player's own spot, a sound reaches microphone ``m`` as ``r_mf = R_f[m, own] / R_f[own, own]``. Its first
milliseconds say where everybody sits; with them taken away, what remains are the reflections of this room alone. A
player who moves by ``d`` keeps of them, in a diffuse field, the share ``sin(kd) / kd`` with the wave number ``k`` (Cook
et al., "Measurement of correlation coefficients in reverberant sound fields", JASA 27, 1955): at 5 cm nearly all of it
below 1 kHz. Two rooms have nothing in common.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

BAND_HZ = (100.0, 1000.0)
"""Where small moves change little, and where rooms are heard rather than fans."""

SEATING_S = (-0.002, 0.015)
"""Delays of direct sound, of floor and stage, relative to the own spot: alike wherever the same seats are set up."""

RANK = 1e-3
"""Share of the largest singular value below which a direction is none of the seating's."""


def alike(
    known_FMM: Complex[Tensor, "F M M"],
    found_FMM: Complex[Tensor, "F M M"],
    weight_F: Float[Tensor, " F"],
    own: int,
    bin_hz: float,
) -> float:
    """Return how alike the reflections in two covariances of one player at the microphones are.

    Parameters
    ----------
    known_FMM, found_FMM
        Covariances of the microphones while the player sounds.
    weight_F
        How much every bin says, at least 0.
    own
        Row of the player's own spot.
    bin_hz
        Distance between bins.

    Returns
    -------
    float
        From −1 to 1, as correlations are: 1 in the same room, about 0 in another one; NaN if so little is heard in
        the band that taking the seating away takes more than half of it.
    """
    bins_hz = torch.arange(len(weight_F), device=weight_F.device) * bin_hz
    heard_F = (bins_hz >= BAND_HZ[0]) & (bins_hz <= BAND_HZ[1]) & (weight_F > 0)
    if not heard_F.any():
        return math.nan
    root_F1 = weight_F[heard_F].double().sqrt()[:, None]
    # Twice as fine as the highest frequency asks for.
    delays_s = torch.arange(*SEATING_S, 1 / (4 * BAND_HZ[1]), device=weight_F.device).double()
    seating_FD = torch.polar(root_F1.expand(-1, len(delays_s)), -2 * torch.pi * bins_hz[heard_F, None] * delays_s)
    basis, values, _ = torch.linalg.svd(seating_FD, full_matrices=False)
    basis = basis[:, values > RANK * values[0]]
    if len(root_F1) < 2 * basis.shape[1]:
        return math.nan
    others = [m for m in range(known_FMM.shape[-1]) if m != own]
    known_FM, found_FM = (
        _without(basis, root_F1 * _relative(R_FMM[heard_F], own)[:, others]) for R_FMM in (known_FMM, found_FMM)
    )
    common = (known_FM * found_FM.conj()).real.sum()
    return float(common / (torch.linalg.norm(known_FM) * torch.linalg.norm(found_FM)))


def _relative(R_FMM: Complex[Tensor, "F M M"], own: int) -> Complex[Tensor, "F M"]:
    """Return how sound reaches the microphones, relative to one of them."""
    return (R_FMM[:, :, own] / R_FMM[:, own, own, None].real).to(torch.complex128)


def _without(basis_FD: Complex[Tensor, "F D"], x_FM: Complex[Tensor, "F M"]) -> Complex[Tensor, "F M"]:
    """Return what is orthogonal to a basis."""
    return x_FM - basis_FD @ (basis_FD.mH @ x_FM)


__all__ = ["alike"]
