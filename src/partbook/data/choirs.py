"""Synthetic ensembles without end: every number is a seed of a piece, its singers and their chances.

Voices and instruments alone, dry and with exact F0 (:func:`piece`), are what rooms, microphones and levels are put on
by :mod:`partbook.data.wear`, anew every time they are heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..pitch.tracks import Track
from .counterpoint import RANGES_MIDI, some_score
from .playing import INSTRUMENTS, play
from .recorded import sing_recorded
from .render import Performance, performed
from .scores import Note
from .singing import TRACTS, Singer, sing, some_singer

ENSEMBLES = {
    "soprano,alto,tenor,bass": 8,
    "soprano,mezzo,alto": 1,
    "soprano1,soprano2,alto": 1,
    "soprano1,soprano2,alto1,alto2": 1.5,
    "tenor1,tenor2,baritone,bass": 2,
    "alto,tenor,baritone,bass": 1,
    "soprano,alto": 1,
    "tenor,bass": 1,
    "soprano,bass": 1,
    "alto,bass": 1,
    "soprano,tenor": 1,
    "soprano,alto,bass": 1,
    "alto,tenor,bass": 1,
    "soprano1,soprano2,alto,tenor,bass": 2,
    "soprano,alto,tenor1,tenor2,bass": 2,
    "soprano,alto,tenor,baritone,bass": 1,
    "soprano1,soprano2,alto,tenor1,tenor2,bass": 1.5,
    "soprano1,soprano2,alto1,alto2,tenor1,tenor2,bass1,bass2": 1,
    "soprano": 0.4,
    "alto": 0.3,
    "tenor": 0.3,
    "bass": 0.4,
}
"""Choirs and how often they sing."""

PLAYERS = 0.22
"""Share of the pieces that instruments play, with or without singers."""

RECORDED = 2_000_000
"""Pieces from this seed on are those of choirs whose voices are made of a person's (:mod:`partbook.data.recorded`)."""


def piece(seed: int, sample_rate: int = 16_000, duration_s: float = 24.0) -> Performance:
    """Return a dry performance, every part alone with its exact F0; the seed says everything about it.

    Examples
    --------
    >>> performance = piece(3, duration_s=2.0)
    >>> performance.parts.shape[0] == len(performance.tracks)
    True
    """
    rng, recorded = np.random.default_rng([seed, 269]), seed >= RECORDED
    names = _players(rng) if rng.random() < PLAYERS and not recorded else _choir(rng)

    def one(name: str, notes: Sequence[Note], duration_s: float, rng: np.random.Generator) -> tuple[np.ndarray, Track]:
        word = name.rstrip("0123456789")
        if word in TRACTS:
            voice = sing_recorded if recorded else sing
            return voice(notes, any_singer(word, rng), duration_s, sample_rate, rng)
        return play(notes, word, duration_s, sample_rate, rng)

    return performed(some_score(names, duration_s, rng), sample_rate, seed, one)


def _choir(rng: np.random.Generator) -> list[str]:
    weights = np.array(list(ENSEMBLES.values()))
    return str(rng.choice(list(ENSEMBLES), p=weights / weights.sum())).split(",")


def _players(rng: np.random.Generator) -> list[str]:
    """Draw 1 to 6 instruments, sometimes with singers among them, high to low; equals are numbered."""
    words = [*INSTRUMENTS, *(TRACTS if rng.random() < 0.3 else ())]
    drawn = sorted(rng.choice(words, rng.integers(1, 7)), key=lambda word: -sum(RANGES_MIDI[word]))
    return [f"{word}{count}" for count, word in enumerate(drawn, 1)]


def any_singer(voice: str, rng: np.random.Generator) -> Singer:
    """Draw a singer from far wider habits than :func:`partbook.data.singing.some_singer`."""
    usual = some_singer(voice, rng)
    return replace(
        usual,
        tract=usual.tract * rng.uniform(0.88, 1.12),
        ringing=rng.uniform(0, 1),
        brightness_hz=float(np.exp(rng.uniform(np.log(600), np.log(6000)))),
        vibrato_hz=rng.uniform(4.3, 7.0),
        vibrato_cents=rng.choice([rng.uniform(0, 15), rng.uniform(10, 60), rng.uniform(50, 120)], p=[0.3, 0.5, 0.2]),
        vibrato_delay_s=rng.uniform(0.0, 0.4),
        glide_s=float(np.exp(rng.uniform(np.log(0.02), np.log(0.25)))),
        scoop_cents=rng.uniform(0, 200),
        tuning_cents=float(np.clip(rng.normal(0, 12), -35, 35)),
        drift_cents=rng.uniform(3, 20),
        jitter_cents=rng.uniform(1, 6),
        late_s=float(np.clip(rng.normal(0, 0.03), -0.08, 0.08)),
        breath_db=rng.uniform(-42, -16),
    )


__all__ = ["ENSEMBLES", "PLAYERS", "RECORDED", "any_singer", "piece"]
