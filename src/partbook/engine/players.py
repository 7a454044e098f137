"""The model of a session: one room for the whole recording, and spectra of the players section by section.

Every player is two sources of the model, the sound that arrives within a window and the *tail* that lingers after it:
a covariance holds for one stretch of the reverberation only, and the late one is far more diffuse than the early. The
order of the model's sources is all players, all tails, the background.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from .. import wiener
from ..axes import Gain_NM, Power_NFT, Spectrum_MFT
from ..config import Options, SessionConfig
from ..fit import fit
from ..progress import OnProgress
from ..room import start
from ..room.fastmnmf import FastMnmf, frequency_first, updated_g
from ..room.fullrank import FullRank
from ..sources.nmf import Nmf
from ..sources.played import Played
from ..sources.sections import Sections
from . import strangers
from .analysis import Analysis, Section
from .pitched import informed

CHECK_ROUND = 10
"""After so many rounds everything that a player has borrowed from another is given back, and once more in full rank.

Later than that, what is wrongly taken for borrowed no longer comes back.
"""

UNMIKED, UNMIKED_BAND_HZ = 0.03, 2000.0
"""Share of the main microphones' power, up to a frequency, from which on somebody must be playing without a spot."""

_STRANGER = "somebody without a spot microphone plays: kept in the residual"

INFORMED_ROUNDS = 10
"""Rounds with diagonal covariances after the spectra were given the pitch of their players."""


@dataclass(frozen=True)
class Beginning:
    """Where the fit of a session starts.

    Attributes
    ----------
    power
        Returns what every player seems to play in a section, of its spectra in the modelled band.
    halfway_NN
        From which level on a sound is rather another player's, from :func:`~partbook.room.start.halfway`; None where
        that cannot be told.
    g_NM
        Gains of the players in the room in which every microphone stands for itself; None for those that explain the
        powers best.
    room
        A room that is believed as it is, in which the powers hold as they are; None to learn one.
    wary
        The beginning that reckons with somebody who has no spot: its last power is no player's. None where that cannot
        be told.
    nearness_N
        How much louder every player is at its spots than at the main microphones, in nepers of power; with a stranger.
    """

    power: Callable[[Spectrum_MFT, Section], Power_NFT]
    halfway_NN: Float[Tensor, "N N"] | None = None
    g_NM: Gain_NM | None = None
    room: FullRank | None = None
    wary: Beginning | None = None
    nearness_N: strangers.Nearness_N | None = None


Begin = Callable[[Analysis, Spectrum_MFT], Beginning]
"""Returns the beginning for a session, of spectra of the sections from which its room is learned."""


@dataclass(frozen=True)
class Model:
    """What was learned of a session.

    Attributes
    ----------
    beginning
        Where the spectra of a section start.
    diagonal, room
        The room with jointly diagonal, and with full-rank covariances.
    gain_NF
        Gains that take from the players what others play.
    spectra
        Spectra by number of the section, of those from which the room was learned. The background comes last.
    W_NFK
        Dictionary from which the spectra of other sections start, if any.
    order
        The source that is each player; None where they stand in the same order.
    remarks
        What was noticed on the way.
    """

    beginning: Beginning
    diagonal: FastMnmf
    room: FullRank
    gain_NF: Float[Tensor, "N F"]
    spectra: Mapping[int, Nmf | Played]
    W_NFK: Float[Tensor, "N F K"] | None = None
    order: tuple[int, ...] | None = None
    remarks: tuple[str, ...] = ()


def learned(
    analysis: Analysis,
    sections: Mapping[int, Section],
    options: Options,
    config: SessionConfig,
    begin: Begin,
    on_progress: OnProgress | None,
) -> Model:
    """Learn the room from sections, by number, together with their spectra."""
    heard_at = list(sections.values())
    parts = [analysis.spectra(section)[:, : analysis.bins] for section in heard_at]
    X_MFT = frequency_first(torch.cat(parts, -1))
    frames = tuple(part.shape[-1] for part in parts)
    beginning = begin(analysis, X_MFT)
    if beginning.room is not None:
        return believed(beginning, analysis)
    if beginning.wary is not None:
        share = unmiked(parts, heard_at, analysis, beginning, options, config)
        beginning = beginning.wary if share > UNMIKED else beginning
    remarks = () if beginning.nearness_N is None else (_STRANGER,)
    spectra = Sections(
        tuple(
            started(part, analysis, section, beginning, options.seed + number, config)
            for (number, section), part in zip(sections.items(), parts, strict=True)
        ),
        frames,
    )
    diagonal = heard(X_MFT, spectra.power(), analysis, config, beginning.g_NM)

    def returned(done: int, spectra: Sections, room: FastMnmf | FullRank) -> Sections:
        if done != (CHECK_ROUND if isinstance(room, FastMnmf) else 1):
            return spectra
        if beginning.nearness_N is not None and isinstance(spectra.models[0], Nmf):
            spectra = strangers.disowned(spectra, room, analysis, beginning.nearness_N)
        return spectra.rescale(owned_NF(room, analysis, beginning))

    alike = {"beta": 0.0, "together": True, "on_progress": on_progress}
    checked = alike | {"checked": returned}
    spectra, diagonal = fit(X_MFT, spectra, diagonal, iterations=config.diagonal_rounds, stage="players", **checked)
    if analysis.sources == "source-filter":
        spectra = followed(spectra, parts, heard_at, diagonal, analysis, options, config)
        spectra, diagonal = fit(X_MFT, spectra, diagonal, iterations=INFORMED_ROUNDS, stage="pitch", **alike)
    diagonal = replace(diagonal, seen=None)
    full = FullRank.from_diagonal(diagonal)
    spectra, full = fit(X_MFT, spectra, full, iterations=config.full_rounds, stage="room", **checked)
    gain_NF = owned_NF(full, analysis, beginning)
    found = dict(zip(sections, spectra.models, strict=True))
    return Model(beginning, diagonal, full, gain_NF, found, remarks=remarks)


def unmiked(
    parts: Sequence[Spectrum_MFT],
    sections: Sequence[Section],
    analysis: Analysis,
    beginning: Beginning,
    options: Options,
    config: SessionConfig,
) -> float:
    """Return the share of the main microphones' power that seems to be nobody's after some rounds of a fit."""
    low = replace(analysis, bins=min(analysis.bins, round(UNMIKED_BAND_HZ / analysis.bin_hz) + 1))
    parts = [part[:, : low.bins] for part in parts]
    X_MFT = frequency_first(torch.cat(parts, -1))
    models = [
        started(part, low, section, beginning, options.seed, config)
        for part, section in zip(parts, sections, strict=True)
    ]
    spectra = Sections(tuple(models), tuple(part.shape[-1] for part in parts))
    room = heard(X_MFT, spectra.power(), low, config)
    spectra, room = fit(X_MFT, spectra, room, iterations=CHECK_ROUND, beta=0.0, together=True)
    foreign = strangers.foreign_energy(spectra, room, low, beginning.wary.nearness_N)
    return foreign / float(X_MFT[list(analysis.mains)].abs().square().mean(0).sum() + start.TINY)


def followed(
    spectra: Sections,
    parts: Sequence[Spectrum_MFT],
    sections: Sequence[Section],
    room: FastMnmf,
    analysis: Analysis,
    options: Options,
    config: SessionConfig,
) -> Sections:
    """Return source-filter spectra in the place of low-rank ones."""
    models = (
        informed(part, model, room, analysis, section, config, options.seed)
        for part, model, section in zip(parts, spectra.models, sections, strict=True)
    )
    return replace(spectra, models=tuple(models))


def believed(beginning: Beginning, analysis: Analysis) -> Model:
    """Return the model of a session whose room is not learned."""
    room = beginning.room
    g_NM = torch.ones(room.R_FNMM.shape[1], len(analysis.live), device=analysis.device)
    return Model(beginning, FastMnmf(room.basis_FMM, g_NM), room, torch.ones_like(room.heard_NMF()[:, 0]), {})


def owned_NF(room: FastMnmf | FullRank, analysis: Analysis, beginning: Beginning) -> Float[Tensor, "N F"]:
    """Return gains that take away what players and their tails have borrowed from other players."""
    heard_NMF, players = room.heard_NMF(), len(analysis.spots)
    gain_NF = torch.ones_like(heard_NMF[:, 0])
    if beginning.halfway_NN is None:
        return gain_NF
    borrowed_NF = start.borrowed(heard_NMF[:players], analysis.spots, beginning.halfway_NN)
    gain_NF[: 2 * players][borrowed_NF.repeat(2, 1)] = strangers.FORGOTTEN
    return gain_NF


def started(
    X_MFT: Spectrum_MFT,
    analysis: Analysis,
    section: Section,
    beginning: Beginning,
    seed: int,
    config: SessionConfig,
    W_NFK: Float[Tensor, "N F K"] | None = None,
) -> Nmf:
    """Return first spectra of a section: factors of the players' powers and of their tails, a stationary background.

    Patterns of players and tails are found here; those of a dictionary, if there is one, come on top.
    """
    early_NFT, other_NFT = beginning.power(X_MFT, section).tensor_split([len(analysis.players)])
    power_NFT = torch.cat([early_NFT, start.tails(early_NFT, analysis.frame_s, config.rt60_s), other_NFT])
    rng = torch.Generator().manual_seed(seed)
    may_NT = analysis.playing(section, config.rt60_s)
    may_NT = torch.cat([may_NT, may_NT.new_ones(len(other_NFT), may_NT.shape[1])])
    power_NFT = power_NFT * may_NT[:, None]
    known = None if W_NFK is None else Nmf.approximating(power_NFT, W_NFK.shape[-1], rng, W_NFK=W_NFK)
    # A dictionary never holds all that is played: patterns of its own take what it leaves.
    left_NFT = power_NFT if known is None else (power_NFT - known.power()).clamp_min(0)
    factors = Nmf.approximating(left_NFT, config.components, rng)
    factors = factors if known is None else factors.joined(known)
    factors = replace(factors, H_NKT=factors.H_NKT * may_NT[:, None])
    return factors.with_background(background(X_MFT.abs().square())) if config.background else factors


def background(power_MFT: Float[Tensor, "M F T"]) -> Float[Tensor, " F"]:
    """Return a first guess of what never stops: a tenth of the power that the quietest frames of a bin have."""
    mean_FT = power_MFT.mean(0)
    quiet = max(1, round(0.05 * mean_FT.shape[-1]))
    return 0.1 * mean_FT.kthvalue(quiet, dim=-1).values + 1e-9


def heard(
    X_MFT: Spectrum_MFT,
    lambda_NFT: Power_NFT,
    analysis: Analysis,
    config: SessionConfig,
    given_NM: Gain_NM | None = None,
) -> FastMnmf:
    """Return the room in which every microphone stands for itself, its gains those that explain the powers best.

    Gains of the players that are given stay, for them and for their tails.
    """
    g_NM = start.spot_gains(len(lambda_NFT), len(analysis.live), analysis.spots).to(X_MFT.device)
    g_NM[len(analysis.spots) :] = 1
    if given_NM is not None:
        g_NM[: 2 * len(given_NM)] = given_NM.repeat(2, 1)
    room = FastMnmf.identity(analysis.bins, g_NM, config.q_update)
    x_MFT = room.power(X_MFT)
    for _ in range(10 if given_NM is None else 0):
        room = replace(room, g_NM=updated_g(x_MFT, lambda_NFT, room.g_NM))
    return room


def refitted(
    X_MFT: Spectrum_MFT,
    number: int,
    section: Section,
    analysis: Analysis,
    model: Model,
    options: Options,
    config: SessionConfig,
) -> Nmf | Played:
    """Return the spectra of a section in the room as it was learned."""
    if number in model.spectra:
        return model.spectra[number]
    spectra = started(X_MFT, analysis, section, model.beginning, options.seed + number, config, model.W_NFK)
    spectra = spectra.rescale(model.gain_NF)
    alike, diagonal = {"beta": 0.0, "fixed_room": True, "together": True}, model.diagonal.seeing(X_MFT)
    spectra, _ = fit(X_MFT, spectra, diagonal, iterations=config.diagonal_rounds, **alike)
    if analysis.sources == "source-filter":
        spectra = informed(X_MFT, spectra, diagonal, analysis, section, config, options.seed)
        spectra, _ = fit(X_MFT, spectra, diagonal, iterations=INFORMED_ROUNDS, **alike)
    spectra, _ = fit(X_MFT, spectra, model.room, iterations=config.full_rounds // 2, **alike)
    return spectra


def powers(
    X_MFT: Spectrum_MFT,
    number: int,
    section: Section,
    analysis: Analysis,
    model: Model,
    options: Options,
    config: SessionConfig,
) -> Power_NFT:
    """Return the powers of a section in the room as it was learned, or as it is believed."""
    if model.beginning.room is None:
        return refitted(X_MFT, number, section, analysis, model, options, config).power()
    may_NT = analysis.playing(section, config.rt60_s)[len(analysis.spots) :]
    return model.beginning.power(X_MFT, section) * may_NT[:, None]


def images(X_MFT: Spectrum_MFT, lambda_NFT: Power_NFT, analysis: Analysis, model: Model) -> Iterator[Spectrum_MFT]:
    """Yield the spectra of every modelled player at every live microphone, up to the Nyquist frequency.

    Above the modelled band every player keeps, at every microphone, its share of the top octave, frame by frame.
    """
    bins, players = analysis.bins, len(analysis.spots)
    tails = len(lambda_NFT) > players
    groups = [(n, players + n) if tails else (n,) for n in model.order or range(players)]
    room = model.room
    low_NMFT = wiener.full_rank(X_MFT[:, :bins], lambda_NFT, room.basis_FMM, room.R_FNMM, groups)
    if X_MFT.shape[1] == bins:
        yield from low_NMFT
        return
    top = slice(bins // 2, bins)
    top_NMT = torch.einsum("nmf,nft->nmt", room.heard_NMF()[..., top], lambda_NFT[:, top])
    share_NMT = wiener.masks(top_NMT)
    for image_MFT, group in zip(low_NMFT, groups, strict=True):
        yield torch.cat([image_MFT, share_NMT[list(group)].sum(0)[:, None] * X_MFT[:, bins:]], 1)
