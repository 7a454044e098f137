"""The moments in which a system does worst, cut out so that one hears what a decibel means."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import soxr

from ..audio.encoding import flac_bytes
from .evaluation import Evaluation
from .scoring import Cell

CLIP_S = 4.0
CLIP_RATE_HZ = 22_050
_MOST_SYSTEMS = 4


@dataclass(frozen=True)
class Moment:
    """One stretch of one source.

    Attributes
    ----------
    why
        What is remarkable about it.
    piece, source, start_s
        Where it is.
    scores
        Main metric of every system there.
    clips
        Sound files in base64 by what they hold: the mixture, the reference, and the systems; of one length and level.
    """

    why: str
    piece: str
    source: str
    start_s: float
    scores: Mapping[str, float]
    clips: Mapping[str, str]


def moments(evaluation: Evaluation, count: int = 6) -> list[Moment]:
    """Return the worst moments of the first system, and those in which it loses most against the second.

    No two are of the same excerpt of the same source.
    """
    first, *others = evaluation.systems
    metric = evaluation.protocol.metrics[0]
    mine = {_key(cell): cell for cell in evaluation.cells(first) if _counts(cell, metric)}
    worst = sorted(mine.values(), key=lambda cell: cell.scores[metric])
    picked = [("worst", cell) for cell in _spread(worst, count if not others else count - count // 3)]
    if others:
        theirs = {_key(cell): cell for cell in evaluation.cells(others[0]) if _counts(cell, metric)}
        lost = [
            cell for key, cell in mine.items() if key in theirs and theirs[key].scores[metric] > cell.scores[metric]
        ]
        lost.sort(key=lambda cell: cell.scores[metric] - theirs[_key(cell)].scores[metric])
        taken = {(cell.piece, cell.source, cell.excerpt) for _, cell in picked}
        fresh = (cell for cell in lost if (cell.piece, cell.source, cell.excerpt) not in taken)
        picked += [(f"furthest behind {others[0]}", cell) for cell in _spread(fresh, count // 3)]
    return [_moment(evaluation, why, cell) for why, cell in picked]


def _spread(cells: Iterable[Cell], count: int) -> Iterator[Cell]:
    seen: set[tuple[str, str, int]] = set()
    for cell in cells:
        place = (cell.piece, cell.source, cell.excerpt)
        if place not in seen and len(seen) < count:
            seen.add(place)
            yield cell


def _moment(evaluation: Evaluation, why: str, cell: Cell) -> Moment:
    metric = evaluation.protocol.metrics[0]
    key = _key(cell)
    scores = {other.system: other.scores[metric] for other in evaluation.pieces[cell.piece].cells if _key(other) == key}
    return Moment(why, cell.piece, cell.source, cell.start_s, scores, _clips(evaluation, cell))


def _clips(evaluation: Evaluation, cell: Cell) -> dict[str, str]:
    piece, bundles = evaluation.opened[cell.piece]
    bundle, rate = piece.references, piece.references.sample_rate
    middle_s = cell.start_s + cell.duration_s / 2
    start = min(max(0, round((middle_s - CLIP_S / 2) * rate)), max(0, bundle.length - round(CLIP_S * rate)))
    stop = min(bundle.length, start + round(CLIP_S * rate))
    microphone = slice(None) if cell.microphone < 0 else [cell.microphone]
    n = piece.sources.index(cell.source)
    references = bundle.read(start, stop)
    signals = {"mixture": piece.mixture_of(start, stop, references), "reference": references[n]}
    signals |= {name: bundles[name].read(start, stop)[n] for name in list(bundles)[:_MOST_SYSTEMS]}
    mono = {name: signal[microphone].mean(0) for name, signal in signals.items()}
    gain = 0.9 / max(1e-9, *(float(np.abs(signal).max()) for signal in mono.values()))
    return {name: _encoded(gain * signal, rate) for name, signal in mono.items()}


def _encoded(signal: np.ndarray, rate: int) -> str:
    if rate > CLIP_RATE_HZ:
        signal, rate = soxr.resample(signal, rate, CLIP_RATE_HZ), CLIP_RATE_HZ
    samples = np.round(32767 * np.clip(signal, -1, 1)).astype(np.int16)
    return base64.b64encode(flac_bytes(samples[:, None], rate)).decode()


def _counts(cell: Cell, metric: str) -> bool:
    return not cell.silent and not math.isnan(cell.scores[metric])


def _key(cell: Cell) -> tuple[str, str, int, float]:
    return cell.piece, cell.source, cell.microphone, cell.start_s
