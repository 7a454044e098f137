"""How a mixture is held against what the singer makes of it: as power in several windows, or as sound.

The voices' combs are made as sound from their F0, so the pitch of a comb carries a gradient back to the F0, and are
then seen through any window. The singer sees the first window; what it says in bands and frames holds in all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from ..dsp.bases import smooth_basis
from ..dsp.hcqt import LogTransform
from ..dsp.oscillator import flat_partials, harmonics, upsampled
from ..dsp.stft import Stft
from ..singer.bands import smeared
from ..singer.model import Singer
from ..singer.spectra import Spectra
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
    low_precision: bool = False,
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
    low_precision
        Whether the singer's gains are computed in bfloat16.
    """
    rate, first, samples = sight.frames.sample_rate, sight.stfts[0], x_BS.shape[-1]
    at_hz, gate = upsampled(f0_BNT, sight.frames.hop_samples, samples)
    # The closed form costs less but knows no gradient at the edge of the band.
    wave = harmonics(at_hz, rate, rate / 2) if f0_BNT.requires_grad else flat_partials(at_hz, rate, rate / 2)
    combs_BNS = wave * gate
    said = heard_power(x_BS, f0_BNT, combs_BNS, singer, sight, low_precision)
    x_BFT, level_B11 = unit_power(x_BS, first)
    y_BFT = said.power().sum(1) + said.background()
    losses = {}
    if "likelihood" in wanted:
        losses["likelihood"] = likelihood(x_BFT, y_BFT, 0.0, FLOOR)
    if "transport" in wanted:
        losses["transport"] = carried(x_BFT, y_BFT, sight.bins_hz(first).to(x_BFT))
    if "spectral" in wanted and sound:
        scale = first.n_fft / 4 / level_B11[:, :, 0].sqrt()
        made_BS = sung_sum(said, framed(f0_BNT, x_BFT.shape[-1], sight), first, samples, rate)
        losses["spectral"] = multi_resolution(x_BS * scale, made_BS)
    elif "spectral" in wanted:
        losses["spectral"] = apart(x_BFT, y_BFT)
        for stft in sight.stfts[1:]:
            scale = (first.n_fft / stft.n_fft) ** 2
            seen = seen_through(said, combs_BNS, stft, first, sight.bins_hz(stft).to(x_BFT), singer.config.band_hz)
            losses["spectral"] = losses["spectral"] + apart(
                stft(x_BS).abs().square() * scale / level_B11, seen.power().sum(1) + seen.background()
            )
    return losses


def heard_power(
    x_BS: Float[Tensor, "B S"],
    f0_BNT: Float[Tensor, "B N T"],
    combs_BNS: Tensor,
    singer: Singer,
    sight: Sight,
    low_precision: bool = False,
) -> Spectra:
    """Return what the singer says of voices whose F0 and combs (B, N, S) are known, mixtures at a mean power of 1."""
    first = sight.stfts[0]
    x_BFT, _ = unit_power(x_BS, first)
    frames_hz = framed(f0_BNT.detach(), x_BFT.shape[-1], sight)
    heard = x_BFT, _comb(combs_BNS, first), frames_hz, sight.bins_hz(first).to(x_BFT)
    return singer(*heard, low_precision=low_precision)[-1]


def unit_power(x_BS: Float[Tensor, "B S"], stft: Stft) -> tuple[Float[Tensor, "B F T"], Float[Tensor, "B 1 1"]]:
    """Return power with a mean of 1, and the mean that it had."""
    power_BFT = stft(x_BS).abs().square()
    level_B11 = power_BFT.mean((1, 2), keepdim=True).clamp_min(1e-12)
    return power_BFT / level_B11, level_B11


def framed(f0_BNT: Float[Tensor, "B N T"], frames: int, sight: Sight) -> Float[Tensor, "B N T2"]:
    """Return F0 in the frames of the singer's window."""
    step = sight.stfts[0].hop_samples / sight.frames.hop_samples
    nearest = (torch.arange(frames, device=f0_BNT.device) * step).round().long()
    return f0_BNT[..., nearest.clamp_max(f0_BNT.shape[-1] - 1)]


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

    def spread_out(x_BNJT: Tensor) -> Tensor:
        # Frame t of either transform is centred on its multiple of the hop.
        flat = x_BNJT.flatten(0, 1)
        spread = round((flat.shape[-1] - 1) * first.hop_samples / stft.hop_samples) + 1
        flat = interpolate(flat, spread, mode="linear", align_corners=True) if spread > 1 else flat
        missing = max(0, frames - spread)
        flat = torch.cat([flat, flat[..., -1:].expand(*flat.shape[:-1], missing)], -1)[..., :frames]
        return flat.unflatten(0, x_BNJT.shape[:2])

    # What was said of single bins holds in no other window.
    of_bins = {each.name: None for each in fields(said) if each.name in ("tract_BNFT", "partial_BNGT", "gain_BNGT")}
    return replace(
        said,
        filter_BNJT=spread_out(said.filter_BNJT),
        loose_BNJT=spread_out(said.loose_BNJT),
        noise_BNJT=spread_out(said.noise_BNJT) + louder,
        background_BJ=said.background_BJ + louder,
        bumps_FJ=smooth_basis(bins_hz, said.filter_BNJT.shape[2], edge_hz).to(comb_BNFT),
        comb_BNFT=comb_BNFT,
        skirt_BNFT=smeared(comb_BNFT, float(bins_hz[1])),
        **of_bins,
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


__all__ = ["Sight", "apart", "carried", "fitting", "framed", "heard_power", "seen_through", "sung_sum", "unit_power"]
