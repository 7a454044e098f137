"""What the singer says about the voices of mixtures: spectra in bands, and what becomes of them at the bins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from .synth import Controls

_BINNED = ("comb_BNFT", "skirt_BNFT", "tract_BNFT", "partial_BNGT", "gain_BNGT")
"""Parts of :class:`Spectra` whose last axes are bins and time."""

_TIMED = ("filter_BNJT", "loose_BNJT", "noise_BNJT", *_BINNED)
"""Parts whose last axis is time."""


@dataclass(frozen=True)
class Spectra:
    """What the network says about N voices in B mixtures, in bands.

    Attributes
    ----------
    filter_BNJT
        Log power of a partial of amplitude 1.
    loose_BNJT
        The same of the skirts.
    noise_BNJT, background_BJ
        Log power of noise, and of what no voice makes.
    bumps_FJ
        Bands over the bins.
    comb_BNFT, skirt_BNFT
        Power of the flat harmonics, and of their skirts.
    tract_BNFT
        Power of the all-pole tracts, where the network names them, to be used in the place of the filters.
    controls
        Those tracts, one set per mixture.
    partial_BNGT
        Gain of harmonics and skirts in the lowest bins, where single partials were looked at.
    gain_BNGT
        Gain of a voice in the lowest bins, where single bins were looked at.
    first, pace
        Which frames of the mixtures this is about: the first of them, and how many were taken for one.
    """

    filter_BNJT: Float[Tensor, "B N J T"]
    loose_BNJT: Float[Tensor, "B N J T"]
    noise_BNJT: Float[Tensor, "B N J T"]
    background_BJ: Float[Tensor, "B J"]
    bumps_FJ: Float[Tensor, "F J"]
    comb_BNFT: Float[Tensor, "B N F T"]
    skirt_BNFT: Float[Tensor, "B N F T"]
    tract_BNFT: Float[Tensor, "B N F T"] | None = None
    controls: tuple[Controls, ...] = ()
    partial_BNGT: Float[Tensor, "B N G T"] | None = None
    gain_BNGT: Float[Tensor, "B N G T"] | None = None
    first: int = 0
    pace: int = 1

    @property
    def frames(self) -> slice:
        """Frames of the mixtures that this is about."""
        return slice(self.first, self.first + self.pace * self.filter_BNJT.shape[-1])

    def between(self, frames: slice) -> Spectra:
        """Return what is said about some frames of the mixtures only; every frame must be spoken of by itself."""
        if frames == slice(None):
            return self
        start, stop, _ = frames.indices(self.frames.stop)
        start = max(start, self.first)
        return self._cut(_TIMED, (..., slice(start - self.first, stop - self.first)), first=start)

    def below(self, count: int) -> Spectra:
        """Return what is said about the lowest bins only."""
        return self._cut(_BINNED, (..., slice(count), slice(None)), bumps_FJ=self.bumps_FJ[:count])

    def gained(self, **gains_BNGT: Float[Tensor, "B N G T"]) -> Spectra:
        """Return the same with other gains, and the plain powers made: they serve both."""
        return replace(self, **gains_BNGT)._with_plain(self.plain_3BNFT)

    def lines(self) -> Float[Tensor, "B N F T"]:
        """Return the power of the harmonics alone."""
        return _gained(self.plain_3BNFT[0], self.partial_BNGT, self.gain_BNGT)

    def power(self, noise_share: float = 1.0) -> Float[Tensor, "B N F T"]:
        """Return the power of every voice, with so much of its noise."""
        return self._power_BNFT if noise_share == 1 else self._with(noise_share * self.plain_3BNFT[2])

    @cached_property
    def _power_BNFT(self) -> Float[Tensor, "B N F T"]:
        # Asked for by the next round and by the loss.
        return self._with(self.plain_3BNFT[2])

    def _with(self, noise_BNFT: Float[Tensor, "B N F T"]) -> Float[Tensor, "B N F T"]:
        lines_BNFT, loose_BNFT, _ = self.plain_3BNFT
        return _gained(_gained(lines_BNFT + loose_BNFT, self.partial_BNGT) + noise_BNFT, self.gain_BNGT)

    @cached_property
    def plain_3BNFT(self) -> tuple[Tensor, Tensor, Tensor]:
        """Power of harmonics, skirts and noise (B, N, F, T) before any gain."""
        filter_BNFT = self.bumps_FJ @ self.filter_BNJT.exp() if self.tract_BNFT is None else self.tract_BNFT
        loose_BNFT = self.skirt_BNFT * (self.bumps_FJ @ self.loose_BNJT.exp())
        return self.comb_BNFT * filter_BNFT, loose_BNFT, self.bumps_FJ @ self.noise_BNJT.exp()

    def _cut(self, names: tuple[str, ...], where: tuple[object, ...], **others: Tensor | int) -> Spectra:
        """Return the same with a piece of some parts, and of the plain powers where they are made."""
        cut = {name: value[where] for name, value in vars(self).items() if name in names and value is not None}
        plain, other = vars(self).get("plain_3BNFT"), replace(self, **cut, **others)
        return other if plain is None else other._with_plain(tuple(each[where] for each in plain))

    def _with_plain(self, plain_3BNFT: tuple[Tensor, ...]) -> Spectra:
        vars(self)["plain_3BNFT"] = plain_3BNFT
        return self

    def background(self) -> Float[Tensor, "B F 1"]:
        """Return the power of what no voice makes, the same in all frames."""
        return self.bumps_FJ @ self.background_BJ.exp()[..., None]


def _gained(power_BNFT: Tensor, *gains_BNGT: Tensor | None) -> Tensor:
    """Return powers whose lowest bins have these gains."""
    for gain_BNGT in gains_BNGT:
        if gain_BNGT is not None:
            low = gain_BNGT.shape[2]
            power_BNFT = torch.cat([power_BNFT[:, :, :low] * gain_BNGT, power_BNFT[:, :, low:]], 2)
    return power_BNFT


__all__ = ["Spectra"]
