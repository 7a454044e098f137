"""Where every voice would be at every moment, if it sounded.

Jointly decoded tracks are unvoiced where a voice rests, and also where it was overheard. There a voice is said to go on
where it was or will be, for about a tenth of a second, and beyond that to be on the candidates that suit it best: the
most plausible path through them between the voiced frames before and after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .candidates import NO_EVIDENCE, Candidates, cents

CLAIMED_CENTS = 50.0
"""A candidate so near to another voice is that voice's."""


@dataclass(frozen=True)
class ProposalConfig:
    """What a path of one voice weighs; costs in nats per frame of 8 ms.

    Attributes
    ----------
    most_candidates
        Most candidates per voice and frame.
    register_cents
        Distance from its median at which a voice pays half a nat per frame.
    step_cents, leap, leap_per_octave
        Standard deviation of a step from frame to frame, price of a leap and of its distance.
    held_s
        So near to a voiced frame its pitch is held.
    """

    most_candidates: int = 6
    register_cents: float = 800.0
    step_cents: float = 40.0
    leap: float = 10.0
    leap_per_octave: float = 3.0
    held_s: float = 0.1


def proposed(f0_NT: np.ndarray, candidates: Candidates, config: ProposalConfig | None = None) -> np.ndarray:
    """Return F0 (N, T) in Hz: decoded where voices are voiced, elsewhere where they would be, 0 if that is not known.

    Nothing is known of a voice that is never voiced, nor of a pause in which nothing is heard.

    Parameters
    ----------
    f0_NT
        Decoded F0 in Hz, 0 where unvoiced, in the frames of the candidates.
    candidates
        What was heard.
    config
        What a path weighs.

    Examples
    --------
    >>> times_s = np.arange(100) * 0.008
    >>> heard = Candidates(times_s, np.full((100, 1), 220.0), np.zeros((100, 1)), 1)
    >>> decoded = np.where(times_s < 0.2, 200.0, 0.0)[None]
    >>> proposed(decoded, heard)[0, [0, 30, 60]].round().tolist()
    [200.0, 200.0, 220.0]
    """
    config = config or ProposalConfig()
    pitch_TC, evidence_TC = cents(candidates.f0_hz), candidates.evidence
    proposed_NT = f0_NT.astype(float)
    for f0_T, others_MT in ((f0_T, np.delete(f0_NT, n, 0)) for n, f0_T in enumerate(proposed_NT)):
        voiced_T = f0_T > 0
        if not voiced_T.any():
            continue
        register = np.median(cents(f0_T[voiced_T]))
        # What is voiced parts a pause from all others.
        edges = np.flatnonzero(np.diff(np.r_[True, voiced_T, True]))
        for first, last in edges.reshape(-1, 2):
            pause = slice(first, last)
            before, after = f0_T[first - 1] if first else 0.0, f0_T[last] if last < len(f0_T) else 0.0
            away_TC = (pitch_TC[pause] - register) / config.register_cents
            gain_TC = _unclaimed(evidence_TC[pause], pitch_TC[pause], others_MT[:, pause]) - 0.5 * away_TC**2
            ends = [cents(each) if each else None for each in (before, after)]
            path_hz = 10 * 2 ** (_path(pitch_TC[pause], gain_TC, ends, config) / 1200)
            path_hz[evidence_TC[pause].max(1) <= NO_EVIDENCE] = 0.0
            f0_T[pause] = _held(path_hz, before, after, candidates.times_s[pause], config.held_s)
    return proposed_NT


def _unclaimed(evidence_TC: np.ndarray, pitch_TC: np.ndarray, others_MT: np.ndarray) -> np.ndarray:
    """Return evidence of which none is left for what others are heard to sing; a voice may still join them."""
    others_hz = np.where(others_MT > 0, others_MT, np.inf).T[:, None]
    claimed_TC = (np.abs(pitch_TC[..., None] - cents(others_hz)) < CLAIMED_CENTS).any(-1)
    return np.where(claimed_TC, np.minimum(evidence_TC, 0.0), evidence_TC)


def _held(path_hz: np.ndarray, before: float, after: float, times_s: np.ndarray, held_s: float) -> np.ndarray:
    """Return F0 (T,) in a pause: at both ends that of the voiced frame beside it, if there is one."""
    since_s, until_s = times_s - times_s[0], times_s[-1] - times_s
    near_after = (after > 0) & (until_s < held_s) & ((until_s < since_s) | (before == 0))
    near_before = (before > 0) & (since_s < held_s) & ~near_after
    return np.select([near_before, near_after], [before, after], path_hz)


def _path(
    pitch_TC: np.ndarray, gain_TC: np.ndarray, ends: Sequence[float | None], config: ProposalConfig
) -> np.ndarray:
    """Return the pitch (T,) of the best path through the candidates of a pause, from end to end where known."""
    best_TC = np.argsort(-gain_TC, 1)[:, : config.most_candidates]
    pitch_TC, gain_TC = (np.take_along_axis(each, best_TC, 1) for each in (pitch_TC, gain_TC))

    def price(from_cents: np.ndarray | float, to_cents: np.ndarray) -> np.ndarray:
        step = np.abs(to_cents - from_cents)
        leap = config.leap + config.leap_per_octave * step / 1200
        return np.minimum(0.5 * (step / config.step_cents) ** 2, leap)

    begin, end = ends
    score = gain_TC[0] - (0.0 if begin is None else price(begin, pitch_TC[0]))
    back = np.zeros(pitch_TC.shape, np.uint8)
    for t in range(1, len(pitch_TC)):
        moved = score[:, None] - price(pitch_TC[t - 1, :, None], pitch_TC[t])
        back[t] = moved.argmax(0)
        score = moved.max(0) + gain_TC[t]
    place = int((score - (0.0 if end is None else price(end, pitch_TC[-1]))).argmax())
    path = np.empty(len(pitch_TC))
    for t in range(len(path) - 1, -1, -1):
        path[t] = pitch_TC[t, place]
        place = back[t, place]
    return path


__all__ = ["ProposalConfig", "proposed"]
