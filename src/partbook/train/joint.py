"""F0 and singer learned together, from mixtures alone.

    mixture → salience network → assigner → salience of every voice → contour (:mod:`partbook.pitch.contour`) → F0
    mixture, F0 → singer → power (or sound) of every voice → sum → loss against the mixture

This is the family of Richard, Chouteau & Torres ("A fully differentiable model for unsupervised singing voice
separation", ICASSP 2024) with Partbook's networks in the places of theirs. A recipe says, phase by phase, which parts
are trained and what is made small:

===============  =======================================================================================
``spectral``     distances of magnitudes and log magnitudes, mixture to model, in several windows
``likelihood``   the Itakura-Saito divergence of the mixture from the model, as in a fit
``transport``    spectral optimal transport from model to mixture along octaves
``total``        the voices' saliences add up to the mixture's
``ranges``       no salience outside the range of a voice
``commitment``   every salience is close to its own contour
``taught``       the mixture's salience is what the decoder makes of it (:mod:`partbook.train.teacher`)
``assigned``     so is that of every voice
===============  =======================================================================================

The first six are the published ones, but for the likelihood. Of synthetic pieces the last two know the truth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..ensemble import parse_voices
from ..errors import OptionError, nearest
from ..pitch.assign import Assigner, AssignerConfig
from ..pitch.contour import METHODS, extracted
from ..pitch.network import NetworkConfig, SalienceNetwork, spectral_features
from ..progress import OnProgress, Progress
from ..singer.model import Singer, SingerConfig
from .corpus import Corpus, Told, open_corpus
from .losses import commitment, outside_range, salience_sum
from .mixtures import Excerpts, Heard
from .sight import Sight, fitting
from .teacher import learned, lesson, taught_paths
from .weights import seeded, stored

PARTS = ("hearing", "assigner", "singer")
"""What can be trained: the salience network, the assigner, the singer."""

OF_MIXTURE = ("spectral", "likelihood", "transport")
OF_SALIENCE = ("total", "ranges", "commitment", "assigned")
LOSSES = (*OF_MIXTURE, *OF_SALIENCE, "taught")
"""Losses, by what they need: the singer's word, the salience of the voices, that of the mixture."""

LOWEST_HZ, HIGHEST_HZ = 30.0, 4000.0
"""A contour below sounds nothing, whichever number a method of extraction returns."""


@dataclass(frozen=True)
class Phase:
    """A stretch of training.

    Attributes
    ----------
    steps
        How many; the last phase lasts until the end.
    trained
        Parts that learn; the others stand still.
    given
        Whether F0 is told (true for synthetic pieces, the decoder's for recordings) instead of heard.
    spectral, likelihood, transport, total, ranges, commitment, taught, assigned
        Weights of the losses; see the module.
    """

    steps: int = 1
    trained: tuple[str, ...] = PARTS
    given: bool = False
    spectral: float = 0.0
    likelihood: float = 0.0
    transport: float = 0.0
    total: float = 0.0
    ranges: float = 0.0
    commitment: float = 0.0
    taught: float = 0.0
    assigned: float = 0.0

    def __post_init__(self) -> None:
        for part in self.trained:
            if part not in PARTS:
                raise OptionError("a part that can be trained", repr(part), nearest(part, PARTS))
        if self.steps < 1 or not self.trained:
            raise OptionError("a phase of at least one step and one trained part", f"{self.steps} and {self.trained}")
        if not any(getattr(self, name) > 0 for name in LOSSES):
            raise OptionError("a phase with a loss above 0", "none", "spectral = 1.0")

    def needs(self, names: tuple[str, ...]) -> bool:
        """Return whether any of these losses counts."""
        return any(getattr(self, name) > 0 for name in names)


@dataclass(frozen=True)
class JointConfig:
    """What is trained together, and on what.

    Attributes
    ----------
    hearing, assigner, singer
        First weights: a model that comes with Partbook by its name, the folder of another run, or ``untrained``.
    order
        Order of the all-pole tract of an untrained singer; 0 leaves filters to the bands.
    corpus
        Folders and files of recordings; none for synthetic pieces.
    voices
        Who sings in the recordings, high to low: ``SATB``.
    pieces, most_voices
        How many synthetic pieces are rendered, and how many voices a piece may have.
    mixtures, seconds
        Of a batch.
    transpose_semitones
        Recordings are played faster or slower by up to this much.
    contour, threshold
        Method of extraction, and least salience of a voiced frame.
    windows_s
        Of the spectra that ``spectral`` compares; the first is that which the singer sees.
    sound
        Whether ``spectral`` compares sound that the singer makes, instead of powers; needs tracts.
    hearing_rate, assigner_rate, singer_rate
        Shares of the learning rate.
    phases
        One after the other.
    """

    hearing: str = "pitch"
    assigner: str = "untrained"
    singer: str = "singer"
    order: int = 0
    corpus: tuple[str, ...] = ()
    voices: str = "SATB"
    pieces: int = 400
    most_voices: int = 5
    mixtures: int = 1
    seconds: float = 4.0
    transpose_semitones: float = 3.0
    contour: str = "local"
    threshold: float = 0.2
    windows_s: tuple[float, ...] = (0.128, 0.064, 0.032)
    sound: bool = False
    hearing_rate: float = 1.0
    assigner_rate: float = 1.0
    singer_rate: float = 1.0
    phases: tuple[Phase, ...] = (Phase(spectral=1.0),)

    def __post_init__(self) -> None:
        if self.contour not in METHODS:
            raise OptionError("a way from salience to F0", repr(self.contour), nearest(self.contour, METHODS))
        if not self.phases or not self.windows_s:
            raise OptionError("at least one phase and one window", f"{len(self.phases)} and {len(self.windows_s)}")
        if min(self.pieces, self.mixtures) < 1 or self.most_voices < 2 or not 0.5 <= self.seconds <= 20:
            raise OptionError(
                "pieces and mixtures from 1, most_voices from 2 and seconds from 0.5 to 20",
                f"{self.pieces}, {self.mixtures}, {self.most_voices} and {self.seconds}",
            )
        parse_voices(self.voices)

    def phase_at(self, step: int) -> int:
        """Return the number of the phase of a step."""
        for number, phase in enumerate(self.phases[:-1]):
            step -= phase.steps
            if step < 0:
                return number
        return len(self.phases) - 1


class JointModel(nn.Module):
    """Salience network, assigner and singer. What normalises the salience network stays as it was trained."""

    def __init__(
        self, hearing: SalienceNetwork, assigner: Assigner, singer: Singer, rates: Mapping[str, float] | None = None
    ) -> None:
        super().__init__()
        self.hearing, self.assigner, self.singer = hearing, assigner, singer
        self.rates = rates or {}

    def train(self, mode: bool = True) -> JointModel:
        """Set all but the salience network to training."""
        super().train(mode)
        self.hearing.eval()
        return self

    def settings(self) -> dict[str, Any]:
        """Return what is needed to build it."""
        return {part: asdict(getattr(self, part).config) for part in PARTS}


@dataclass
class JointTask:
    """See :class:`partbook.train.loop.Task`."""

    config: JointConfig
    renders: Path
    seed: int = 0
    corpus: Corpus | None = None
    hearing: SalienceNetwork | None = None

    @cached_property
    def model(self) -> JointModel:
        """The networks, their first weights those that the recipe names."""
        return joint_model(self.config, self.seed, self.hearing)

    @cached_property
    def sight(self) -> Sight:
        """How mixtures and voices are compared."""
        return Sight(self.config.windows_s, self.model.hearing.config.transform)

    @cached_property
    def excerpts(self) -> Excerpts:
        """Where batches are drawn from; the recordings are listened to if anything is told of them."""
        phases, corpus = self.config.phases, self.corpus or self.opened()
        listens = corpus and any(phase.given or phase.needs(("taught", "assigned")) for phase in phases)
        told = self.told(corpus) if listens else ()
        return Excerpts(self.model.hearing.config, self.config, self.renders, corpus, told)

    def opened(self, on_progress: OnProgress | None = None) -> Corpus | None:
        """Return the recordings that the recipe names, opened once; None for synthetic pieces."""
        if self.corpus is None and self.config.corpus:
            self.corpus = open_corpus(self.config.corpus, on_progress)
        return self.corpus

    def told(self, corpus: Corpus, on_progress: OnProgress | None = None) -> tuple[Told, ...]:
        """Return what the decoder makes of every recording, as the salience network heard it before training.

        It is asked anew, not taken as it stands now: a run that goes on is taught as it was at first.
        """
        voices = parse_voices(self.config.voices)
        hearing = joint_model(self.config, self.seed, self.hearing).eval().hearing
        progress = Progress("listen", len(corpus.recordings), on_progress)
        told = []
        for recording in corpus.recordings:
            told.append(taught_paths(recording, hearing, voices))
            progress.step()
        return tuple(told)

    def batch(self, seed: int, step: int) -> tuple[Heard, int]:
        """Return the mixtures of a step, and its phase."""
        return self.excerpts.drawn(seed, step), self.config.phase_at(step)

    def loss(self, batch: tuple[Heard, int]) -> tuple[Tensor, Mapping[str, float]]:
        """Return the weighted losses of the phase, and each by itself."""
        heard, number = batch
        phase = self.config.phases[number]
        for part in PARTS:
            getattr(self.model, part).requires_grad_(part in phase.trained)
        device = heard.x_BS.device.type
        low_precision = torch.is_autocast_enabled(device)
        # Powers reach over ten decades and F0 is told to a cent: only what networks say of gains and evidence is less
        # precise.
        with torch.autocast(device, enabled=False):
            parts = self._parts(heard, phase, low_precision)
        total = sum(getattr(phase, name) * value for name, value in parts.items())
        if not total.requires_grad:
            # A contour without a gradient: the phase teaches nothing, and that is a finding, not a failure.
            total = total + 0.0 * sum(p.sum() for p in self.model.parameters() if p.requires_grad)
        return total, {name: float(value.detach()) for name, value in parts.items()}

    def check(self) -> Mapping[str, float]:
        """Return the losses of the last phase on excerpts that no step is drawn like."""
        batches = [(self.excerpts.drawn(self.seed, -1 - n, held_out=True), len(self.config.phases) - 1) for n in (0, 1)]
        figures = [self.loss(batch)[1] for batch in batches]
        return {name: sum(each[name] for each in figures) / len(figures) for name in figures[0]}

    def _parts(self, heard: Heard, phase: Phase, low_precision: bool) -> dict[str, Tensor]:
        """Return every loss that the phase asks for."""
        parts, f0_BNT = {}, heard.f0_BNT
        if not phase.given or phase.needs((*OF_SALIENCE, "taught")):
            parts, f0_BNT = self._heard(heard, phase, low_precision)
        if phase.needs(OF_MIXTURE):
            wanted = tuple(name for name in OF_MIXTURE if getattr(phase, name) > 0)
            how = {"sound": self.config.sound, "low_precision": low_precision}
            parts |= fitting(heard.x_BS, f0_BNT, self.model.singer, self.sight, wanted, **how)
        return parts

    def _heard(self, heard: Heard, phase: Phase, low_precision: bool) -> tuple[dict[str, Tensor], Tensor]:
        """Return the losses of the salience, and F0: heard, or given."""
        parts, network, device = {}, self.model.hearing.config, heard.x_BS.device.type
        with torch.no_grad():
            features = spectral_features(heard.x_BS[:, None], heard.level_B, network)
        with torch.autocast(device, torch.bfloat16, enabled=low_precision):
            logit_BGT = self.model.hearing(features.contiguous(memory_format=torch.channels_last)).float()
        if phase.needs(("taught",)):
            parts["taught"] = learned(logit_BGT, *lesson(heard.rows_BNT, heard.confidence_BNT, heard.heard_BGT))
        if not phase.needs((*OF_MIXTURE, *OF_SALIENCE)):
            return parts, heard.f0_BNT
        with torch.autocast(device, torch.bfloat16, enabled=low_precision):
            voices_BNGT = self.model.assigner(logit_BGT, heard.octaves_BN, network.transform.per_octave).float()
        f0_BNT = heard.f0_BNT if phase.given else self.contours(voices_BNGT)
        return parts | self._of_salience(heard, phase, logit_BGT, voices_BNGT, f0_BNT), f0_BNT

    def contours(self, voices_BNGT: Tensor) -> Tensor:
        """Return the F0 (B, N, T) of voices by their logits, 0 where unvoiced."""
        salience_BNGT = torch.sigmoid(voices_BNGT)
        f0_BNT = extracted(salience_BNGT, self.bins_hz, self.config.threshold, self.config.contour)
        return torch.where(f0_BNT >= LOWEST_HZ, f0_BNT.clamp_max(HIGHEST_HZ), torch.zeros_like(f0_BNT))

    @property
    def bins_hz(self) -> Tensor:
        """Frequency of every candidate."""
        network = self.model.hearing.config
        return network.transform.grid_hz[: network.rows].float().to(next(self.model.parameters()).device)

    def _of_salience(
        self, heard: Heard, phase: Phase, logit_BGT: Tensor, voices_BNGT: Tensor, f0_BNT: Tensor
    ) -> dict[str, Tensor]:
        parts, salience_BNGT = {}, torch.sigmoid(voices_BNGT)
        if phase.total:
            parts["total"] = salience_sum(salience_BNGT, torch.sigmoid(logit_BGT))
        if phase.ranges:
            parts["ranges"] = outside_range(salience_BNGT.flatten(0, 1), self.bins_hz, heard.ranges_BN2.flatten(0, 1))
        if phase.commitment:
            parts["commitment"] = commitment(salience_BNGT, self.bins_hz, f0_BNT)
        if phase.assigned:
            nobody = torch.full_like(heard.heard_BGT, -20.0).repeat_interleave(heard.rows_BNT.shape[1], 0)
            told = (each.flatten(0, 1)[:, None] for each in (heard.rows_BNT, heard.confidence_BNT))
            parts["assigned"] = learned(voices_BNGT.flatten(0, 1), *lesson(*told, nobody))
        return parts


def joint_model(config: JointConfig, seed: int, hearing: SalienceNetwork | None = None) -> JointModel:
    """Return the networks with the first weights that a recipe names, or with a given salience network.

    Raises
    ------
    InputError
        If there are no such weights, or the singer cannot make the sound that is to be compared.
    """
    if hearing is not None:
        hearing = deepcopy(hearing).requires_grad_(True)
    elif config.hearing == "untrained":
        hearing = seeded(SalienceNetwork, seed)
    else:
        hearing = stored(config.hearing, "hearing", lambda told: SalienceNetwork(NetworkConfig.from_json(told)))
    if config.assigner == "untrained":
        assigner = seeded(Assigner, seed)
    else:
        assigner = stored(config.assigner, "assigner", _assigner)
    if config.singer == "untrained":
        singer = seeded(lambda: Singer(SingerConfig(order=config.order)), seed)
    else:
        singer = stored(config.singer, "singer", lambda told: Singer(SingerConfig.from_json(told)))
    if config.sound and not singer.config.order:
        raise OptionError("a singer with tracts to make sound", "none", 'singer = "untrained" and order = 20')
    rates = {"hearing": config.hearing_rate, "assigner": config.assigner_rate, "singer": config.singer_rate}
    return JointModel(hearing.to(memory_format=torch.channels_last), assigner, singer, rates)


def _assigner(settings: str) -> Assigner:
    told = json.loads(settings)
    return Assigner(AssignerConfig(**told | {"reach": tuple(map(tuple, told["reach"]))}))


__all__ = ["LOSSES", "PARTS", "JointConfig", "JointModel", "JointTask", "Phase", "joint_model"]
