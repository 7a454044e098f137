"""Where a session's fit starts, by name.

The default, ``spot``, listens to the players' own microphones. A seating plan (``plan``) tells nearly as much,
and needs no spots. Where nobody has a spot nor a place, players are told apart by their pitch, as voices are. The blind
starts (``circular``, ``diagonal``, ``random``) are for comparison: they know nothing of who plays where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from ..audio import Recording
from ..axes import Power_NFT, Spectrum_MFT
from ..config import Options, VoicesConfig
from ..pitch.tracks import Track
from ..room import start, strangers
from ..room.fullrank import FullRank
from ..room.plan import Plan
from . import spectra, voices
from .analysis import Analysis, Section
from .players import Begin, Beginning, Model
from .strangers import BAND_HZ, SHORTEST_S

BELIEVED_ROUNDS = 25
"""Rounds of the powers in a room that is not learned, where nothing comes after them: 2 dB better than 5."""


def named_start(name: str, recording: Recording, ids: Sequence[str], options: Options) -> Begin:
    """Return the start of a name of :data:`partbook.config.STARTS` for a recording of these players."""
    if name == "plan":
        return from_plan(planned_stage(recording, ids), ids)
    if name != "spot":
        return blindly(name, options.seed)
    playing = {*ids, *(str(entry["name"]).lower() for entry in recording.setup.get("source", ()))}

    def begin(analysis: Analysis, X_MFT: Spectrum_MFT) -> Beginning:
        # Whoever has no spot, or a dead one, plays all the same.
        return (warily if playing <= set(analysis.ids) else expecting_strangers)(analysis, X_MFT)

    return begin


def planned_stage(recording: Recording, ids: Sequence[str]) -> Plan:
    """Return the seating plan of a recording; raise OptionError unless everybody has a place."""
    spots = {microphone.name: microphone.source for microphone in recording.microphones if microphone.source}
    return Plan.read(recording.setup, [microphone.name for microphone in recording.microphones], spots, ids)


def from_spots(analysis: Analysis, X_MFT: Spectrum_MFT) -> Beginning:
    """Return the beginning at the players' own spots, freed of what leaks in from the others."""
    bands = start.half_octaves(analysis.bin_hz, analysis.bins)
    return suppressed(analysis, start.leakage(X_MFT.abs().square(), analysis.spots, bands))


def warily(analysis: Analysis, X_MFT: Spectrum_MFT) -> Beginning:
    """Return the beginning at the players' own spots, beside one that reckons with somebody who has none."""
    known, spots, mains = from_spots(analysis, X_MFT), analysis.spots, analysis.mains
    heard_s = X_MFT.shape[-1] * analysis.frame_s
    if not mains or len(spots) < 2 or heard_s < SHORTEST_S:
        return known
    bands, power_MFT = start.half_octaves(analysis.bin_hz, analysis.bins), X_MFT.abs().square()
    judged = [band for band in bands if band.start * analysis.bin_hz < BAND_HZ]
    typical_NM = strangers.typical_leakage(power_MFT, spots, judged)
    leakage_BNM = strangers.leakage_with_stranger(power_MFT, typical_NM, spots, mains, bands)
    high = round(BAND_HZ / analysis.bin_hz) + 1

    def power(X_MFT: Spectrum_MFT, section: Section) -> Power_NFT:
        power_NFT = strangers.with_stranger(X_MFT.abs().square(), spots, mains, bands, leakage_BNM)
        # What is alike at all microphones up there is noise.
        power_NFT[:-1, high:], power_NFT[-1, high:] = known.power(X_MFT, section)[:, high:], 0
        return power_NFT

    wary = Beginning(power, known.halfway_NN, nearness_N=-typical_NM[:, list(mains)].log().mean(1))
    return replace(known, wary=wary)


def expecting_strangers(analysis: Analysis, X_MFT: Spectrum_MFT) -> Beginning:
    """Return the beginning that reckons with somebody who has no spot, wherever that can be told."""
    known = warily(analysis, X_MFT)
    return known.wary or known


def suppressed(analysis: Analysis, leakage_BNM: start.Leakage_BNM) -> Beginning:
    """Return the beginning at the players' own spots where the leakage is known."""
    bands = start.half_octaves(analysis.bin_hz, analysis.bins)
    return Beginning(
        lambda X_MFT, section: start.leak_suppressed(X_MFT.abs().square(), analysis.spots, bands, leakage_BNM),
        start.halfway(leakage_BNM, analysis.spots),
    )


def alone(analysis: Analysis, X_MFT: Spectrum_MFT) -> Beginning:
    """Return the beginning where players without spots play one after the other: all that is heard is theirs."""
    players = len(analysis.players)
    return Beginning(lambda X_MFT, section: X_MFT.abs().square().mean(0).repeat(players, 1, 1))


def from_covariances(analysis: Analysis, room: FullRank) -> Beginning:
    """Return the beginning from the powers that a known room of players, tails and a background explains best."""
    players = len(analysis.players)
    R_FNMM = room.R_FNMM[:, :players]
    return Beginning(lambda X_MFT, section: start.explained(replace(room, R_FNMM=R_FNMM).seen(X_MFT), R_FNMM))


def from_plan(plan: Plan, ids: Sequence[str]) -> Begin:
    """Return the start from the powers that the covariances of a plan explain best.

    With more players than microphones the plan is believed as it is: a room that is learned drifts away from it.
    """

    def begin(analysis: Analysis, X_MFT: Spectrum_MFT) -> Beginning:
        bins_hz = torch.arange(analysis.bins) * analysis.bin_hz
        R_FNMM = plan.covariances([ids[n] for n in analysis.players], analysis.live, bins_hz).to(analysis.device)
        known = Beginning(lambda X_MFT, section: start.explained(X_MFT, R_FNMM))
        if all(analysis.spots):
            return replace(known, halfway_NN=from_spots(analysis, X_MFT).halfway_NN)
        if len(analysis.players) > len(analysis.live):
            eye_MM = torch.eye(len(analysis.live), dtype=torch.complex128, device=analysis.device)
            room = FullRank(eye_MM.repeat(analysis.bins, 1, 1), R_FNMM)
            return Beginning(lambda X_MFT, section: start.explained(X_MFT, R_FNMM, BELIEVED_ROUNDS), room=room)
        return known

    return begin


def from_tracks(recording: Recording, tracks: Sequence[Track], options: Options) -> Begin:
    """Return the start from the powers of voices with these F0 tracks, one per player."""
    config = VoicesConfig()
    look = spectra.Analysis.of(recording.sample_rate, config)

    def begin(analysis: Analysis, X_MFT: Spectrum_MFT) -> Beginning:
        def power(X_MFT: Spectrum_MFT, section: Section) -> Power_NFT:
            samples = np.ascontiguousarray(recording.read(section.first, section.last)[list(analysis.live)])
            x_MS = torch.from_numpy(samples) / analysis.scale_M[:, None]
            images = voices.separate_stretch(x_MS, section.first, list(tracks), look, options, config)
            spectra = (analysis.stft(image_MS)[:, : analysis.bins] for image_MS in images)
            return torch.stack([image_MFT.abs().square().mean(0) for image_MFT in spectra]).to(analysis.device)

        return Beginning(power)

    return begin


def blindly(name: str, seed: int) -> Begin:
    """Return a start from random powers and gains that are ``circular``, ``diagonal`` or ``random``."""

    def begin(analysis: Analysis, X_MFT: Spectrum_MFT) -> Beginning:
        players, microphones = len(analysis.players), len(analysis.live)
        rng = torch.Generator().manual_seed(seed)
        g_NM = {
            "circular": lambda: start.circular_gains(players, microphones),
            "diagonal": lambda: start.spot_gains(players, microphones, [[n % microphones] for n in range(players)]),
            "random": lambda: start.random_gains(players, microphones, rng),
        }[name]()

        def power(X_MFT: Spectrum_MFT, section: Section) -> Power_NFT:
            drawn = torch.Generator().manual_seed(seed + section.first)
            share_NFT = torch.rand(players, *X_MFT.shape[1:], generator=drawn).to(X_MFT.device)
            return share_NFT * X_MFT.abs().square().mean(0)

        return Beginning(power, g_NM=g_NM.to(X_MFT.device))

    return begin


def renamed(model: Model, analysis: Analysis) -> Model:
    """Return the model of a blind start with its sources given to the players at whose spots they are loudest."""
    players = len(analysis.spots)
    power_NF = torch.stack([spectra.power().mean(-1) for spectra in model.spectra.values()]).mean(0)
    heard_NM = (model.room.heard_NMF() * power_NF[:, None]).sum(-1)
    both_NM = heard_NM[:players] + heard_NM[players : 2 * players]
    at_spots_NN = torch.stack([both_NM[:, list(own)].mean(1) for own in analysis.spots], 1)
    _, order = linear_sum_assignment(-(at_spots_NN + start.TINY).log().cpu().numpy().T)
    return replace(model, order=tuple(int(source) for source in order))


__all__ = [
    "alone",
    "from_covariances",
    "from_plan",
    "from_spots",
    "from_tracks",
    "named_start",
    "planned_stage",
    "renamed",
    "suppressed",
]
