"""Calibration: what solo takes of every player, recorded in all microphones of a session, tell of room and players.

Scales, warm-up notes or solo passages will do. The takes are heard as one recording in which it is known who plays
when; the model of a session fitted to it gives the room with nobody else in the way, a spatial covariance per player
and bin, and dictionaries: non-negative spectral patterns of every player and of its tail.

What a session makes of it is in :mod:`~partbook.engine.calibrated`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..audio import Microphone, Recording, source_names
from ..audio.conditioning import sounding_ends
from ..audio.health import examined
from ..axes import Gain_NM, Mixing_FMM
from ..config import Options, SessionConfig
from ..errors import AudioError, OptionError, OutputError
from ..progress import OnProgress
from ..room.fullrank import Covariance_FNMM, FullRank
from ..sources.nmf import Nmf
from .analysis import Analysis, Section, analysed
from .players import Model, learned
from .starts import alone, from_spots
from .telling import affordable_s

SCHEMA = "partbook-calibration/1"
PATTERNS = 32
"""Patterns of a dictionary, per player."""

_LONGEST_S = 300.0


@dataclass(frozen=True)
class Takes:
    """Recordings of the same microphones one after the other, as one; see :class:`partbook.audio.Recording`."""

    takes: tuple[Recording, ...]
    name: str = "calibration"
    start: int = 0
    setup: Mapping[str, object] = field(default_factory=dict)

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.takes[0].sample_rate

    @property
    def microphones(self) -> tuple[Microphone, ...]:
        """Those of every take."""
        return self.takes[0].microphones

    @property
    def edges(self) -> list[int]:
        """First sample of every take, and the end."""
        return [0, *np.cumsum([take.length for take in self.takes]).tolist()]

    @property
    def length(self) -> int:
        """Samples."""
        return self.edges[-1]

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples ``start`` to ``stop`` of every channel, float32."""
        pieces = [np.zeros((len(self.microphones), 0), np.float32)]
        for take, (a, b) in zip(self.takes, pairwise(self.edges), strict=True):
            if max(a, start) < min(b, stop):
                pieces.append(take.read(max(a, start) - a, min(b, stop) - a))
        return np.concatenate(pieces, -1)


@dataclass(frozen=True)
class Calibration:
    """What was learned of players and room.

    Attributes
    ----------
    microphones, players
        Names of the microphones and ids of the players, in order.
    sample_rate, n_fft, hop_samples
        Of the transform.
    scale_M
        Levels by which the spectra were divided.
    Q_FMM, g_NM, R_FNMM
        The room, of players, tails and the background: diagonaliser, gains, and covariances in its basis.
    W_NFK
        Dictionaries of players and tails; without any patterns where impulse responses were measured.
    """

    microphones: tuple[str, ...]
    players: tuple[str, ...]
    sample_rate: int
    n_fft: int
    hop_samples: int
    scale_M: Float[Tensor, " M"]
    Q_FMM: Mixing_FMM
    g_NM: Gain_NM
    R_FNMM: Covariance_FNMM
    W_NFK: Float[Tensor, "N F K"]

    def save(self, path: Path) -> Path:
        """Write a safetensors file, which describes itself in its metadata."""
        words = {
            "schema": SCHEMA,
            "microphones": json.dumps(self.microphones),
            "players": json.dumps(self.players),
            "sample_rate": str(self.sample_rate),
            "n_fft": str(self.n_fft),
            "hop_samples": str(self.hop_samples),
            "partbook": version("partbook"),
        }
        tensors = {"scale_M": self.scale_M, "g_NM": self.g_NM, "W_NFK": self.W_NFK}
        tensors["Q_FMM"] = torch.view_as_real(self.Q_FMM.to(torch.complex64))
        tensors["R_FNMM"] = torch.view_as_real(self.R_FNMM.to(torch.complex64))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, path, words)
        except OSError as error:
            raise OutputError(f"room and permission to write '{path}'", str(error), "another --out") from error
        return path


def read_calibration(path: Path) -> Calibration:
    """Return a calibration from its file; raise OptionError if it is none."""
    try:
        with safe_open(path, "pt") as file:
            words = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 – no mapping
        if words.get("schema") != SCHEMA:
            raise OptionError("a calibration", f"'{path}', which is another kind of file", "partbook calibrate")
    except (OSError, SafetensorError) as error:
        raise OptionError("a calibration that partbook calibrate wrote", f"'{path}' ({error})") from error
    complex_ = {name: torch.view_as_complex(tensors.pop(name).contiguous()) for name in ("Q_FMM", "R_FNMM")}
    return Calibration(
        tuple(json.loads(words["microphones"])),
        tuple(json.loads(words["players"])),
        *(int(words[name]) for name in ("sample_rate", "n_fft", "hop_samples")),
        Q_FMM=complex_["Q_FMM"].to(torch.complex128),
        R_FNMM=complex_["R_FNMM"],
        **tensors,
    )


def calibrate(
    takes: Mapping[str, Recording],
    *,
    options: Options,
    config: SessionConfig | None = None,
    on_progress: OnProgress | None = None,
) -> Calibration:
    """Learn room and players from solo takes.

    Parameters
    ----------
    takes
        A take of every player that has a spot, by id, all of the same microphones.
    options, config
        Seed, device and memory; settings of the model.
    on_progress
        Where to report.

    Raises
    ------
    OptionError, AudioError
        If takes are missing, of other microphones, or silent.
    """
    config = replace(config or SessionConfig(), room_s=_LONGEST_S)
    ids, _ = fitting(takes)
    joined = Takes(tuple(takes[id] for id in ids))
    health = examined(joined)
    rate, edges = joined.sample_rate, joined.edges
    plays = {id: [(a / rate, b / rate)] for id, (a, b) in zip(ids, pairwise(edges), strict=True)}
    analysis = analysed(joined, ids, health.level_M, plays, options, config, spotless=True)
    if len(analysis.live) < len(joined.microphones):
        raise AudioError("sound at every microphone", "; ".join(health.problems))
    heard = round(0.98 * affordable_s(analysis, options, config) / len(ids) * rate)
    longest = round(config.section_s * rate)
    sections = []
    for edge, take in zip(edges[:-1], joined.takes, strict=True):
        first, last = sounding_ends(take)
        sections += _cut(edge + first, edge + last, longest, heard)
    begin = from_spots if all(analysis.spots) else alone
    model = learned(analysis, dict(enumerate(sections)), options, config, begin, on_progress)
    return Calibration(
        tuple(microphone.name for microphone in joined.microphones),
        ids,
        rate,
        analysis.stft.n_fft,
        analysis.stft.hop_samples,
        analysis.scale_M,
        model.diagonal.Q_FMM,
        model.diagonal.g_NM,
        _in_basis(model.room, model.diagonal.Q_FMM),
        _dictionaries(model, analysis, sections, options),
    )


def fitting(takes: Mapping[str, Recording]) -> tuple[tuple[str, ...], Recording]:
    """Return the ids of the players in order and the first take; raise unless all takes fit together."""
    first = next(iter(takes.values()))
    ids = tuple(source_names(first)) or tuple(takes)
    missing = [id for id in ids if id not in takes]
    if missing or len(takes) > len(ids):
        raise OptionError(f"a solo take of each of {', '.join(ids)}", ", ".join(takes), f"{(missing or ids)[0]}=FOLDER")
    for id, take in takes.items():
        names = [microphone.name for microphone in take.microphones]
        if names != [microphone.name for microphone in first.microphones] or take.sample_rate != first.sample_rate:
            raise AudioError("takes of the same microphones at one rate", f"another of {id}")
    return ids, first


def _cut(first: int, last: int, longest: int, heard: int) -> list[Section]:
    """Return sections of a take that hear nothing of its neighbours: ``heard`` samples, spread over a longer one."""
    count = max(1, round((last - first) / longest))
    share = min(1.0, heard / (last - first))
    edges = [first + round(k * (last - first) / count) for k in range(count + 1)]
    stops = [a + max(1, round(share * (b - a))) for a, b in pairwise(edges)]
    return [Section(a, b, 0, a, b) for a, b in zip(edges, stops, strict=False)]


def _in_basis(room: FullRank, Q_FMM: Mixing_FMM) -> Covariance_FNMM:
    """Return the covariances of a room in another basis."""
    change_FMM = (Q_FMM @ torch.linalg.inv(room.basis_FMM))[:, None]
    return (change_FMM @ room.R_FNMM.to(change_FMM.dtype) @ change_FMM.mH).to(room.R_FNMM.dtype)


def _dictionaries(
    model: Model, analysis: Analysis, sections: Sequence[Section], options: Options
) -> Float[Tensor, "N F K"]:
    """Return patterns that every player's spectra, and its tail's, are made of in its own take."""
    players, rng = len(analysis.spots), torch.Generator().manual_seed(options.seed)
    patterns = []
    for n in range(2 * players):
        inside = analysis.plays[n % players][0]
        own = [
            spectra.W_NFK[n] @ spectra.H_NKT[n]
            for number, spectra in model.spectra.items()
            if inside[0] <= sections[number].start / analysis.recording.sample_rate < inside[1]
        ]
        patterns.append(Nmf.approximating(torch.cat(own, -1)[None], PATTERNS, rng).W_NFK[0])
    W_NFK = torch.stack(patterns)
    return W_NFK / W_NFK.sum(1, keepdim=True).clamp_min(1e-12)


__all__ = ["Calibration", "Takes", "calibrate", "fitting", "read_calibration"]
