"""How a mixture is held against what the singer makes of it: as power in several windows, or as sound.

The voices' combs are made as sound from their F0, so the pitch of a comb carries a gradient back to the F0, and are
then seen through any window. The singer sees the first window; what it says in bands and frames holds in all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from ..dsp.bases import smooth_basis
from ..dsp.hcqt import LogTransform
from ..dsp.oscillator import flat_partials, harmonics, upsampled
from ..dsp.stft import Stft
from ..singer.model import Singer, Spectra, smeared
from ..singer.synth import sung
from .losses import likelihood, multi_resolution, transport

FLOOR = 1e-6
"""Of powers, whose mean is 1."""

TRANSPORTED_HZ = (60.0, 4000.0)
"""Where the spectra lie whose energy is carried."""

OVERLAP = 4
"""Frames per window."""


@dataclass(frozen=True)
class Sight:
    """Through which windows to look, and how F0 is framed.

    Attributes
    ----------
    windows_s
        The singer's first.
    frames
        The salience's transform: its rate, and its hop, which is that of F0.
    """

    windows_s: tuple[float, ...]
    frames: LogTransform

    @property
    def stfts(self) -> tuple[Stft, ...]:
        """One transform per window."""
        return tuple(Stft.lasting(each, self.frames.sample_rate, OVERLAP) for each in self.windows_s)

    def bins_hz(self, stft: Stft) -> Float[Tensor, " F"]:
        """Return the frequencies of a transform's bins."""
        return torch.arange(stft.bins) * (self.frames.sample_rate / stft.n_fft)


def fitting(
    x_BS: Float[Tensor, "B S"],
    f0_BNT: Float[Tensor, "B N T"],
    singer: Singer,
    sight: Sight,
    wanted: Sequence[str],
    *,
    sound: bool = False,
) -> dict[str, Float[Tensor, ""]]:
    """Return how far the singer's voices, together, are from the mixtures.

    Parameters
    ----------
    x_BS
        Mixtures.
    f0_BNT
        F0 of their voices, 0 where unvoiced.
    singer
        Who says the powers of the voices.
    sight
        How to look.
    wanted
        Which of ``spectral``, ``likelihood`` and ``transport``.
    sound
        Whether ``spectral`` compares sound.
    """
    rate, first, samples = sight.frames.sample_rate, sight.stfts[0], x_BS.shape[-1]
    at_hz, gate = upsampled(f0_BNT, sight.frames.hop_samples, samples)
    # The closed form costs less but knows no gradient at the edge of the band.
    wave = harmonics(at_hz, rate, rate / 2) if f0_BNT.requires_grad else flat_partials(at_hz, rate, rate / 2)
    combs_BNS = wave * gate
    power_BFT = first(x_BS).abs().square()
    level_B11 = power_BFT.mean((1, 2), keepdim=True).clamp_min(1e-12)
    x_BFT, comb_BNFT = power_BFT / level_B11, _comb(combs_BNS, first)
    nearest = (torch.arange(x_BFT.shape[-1]) * (first.hop_samples / sight.frames.hop_samples)).round().long()
    frames_hz = f0_BNT.detach()[..., nearest.clamp_max(f0_BNT.shape[-1] - 1)]
    said = singer(x_BFT, comb_BNFT, frames_hz, sight.bins_hz(first).to(x_BFT))[-1]
    y_BFT = said.power().sum(1) + said.background()
    losses = {}
    if "likelihood" in wanted:
        losses["likelihood"] = likelihood(x_BFT, y_BFT, 0.0, FLOOR)
    if "transport" in wanted:
        losses["transport"] = carried(x_BFT, y_BFT, sight.bins_hz(first).to(x_BFT))
    if "spectral" in wanted and sound:
        scale = first.n_fft / 4 / level_B11[:, :, 0].sqrt()
        losses["spectral"] = multi_resolution(x_BS * scale, sung_sum(said, frames_hz, first, samples, rate))
    elif "spectral" in wanted:
        losses["spectral"] = apart(x_BFT, y_BFT)
        for stft in sight.stfts[1:]:
            scale = (first.n_fft / stft.n_fft) ** 2
            seen = seen_through(said, combs_BNS, stft, first, sight.bins_hz(stft).to(x_BFT), singer.config.band_hz)
            losses["spectral"] = losses["spectral"] + apart(
                stft(x_BS).abs().square() * scale / level_B11, seen.power().sum(1) + seen.background()
            )
    return losses


def apart(x: Float[Tensor, "*axes"], y: Float[Tensor, "*axes"]) -> Float[Tensor, ""]:
    """Return the mean distance of magnitudes and of their logarithms, from powers."""
    x, y = x + FLOOR, y + FLOOR
    return (x.sqrt() - y.sqrt()).abs().mean() + 0.5 * (x.log() - y.log()).abs().mean()


def carried(x_BFT: Float[Tensor, "B F T"], y_BFT: Float[Tensor, "B F T"], bins_hz: Float[Tensor, " F"]) -> Tensor:
    """Return the mean squared distance in octaves over which magnitude is carried from the model to the mixture."""
    low_hz, high_hz = TRANSPORTED_HZ
    inside = (bins_hz >= low_hz) & (bins_hz <= high_hz)
    x_BTF, y_BTF = ((each[:, inside] + FLOOR).sqrt().mT for each in (x_BFT, y_BFT))
    return transport(x_BTF, y_BTF, bins_hz[inside].log2()).mean()


def seen_through(
    said: Spectra, combs_BNS: Float[Tensor, "B N S"], stft: Stft, first: Stft, bins_hz: Tensor, edge_hz: float
) -> Spectra:
    """Return the same spectra as another window would show them.

    A partial keeps its height; noise is lower in a longer window, by the ratio of the lengths.
    """
    comb_BNFT = _comb(combs_BNS, stft)
    frames, louder = comb_BNFT.shape[-1], math.log(first.n_fft / stft.n_fft)

    def framed(x_BNJT: Tensor) -> Tensor:
        # Frame t of either transform is centred on its multiple of the hop.
        flat = x_BNJT.flatten(0, 1)
        spread = round((flat.shape[-1] - 1) * first.hop_samples / stft.hop_samples) + 1
        flat = interpolate(flat, spread, mode="linear", align_corners=True) if spread > 1 else flat
        missing = max(0, frames - spread)
        flat = torch.cat([flat, flat[..., -1:].expand(*flat.shape[:-1], missing)], -1)[..., :frames]
        return flat.unflatten(0, x_BNJT.shape[:2])

    return replace(
        said,
        filter_BNJT=framed(said.filter_BNJT),
        loose_BNJT=framed(said.loose_BNJT),
        noise_BNJT=framed(said.noise_BNJT) + louder,
        background_BJ=said.background_BJ + louder,
        bumps_FJ=smooth_basis(bins_hz, said.filter_BNJT.shape[2], edge_hz).to(comb_BNFT),
        comb_BNFT=comb_BNFT,
        skirt_BNFT=smeared(comb_BNFT, float(bins_hz[1])),
        tract_BNFT=None,
    )


def sung_sum(said: Spectra, f0_BNT: Tensor, stft: Stft, samples: int, sample_rate: int) -> Float[Tensor, "B S"]:
    """Return the sound of all voices together, in the scale of the spectra."""
    generator = torch.Generator().manual_seed(0)
    each = [
        sung(controls, f0_NT, stft.hop_samples, samples, sample_rate, generator).sum(0)
        for controls, f0_NT in zip(said.controls, f0_BNT, strict=True)
    ]
    return torch.stack(each)


def _comb(combs_BNS: Float[Tensor, "B N S"], stft: Stft) -> Float[Tensor, "B N F T"]:
    """Return the power of combs, a partial of amplitude 1 at about 1."""
    return (stft(combs_BNS) * (4 / stft.n_fft)).abs().square()


__all__ = ["Sight", "apart", "carried", "fitting", "seen_through", "sung_sum"]
