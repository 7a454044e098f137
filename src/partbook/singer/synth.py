"""From controls to voices: a harmonic source and coloured noise through an all-pole vocal tract.

A voice is ``H (C I + D W)``: the harmonics ``I`` of its F0, falling by the factor ``C`` from partial to partial, and
white noise ``W`` coloured by ``D`` in smooth bands, both through the vocal tract ``H = 1/A`` (the model of
Schulze-Forster et al., "Unsupervised music source separation using differentiable parametric source models", TASLP
2023, with a roll-off, a noise and a tract that all move with time). Two routes lead from the controls on:

- :func:`power` gives the power of every voice at the bins of a spectrogram, which is all that a mask needs: no
  oscillator runs and no filter rings;
- :func:`sung` gives sound. Its tract is a division in frequency, or, to listen to, exact from sample to sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..axes import Power_NFT
from ..dsp.allpole import allpole, polynomial, power_response, response
from ..dsp.bases import smooth_basis
from ..dsp.oscillator import harmonics, upsampled
from ..dsp.stft import Stft


@dataclass(frozen=True)
class Controls:
    """What N singers do in T frames.

    Attributes
    ----------
    gain_NT
        Amplitude of the first partial, before the tract.
    decay_NT
        Factor from every partial's amplitude to the next, above 0 and at most 1.
    lsf_NTK
        Line spectral frequencies of the tract, radians; pi stands for ``band_hz``. K is even.
    noise_NIT
        Density of the noise in smooth bands, evenly spaced in mel up to ``band_hz``, before the tract: its power per
        sample at a rate of twice ``band_hz``, were it white.
    band_hz
        Upper edge of the band that the controls describe.
    """

    gain_NT: Float[Tensor, "N T"]
    decay_NT: Float[Tensor, "N T"]
    lsf_NTK: Float[Tensor, "N T K"]
    noise_NIT: Float[Tensor, "N I T"]
    band_hz: float = 8000.0


def power(
    controls: Controls,
    comb_NFT: Power_NFT,
    f0_hz: Float[Tensor, "N T"],
    bins_hz: Float[Tensor, " F"],
    noise_gain: float = 1.0,
) -> Power_NFT:
    """Return the power of every voice at the bins of a spectrogram.

    Parameters
    ----------
    controls
        Of the N voices, in the frames of the spectrogram.
    comb_NFT
        Power of flat unit harmonics in this spectrogram: what the window makes of a partial of amplitude 1.
    f0_hz
        F0 per frame; 0 where the comb is silent.
    bins_hz
        Frequencies of the bins.
    noise_gain
        What the window makes of white noise of unit power: the sum of its squares, in the scale of ``comb_NFT``.
    """
    omega_F = math.pi * (bins_hz / controls.band_hz).clamp_max(1)
    tract_NFT = power_response(controls.lsf_NTK, omega_F).mT
    # Between the partials the comb has next to no power: a partial number need not be whole.
    partial_NFT = bins_hz[:, None] / torch.where(f0_hz > 0, f0_hz, torch.full_like(f0_hz, 100.0))[:, None]
    fall_NFT = (2 * (partial_NFT - 1) * controls.decay_NT.log()[:, None]).exp()
    noise_NFT = _basis(controls, bins_hz) @ controls.noise_NIT
    return tract_NFT * (controls.gain_NT.square()[:, None] * fall_NFT * comb_NFT + noise_gain * noise_NFT)


def sung(
    controls: Controls,
    f0_hz: Float[Tensor, "N T"],
    hop_samples: int,
    samples: int,
    sample_rate: float,
    generator: torch.Generator,
    *,
    exact: bool = False,
) -> Float[Tensor, "N S"]:
    """Return the sound of every voice.

    Parameters
    ----------
    controls, f0_hz
        Per frame, of which one is centred on every multiple of ``hop_samples``.
    hop_samples, samples, sample_rate
        Of the sound. Above ``band_hz`` the noise keeps its level and the harmonics end.
    generator
        Of the noise.
    exact
        Filter sample by sample, the tract moving between frames. Line spectral frequencies belong to one rate, so this
        needs a ``sample_rate`` of twice ``band_hz``.

    Raises
    ------
    ValueError
        If ``exact`` is asked for at another rate.
    """
    if exact and sample_rate != 2 * controls.band_hz:
        raise ValueError(f"expected a sample rate of {2 * controls.band_hz:g} Hz, got {sample_rate:g}")
    stft = Stft(4 * hop_samples, hop_samples)
    bins_hz = torch.arange(stft.bins, device=f0_hz.device) * (sample_rate / stft.n_fft)
    excited_NS = source(controls, f0_hz, hop_samples, samples, sample_rate, generator)
    if exact:
        lsf_NSK = _moving(controls.lsf_NTK, hop_samples, samples)
        return allpole(excited_NS, polynomial(lsf_NSK)[..., 1:])
    omega_F = math.pi * (bins_hz / controls.band_hz).clamp_max(1)
    spectra_NFT = stft(excited_NS)
    tract_NFT = _fitted(response(controls.lsf_NTK, omega_F).mT, spectra_NFT.shape[-1])
    return stft.inverse(spectra_NFT * tract_NFT, samples)


def source(
    controls: Controls,
    f0_hz: Float[Tensor, "N T"],
    hop_samples: int,
    samples: int,
    sample_rate: float,
    generator: torch.Generator,
) -> Float[Tensor, "N S"]:
    """Return what goes into the tract: harmonics where there is an F0, and coloured noise."""
    at_hz, gate = upsampled(f0_hz, hop_samples, samples)
    gain, decay = (_moving(x[..., None], hop_samples, samples)[..., 0] for x in (controls.gain_NT, controls.decay_NT))
    edge_hz = min(controls.band_hz, sample_rate / 2)
    voiced_NS = gate * gain * harmonics(at_hz, sample_rate, edge_hz, decay)
    stft = Stft(4 * hop_samples, hop_samples)
    bins_hz = torch.arange(stft.bins, device=f0_hz.device) * (sample_rate / stft.n_fft)
    white = torch.randn(voiced_NS.shape, generator=generator, dtype=f0_hz.dtype).to(f0_hz.device)
    # The same density at a higher rate is more power per sample.
    spectra_NFT = stft(white) * math.sqrt(sample_rate / (2 * controls.band_hz))
    colour_NFT = _fitted(
        (_basis(controls, bins_hz) @ controls.noise_NIT).clamp_min(1e-20).sqrt(), spectra_NFT.shape[-1]
    )
    return voiced_NS + stft.inverse(spectra_NFT * colour_NFT, samples)


def _basis(controls: Controls, bins_hz: Float[Tensor, " F"]) -> Float[Tensor, "F I"]:
    basis_FI = smooth_basis(bins_hz, controls.noise_NIT.shape[-2], controls.band_hz)
    return basis_FI.to(controls.noise_NIT)


def _moving(x_NTK: Float[Tensor, "N T K"], hop_samples: int, samples: int) -> Float[Tensor, "N S K"]:
    """Return frames at every sample, along lines; the last is held."""
    at = torch.arange(samples, device=x_NTK.device)
    left = (at // hop_samples).clamp_max(x_NTK.shape[1] - 1)
    right = (left + 1).clamp_max(x_NTK.shape[1] - 1)
    share = ((at % hop_samples).to(x_NTK.dtype) / hop_samples)[:, None]
    return (1 - share) * x_NTK[:, left] + share * x_NTK[:, right]


def _fitted(x_NFT: Tensor, frames: int) -> Tensor:
    """Return so many frames of controls; the last is held."""
    return x_NFT[..., torch.arange(frames, device=x_NFT.device).clamp_max(x_NFT.shape[-1] - 1)]


__all__ = ["Controls", "power", "source", "sung"]
