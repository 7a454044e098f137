"""Voices whose spectra are known but for their levels: what a network says, brought into line with a recording.

    lambda_n(f, t) = eq_n(f) * sum_k level_kn pattern_kn(f, t)

A pattern may be the harmonics of a voice, what surrounds them, or its noise. There is one number per pattern, so a fit
corrects how much of each this recording has (a dry one has little noise) and cannot eat a voice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from ..axes import Power_FT, Power_NFT
from ..dsp.divergence import EPS, exponent


@dataclass(frozen=True)
class Levels:
    """N voices of K patterns each, and a background of one pattern as source N + 1.

    Attributes
    ----------
    pattern_KNFT
        Powers of the patterns at level 1.
    level_KN
        Their levels.
    background_FT
        Power of the background, which stands still.
    eq_NF
        Static gain per source (the background included) and bin.
    """

    pattern_KNFT: Float[Tensor, "K N F T"]
    level_KN: Float[Tensor, "K N"]
    background_FT: Power_FT
    eq_NF: Float[Tensor, "N1 F"]

    parts: ClassVar[tuple[str, ...]] = ("level",)

    def power(self) -> Power_NFT:
        """Return the power of every voice, and of the background last."""
        voices_NFT = torch.einsum("kn,knft->nft", self.level_KN, self.pattern_KNFT)
        return self.eq_NF[..., None] * torch.cat([voices_NFT, self.background_FT[None]])

    def update(self, part: str, up: Power_NFT, down: Power_NFT, beta: float) -> Levels:
        """Return the model after the multiplicative update of its levels; see :mod:`partbook.fit`."""
        pulls = (torch.einsum("knft,nf,nft->kn", self.pattern_KNFT, self.eq_NF[:-1], p[:-1]) for p in (up, down))
        raised, lowered = pulls
        return replace(self, level_KN=self.level_KN * ((raised + EPS) / (lowered + EPS)) ** exponent(beta))

    def rescale(self, gain_NF: Float[Tensor, "N1 F"]) -> Levels:
        """Return the model with every source's power multiplied by a static gain per bin."""
        return replace(self, eq_NF=self.eq_NF * gain_NF)


def start(pattern_KNFT: Float[Tensor, "K N F T"], background_FT: Power_FT) -> Levels:
    """Return a model to fit from: the patterns as they are."""
    K, N, F, _ = pattern_KNFT.shape
    return Levels(pattern_KNFT, pattern_KNFT.new_ones(K, N), background_FT, pattern_KNFT.new_ones(N + 1, F))


__all__ = ["Levels", "start"]
