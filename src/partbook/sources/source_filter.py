"""Voices as source times filter: the comb of an F0 track, shaped by a smooth filter that moves with time.

The power of voice ``n`` is

    lambda_n(f, t) = eq_n(f) * [ comb_n(f, t) * sum_k vowel_nk(f) activation_nk(t)
                                 + sum_k breath_nk(f) breathing_nk(t) ]

- ``comb``: what the window and the F0's own movement make of a flat harmonic source (never an idealised lobe);
- ``vowel``: smooth spectra on a mel-spaced basis, few per voice (low rank): the vocal tract, or an instrument's body;
- ``breath``: the same, broader and without the comb: breath, consonants, bow and key noise;
- ``eq``: a free static gain per bin; a room moves what it normalises out of itself here.

A background of its own, a low-rank spectrum that no voice has, comes last: it keeps room noise out of the pauses.
The model is a source-filter NMF (Durrieu et al., "Source/filter model for unsupervised main melody extraction from
polyphonic audio signals", TASLP 2010) with the source replaced by the F0 track's exact comb.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from ..axes import Power_NFT
from ..dsp.bases import smooth_basis
from ..dsp.divergence import EPS, exponent


@dataclass(frozen=True)
class SourceFilter:
    """Source-filter spectra of N voices, and the background as source N + 1.

    Attributes
    ----------
    comb_NFT
        Power of every voice's flat harmonic source.
    smooth_FJ, broad_FI
        Smooth bases over frequency: of the filters, and of the noise.
    filter_NJK, activation_NKT
        Non-negative factors of the filter.
    breath_NIK, breathing_NKT
        Non-negative factors of the noise.
    background_FK, presence_KT
        Non-negative factors of the background.
    eq_NF
        Static gain per source (the background included) and bin.
    """

    comb_NFT: Power_NFT
    smooth_FJ: Float[Tensor, "F J"]
    broad_FI: Float[Tensor, "F I"]
    filter_NJK: Float[Tensor, "N J K"]
    activation_NKT: Float[Tensor, "N K T"]
    breath_NIK: Float[Tensor, "N I K2"]
    breathing_NKT: Float[Tensor, "N K2 T"]
    background_FK: Float[Tensor, "F K3"]
    presence_KT: Float[Tensor, "K3 T"]
    eq_NF: Float[Tensor, "N1 F"]

    parts: ClassVar[tuple[str, ...]] = ("filter", "activation", "breath", "breathing", "background", "presence")

    def voiced(self) -> Power_NFT:
        """Return the power of the harmonic part of every voice."""
        return self.eq_NF[:-1, :, None] * self.comb_NFT * (self.smooth_FJ @ self.filter_NJK @ self.activation_NKT)

    def power(self) -> Power_NFT:
        """Return the power of every voice, and of the background last."""
        noise_NFT = self.eq_NF[:-1, :, None] * (self.broad_FI @ self.breath_NIK @ self.breathing_NKT)
        background_FT = self.eq_NF[-1, :, None] * (self.background_FK @ self.presence_KT)
        return torch.cat([self.voiced() + noise_NFT, background_FT[None]])

    def update(self, part: str, up: Power_NFT, down: Power_NFT, beta: float) -> SourceFilter:
        """Return the model after the multiplicative update of one factor; see :mod:`partbook.fit`."""
        gamma = exponent(beta)

        def step(factor: Tensor, gather) -> Tensor:
            return factor * ((gather(up) + EPS) / (gather(down) + EPS)) ** gamma

        eq = self.eq_NF[:-1, :, None]
        if part == "filter":
            time_NTK, basis_JF = self.activation_NKT.mT, self.smooth_FJ.T
            new = step(self.filter_NJK, lambda p: basis_JF @ ((eq * self.comb_NFT * p[:-1]) @ time_NTK))
            return replace(self, filter_NJK=new)
        if part == "activation":
            vowel_NKF = (self.smooth_FJ @ self.filter_NJK).mT
            new = step(self.activation_NKT, lambda p: vowel_NKF @ (eq * self.comb_NFT * p[:-1]))
            return replace(self, activation_NKT=new)
        if part == "breath":
            time_NTK, basis_IF = self.breathing_NKT.mT, self.broad_FI.T
            return replace(self, breath_NIK=step(self.breath_NIK, lambda p: basis_IF @ ((eq * p[:-1]) @ time_NTK)))
        if part == "breathing":
            spectra_NKF = (self.broad_FI @ self.breath_NIK).mT
            return replace(self, breathing_NKT=step(self.breathing_NKT, lambda p: spectra_NKF @ (eq * p[:-1])))
        if part == "eq":
            plain_NFT = replace(self, eq_NF=torch.ones_like(self.eq_NF)).power()
            return replace(self, eq_NF=step(self.eq_NF, lambda p: (plain_NFT * p).sum(-1)))
        last_F1 = self.eq_NF[-1, :, None]
        if part == "background":
            new = step(self.background_FK, lambda p: (last_F1 * p[-1]) @ self.presence_KT.T)
            return replace(self, background_FK=new)
        new = step(self.presence_KT, lambda p: self.background_FK.T @ (last_F1 * p[-1]))
        return replace(self, presence_KT=new)

    def rescale(self, gain_NF: Float[Tensor, "N1 F"]) -> SourceFilter:
        """Return the model with every source's power multiplied by a static gain per bin."""
        return replace(self, eq_NF=self.eq_NF * gain_NF)


def start(
    comb_NFT: Power_NFT,
    bins_hz: Float[Tensor, " F"],
    generator: torch.Generator,
    *,
    vowels: int = 6,
    bumps: int = 30,
    breaths: int = 2,
    breath_bumps: int = 12,
    backgrounds: int = 1,
) -> SourceFilter:
    """Return a model to fit from: falling spectra, little noise, less background, slightly different components.

    Parameters
    ----------
    comb_NFT
        Power of the combs, any scale.
    bins_hz
        Frequency of every bin.
    generator
        Source of the small random differences that let components part ways.
    vowels, bumps
        Components and basis functions of each voice's filter.
    breaths, breath_bumps
        The same of its noise.
    backgrounds
        Components of the background.
    """
    voices, bins, frames = comb_NFT.shape

    def uneven(*shape: int) -> Tensor:
        return (0.5 + torch.rand(*shape, generator=generator)).to(comb_NFT)

    smooth_FJ, broad_FI = (smooth_basis(bins_hz, count).to(comb_NFT) for count in (bumps, breath_bumps))
    # A sung spectrum falls by about 12 dB per octave above a few hundred hertz.
    fall_F1 = (1 / (1 + (bins_hz / 400) ** 2))[:, None].to(comb_NFT)
    fall_J1 = ((smooth_FJ * fall_F1).sum(0) / smooth_FJ.sum(0))[:, None]
    return SourceFilter(
        comb_NFT=comb_NFT / comb_NFT.mean().clamp_min(EPS),
        smooth_FJ=smooth_FJ,
        broad_FI=broad_FI,
        filter_NJK=fall_J1 * uneven(voices, bumps, vowels),
        activation_NKT=uneven(voices, vowels, frames),
        breath_NIK=0.1 * uneven(voices, breath_bumps, breaths),
        breathing_NKT=uneven(voices, breaths, frames),
        background_FK=0.0003 * uneven(bins, backgrounds),
        presence_KT=uneven(backgrounds, frames),
        eq_NF=torch.ones(voices + 1, bins).to(comb_NFT),
    )
