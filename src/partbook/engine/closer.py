"""F0 tracks follow what was heard of their voices, the more closely the better that was separated.

A filter that knows its F0 only roughly leaves something of every voice in the others, and a track that follows such a
voice is led astray by them, most of all where voices sing in octaves. So steady voices are listened to again once they
have been separated, by the coherent filter, which tells them apart where they share a bin.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad

from ..axes import Images_NMFT, Spectrum_MFT
from ..dsp.divergence import EPS
from ..pitch.refine import RefineConfig, Refined, refined
from ..pitch.tracks import Track
from .spectra import Analysis

USUAL = RefineConfig()
"""How freely a track follows a voice that was masked."""

SEPARATED = RefineConfig(smooth_frames=1, reluctance=0.0)
"""How freely a track follows a voice that was separated: what is heard is that voice."""


def closer(tracks: list[Track], images_NMFT: Images_NMFT, start: int, samples: int, analysis: Analysis) -> list[Track]:
    """Return the tracks after each has followed its own voice as it was separated in a stretch.

    Parameters
    ----------
    tracks
        F0 for the phases of partials.
    images_NMFT
        Images of their voices.
    start, samples
        Where the stretch begins in the recording, and its length.
    analysis
        How it is looked at.
    """
    images_NFT = images_NMFT[:, loudest(images_NMFT.sum(0)), : analysis.bins]
    power_NFT = images_NFT.abs() ** 2
    share_NFT = power_NFT / power_NFT.sum(0).clamp_min(EPS)
    return [each.exact for each in followed(tracks, images_NFT, share_NFT, start, samples, analysis, SEPARATED)]


def followed(
    tracks: list[Track],
    alone_NFT: Tensor,
    share_NFT: Tensor,
    start: int,
    samples: int,
    analysis: Analysis,
    config: RefineConfig = USUAL,
) -> list[Refined]:
    """Return every track as its voice, heard alone in a stretch, moves it.

    Parameters
    ----------
    tracks, start, samples, analysis
        As for :func:`closer`.
    alone_NFT, share_NFT
        Spectra of the voices in the analysed bins, and their shares of the recording's power there.
    config
        How freely they move.
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


__all__ = ["closer", "followed", "loudest"]
