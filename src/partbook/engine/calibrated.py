"""A session of which a calibration knows the room, and perhaps the players' sound.

The session starts from the calibrated room and covariances. Its own sound adapts them, so players may have moved a
little since; its spectra are learned anew (``nmf``) or start from the dictionaries (``dictionary``).

It is fitted as if there were no calibration, too. What that finds says whether it is the same room, and whether the
players still sit where they sat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from ..axes import Spectrum_MFT
from ..config import Options, SessionConfig
from ..errors import OptionError
from ..fit import fit
from ..progress import OnProgress
from ..room import start
from ..room.fastmnmf import FastMnmf, frequency_first
from ..room.fullrank import FullRank
from ..room.reflections import alike
from ..sources.sections import Sections
from .analysis import Analysis, Section
from .calibration import Calibration
from .players import Model, followed, learned, started
from .starts import from_covariances, from_spots, suppressed

MOVED = 0.7
"""Nats per value by which a calibrated model may be less likely than a free one, which always fits a little better.

In a simulated hall it was 0.5 where players sat still and 1.3 where they had moved by 5 cm.
"""

SAME_ROOM = 0.25
"""How alike reflections are at least, as a mean of the players, in the room of a calibration.

Between simulated halls it was at most 0.22, in 153 pairs. In one hall it was 0.50 to 0.91, 0.48 to 0.82 after all
players had moved by 5 cm, at least 0.39 with other curtains, and at most 0.21 after they had moved by half a metre.
"""

_MOVED_SINCE = (
    "the calibration does not fit: players have moved, or the hall is damped otherwise; the recording alone counts"
)
_FIXED_DIAGONAL, _FIXED_FULL = 20, 4


def suited(calibration: Calibration, analysis: Analysis, ids: Sequence[str]) -> Analysis:
    """Return the analysis with the transform of a calibration.

    Raises
    ------
    OptionError
        If it is of other microphones, players or another rate.
    """
    recording = analysis.recording
    names = tuple(recording.microphones[m].name for m in analysis.live)
    for what, known, here in (
        ("microphones", calibration.microphones, names),
        ("players", calibration.players, tuple(ids[n] for n in analysis.players)),
        ("Hz", (str(calibration.sample_rate),), (str(recording.sample_rate),)),
    ):
        if known != here:
            raise OptionError(f"{what} {', '.join(known)}, as calibrated", ", ".join(here), "partbook calibrate again")
    stft = replace(analysis.stft, n_fft=calibration.n_fft, hop_samples=calibration.hop_samples)
    return replace(analysis, stft=stft, bins=len(calibration.Q_FMM))


def adapted(
    calibration: Calibration,
    analysis: Analysis,
    sections: Mapping[int, Section],
    options: Options,
    config: SessionConfig,
    sources: str,
    on_progress: OnProgress | None,
) -> Model:
    """Return the model of a session that starts from a calibration.

    The session is also fitted as if there were no calibration: that tells another room, which is refused. Covariances
    of seats that were left since mislead; where the free fit is likelier by far, it counts.

    Parameters
    ----------
    calibration, analysis
        From :func:`~partbook.engine.calibration.calibrate` and :func:`suited`.
    sections, options, config, on_progress
        As :func:`~partbook.engine.players.learned` takes them.
    sources
        As :class:`~partbook.config.SessionOptions` names them.

    Raises
    ------
    OptionError
        If the calibration is of another room, or has no dictionary where one is asked for.
    """
    if sources == "dictionary" and not calibration.W_NFK.shape[-1]:
        raise OptionError(
            "a calibration by takes for the sources dictionary", "one by impulse responses", "--sources nmf"
        )
    diagonal, room = known_here(calibration, analysis)
    given = (sections, options, config)
    if not all(analysis.spots):
        return fitted_from(calibration, diagonal, room, analysis, *given, sources, on_progress)
    blind = learned(analysis, *given, from_spots, on_progress)
    check_room(calibration, room, blind, analysis)
    calibrated = fitted_from(calibration, diagonal, room, analysis, *given, sources, on_progress)
    X_MFT = torch.cat([analysis.spectra(sections[number])[:, : analysis.bins] for number in blind.spectra], -1)
    if divergence(calibrated, X_MFT) - divergence(blind, X_MFT) > MOVED * X_MFT.numel():
        return replace(blind, remarks=(*blind.remarks, _MOVED_SINCE))
    return calibrated


def divergence(model: Model, X_MFT: Spectrum_MFT) -> float:
    """Return the divergence of a model from the sections that its room was learned from."""
    return model.room.divergence(X_MFT, torch.cat([spectra.power() for spectra in model.spectra.values()], -1))


def known_here(calibration: Calibration, analysis: Analysis) -> tuple[FastMnmf, FullRank]:
    """Return the rooms of a calibration, with jointly diagonal and with full covariances, at the levels of a session.

    How loud all of it was is of no consequence, and floors of the fit are those of unit level.
    """
    to_here_M = analysis.scale_M / calibration.scale_M
    to_here_M = (to_here_M / to_here_M.log().mean().exp()).to(torch.complex128)
    basis_FMM = (calibration.Q_FMM * to_here_M).to(analysis.device)
    diagonal = FastMnmf(basis_FMM, calibration.g_NM.to(analysis.device))
    return diagonal, FullRank(basis_FMM, calibration.R_FNMM.to(analysis.device))


def reflections_alike(calibration: Calibration, room: FullRank, blind: Model, analysis: Analysis) -> float:
    """Return how alike the reflections of all players are in a calibrated room and in what a session alone found.

    Bins count by how much a player sounds there in both. NaN if that cannot be told.
    """
    known_FNMM, found_FNMM = room.at_microphones(), blind.room.at_microphones()
    lambda_NF = torch.stack([spectra.power().mean(-1) for spectra in blind.spectra.values()]).mean(0)
    found = []
    for n, own in enumerate(analysis.spots):
        here_F, there_F = (R_FNMM[:, n, own[0], own[0]].real for R_FNMM in (known_FNMM, found_FNMM))
        played_F = calibration.W_NFK[n].sum(-1).to(here_F) if calibration.W_NFK.shape[-1] else torch.ones_like(here_F)
        shares_F = (power_F / power_F.sum() for power_F in (played_F * here_F, lambda_NF[n] * there_F))
        weight_F = torch.minimum(*shares_F)
        found.append(alike(known_FNMM[:, n], found_FNMM[:, n], weight_F, own[0], analysis.bin_hz))
    told = [value for value in found if not math.isnan(value)]
    return sum(told) / len(told) if told else math.nan


def check_room(calibration: Calibration, room: FullRank, blind: Model, analysis: Analysis) -> None:
    """Raise OptionError if what a session alone found of its room has nothing of a calibrated one."""
    found = reflections_alike(calibration, room, blind, analysis)
    if found < SAME_ROOM:
        raise OptionError(
            "a calibration of this room",
            f"one of another, or of other seats (reflections alike to {found:.2f}, in the same room above {SAME_ROOM})",
            "partbook calibrate again, or no --calibration",
        )


def fitted_from(
    calibration: Calibration,
    diagonal: FastMnmf,
    room: FullRank,
    analysis: Analysis,
    sections: Mapping[int, Section],
    options: Options,
    config: SessionConfig,
    sources: str,
    on_progress: OnProgress | None,
) -> Model:
    """Return the model that a session makes of calibrated rooms: first its spectra are found, then all of it."""
    own_NF = own_power(room, analysis)
    heard_at = list(sections.values())
    parts = [analysis.spectra(section)[:, : analysis.bins] for section in heard_at]
    X_MFT = frequency_first(torch.cat(parts, -1))
    spotted = all(analysis.spots)
    beginning = suppressed(analysis, heard_leakage(room, analysis)) if spotted else from_covariances(analysis, room)
    W_NFK = calibration.W_NFK.to(analysis.device) if sources == "dictionary" else None
    spectra = Sections(
        tuple(
            started(part, analysis, section, beginning, options.seed + number, config, W_NFK).rescale(own_NF)
            for (number, section), part in zip(sections.items(), parts, strict=True)
        ),
        tuple(part.shape[-1] for part in parts),
    )
    alike = {"beta": 0.0, "together": True, "on_progress": on_progress}
    fitted = room
    for known, rounds, fixed in (
        (diagonal, _FIXED_DIAGONAL, True),
        (room, _FIXED_FULL, True),
        (room, config.full_rounds, False),
    ):
        stage = "players" if fixed else "room"
        if known is room and fixed and sources == "source-filter":
            spectra = followed(spectra, parts, heard_at, diagonal, analysis, options, config)
        spectra, fitted = fit(X_MFT, spectra, known, iterations=rounds, fixed_room=fixed, stage=stage, **alike)
    return Model(beginning, diagonal, fitted, own_NF, dict(zip(sections, spectra.models, strict=True)), W_NFK)


def own_power(room: FullRank, analysis: Analysis) -> Float[Tensor, "N F"]:
    """Return what powers at the own spots, if there are any, must be multiplied by to be those of a room's sources."""
    heard_NMF, players = room.heard_NMF(), len(analysis.spots)
    gain_NF = torch.ones_like(heard_NMF[:, 0])
    if not all(analysis.spots):
        return gain_NF
    for n, own in enumerate(analysis.spots):
        for source in (n, players + n):
            gain_NF[source] = 1 / heard_NMF[source, list(own)].mean(0).clamp_min(1e-6)
    return gain_NF


def heard_leakage(room: FullRank, analysis: Analysis) -> start.Leakage_BNM:
    """Return the leakage of every player to every microphone in a room, by bands."""
    heard_NMF = room.heard_NMF()[: len(analysis.spots)]
    ratio_NMF = torch.stack(
        [
            heard_MF / heard_MF[list(own)].mean(0).clamp_min(1e-12)
            for heard_MF, own in zip(heard_NMF, analysis.spots, strict=True)
        ]
    )
    bands = start.half_octaves(analysis.bin_hz, analysis.bins)
    return torch.stack([ratio_NMF[..., band].median(-1).values for band in bands]).clamp(1e-12, 1)


__all__ = ["SAME_ROOM", "adapted", "suited"]
