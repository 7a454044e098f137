"""One evaluation from end to end: find, check, score, and keep everything that tables and pages need."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError, OptionError, TrackError, nearest
from ..pitch.tracks import Track, read_f0
from ..progress import OnProgress
from . import floors
from .corpora import CORPORA, Corpus
from .material import Bundle, Files, Piece, Problem, find_estimates, find_pieces, open_estimates, open_piece
from .pitch import EnsemblePitch, score_pitch
from .protocols import Protocol, excerpts, protocol_named
from .published import FRAMES, HOP_S, published_pitch
from .scoring import Baseline, Cell, PieceScores, score_piece
from .separation import best_permutation

DO_NOTHING = "do nothing"

FLOOR, CEILING, SYSTEM = "floor", "ceiling", "system"


@dataclass(frozen=True)
class Places:
    """Where the microphones of a session stand.

    Attributes
    ----------
    names
        Of the microphones, in the order of channels.
    spot
        Index of the own spot microphone by source.
    main
        Indices of the main microphones.
    """

    names: tuple[str, ...]
    spot: Mapping[str, int]
    main: tuple[int, ...]


@dataclass(frozen=True)
class Evaluation:
    """Everything that was found.

    Attributes
    ----------
    protocol, as_published
        How it was scored.
    kinds
        Every system by name, what was to be scored first: ``"system"``, ``"floor"`` or ``"ceiling"``.
    pieces
        Scores by the name of the piece.
    opened
        The pieces themselves and the estimates of the systems, to listen to.
    places
        Of the microphones, by piece; only where each was scored alone.
    pitch
        F0 scores by system and piece.
    published_pitch
        The same with the bugs of the published code: means over voices, excerpts and windows.
    problems, notes
        What could not be scored as it is, and what else is worth knowing.
    """

    protocol: Protocol
    as_published: bool
    kinds: Mapping[str, str]
    pieces: Mapping[str, PieceScores]
    opened: Mapping[str, tuple[Piece, Mapping[str, Bundle]]]
    places: Mapping[str, Places] = field(default_factory=dict)
    pitch: Mapping[str, Mapping[str, EnsemblePitch]] = field(default_factory=dict)
    published_pitch: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()

    @property
    def systems(self) -> tuple[str, ...]:
        """Names of what was scored, floors and ceilings aside."""
        return tuple(name for name, kind in self.kinds.items() if kind == SYSTEM)

    def cells(self, system: str, place: str = "") -> list[Cell]:
        """Return the cells of a system, in session tests of ``"own spot"``, ``"main"`` or ``""`` for all."""
        return [
            cell
            for piece, scores in self.pieces.items()
            for cell in scores.cells
            if cell.system == system and (not place or self._stands(piece, cell, place))
        ]

    def _stands(self, piece: str, cell: Cell, place: str) -> bool:
        places = self.places[piece]
        return (
            cell.microphone == places.spot.get(cell.source) if place == "own spot" else cell.microphone in places.main
        )


def evaluate(
    references: str | Path,
    estimates: str | Path,
    *,
    against: Sequence[str | Path] = (),
    protocol: str = "excerpts",
    corpus: str | None = None,
    as_published: bool = False,
    baselines: bool = True,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Score a folder of estimates, and others against it, on a piece or a corpus.

    Parameters
    ----------
    references
        A folder with a mixture and stems, a folder of such folders, or a named corpus.
    estimates, against
        What is scored; see :func:`~partbook.evaluate.material.find_estimates`.
    protocol
        Name of a test protocol.
    corpus
        Name of the corpus that ``references`` holds, where its files need to be known.
    as_published
        Bring back the bugs of the protocol's published code.
    baselines
        Also score floors and ceilings.
    on_progress
        Where to report.

    Raises
    ------
    InputError
        If nothing can be scored at all.
    """
    chosen = protocol_named(protocol)
    found = find_pieces(references, _corpus_named(corpus))
    systems = dict(zip(_labels([estimates, *against]), [estimates, *against], strict=True))
    run = _Run(chosen, as_published, baselines, systems, on_progress)
    for files in found:
        run.add(files)
    return run.result()


class _Run:
    """An evaluation that grows piece by piece."""

    def __init__(
        self,
        protocol: Protocol,
        as_published: bool,
        with_baselines: bool,
        systems: Mapping[str, str | Path],
        on_progress: OnProgress | None,
    ) -> None:
        self.protocol, self.as_published, self.with_baselines = protocol, as_published, with_baselines
        self.systems, self.on_progress = systems, on_progress
        self.kinds = dict.fromkeys(systems, SYSTEM)
        self.pieces: dict[str, PieceScores] = {}
        self.opened: dict[str, tuple[Piece, Mapping[str, Bundle]]] = {}
        self.places: dict[str, Places] = {}
        self.pitch: dict[str, dict[str, EnsemblePitch]] = {}
        self.published: dict[str, list[Mapping[str, np.ndarray]]] = {}
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []

    def add(self, files: Files) -> None:
        """Score one piece; what is missing is named."""
        piece, problems = open_piece(files)
        self.problems += problems
        if piece.mixture is None and not self.protocol.sums_references:
            self.notes.append(Problem(piece.name, "no mixture; the sum of the references is taken"))
        given: dict[str, Files] = {}
        bundles: dict[str, Bundle] = {}
        for name, path in self.systems.items():
            try:
                given[name] = find_estimates(path, files)
            except InputError as error:
                self.problems.append(Problem(f"{piece.name}, {name}", f"{error}; not scored"))
                continue
            bundles[name], problems = open_estimates(given[name], piece, name)
            self.problems += problems
        if not any(bundle.present.any() for bundle in bundles.values()):
            return
        truth = self._tracks(files, piece, "reference")
        tracks = {name: self._tracks(each, piece, name) for name, each in given.items()}
        # A system that was given the truth has no F0 of its own to score.
        tracks = {name: found for name, found in tracks.items() if found and not _is_same(found, truth)}
        made = self._baselines(piece, truth, tracks) if self.with_baselines else {}
        scores = score_piece(
            piece, bundles, self.protocol, baselines=made, as_published=self.as_published, on_progress=self.on_progress
        )
        self.pieces[piece.name], self.opened[piece.name] = scores, (piece, bundles)
        self._remark(piece, scores)
        if self.protocol.per_microphone:
            self.places[piece.name] = _places(files, given, piece, scores)
        if len(truth) == len(piece.sources):
            self._score_pitch(piece, truth, tracks)

    def result(self) -> Evaluation:
        """Return what was found.

        Raises
        ------
        InputError
            If no piece could be scored.
        """
        if not self.pieces:
            raise InputError("estimates that can be scored", "; ".join(map(str, self.problems)) or "none")
        published = {
            name: {score: float(np.mean([row[score] for row in rows])) for score in rows[0]}
            for name, rows in self.published.items()
        }
        return Evaluation(
            self.protocol,
            self.as_published,
            self.kinds,
            self.pieces,
            self.opened,
            self.places,
            self.pitch,
            published,
            tuple(self.problems),
            tuple(self.notes),
        )

    def _tracks(self, files: Files, piece: Piece, system: str) -> dict[str, Track]:
        """Return the F0 tracks that lie beside stems; one that cannot be read is named."""
        tracks = {}
        for source in piece.sources:
            if source in files.f0:
                try:
                    tracks[source] = read_f0(files.f0[source])
                except TrackError as error:
                    self.problems.append(Problem(f"{piece.name}, {system}, {source}", f"{error}; F0 not scored"))
        return tracks

    def _baselines(
        self, piece: Piece, truth: Mapping[str, Track], tracks: Mapping[str, Mapping[str, Track]]
    ) -> dict[str, Baseline]:
        made: dict[str, Baseline] = {DO_NOTHING: lambda s, x, rate, start_s: floors.do_nothing(s, x, rate)}
        self.kinds.setdefault(DO_NOTHING, FLOOR)
        first = next(iter(self.systems))
        known = {"true F0": truth, f"F0 of {first}": tracks.get(first, {})}
        for what, found in known.items():
            if len(found) == len(piece.sources):
                ordered = [found[source] for source in piece.sources]
                made[f"comb, {what}"] = lambda s, x, rate, start_s, f0=ordered: floors.harmonic_comb(
                    x, rate, f0, start_s
                )
                self.kinds.setdefault(f"comb, {what}", FLOOR)
        ceilings = dict(floors.CEILINGS)
        if self.protocol.per_microphone and piece.references.channels > 1:
            ceilings |= floors.SPATIAL_CEILINGS
        for name, ceiling in ceilings.items():
            made[name] = lambda s, x, rate, start_s, ceiling=ceiling: ceiling(s, x, rate)
            self.kinds.setdefault(name, CEILING)
        return made

    def _remark(self, piece: Piece, scores: PieceScores) -> None:
        """Name silent references, and estimates that resemble something else than their names say."""
        sounding = {cell.source for cell in scores.cells if not cell.silent}
        scored = {cell.source for cell in scores.cells}
        self.problems += [
            Problem(f"{piece.name}, reference {source}", "silent throughout; not scored")
            for source in piece.sources
            if source in scored - sounding
        ]
        for name, likeness in scores.likeness.items():
            if self.kinds[name] == SYSTEM:
                for source, remark in likeness.remarks(piece.sources):
                    to = self.notes if "polarity" in remark else self.problems
                    to.append(Problem(f"{piece.name}, {name}, {source}", f"{remark}; scored as named"))

    def _score_pitch(self, piece: Piece, truth: Mapping[str, Track], tracks: Mapping[str, Mapping[str, Track]]) -> None:
        for name, found in tracks.items():
            try:
                self.pitch.setdefault(name, {})[piece.name] = score_pitch(truth, found)
            except OptionError as error:
                self.notes.append(Problem(piece.name, f"F0 not scored: {error}"))
                return
            if self.as_published and self.protocol.grid_s:
                self.published.setdefault(name, []).extend(self._published(piece, truth, found))

    def _published(
        self, piece: Piece, truth: Mapping[str, Track], tracks: Mapping[str, Track]
    ) -> Iterable[Mapping[str, np.ndarray]]:
        rate, length = piece.references.sample_rate, piece.references.length
        for start, _ in excerpts(self.protocol, length, rate):
            times_s = start / rate + np.arange(FRAMES) * HOP_S
            for source in truth:
                if source in tracks:
                    yield published_pitch(truth[source].at(times_s).f0_hz, tracks[source].at(times_s).f0_hz)


def _corpus_named(name: str | None) -> Corpus | None:
    known = {corpus.name: corpus for corpus in CORPORA}
    if name is not None and name not in known:
        raise OptionError(f"a --corpus of {', '.join(known)}", f"{name!r}", nearest(name, known))
    return known[name] if name else None


def _labels(paths: Sequence[str | Path]) -> list[str]:
    """Return the shortest ends of paths that tell them apart.

    Examples
    --------
    >>> _labels(["a/{piece}/W-Up", "b/UMSS"])
    ['W-Up', 'UMSS']
    >>> _labels(["a/out", "b/out"])
    ['a/out', 'b/out']
    """
    parts = [Path(path).parts for path in paths]
    for depth in range(1, 1 + max(map(len, parts))):
        labels = ["/".join(each[-depth:]) for each in parts]
        if len(set(labels)) == len(labels):
            return labels
    raise OptionError("systems that differ", f"'{paths[0]}' twice")


def _is_same(tracks: Mapping[str, Track], truth: Mapping[str, Track]) -> bool:
    """Return whether tracks hold the F0 of others, rounding aside."""
    return tracks.keys() == truth.keys() and all(
        np.allclose(track.at(truth[source].times_s).f0_hz, truth[source].f0_hz, rtol=1e-4)
        for source, track in tracks.items()
    )


def _places(files: Files, given: Mapping[str, Files], piece: Piece, scores: PieceScores) -> Places:
    """Return where the microphones stand: as a manifest beside the stems says, else by level.

    Without a manifest every source has the spot at which it is loudest compared with the others, and the rest is main.
    """
    M = piece.references.channels
    for stem in (next(iter(each.stems.values()), None) for each in (files, *given.values())):
        manifest = stem.parent / "manifest.json" if stem else None
        if manifest and manifest.is_file():
            microphones = json.loads(manifest.read_text(encoding="utf-8"))["microphones"]
            if len(microphones) == M:
                spot = {m["source"]: i for i, m in enumerate(microphones) if m["role"] == "spot" and m["source"]}
                main = tuple(i for i, m in enumerate(microphones) if m["role"] == "main")
                return Places(tuple(m["name"] for m in microphones), spot, main)
    energy = next(iter(scores.likeness.values())).reference_energy
    level_db = 10 * np.log10(energy / energy.sum(0) + 1e-12)
    if len(piece.sources) > M:
        spot = {source: int(np.argmax(level)) for source, level in zip(piece.sources, level_db, strict=True)}
    else:
        padded = np.vstack([level_db, np.zeros((M - len(piece.sources), M))])
        spot = dict(zip(piece.sources, best_permutation(padded), strict=False))
    main = tuple(m for m in range(M) if m not in spot.values())
    return Places(tuple(f"channel {m + 1}" for m in range(M)), spot, main)
