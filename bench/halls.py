"""Semi-real sessions with a known truth: real players and notes in simulated halls.

A *piece* is five dry solos; a *hall* places five players on an arc, a cardioid spot half a metre before each, and three
main microphones about two metres before the middle one: coincident cardioids, or spaced omnis (a Decca tree).
Everything is drawn from a seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
import soxr

from partbook.audio import Microphone
from partbook.room.plan import Capsule, Hall, Point
from partbook.room.simulate import images, impulse_responses

from .material import SHARED

ENSEMBLES = SHARED / "ensembles"
MIDI = {name: 12 + k for k, name in enumerate(["C", "Cs", "D", "Ds", "E", "F", "Fs", "G", "Gs", "A", "As", "B"])}
SCALE = np.array([0, 2, 4, 5, 7, 9, 11])
CHORDS = ((0, 2, 4), (5, 0, 2), (3, 5, 0), (4, 6, 1), (1, 3, 5), (4, 6, 1), (0, 2, 4))
"""Scale degrees of a turn through a major key, one chord per bar."""

PIECES = {
    "notes": (("violin", 67, 88), ("viola", 57, 76), ("flute", 69, 91), ("clarinet", 53, 76), ("cello", 38, 58)),
    "winds": (("violin", 67, 88), ("flute", 69, 91), ("oboe", 62, 82), ("bassoon", 42, 62), ("cello", 38, 58)),
    "solos": ("ref_violin", "AuSep_3_va_24_Pirates", "ref_flute", "ref_trumpet", ("cello", 38, 58)),
}
"""Per player a file of ``urmp_solos``, or an instrument of ``notes`` with its lowest and highest MIDI number."""


@dataclass(frozen=True)
class Session:
    """A recording whose truth is known; it has the attributes of :class:`partbook.audio.Recording`.

    Attributes
    ----------
    name, sample_rate, microphones
        As of a recording.
    images
        Truth: every source at every microphone, float32, shape (N, M, S).
    noise
        What no source makes, float32, shape (M, S).
    """

    name: str
    sample_rate: int
    microphones: tuple[Microphone, ...]
    images: np.ndarray
    noise: np.ndarray
    setup: Mapping[str, object] = field(default_factory=dict)
    start: int = 0

    @property
    def length(self) -> int:
        """Samples."""
        return self.images.shape[-1]

    @property
    def spots(self) -> list[int]:
        """Row of every player's own spot."""
        return [m for m, microphone in enumerate(self.microphones) if microphone.role == "spot"]

    @property
    def mixture(self) -> np.ndarray:
        """What the microphones record, float32, shape (M, S)."""
        return self.images.sum(0) + self.noise

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples ``start`` to ``stop`` of every microphone."""
        return self.mixture[:, start:stop]


def resampled(path: Path, sample_rate: int) -> np.ndarray:
    """Return one mono sound file at a rate."""
    audio, rate = soundfile.read(path, dtype="float64")
    return soxr.resample(audio, rate, sample_rate) if rate != sample_rate else audio


def without_rumble(audio: np.ndarray, edge_hz: float, sample_rate: int) -> np.ndarray:
    """Return a sound without what the room it was recorded in adds below an edge: no player makes it, all share it."""
    return scipy.signal.sosfiltfilt(scipy.signal.butter(4, edge_hz, "highpass", fs=sample_rate, output="sos"), audio)


def recorded_notes(instrument: str, sample_rate: int) -> dict[int, np.ndarray]:
    """Return the recorded notes of an instrument by MIDI number, at equal power, without silence or rumble."""
    notes = {}
    for path in sorted((ENSEMBLES / "notes" / instrument).glob("*.mp3")):
        midi = MIDI[path.stem[:-1]] + 12 * int(path.stem[-1])
        note = without_rumble(resampled(path, sample_rate), 0.7 * 440 * 2 ** ((midi - 69) / 12), sample_rate)
        loud = np.flatnonzero(np.abs(note) > 0.03 * np.abs(note).max())
        note = note[loud[0] : loud[-1]]
        notes[midi] = note / np.sqrt(np.mean(note**2))
    return notes


def melody(part: tuple[str, int, int], duration_s: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Return a legato line of recorded notes through :data:`CHORDS`, in G major at 80 beats per minute.

    Pitches walk by small steps, on chord tones at the beat; notes fade into each other over 60 ms; a tenth are rests.
    """
    instrument, lowest, highest = part
    notes = recorded_notes(instrument, sample_rate)
    fade = round(0.06 * sample_rate)
    out = np.zeros(round(duration_s * sample_rate) + 4 * sample_rate)
    beat_s, beat, pitch = 0.75, 0.0, rng.integers(lowest, highest + 1)
    while beat * beat_s < duration_s:
        beats = rng.choice([0.5, 1.0, 1.0, 1.5, 2.0])
        chord = CHORDS[int(beat // 4) % len(CHORDS)]
        degrees = SCALE[list(chord)] if beat % 1 == 0 else SCALE
        allowed = [p for p in notes if lowest <= p <= highest and (p - 7) % 12 in degrees]
        weights = np.exp(-np.abs(np.array(allowed) - pitch) / 3.0) * (np.array(allowed) != pitch)
        pitch = rng.choice(allowed, p=weights / weights.sum())
        if rng.random() > 0.1:
            samples = min(len(notes[pitch]), round(beats * beat_s * sample_rate) + fade)
            envelope = np.ones(samples)
            ramp = np.sin(np.linspace(0, np.pi / 2, min(fade, samples // 2)))
            envelope[: len(ramp)], envelope[-len(ramp) :] = ramp, ramp[::-1]
            at = round(beat * beat_s * sample_rate)
            out[at : at + samples] += notes[pitch][:samples] * envelope * 10 ** (rng.uniform(-4, 4) / 20)
        beat += beats
    return out[: round(duration_s * sample_rate)]


def solo(name: str, duration_s: float, sample_rate: int, from_s: float = 0.0) -> np.ndarray:
    """Return a real solo from so long after its first sound on, without the rumble of the room it was recorded in."""
    audio = without_rumble(resampled(ENSEMBLES / "urmp_solos" / f"{name}.flac", sample_rate), 110.0, sample_rate)
    first = np.flatnonzero(np.abs(audio) > 0.05 * np.abs(audio).max())[0] + round(from_s * sample_rate)
    samples = round(duration_s * sample_rate)
    return np.pad(audio[first : first + samples], (0, max(0, samples - (len(audio) - first))))


def dry_parts(piece: str, duration_s: float, sample_rate: int, seed: int, from_s: float = 0.0) -> np.ndarray:
    """Return the five dry solos of a piece at equal power, whole solos from ``from_s`` on, shape (5, S)."""
    rng = np.random.default_rng(seed)
    parts = [
        solo(part, duration_s, sample_rate, from_s)
        if isinstance(part, str)
        else melody(part, duration_s, sample_rate, rng)
        for part in PIECES[piece]
    ]
    return np.stack([part / np.sqrt(np.mean(part**2)) for part in parts])


def stage(moved_m: float = 0.0, seed: int = 0, *, spaced: bool = False) -> tuple[list[Point], list[Capsule]]:
    """Return five seats on an arc of 2.3 m, and the capsules: Left, Center, Right, then a spot per player.

    ``moved_m`` moves every player in a random direction; the microphones stay. ``spaced`` mains are omnis 2 m apart,
    the middle one 75 cm nearer to the players.
    """
    centre = np.array([6.0, 6.0, 2.0])
    angles = np.radians(np.linspace(-60, 60, 5))
    seats = [centre + np.array([2.3 * np.sin(a), 2.3 * np.cos(a), -0.8]) for a in angles]
    mains = [Capsule(tuple(centre), (float(np.sin(a)), float(np.cos(a)), -0.2)) for a in np.radians([-45.0, 0.0, 45.0])]
    if spaced:
        mains = [Capsule(tuple(centre + np.array([x, y, 0])), pattern="omni") for x, y in ((-1, 0), (0, 0.75), (1, 0))]
    spots = []
    for seat in seats:
        towards = centre - [0, 0, 0.4] - seat
        towards /= np.linalg.norm(towards)
        spots.append(Capsule(tuple(seat + 0.5 * towards), tuple(-towards)))
    moves = np.random.default_rng(seed).standard_normal((5, 3))
    moves *= moved_m / np.linalg.norm(moves, axis=1, keepdims=True)
    return [tuple(seat) for seat in seats + moves], mains + spots


def session(
    piece: str,
    hall: Hall,
    sample_rate: int,
    *,
    duration_s: float = 12.0,
    seed: int = 0,
    moved_m: float = 0.0,
    move: int = 0,
    unmiked: bool = False,
    spaced: bool = False,
) -> Session:
    """Return a simulated session: five players, eight microphones, noise 60 dB below the mixture.

    ``moved_m`` is how far every player sits from its seat, in directions drawn from the seed ``move``; ``unmiked`` adds
    a sixth, a bassoon behind them without a microphone of its own, which is no source but part of the noise; ``spaced``
    is how the main microphones stand.
    """
    seats, capsules = stage(moved_m, move, spaced=spaced)
    dry = dry_parts(piece, duration_s, sample_rate, seed)
    if unmiked:
        rng = np.random.default_rng(seed + 2)
        sixth = melody(("bassoon", 42, 62), duration_s, sample_rate, rng)
        dry = np.concatenate([dry, sixth[None] / np.sqrt(np.mean(sixth**2))])
        seats = [*seats, (6.8, 9.6, 1.3)]
    wet = images(dry, impulse_responses(hall, seats, capsules, sample_rate))
    wet *= 0.5 / np.abs(wet.sum(0)).max()
    noise = np.random.default_rng(seed + 1).standard_normal(wet.shape[1:])
    noise *= 1e-3 * np.sqrt(np.mean(wet.sum(0) ** 2))
    noise += wet[5:].sum(0)
    made = _session(f"{piece}_{round(1000 * hall.rt60_s)}ms_{sample_rate}", sample_rate, wet[:5], noise)
    known = {"piece": piece, "hall": hall, "spaced": spaced}
    return replace(made, setup=known | told_plan(made.microphones, hall, spaced=spaced))


def told_plan(microphones: Sequence[Microphone], hall: Hall, *, spaced: bool) -> dict[str, object]:
    """Return the tables of a ``session.toml`` in which the seats, as they were meant, and the microphones stand."""
    seats, capsules = stage(spaced=spaced)
    places = [
        {"name": mic.name, "position_m": capsule.position_m, "aim": capsule.aim, "pattern": capsule.pattern}
        for mic, capsule in zip(microphones, capsules, strict=True)
    ]
    players = [{"name": f"player{n + 1}", "position_m": seat} for n, seat in enumerate(seats)]
    return {"microphone": places, "source": players, "room": {"size_m": hall.size_m, "rt60_s": hall.rt60_s}}


def seat_responses(hall: Hall, sample_rate: int, *, spaced: bool = False) -> dict[str, Session]:
    """Return the impulse responses of the same hall from every player's seat, by player."""
    responses = impulse_responses(hall, *stage(spaced=spaced), sample_rate)
    alone = np.eye(len(responses))[:, :, None, None] * responses
    silence = np.zeros(responses.shape[1:])
    return {f"player{n + 1}": _session(f"seat{n + 1}", sample_rate, wet, silence) for n, wet in enumerate(alone)}


def without_spots(session: Session) -> Session:
    """Return the same session at its main microphones only."""
    rows = [m for m, microphone in enumerate(session.microphones) if microphone.role == "main"]
    microphones = tuple(session.microphones[m] for m in rows)
    return replace(session, images=session.images[:, rows], noise=session.noise[rows], microphones=microphones)


def solo_takes(
    piece: str,
    hall: Hall,
    sample_rate: int,
    *,
    duration_s: float = 12.0,
    seed: int = 7,
    from_s: float = 0.0,
    spaced: bool = False,
) -> dict[str, Session]:
    """Return a take of every player alone in the same hall, who plays other notes, by player.

    Whole recorded solos are those of the sessions: ``from_s`` says where in them takes begin.
    """
    seats, capsules = stage(spaced=spaced)
    responses = impulse_responses(hall, seats, capsules, sample_rate)
    takes = {}
    for n, dry in enumerate(dry_parts(piece, duration_s, sample_rate, seed, from_s)):
        wet = np.zeros((len(seats), len(capsules), dry.shape[-1]))
        wet[n] = images(dry[None], responses[n : n + 1])[0]
        wet *= 0.5 / np.abs(wet).max()
        noise = np.random.default_rng(seed + n).standard_normal(wet.shape[1:]) * 1e-3 * np.sqrt(np.mean(wet[n] ** 2))
        takes[f"player{n + 1}"] = _session(f"solo{n + 1}", sample_rate, wet, noise)
    return takes


def _session(name: str, sample_rate: int, wet: np.ndarray, noise: np.ndarray) -> Session:
    names = [f"player{n + 1}" for n in range(len(wet))]
    microphones = [Microphone(name, "", m + 1, "main") for m, name in enumerate(("Left", "Center", "Right"))]
    microphones += [Microphone(f"Spot{n + 1}", "", 4 + n, "spot", name) for n, name in enumerate(names)]
    return Session(name, sample_rate, tuple(microphones), wet.astype(np.float32), noise.astype(np.float32))
