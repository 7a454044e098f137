"""All voices at once: the most plausible set of F0 tracks through the peaks of a salience.

Every voice is, in every frame, at one of its candidates (salience peaks within its range) or unvoiced. The joint path
maximises, having heard eight seconds ahead, a sum of

- evidence: the logarithm of the odds that a candidate is sounded; nothing for an unvoiced voice;
- company: a candidate that two voices share counts once; a voice above its upper neighbour, or on a harmonic of a
  lower one, costs a little;
- register: distance from where the voice mostly sings;
- continuity: the square of a step in cents, up to the price of a leap; starting and stopping have a price too.

A step of the dynamic programme factorises over the voices, so a state space of ``(C + 1)^V`` costs ``V (C + 1)``
operations per state and frame instead of ``(C + 1)^V``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

UNVOICED = -1

DECIDED_FRAMES, AHEAD_FRAMES = 3000, 1000
"""Frames decided at once, and the further frames, about eight seconds, heard before: they bound the memory."""

WINDOW_VOICES = 3
"""Voices decoded jointly where all are too many."""

HARMONICS_CENTS = 1200 * np.log2(np.arange(2, 7))
"""Intervals of the second to sixth harmonic above their fundamental."""


@dataclass(frozen=True)
class DecodeConfig:
    """What the joint path weighs; costs in nats per frame of about 8 ms.

    Attributes
    ----------
    step_cents
        Standard deviation of a step from frame to frame.
    leap, leap_per_octave
        Price of a new note, and of its distance.
    onset
        Price of starting, and of stopping.
    crossing
        Price of a voice above its upper neighbour, per frame.
    unison
        Price of two voices on one candidate, per frame.
    harmonic
        Price of a voice on a harmonic of a lower one, per frame: it may be no more than that.
    register_cents
        Distance from its register at which a voice pays half a nat per frame.
    states
        Most joint states per frame; with many voices each begins with fewer candidates.
    most_candidates
        Most candidates per voice.
    """

    step_cents: float = 40.0
    leap: float = 6.0
    leap_per_octave: float = 3.0
    onset: float = 4.0
    crossing: float = 0.5
    unison: float = 0.5
    harmonic: float = 0.4
    register_cents: float = 1200.0
    states: int = 6000
    most_candidates: int = 7


def candidates_per_voice(voices: int, config: DecodeConfig) -> int:
    """Return how many candidates every voice can have so that the joint states stay within bounds."""
    return int(np.clip(int(config.states ** (1 / voices) + 1e-9) - 1, 1, config.most_candidates))


def joint_path(cents_TVC: np.ndarray, evidence_TVC: np.ndarray, config: DecodeConfig | None = None) -> np.ndarray:
    """Return the best candidate of every voice in every frame, or UNVOICED.

    The path is the best of all as long as the joint states stay within :attr:`DecodeConfig.states`. With more voices it
    begins as the best through each voice's first few candidates; then windows of neighbouring voices are decoded
    jointly through all of theirs while the others stay, which never makes the sum smaller.

    Parameters
    ----------
    cents_TVC
        Pitch of every candidate, those with more evidence first; any finite value where there is none.
    evidence_TVC
        Gain of being there, register included; very low where there is no candidate.
    config
        What the path weighs.

    Returns
    -------
    numpy.ndarray
        Shape (T, V), −1 or an index below C.
    """
    config = config or DecodeConfig()
    _, voices, count = cents_TVC.shape
    first = min(count, candidates_per_voice(voices, config))
    path_TV = _decided(cents_TVC[..., :first], evidence_TVC[..., :first], config)
    if first == count:
        return path_TV
    last = voices - WINDOW_VOICES
    starts = [*range(0, last, WINDOW_VOICES - 1), last]
    for start in (*starts, *reversed(starts)):
        window = slice(start, start + WINDOW_VOICES)
        evidence_TWC = evidence_TVC[:, window] - _prices_of_others(cents_TVC, evidence_TVC, path_TV, window, config)
        path_TV[:, window] = _decided(cents_TVC[:, window], evidence_TWC, config)
    return path_TV


def _prices_of_others(
    cents_TVC: np.ndarray, evidence_TVC: np.ndarray, path_TV: np.ndarray, window: slice, config: DecodeConfig
) -> np.ndarray:
    """Return what the voices of a window pay, candidate by candidate, for where all other voices are."""
    voices = cents_TVC.shape[1]
    inside = range(*window.indices(voices))
    total = np.zeros_like(evidence_TVC[:, window])
    for other in set(range(voices)) - set(inside):
        there = np.maximum(path_TV[:, other], 0)[:, None]
        pitch, gain = (np.take_along_axis(each[:, other], there, 1) for each in (cents_TVC, evidence_TVC))
        for row, voice in enumerate(inside):
            own = cents_TVC[:, voice]
            upper, lower = (own, pitch) if voice < other else (pitch, own)
            price = _price(upper, lower, np.minimum(evidence_TVC[:, voice], gain), config)
            total[:, row] += np.where(path_TV[:, other, None] >= 0, price, 0.0)
    return total


def _decided(cents_TVC: np.ndarray, evidence_TVC: np.ndarray, config: DecodeConfig) -> np.ndarray:
    """Return the best path (T, V), decided piece by piece to bound the memory."""
    frames = len(cents_TVC)
    pieces: list[np.ndarray] = []
    first = 0
    state: np.ndarray | None = None
    while first < frames:
        # What is decided here has heard the frames ahead; the next piece goes on from the state decided last.
        last = min(frames, first + DECIDED_FRAMES + AHEAD_FRAMES)
        path = _best_path(cents_TVC[first:last], evidence_TVC[first:last], state, config)
        decided = len(path) if last == frames else DECIDED_FRAMES
        pieces.append(path[:decided])
        state = path[decided] if decided < len(path) else None
        first += decided
    return np.concatenate(pieces) - 1


def _best_path(
    cents_TVC: np.ndarray, evidence_TVC: np.ndarray, state_V: np.ndarray | None, config: DecodeConfig
) -> np.ndarray:
    """Return the best states (T, V), 0 for unvoiced, from the given first state if there is one."""
    frames, voices, count = cents_TVC.shape
    shape = (count + 1,) * voices
    company = _company(cents_TVC, evidence_TVC, config)
    moving = _continuity(cents_TVC, config)
    score = company[0]
    if state_V is not None:
        given = tuple(state_V)
        score, only = np.full_like(score, -np.inf), score[given]
        score[given] = only
    back = np.empty((frames, voices, *shape), np.uint8)
    for t in range(1, frames):
        for voice in range(voices):
            # First the state moved from, which the best is taken of; then voices before, the state moved to, and voices
            # after.
            before = score.reshape((count + 1) ** voice, count + 1, 1, -1).swapaxes(0, 1)
            moved = (before - moving[t - 1, voice][:, None, :, None]).reshape(count + 1, -1)
            back[t, voice] = moved.argmax(0).reshape(shape)
            score = moved.max(0).reshape(shape)
        score = score + company[t]
    path = np.empty((frames, voices), int)
    state = list(np.unravel_index(score.argmax(), shape))
    for t in range(frames - 1, 0, -1):
        path[t] = state
        # The last voice moved last: undo the moves in reverse order.
        for voice in reversed(range(voices)):
            state[voice] = back[(t, voice, *state)]
    path[0] = state
    return path


def _company(cents_TVC: np.ndarray, evidence_TVC: np.ndarray, config: DecodeConfig) -> np.ndarray:
    """Return the evidence (T, …) of every joint state of every frame; state 0 of a voice is unvoiced."""
    frames, voices, count = cents_TVC.shape
    total = np.zeros((frames, *(count + 1,) * voices), np.float32)
    for voice in range(voices):
        own = np.pad(evidence_TVC[:, voice], ((0, 0), (1, 0))).astype(np.float32)
        total += own.reshape(frames, *[count + 1 if axis == voice else 1 for axis in range(voices)])
    for upper in range(voices):
        for lower in range(upper + 1, voices):
            price = _price(
                cents_TVC[:, upper, :, None],
                cents_TVC[:, lower, None],
                np.minimum(evidence_TVC[:, upper, :, None], evidence_TVC[:, lower, None]),
                config,
            )
            pair = np.pad(price, ((0, 0), (1, 0), (1, 0))).astype(np.float32)
            total -= pair.reshape(frames, *[count + 1 if axis in (upper, lower) else 1 for axis in range(voices)])
    return total


def _price(upper_cents: np.ndarray, lower_cents: np.ndarray, shared: np.ndarray, config: DecodeConfig) -> np.ndarray:
    """Return what a pair of voices pays for where they are: on one candidate it counts once."""
    apart = upper_cents - lower_cents
    harmonic = (np.abs(apart[..., None] - HARMONICS_CENTS) < 35).any(-1) if config.harmonic else 0.0
    other = np.where(apart < 0, config.crossing, config.harmonic * harmonic)
    return np.where(np.abs(apart) < 10, shared.clip(0) + config.unison, other)


def _continuity(cents_TVC: np.ndarray, config: DecodeConfig) -> np.ndarray:
    """Return the price of every move of every voice from frame to frame, shape (T-1, V, C+1 before, C+1 after)."""
    step = np.abs(cents_TVC[:-1, ..., None] - cents_TVC[1:, :, None])
    leap = config.leap + config.leap_per_octave * step / 1200
    cost = np.full((*step.shape[:2], step.shape[2] + 1, step.shape[3] + 1), config.onset, np.float32)
    cost[:, :, 0, 0] = 0
    cost[:, :, 1:, 1:] = np.minimum(0.5 * (step / config.step_cents) ** 2, leap)
    return cost
