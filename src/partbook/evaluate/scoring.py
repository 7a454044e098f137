"""Score the estimates of one piece by a protocol, excerpt by excerpt, so that memory does not grow with duration."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..progress import OnProgress, Progress
from .bss_eval import Ratios, bss_eval_images, bss_eval_sources, bss_eval_windows
from .findings import Likeness
from .material import Bundle, Piece
from .protocols import Protocol, cells, excerpts
from .separation import best_permutation, si_sdr
from .spectral import mel_cepstral_distance, spectral_snr

EXCHANGE_DB = 1.0
"""Estimates belong to other sources than their names say if a permutation is better by this mean SI-SDR."""

_PUBLISHED_EPS = 1e-8
_CONTEXT_S = 0.5

Baseline = Callable[[Tensor, Tensor, int, float], Tensor]
"""Makes estimates (N, M, S) of references (N, M, S), mixture (M, S), sample rate and start in seconds."""


@dataclass(frozen=True)
class Cell:
    """The scores of one source in one stretch of one piece.

    Attributes
    ----------
    system, piece, source
        What was scored.
    microphone
        Index of the microphone, or −1 for all channels together.
    excerpt
        Index of the excerpt within the piece.
    start_s, duration_s
        The stretch.
    silent
        Whether the reference is silent there by the protocol's rule; then nothing was scored.
    leak_db
        Level of the estimate relative to the mixture: what is left where nothing should be.
    belongs_to
        The source that the estimate fits best when estimates may be exchanged.
    scores
        By metric; NaN where undefined.
    """

    system: str
    piece: str
    source: str
    microphone: int
    excerpt: int
    start_s: float
    duration_s: float
    silent: bool
    leak_db: float
    belongs_to: str
    scores: Mapping[str, float]


@dataclass(frozen=True)
class PieceScores:
    """All scores of one piece.

    Attributes
    ----------
    cells
        Of all systems.
    curves
        SI-SDR of every second by system, shape (N, seconds); NaN where the reference is silent or nothing was scored.
    likeness
        What the estimates resemble, by system.
    """

    cells: tuple[Cell, ...]
    curves: Mapping[str, np.ndarray] = field(default_factory=dict)
    likeness: Mapping[str, Likeness] = field(default_factory=dict)


def score_piece(
    piece: Piece,
    systems: Mapping[str, Bundle],
    protocol: Protocol,
    *,
    baselines: Mapping[str, Baseline] | None = None,
    as_published: bool = False,
    on_progress: OnProgress | None = None,
) -> PieceScores:
    """Score systems, and baselines made from the references, on one piece.

    Parameters
    ----------
    piece
        References and mixture.
    systems
        Estimates by the name of the system; a missing stem is not scored.
    protocol
        What is measured where.
    baselines
        More systems, computed where they are scored.
    as_published
        Bring back the bugs of the protocol's published code.
    on_progress
        Where to report.
    """
    if protocol.sample_rate:
        piece = piece.at_rate(protocol.sample_rate)
        systems = {name: bundle.at_rate(protocol.sample_rate) for name, bundle in systems.items()}
    scorer = _Scorer(piece, systems, protocol, baselines or {}, as_published)
    return scorer.by_windows(on_progress) if protocol.global_filters else scorer.by_excerpts(on_progress)


@dataclass(frozen=True)
class _Scorer:
    """One piece, the systems to score on it, and how."""

    piece: Piece
    systems: Mapping[str, Bundle]
    protocol: Protocol
    baselines: Mapping[str, Baseline]
    as_published: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Names of systems and baselines, in the order of their estimates."""
        return (*self.systems, *self.baselines)

    @property
    def present_KN(self) -> np.ndarray:
        """Which estimates there are."""
        N = len(self.piece.sources)
        return np.stack([self.systems[k].present if k in self.systems else np.ones(N, bool) for k in self.names])

    def read(self, start: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return references (N, M, S), mixture (M, S) and the estimates of all systems (K, N, M, S)."""
        bundle = self.piece.references
        recorded = bundle.read(start, stop)
        references = torch.from_numpy(recorded)
        if self.protocol.sums_references:
            mixture = references.sum(0)
        else:
            mixture = torch.from_numpy(self.piece.mixture_of(start, stop, recorded))
        rate = bundle.sample_rate
        estimates = [torch.from_numpy(system.read(start, stop)) for system in self.systems.values()]
        estimates += [make(references, mixture, rate, start / rate) for make in self.baselines.values()]
        return references.double(), mixture.double(), torch.stack(estimates).double()

    def by_excerpts(self, on_progress: OnProgress | None) -> PieceScores:
        """Score excerpt by excerpt."""
        bundle, rate = self.piece.references, self.piece.references.sample_rate
        stretches = list(excerpts(self.protocol, bundle.length, rate))
        progress = Progress("score", len(stretches), on_progress)
        found: list[Cell] = []
        curves = np.full((len(self.names), len(self.piece.sources), math.ceil(bundle.length / rate)), np.nan)
        likeness = Likeness.empty(len(self.names), len(self.piece.sources), bundle.channels)
        quiet_M = self.quiet_power(stretches)
        for index, (start, stop) in enumerate(stretches):
            references, mixture, estimates = self.read(start, stop)
            if self.protocol.normalised:
                peak = float(mixture.abs().max()) or 1.0
                references, mixture, estimates = references / peak, mixture / peak, estimates / peak
            likeness = likeness.plus(references, estimates)
            for first, last in cells(self.protocol, stop - start, rate):
                parts = (x[..., first:last] for x in (references, mixture, estimates))
                found.extend(self.scored(*parts, quiet_M, index, (start + first) / rate))
            seconds = self.by_second(references, estimates, quiet_M)
            place = slice(round(start / rate), round(start / rate) + seconds.shape[-1])
            curves[..., place] = seconds[..., : curves[..., place].shape[-1]]
            progress.step()
        curves[~self.present_KN] = np.nan
        return PieceScores(
            tuple(found), dict(zip(self.names, curves, strict=True)), dict(likeness.by_system(self.names))
        )

    def quiet_power(self, stretches: Sequence[tuple[int, int]]) -> Tensor:
        """Return the mean power (M,) below which a reference is silent: so far below that of the whole mixture."""
        if self.protocol.quiet_db == -math.inf:
            return torch.zeros(self.piece.references.channels, dtype=torch.float64)
        energy, samples = 0, 0
        for start, stop in stretches:
            recorded = self.piece.references.read(start, stop)
            energy = energy + torch.from_numpy(self.piece.mixture_of(start, stop, recorded)).double().square().sum(-1)
            samples += stop - start
        return 10 ** (self.protocol.quiet_db / 10) * energy / samples

    def scored(
        self, references: Tensor, mixture: Tensor, estimates: Tensor, quiet_M: Tensor, excerpt: int, start_s: float
    ) -> Iterator[Cell]:
        """Yield the cells of one stretch, of all systems and sources, at each microphone that is scored alone."""
        rate, M = self.piece.references.sample_rate, len(mixture)
        alone = self.protocol.per_microphone or M > 2
        present_KN = self.present_KN
        for microphone, group in [(m, slice(m, m + 1)) for m in range(M)] if alone else [(-1, slice(0, M))]:
            measured = _measure(
                references[:, group],
                mixture[group],
                estimates[:, :, group],
                _silent(references[:, group], quiet_M[group], self.protocol),
                rate,
                self.protocol,
                self.as_published,
            )
            for k, n in np.argwhere(present_KN):
                scores = {metric: float(value[k, n]) for metric, value in measured.scores.items()}
                yield Cell(
                    self.names[k],
                    self.piece.name,
                    self.piece.sources[n],
                    microphone,
                    excerpt,
                    start_s,
                    references.shape[-1] / rate,
                    bool(measured.silent_N[n]),
                    float(measured.leak_KN[k, n]),
                    self.piece.sources[measured.belongs_KN[k, n]],
                    scores,
                )

    def by_second(self, references: Tensor, estimates: Tensor, quiet_M: Tensor) -> np.ndarray:
        """Return the SI-SDR of every whole second of an excerpt, shape (K, N, seconds)."""
        rate = self.piece.references.sample_rate
        curve = np.full((*estimates.shape[:2], references.shape[-1] // rate), np.nan)
        for second in range(curve.shape[-1]):
            part = slice(second * rate, (second + 1) * rate)
            s, e = references[..., part].flatten(1), estimates[..., part].flatten(2)
            curve[..., second] = si_sdr(s, e, mean_removed=self.protocol.mean_removed).numpy()
            curve[:, _silent(references[..., part], quiet_M, self.protocol), second] = np.nan
        return curve

    def by_windows(self, on_progress: OnProgress | None) -> PieceScores:
        """Score windows with filters fitted to the whole piece."""
        rate, samples = self.piece.references.sample_rate, self.piece.references.length
        window = round(self.protocol.cell_s * rate)
        progress = Progress("score", len(self.names), on_progress)
        found: list[Cell] = []
        curves = {}
        for k, name in enumerate(self.names):
            ratios = bss_eval_windows(lambda start, stop, k=k: self.pair(k, start, stop), samples, window, window)
            scores = {m: getattr(ratios, m).numpy() for m in self.protocol.metrics}
            silent_NT = np.isnan(scores["sdr"])
            if self.as_published:
                dropped = np.isnan(scores["sar"])[self.present_KN[k]].any(0)
                scores = {metric: np.where(dropped, np.nan, value) for metric, value in scores.items()}
            curves[name] = np.where(self.present_KN[k][:, None], scores["sdr"], np.nan)
            for n, t in np.argwhere(np.broadcast_to(self.present_KN[k][:, None], silent_NT.shape)):
                start_s, source = t * window / rate, self.piece.sources[n]
                row = {metric: float(value[n, t]) for metric, value in scores.items()}
                found.append(
                    Cell(
                        name,
                        self.piece.name,
                        source,
                        -1,
                        int(start_s // 4),
                        start_s,
                        window / rate,
                        bool(silent_NT[n, t]),
                        math.nan,
                        source,
                        row,
                    )
                )
            progress.step()
        return PieceScores(tuple(found), curves)

    def pair(self, k: int, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Return references and the estimates of one system; baselines are made with context that is thrown away."""
        rate = self.piece.references.sample_rate
        first = max(0, start - round(_CONTEXT_S * rate))
        last = min(self.piece.references.length, stop + round(_CONTEXT_S * rate))
        name = self.names[k]
        alone = _Scorer(
            self.piece,
            {name: self.systems[name]} if name in self.systems else {},
            self.protocol,
            {name: self.baselines[name]} if name in self.baselines else {},
            self.as_published,
        )
        references, _, estimates = alone.read(first, last)
        return references[..., start - first : stop - first], estimates[0, ..., start - first : stop - first]


@dataclass(frozen=True)
class _Measured:
    scores: Mapping[str, np.ndarray]
    silent_N: np.ndarray
    leak_KN: np.ndarray
    belongs_KN: np.ndarray


def _measure(
    references: Float[Tensor, "N C S"],
    mixture: Float[Tensor, "C S"],
    estimates: Float[Tensor, "K N C S"],
    silent_N: np.ndarray,
    sample_rate: int,
    protocol: Protocol,
    as_published: bool,
) -> _Measured:
    """Return the scores of one cell at one microphone, or at two channels that belong together."""
    s, e, x = references.flatten(1), estimates.flatten(2), mixture.flatten()
    score = si_sdr(s, e, mean_removed=protocol.mean_removed)
    values: dict[str, Tensor] = {"si_sdr": score, "si_sdri": score - si_sdr(s, x, mean_removed=protocol.mean_removed)}
    if "sdr" in protocol.metrics:
        ratios = _ratios(references, estimates, images=protocol.per_microphone or len(mixture) > 1)
        values |= ratios._asdict()
    # Magnitudes of several channels are compared channel by channel.
    mean = {
        "spectral_snr": lambda: spectral_snr(references, estimates),
        "spectral_si_snr": lambda: spectral_snr(references, estimates, scale_invariant=True),
        "mel_cepstral": lambda: mel_cepstral_distance(references, estimates, sample_rate),
    }
    values |= {metric: make().mean(-1) for metric, make in mean.items() if metric in protocol.metrics}
    scores = {metric: values[metric].numpy().copy() for metric in protocol.metrics}
    if as_published:
        scores = _with_published_bugs(scores)
    for value in scores.values():
        value[:, silent_N] = np.nan
    leak = 10 * torch.log10(e.square().sum(-1) / x.square().sum())
    return _Measured(scores, silent_N, leak.numpy(), _belongings(s, e, silent_N))


def _with_published_bugs(scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return ratios with 1e-8 added and NaN for silent estimates, as the published code has them."""
    bugged = dict(scores)
    for metric in ("si_sdr", "spectral_snr", "spectral_si_snr"):
        ratio = 10 ** (scores[metric] / 10) + _PUBLISHED_EPS
        undefined = np.isneginf(scores["si_sdr"]) & (metric != "spectral_snr")
        bugged[metric] = np.where(undefined, np.nan, 10 * np.log10(ratio))
    return bugged


def _silent(references: Float[Tensor, "N C S"], quiet_C: Float[Tensor, " C"], protocol: Protocol) -> np.ndarray:
    energy_N = references.square().sum((1, 2))
    quiet = energy_N <= quiet_C.sum() * references.shape[-1]
    return (quiet | (energy_N < protocol.least_energy)).numpy()


def _ratios(references: Tensor, estimates: Tensor, *, images: bool) -> Ratios:
    """Return the ratios of all systems at once, each of shape (K, N): the references' part is the costly one."""
    K, N = estimates.shape[:2]
    together = estimates.flatten(0, 1)
    if images:
        ratios = bss_eval_images(references, together, pairwise=True)
    else:
        ratios = bss_eval_sources(references[:, 0], together[:, 0], pairwise=True)
    return Ratios(*(ratio.reshape(N, K, N).diagonal(dim1=0, dim2=2) for ratio in ratios))


def _belongings(s: Tensor, e: Tensor, silent_N: np.ndarray) -> np.ndarray:
    """Return the index of the source that each estimate fits best, shape (K, N); silent sources stay where they are."""
    sounding = np.flatnonzero(~silent_N)
    belongs = np.tile(np.arange(len(s)), (len(e), 1))
    if len(sounding) < 2:
        return belongs
    coherence = (e @ s.T).square() / (e.square().sum(-1)[..., None] * s.square().sum(-1))
    pair_db = (10 * torch.log10(coherence / (1 - coherence))).nan_to_num(-100.0, 100.0, -100.0).numpy()
    for k, fit_db in enumerate(pair_db[:, sounding][:, :, sounding]):
        estimate_of = np.array(best_permutation(fit_db.T))
        own, best = fit_db.diagonal().mean(), fit_db[estimate_of, np.arange(len(sounding))].mean()
        if best - own > EXCHANGE_DB:
            belongs[k, sounding[estimate_of]] = sounding
    return belongs
