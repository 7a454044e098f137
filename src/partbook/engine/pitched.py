"""Pitch of the players of a session, and source-filter spectra that follow it.

Every player has a microphone that hears it best; what an estimate of the powers leaves of that microphone is one
instrument, more or less alone, and its pitch is followed there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..audio import recording_from_array
from ..axes import Power_NFT, Spectrum_MFT
from ..config import SessionConfig
from ..dsp.oscillator import flat_partials
from ..dsp.stft import Stft
from ..ensemble import Voice, range_hz
from ..pitch.following import track_voices
from ..pitch.tracks import Track
from ..room.fastmnmf import FastMnmf
from ..sources.nmf import Nmf
from ..sources.played import Played, started
from ..wiener import masks
from .analysis import Analysis, Section

UNSURE_CENTS = ((-5.0, 0.25), (0.0, 0.5), (5.0, 0.25))
"""F0 of a comb beside that of its track, with their weights: high partials lie beside where a track says they are."""


def informed(
    X_MFT: Spectrum_MFT,
    spectra: Nmf,
    room: FastMnmf,
    analysis: Analysis,
    section: Section,
    config: SessionConfig,
    seed: int,
) -> Played:
    """Return source-filter spectra of a section in the place of low-rank ones, whose powers they start from.

    Pitch is followed in what those powers leave of every player's own microphone, or of the one that hears it best.
    """
    players, samples, rate = len(analysis.players), section.last - section.first, analysis.recording.sample_rate
    lambda_NFT, heard_NMF = spectra.power(), room.heard_NMF()
    rows = [own[0] if own else int(heard_NMF[n].mean(-1).argmax()) for n, own in enumerate(analysis.spots)]
    own_NFT = torch.stack([masks(heard_NMF[:, m, :, None] * lambda_NFT)[n] * X_MFT[m] for n, m in enumerate(rows)])
    own_NFT = torch.nn.functional.pad(own_NFT, (0, 0, 0, analysis.stft.bins - analysis.bins))
    tracks = followed(analysis.stft.inverse(own_NFT, samples), rate, analysis)
    comb_NFT = combs(tracks, rate, analysis.stft, analysis.bins, samples).to(lambda_NFT)
    bins_hz = torch.arange(analysis.bins) * analysis.bin_hz
    played = 2 * players
    rest = Nmf(spectra.W_NFK[played:], spectra.H_NKT[played:], spectra.static)
    rng = torch.Generator().manual_seed(seed)
    model = started(comb_NFT, lambda_NFT[:played], rest, bins_hz, analysis.frame_s, config.rt60_s, rng)
    return model.playing(analysis.playing(section, config.rt60_s))


def followed(alone_NS: Float[Tensor, "N S"], sample_rate: int, analysis: Analysis) -> tuple[Track, ...]:
    """Return the F0 of every player from an estimate of it alone; a name that is an instrument's says its range."""
    tracks = []
    for id, samples in zip(analysis.ids, alone_NS.cpu().numpy(), strict=True):
        voice = Voice(id, id, *range_hz(id))
        heard = recording_from_array(np.ascontiguousarray(samples, np.float32), sample_rate)
        tracks.append(track_voices(heard, (voice,), salience=analysis.salience)[1][id])
    return tuple(tracks)


def combs(tracks: Sequence[Track], sample_rate: int, stft: Stft, bins: int, samples: int) -> Power_NFT:
    """Return the power of the flat harmonic source of every track, from the first sample on.

    The source is played with the track's own vibrato and seen through the window of the recording, so the lines are as
    wide as they are there.
    """
    times_s = np.arange(samples) / sample_rate
    edge_hz = (bins - 1) * sample_rate / stft.n_fft
    power = []
    for track in tracks:
        at = track.at(times_s)
        voiced = at.f0_hz > 0
        held_hz = np.interp(times_s, times_s[voiced], at.f0_hz[voiced]) if voiced.any() else np.full(samples, 100.0)
        gate = torch.from_numpy(voiced.astype(np.float32))
        power_FT = 0.0
        for cents, weight in UNSURE_CENTS:
            f0_hz = torch.from_numpy(held_hz * 2 ** (cents / 1200))
            wave = flat_partials(f0_hz, sample_rate, edge_hz) * gate
            power_FT = power_FT + weight * stft(wave)[:bins].abs().square()
        power.append(power_FT * (4 / stft.n_fft) ** 2)
    return torch.stack(power)


__all__ = ["combs", "followed", "informed"]
