"""Settings as frozen dataclasses; the resolved ones are written beside every result."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .errors import OptionError, nearest

Format = Literal["flac", "wav"]
At = Literal["all", "main", "spot"]
SpectraOf = Literal["nmf", "dictionary", "source-filter"]
Start = Literal["spot", "plan", "circular", "diagonal", "random"]

SALIENCES = ("network", "harmonic")
"""What the pitch of voices can be heard through: a trained network, or a decomposition into combs without training."""

MODELS = ("both", "network", "fit")
"""What says the power of voices: a trained network beside fits to what it says and to the recording, the network alone,
or a fit to the recording alone."""

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@dataclass(frozen=True)
class Options:
    """What every separation can be told, whatever its engine.

    Attributes
    ----------
    seed
        Seed of all random numbers, 0 or more. The same seed, input, build and threads give the same bytes.
    device
        A PyTorch device: ``"cpu"``, ``"cuda"`` ….
    threads
        Threads of numerical kernels; None leaves PyTorch's choice.
    memory_bytes
        About how much memory may be used, whatever the duration.
    salience
        What the pitch of voices is heard through where it is not given, one of :data:`SALIENCES`.
    model
        What says the power of voices, one of :data:`MODELS`.
    adapt_s
        Seconds for training the network on the very recording of voices that it is to separate; 0 does not.
    """

    seed: int = 0
    device: str = "cpu"
    threads: int | None = None
    memory_bytes: int = 2 * 10**9
    salience: str = "network"
    model: str = "both"
    adapt_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:
            raise OptionError("a seed of 0 or more", f"{self.seed}")
        if self.threads is not None and self.threads < 1:
            raise OptionError("at least one thread", f"{self.threads}")
        if self.memory_bytes < 10**8:
            raise OptionError("at least 100MB of memory", f"{self.memory_bytes} bytes", "--memory 2GB")
        known_salience(self.salience)
        if self.model not in MODELS:
            raise OptionError("a model that is known", f"{self.model!r}", f"--model {nearest(self.model, MODELS)}")
        if not 0 <= self.adapt_s < math.inf:
            raise OptionError("seconds to adapt in, 0 or more", f"{self.adapt_s:g}", "--adapt 60")
        if self.adapt_s and self.model == "fit":
            raise OptionError("a network to adapt", "--adapt with --model fit", "--model both")


@dataclass(frozen=True)
class VoicesConfig:
    """How one recording of voices is analysed and modelled.

    Attributes
    ----------
    window_s, overlap
        Length of the analysis window in seconds, and frames per window.
    wavering_window_s
        Length of the window in which wavering voices are separated where their F0 is found: its errors from frame to
        frame then weigh less.
    band_hz
        Upper edge of the band that the model reads; above it the voices keep their shares.
    iterations, beta
        Rounds of the fit and its divergence. Few rounds are a prior: the filters stay near their smooth start.
    opinion_weights
        How much counts what the network says, what lasts of it, and a fit to the recording. That they sum to less than
        1 makes softer filters, which leave what is faint in a voice more of its power.
    shared_background
        How much of what no voice makes goes to the voices, in equal parts, so that they do not fall into digital
        silence where they rest; what is left of it is the residual.
    coherent_band_hz
        Upper edge of the coherent filter; above it the ordinary one is as good.
    places
        Whether voices on two channels are told apart by where they stand, too; else both share one mask.
    tails
        Whether what a reverberant room leaves of earlier sound is taken off before anything is said of the voices, and
        then told from what they sing.
    listened
        How often steady voices are listened to for their F0: once as they are masked, then as they are told apart.
    adapt_from_s
        How much of a long recording the network is adapted to, in stretches spread over it.
    context_s, fade_s
        What a block hears beyond its ends, and how long neighbouring blocks are cross-faded.
    """

    window_s: float = 0.128
    overlap: int = 4
    wavering_window_s: float = 0.16
    band_hz: float = 8000.0
    iterations: int = 6
    opinion_weights: tuple[float, float, float] = (0.35, 0.315, 0.035)
    beta: float = 0.25
    shared_background: float = 0.75
    coherent_band_hz: float = 4000.0
    places: bool = True
    tails: bool = True
    listened: int = 2
    adapt_from_s: float = 120.0
    context_s: float = 1.0
    fade_s: float = 0.1


@dataclass(frozen=True)
class SessionConfig:
    """How a session of several microphones is analysed and modelled.

    Attributes
    ----------
    window_s, overlap
        Length of the analysis window in seconds, and frames per window. A window that holds much of the reverberation
        makes the room a matter of one covariance per frequency.
    band_hz
        Upper edge of the band that the model reads; above it the players keep their shares at every microphone.
    components
        Spectral patterns per player and section.
    section_s
        About how long a player's patterns serve; every section has its own.
    room_s
        How much of a long recording the room is learned from, in sections spread over it.
    rt60_s
        Time in which the tails of the players fall by 60 dB at the start of the fit, which then finds its own.
    diagonal_rounds, full_rounds
        Rounds of the fit with jointly diagonal covariances, and then with full-rank ones.
    q_update
        How the diagonaliser of the covariances is updated: ``"ip"`` (iterative projection) or ``"iss"`` (iterative
        source steering).
    background
        Whether a stationary background takes what no player makes.
    context_s, fade_s
        What a section hears beyond its ends, and how long neighbouring sections are cross-faded.
    """

    window_s: float = 0.42
    overlap: int = 4
    band_hz: float = 12000.0
    components: int = 24
    section_s: float = 15.0
    room_s: float = 60.0
    rt60_s: float = 1.2
    diagonal_rounds: int = 30
    full_rounds: int = 5
    q_update: Literal["ip", "iss"] = "ip"
    background: bool = True
    context_s: float = 0.5
    fade_s: float = 0.2


def known_salience(name: str) -> str:
    """Return the name of a salience.

    Raises
    ------
    OptionError
        If there is none of this name.
    """
    if name not in SALIENCES:
        raise OptionError("a salience that is known", f"{name!r}", f"--salience {nearest(name, SALIENCES)}")
    return name


@dataclass(frozen=True)
class SessionOptions:
    """What the separation of a session can be told.

    Attributes
    ----------
    at
        At which microphones the players are written: ``"main"``, ``"spot"`` or ``"all"``.
    align
        Whether recordings of separate recorders, of another rate, offset or drift, are aligned.
    sources
        What the spectra of the players are made of: ``"nmf"``, learned from the recording alone; ``"dictionary"``,
        those of the calibration; or ``"source-filter"``, the harmonics of the pitch that every player is heard at.
    calibration
        File of :func:`partbook.engine.calibration.calibrate`.
    plays
        CSV, MIDI or MusicXML file of who plays when.
    start
        Where the fit starts: at the players' spots, from the places in ``session.toml``, or blindly, for comparison.
    """

    at: At = "all"
    align: bool = False
    sources: SpectraOf = "nmf"
    calibration: Path | None = None
    plays: Path | None = None
    start: Start = "spot"


def parse_bytes(text: str) -> int:
    """Return the number of bytes that ``2GB``, ``1.5G``, ``500 MB`` or ``100000000`` says; units of 1000.

    Examples
    --------
    >>> parse_bytes("1.5GB")
    1500000000
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)b?\s*", text.lower())
    if not found:
        raise OptionError("an amount of memory", f"{text!r}", "2GB or 500MB")
    return math.floor(float(found[1]) * _UNITS[found[2]])


__all__ = [
    "MODELS",
    "SALIENCES",
    "At",
    "Format",
    "Options",
    "SessionConfig",
    "SessionOptions",
    "SpectraOf",
    "Start",
    "VoicesConfig",
    "known_salience",
    "parse_bytes",
]
