"""Where every voice would be at every moment, if it sounded.

Jointly decoded tracks are unvoiced where a voice rests, and also where it was overheard. There a voice is said to go on
where it was or will be, for about a tenth of a second, and beyond that to be on the candidates that suit it best: the
most plausible path through them between the voiced frames before and after.
"""

from __future__ import annotations

import numpy as np

from .candidates import Candidates, cents
from .decode import UNVOICED, DecodeConfig, joint_path

PATHS = DecodeConfig(leap=10.0, register_cents=800.0, most_candidates=6)
"""How a voice moves from candidate to candidate while it rests."""

PRESENT = 100.0
"""Added to all evidence, so that a path is somewhere wherever anything is heard."""

CLAIMED_CENTS = 50.0
"""A candidate so near to another voice is that voice's."""

HELD_S = 0.1
"""So near to a voiced frame its pitch is held."""


def proposed(f0_NT: np.ndarray, candidates: Candidates) -> np.ndarray:
    """Return F0 (N, T) in Hz: decoded where voices are voiced, elsewhere where they would be, 0 if that is not known.

    Nothing is known of a voice that is never voiced, nor of a pause in which nothing is heard.

    Parameters
    ----------
    f0_NT
        Decoded F0 in Hz, 0 where unvoiced, in the frames of the candidates.
    candidates
        What was heard.

    Examples
    --------
    >>> times_s = np.arange(100) * 0.008
    >>> heard = Candidates(times_s, np.full((100, 1), 220.0), np.zeros((100, 1)), 1)
    >>> decoded = np.where(times_s < 0.2, 200.0, 0.0)[None]
    >>> proposed(decoded, heard)[0, [0, 30, 60]].round().tolist()
    [200.0, 200.0, 220.0]
    """
    pitch_TC, evidence_TC = cents(candidates.f0_hz), candidates.evidence
    proposed_NT = f0_NT.astype(float)
    for n, f0_T in enumerate(proposed_NT):
        voiced_T, others_MT = f0_T > 0, np.delete(f0_NT, n, 0)
        if not voiced_T.any():
            continue
        register = np.median(cents(f0_T[voiced_T]))
        # What is voiced parts a pause from all others.
        edges = np.flatnonzero(np.diff(np.r_[True, voiced_T, True]))
        for first, last in edges.reshape(-1, 2):
            pause = slice(first, last)
            before, after = f0_T[first - 1] if first else 0.0, f0_T[last] if last < len(f0_T) else 0.0
            away_TC = (pitch_TC[pause] - register) / PATHS.register_cents
            gain_TC = _unclaimed(evidence_TC[pause], pitch_TC[pause], others_MT[:, pause]) - 0.5 * away_TC**2
            path_hz = _path(pitch_TC[pause], gain_TC, before, after)
            f0_T[pause] = _held(path_hz, before, after, candidates.times_s[pause])
    return proposed_NT


def _unclaimed(evidence_TC: np.ndarray, pitch_TC: np.ndarray, others_MT: np.ndarray) -> np.ndarray:
    """Return evidence of which none is left for what others are heard to sing; a voice may still join them."""
    others_hz = np.where(others_MT > 0, others_MT, np.inf).T[:, None]
    claimed_TC = (np.abs(pitch_TC[..., None] - cents(others_hz)) < CLAIMED_CENTS).any(-1)
    return np.where(claimed_TC, np.minimum(evidence_TC, 0.0), evidence_TC)


def _path(pitch_TC: np.ndarray, gain_TC: np.ndarray, before: float, after: float) -> np.ndarray:
    """Return F0 (T,) in Hz of the best path through the candidates of a pause, between the frames beside it, if any."""
    best_TC = np.argsort(-gain_TC, 1)[:, : PATHS.most_candidates]
    pitch_TC, gain_TC = (np.take_along_axis(each, best_TC, 1) for each in (pitch_TC, gain_TC))
    begin, end = (np.full((int(each > 0), pitch_TC.shape[1]), cents(max(each, 10.0))) for each in (before, after))
    pitch_TC = np.concatenate([begin, pitch_TC, end])
    gain_TC = np.pad(gain_TC, ((len(begin), len(end)), (0, 0)))
    place_T = joint_path(pitch_TC[:, None], gain_TC[:, None] + PRESENT, PATHS)[:, 0]
    chosen_T = np.take_along_axis(pitch_TC, np.maximum(place_T, 0)[:, None], 1)[:, 0]
    path_hz = np.where(place_T == UNVOICED, 0.0, 10 * 2 ** (chosen_T / 1200))
    return path_hz[len(begin) : len(path_hz) - len(end)]


def _held(path_hz: np.ndarray, before: float, after: float, times_s: np.ndarray) -> np.ndarray:
    """Return F0 (T,) in a pause: at both ends that of the voiced frame beside it, if there is one."""
    since_s, until_s = times_s - times_s[0], times_s[-1] - times_s
    near_after = (after > 0) & (until_s < HELD_S) & ((until_s < since_s) | (before == 0))
    near_before = (before > 0) & (since_s < HELD_S) & ~near_after
    return np.select([near_before, near_after], [before, after], path_hz)


__all__ = ["proposed"]
