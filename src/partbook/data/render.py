"""From a score to an ensemble in a room: every part alone, its exact F0, and the mixture that is their sum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..audio import Microphone
from ..pitch.tracks import Track
from ..room.simulate import Capsule, Hall, Point, images
from .hall import quick_responses
from .playing import play
from .scores import Note, Score
from .singing import sing, some_singer

PEAK = 0.7
"""Loudest sample of a mixture, −3 dBFS."""

_AFTER_S = 0.6
_CHAMBER = Hall((9.0, 12.0, 5.0), 0.45)
_STAGE = Hall((12.0, 16.0, 6.0), 0.9)


@dataclass(frozen=True)
class Performance:
    """A piece as an ensemble performed it.

    Attributes
    ----------
    sample_rate
        Hz.
    names
        Of the N parts, high to low.
    parts
        Every part alone at every microphone, float32, shape (N, M, S).
    tracks
        The exact F0 of every part.
    microphones
        What the M channels are.
    """

    sample_rate: int
    names: tuple[str, ...]
    parts: np.ndarray
    tracks: tuple[Track, ...]
    microphones: tuple[Microphone, ...]

    @property
    def mixture(self) -> np.ndarray:
        """The recording: the sum of the parts, shape (M, S)."""
        return self.parts.sum(0)


def sung_dry(score: Score, sample_rate: int, seed: int = 0) -> Performance:
    """Let one singer a part sing a score, recorded without a room by one microphone.

    Parameters
    ----------
    score
        Its parts are named by voice words (soprano, mezzo, alto, tenor, baritone, bass), possibly numbered.
    sample_rate
        Hz.
    seed
        Of the singers and all their chances. Singers do not depend on one another: a part sounds the same alone.
    """

    def one(name: str, notes: Sequence[Note], duration_s: float, rng: np.random.Generator):
        voice = name.lower().rstrip("0123456789")
        return sing(notes, some_singer(voice, rng), duration_s, sample_rate, rng)

    return performed(score, sample_rate, seed, one)


def played_dry(score: Score, sample_rate: int, seed: int = 0) -> Performance:
    """Let one player a part play a score, recorded without a room by one microphone; parts are named by instruments."""

    def one(name: str, notes: Sequence[Note], duration_s: float, rng: np.random.Generator):
        return play(notes, name.lower().rstrip("0123456789"), duration_s, sample_rate, rng)

    return performed(score, sample_rate, seed, one)


def in_hall(
    dry: Performance, hall: Hall, places_m: Sequence[Point], capsules: Sequence[Capsule], mics: Sequence[Microphone]
) -> Performance:
    """Put the parts of a dry performance on their places in a hall, in front of microphones.

    F0 stays that of the performers; the sound reaches the nearest microphone at once and the others later by their
    distance.
    """
    rng = np.random.default_rng([len(dry.names), len(capsules)])
    responses = quick_responses(hall, places_m, capsules, dry.sample_rate, rng)
    heard = images(dry.parts[:, 0].astype(float), responses)
    heard *= PEAK / max(np.abs(heard.sum(0)).max(), 1e-9)
    return Performance(dry.sample_rate, dry.names, heard.astype(np.float32), dry.tracks, tuple(mics))


def choir(score: Score, sample_rate: int = 44_100, seed: int = 0) -> Performance:
    """Let one singer a part sing a score in a chamber, around a pair of cardioids; see :func:`sung_dry`."""
    dry = sung_dry(score, sample_rate, seed)
    angles = np.linspace(-0.7, 0.7, len(dry.names))
    places_m = [(4.5 + 1.6 * np.sin(angle), 5.0 + 1.6 * np.cos(angle), 1.5) for angle in angles]
    pair = [Capsule((4.5, 5.0, 1.6), (side, 1.0, 0.0)) for side in (-1.0, 1.0)]
    mics = [Microphone(f"choir.{c}", "choir.flac", c, "mono") for c in (1, 2)]
    return in_hall(dry, _CHAMBER, places_m, pair, mics)


def session(score: Score, sample_rate: int = 44_100, seed: int = 0) -> Performance:
    """Let one player a part play a score on a stage, with a spot microphone each and three coincident main ones.

    The players sit on an arc about 2.5 m from the main microphones; every spot is a cardioid 0.6 m in front of its
    player.
    """
    dry = played_dry(score, sample_rate, seed)
    angles = np.linspace(-0.75, 0.75, len(dry.names))
    main_m = np.array([6.0, 6.0, 2.4])
    places_m = [(6.0 + 2.5 * np.sin(angle), 6.0 + 2.5 * np.cos(angle), 1.2) for angle in angles]
    main = {"Left": (-1.0, 0.6, -0.3), "Center": (0.0, 1.0, -0.4), "Right": (1.0, 0.6, -0.3)}
    capsules = [Capsule(tuple(main_m), aim) for aim in main.values()]
    mics = [Microphone(name, f"{name}.flac", 1, "main") for name in main]
    for name, place_m in zip(dry.names, places_m, strict=True):
        towards = np.array(place_m) - main_m
        spot_m = np.array(place_m) - 0.6 * towards / np.linalg.norm(towards)
        capsules.append(Capsule(tuple(spot_m), tuple(towards)))
        mics.append(Microphone(name, f"{name}.flac", 1, "spot", name.lower()))
    return in_hall(dry, _STAGE, places_m, capsules, mics)


def performed(
    score: Score,
    sample_rate: int,
    seed: int,
    one: Callable[[str, Sequence[Note], float, np.random.Generator], tuple[np.ndarray, Track]],
) -> Performance:
    """Render every part by ``one(name, notes, duration_s, rng)``, with a generator and a level of its own."""
    duration_s = score.duration_s + _AFTER_S
    samples, tracks = [], []
    for number, part in enumerate(score.parts):
        rng = np.random.default_rng([seed, number])
        level_db = rng.uniform(-1.5, 1.5)
        sound, track = one(part.name, part.notes, duration_s, rng)
        samples.append(10 ** (level_db / 20) * sound)
        tracks.append(track)
    parts = np.stack(samples)[:, None]
    parts *= PEAK / max(np.abs(parts.sum(0)).max(), 1e-9)
    names = tuple(part.name for part in score.parts)
    return Performance(sample_rate, names, parts.astype(np.float32), tuple(tracks), (Microphone("dry", "", 1, "mono"),))


__all__ = ["PEAK", "Performance", "choir", "in_hall", "performed", "played_dry", "session", "sung_dry"]
