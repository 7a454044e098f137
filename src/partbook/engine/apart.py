"""Voices told apart by their powers and the phases of their partials, and F0 that follows them.

A filter that knows F0 only roughly leaves something of every voice in the others, and a track that follows such a voice
is led astray by them, most of all where voices sing in octaves. So steady voices are listened to again once they have
been told apart by the coherent filter, which needs no mask where they share a bin.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor
from torch.nn.functional import pad

from ..axes import Images_NMFT, Power_NFT, Spectrum_MFT
from ..coherent import LONG, SHORT, coherent, measured_coherence
from ..config import VoicesConfig
from ..dsp.divergence import EPS
from ..pitch.refine import RefineConfig, Refined, refined
from ..pitch.tracks import Track
from ..room.pair import differ, placed
from ..stereo import coherent_pair
from ..wiener import at_half_steps, extended
from .singing import WAVERING
from .spectra import Analysis

USUAL = RefineConfig()
"""How freely a track follows a voice that was masked."""

APART = RefineConfig(smooth_frames=1, reluctance=0.0)
"""How freely it follows one that was told apart: what is heard is that voice."""


def told_apart(
    x_MS: Tensor,
    start: int,
    tracks: list[Track],
    lambda_NFT: Power_NFT,
    analysis: Analysis,
    config: VoicesConfig,
    steady: float,
    *,
    whole: bool = True,
) -> tuple[Images_NMFT, Analysis]:
    """Return the images of all voices and, last, of the background, and how the recording was looked at for them.

    Parameters
    ----------
    x_MS, start
        A stretch of the recording, whose power has a mean of 1, and its first sample there.
    tracks
        F0 for the phases of partials.
    lambda_NFT
        Powers of the voices and of the background in the analysed bins.
    analysis, config
        How the recording is looked at.
    steady
        How steady the voices are: the partials of steady ones are heard as one sinusoid for longer, in more frames.
    whole
        Return all bins of their images, else the analysed ones.
    """
    around, look = (LONG, analysis.finer) if steady > WAVERING else (SHORT, analysis)
    X_MFT, R_FN4 = look.stft(x_MS), None
    if config.places and len(x_MS) == 2 and differ(x_MS):
        seen_MFT = X_MFT if look is analysis else analysis.stft(x_MS)
        R_FN4, lambda_NFT = placed(seen_MFT[:, : analysis.bins], lambda_NFT, analysis.bins_hz)
    if look is not analysis:
        lambda_NFT = at_half_steps(lambda_NFT, X_MFT.shape[-1])
    if whole:
        lambda_NFT = extended(lambda_NFT, look.stft.bins)
    X_MFT = X_MFT[:, : lambda_NFT.shape[1]]
    low_hz = look.bins_hz[look.bins_hz < config.coherent_band_hz]
    combs_NRFT = look.combs(tracks, start, x_MS.shape[-1])[:, :, : len(low_hz)]
    share_F = measured_coherence(X_MFT, lambda_NFT, combs_NRFT, low_hz, around)
    if R_FN4 is None:
        return coherent(X_MFT, lambda_NFT, combs_NRFT, share_F, around=around), look
    return coherent_pair(X_MFT, lambda_NFT, combs_NRFT[:, 0], share_F, R_FN4, around=around), look


def listened_again(
    x_MS: Tensor,
    start: int,
    tracks: list[Track],
    lambda_NFT: Power_NFT,
    analysis: Analysis,
    config: VoicesConfig,
    steady: float,
) -> list[Refined]:
    """Return the tracks after each has followed its own voice as it is told apart; parameters as there.

    One channel is enough, best the clearest; of several the first is heard.
    """
    # Partials above are not asked.
    config = replace(config, coherent_band_hz=min(config.coherent_band_hz, APART.edge_hz))
    images_NMFT, look = told_apart(x_MS, start, tracks, lambda_NFT, analysis, config, steady, whole=False)
    # Frames between those of the analysis helped to tell the voices apart; to hear them it takes no more than its own.
    alone_NFT = images_NMFT[: len(tracks), 0, :, :: analysis.stft.hop_samples // look.stft.hop_samples]
    power_NFT = alone_NFT.abs() ** 2
    share_NFT = power_NFT / power_NFT.sum(0).clamp_min(EPS)
    return followed(tracks, alone_NFT, share_NFT, start, x_MS.shape[-1], analysis, APART)


def followed(
    tracks: list[Track],
    alone_NFT: Tensor,
    share_NFT: Power_NFT,
    start: int,
    samples: int,
    analysis: Analysis,
    config: RefineConfig = USUAL,
) -> list[Refined]:
    """Return every track as its voice, heard alone in a stretch, moves it.

    Parameters
    ----------
    tracks
        F0 of the voices.
    alone_NFT, share_NFT
        Spectra of the voices in the analysed bins, and their shares of the recording's power there.
    start, samples
        Where the stretch begins in the recording, and its length.
    analysis
        How it is looked at.
    config
        How freely the tracks move.
    """
    coarse, rate = analysis.coarse, analysis.sample_rate / analysis.decimation
    whole_NFT = pad(alone_NFT, (0, 0, 0, coarse.bins - analysis.bins))
    alone_NS = coarse.inverse(whole_NFT, -(-samples // analysis.decimation))
    heard = start / analysis.sample_rate, rate
    grid = float(analysis.bins_hz[1]), coarse.hop_samples / rate
    return [
        refined(track, alone_S, *heard, share_FT, *grid, config)
        for track, alone_S, share_FT in zip(tracks, alone_NS, share_NFT, strict=True)
    ]


def loudest(X_MFT: Spectrum_MFT) -> int:
    """Return which channel is loudest: it has the clearest phase."""
    return int((X_MFT.abs() ** 2).mean((1, 2)).argmax())


__all__ = ["followed", "listened_again", "loudest", "told_apart"]
