"""From a recording to one F0 track per voice: salience → candidates → joint decoding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..audio import Recording
from ..audio.conditioning import levelled
from ..config import known_salience
from ..ensemble import ANY_RANGE_HZ, FEWEST_VOICES, Voice, parse_voices
from ..progress import OnProgress, Progress
from .candidates import NO_EVIDENCE, Candidates, cents, supported
from .combs import comb_candidates
from .decode import DecodeConfig, joint_path
from .heard import network_candidates
from .proposals import proposed
from .salience import SalienceConfig
from .tracks import Track

Hearing = Callable[[Recording, OnProgress | None], Candidates]


WITNESS = SalienceConfig(overlap=7, iterations=20)
"""How combs are heard where they are but a witness: in half as many frames, and half as sharply."""


def witnessed_candidates(recording: Recording, on_progress: OnProgress | None = None) -> Candidates:
    """Return the candidates of a trained network, as far as combs bear them out."""
    return supported(network_candidates(recording, on_progress), comb_candidates(recording, config=WITNESS))


SALIENCES: Mapping[str, tuple[Hearing, DecodeConfig]] = {
    "network": (
        witnessed_candidates,
        DecodeConfig(harmonic=0.0, unison=0.0, onset=6.0, leap=10.0, register_cents=800.0, most_candidates=5),
    ),
    "harmonic": (comb_candidates, DecodeConfig()),
}
"""How candidates are heard, and how they are decoded: a trained network knows a harmonic from a voice, unless voices
are still.

What has learned nothing is its witness: combs are wrong more often, but not where the network is."""

AROUND_S = 2.0
"""Standard deviation of the time over which the registers of all voices move together."""

STILL_CENTS, MOVING_CENTS = 10.0, 16.0
"""Median change of pitch in a tenth of a second up to which voices are still, and from which on they are not: that of
most players is less, that of singers with a vibrato more."""

HARMONIC = DecodeConfig.harmonic
"""Price, per frame, of a still voice on a harmonic of a lower one, the same as where nothing was learned. Harmonics of
singers are never quite in tune with another voice, and a trained network hears that; those of players are."""


def track_voices(
    recording: Recording,
    voices: tuple[Voice, ...] | None,
    *,
    salience: str = "network",
    on_progress: OnProgress | None = None,
) -> tuple[tuple[Voice, ...], dict[str, Track]]:
    """Estimate the F0 of every voice of a recording.

    Parameters
    ----------
    recording
        Any number of channels, heard together.
    voices
        Who sings, high to low; None guesses how many.
    salience
        A key of :data:`SALIENCES`.
    on_progress
        Where to report.

    Returns
    -------
    tuple
        The voices, and a track per voice id, with frames of at most 8 ms.
    """
    listen, config = SALIENCES[known_salience(salience)]
    candidates = listen(levelled(recording), on_progress)
    if voices is None:
        voices = parse_voices(str(max(candidates.likely, FEWEST_VOICES)))
    elif candidates.likely:
        tell_count(len(voices), candidates.likely, on_progress)
    return voices, followed(candidates, voices, config)


def followed(candidates: Candidates, voices: tuple[Voice, ...], config: DecodeConfig) -> dict[str, Track]:
    """Return the jointly best tracks of voices, high to low, through candidates."""
    registers = expected_registers(candidates, voices)
    # Where every voice mostly sings can be told from every third frame.
    coarse = candidates.thinned(3)
    path_hz, _ = _decoded(coarse, voices, np.array(registers), config)
    found = moving_registers(coarse.times_s, path_hz, registers, candidates.times_s)
    harmonic = max(config.harmonic, HARMONIC * stillness(coarse.times_s, path_hz))
    closer = replace(config, register_cents=0.8 * config.register_cents, harmonic=harmonic)
    path_hz, chosen = _decoded(candidates, voices, found, closer)
    confidence = 1 / (1 + np.exp(-chosen))
    confidence = np.where(path_hz > 0, confidence, 1 - confidence)
    resting_NT = np.where(path_hz.T > 0, 0.0, proposed(path_hz.T, candidates))
    return {
        voice.id: Track(candidates.times_s, path_hz[:, n], confidence[:, n], resting_NT[n])
        for n, voice in enumerate(voices)
    }


def expected_registers(candidates: Candidates, voices: tuple[Voice, ...]) -> list[float]:
    """Return about where each voice sings, in Hz: the middle of its range, or what is heard shared out high to low.

    Voices whose names say nothing of their range divide what is heard evenly among them.
    """
    registers = [float(np.sqrt(voice.low_hz * voice.high_hz)) for voice in voices]
    unnamed = [n for n, voice in enumerate(voices) if (voice.low_hz, voice.high_hz) == ANY_RANGE_HZ]
    sounding_hz = candidates.f0_hz[candidates.evidence > 0]
    if unnamed and len(sounding_hz):
        shares = (len(unnamed) - 0.5 - np.arange(len(unnamed))) / len(unnamed)
        for n, register_hz in zip(unnamed, np.quantile(sounding_hz, shares), strict=True):
            registers[n] = float(register_hz)
    return registers


def moving_registers(
    path_s: np.ndarray, path_hz: np.ndarray, registers: Sequence[float], times_s: np.ndarray
) -> np.ndarray:
    """Return the register of every voice at all times, in Hz: its median, as far up or down as all voices are there.

    Parts rise and fall together. Where the bass is high and the tenor near it, the tenor is not in its usual place.

    Parameters
    ----------
    path_s, path_hz
        First tracks: times (P,) at equal steps, and F0 (P, V) in Hz, 0 where unvoiced.
    registers
        In Hz, of voices that are never voiced.
    times_s
        Where registers are wanted, shape (T,).

    Returns
    -------
    numpy.ndarray
        Shape (T, V).

    Examples
    --------
    >>> path_s = np.arange(0, 60, 0.1)
    >>> path_hz = np.where(path_s < 40, 1.0, 1.25)[:, None] * [200.0, 100.0]
    >>> moving_registers(path_s, path_hz, [150.0, 150.0], np.array([10.0, 50.0])).round().tolist()
    [[200.0, 100.0], [239.0, 120.0]]
    """
    voiced = path_hz > 0
    usual = np.array(
        [np.median(f0[f0 > 0]) if (f0 > 0).any() else start for f0, start in zip(path_hz.T, registers, strict=True)]
    )
    away = np.where(voiced, cents(np.where(voiced, path_hz, usual)) - cents(usual), 0.0)
    frames = AROUND_S / (path_s[1] - path_s[0]) if len(path_s) > 1 else 1.0
    total, count = (gaussian_filter1d(each.sum(1).astype(float), frames, mode="nearest") for each in (away, voiced))
    # In a pause of all voices nothing is known of it.
    moved = np.interp(times_s, path_s, total / (count + 0.5))
    return usual * 2 ** (moved[:, None] / 1200)


def stillness(times_s: np.ndarray, f0_hz: np.ndarray) -> float:
    """Return how still voices are, from 0 to 1: by how much their pitch changes in a tenth of a second.

    It is asked before anything is separated, and of pitch alone; how well partials follow it, vibrato and all, is
    :func:`partbook.coherent.steadiness`.

    Parameters
    ----------
    times_s, f0_hz
        Tracks: times (T,) at equal steps, and F0 (T, V) in Hz, 0 where unvoiced.

    Examples
    --------
    >>> times_s = np.arange(0, 10, 0.02)
    >>> held, swung = 440.0 + 0 * times_s, 440.0 + 9 * np.sin(2 * np.pi * 5 * times_s)
    >>> stillness(times_s, held[:, None]), stillness(times_s, swung[:, None])
    (1.0, 0.0)
    """
    apart = max(1, round(0.1 / (times_s[1] - times_s[0]))) if len(times_s) > 1 else 1
    pitch, voiced = cents(np.maximum(f0_hz, 1.0)), f0_hz > 0
    change = np.abs(pitch[apart:] - pitch[:-apart])[voiced[apart:] & voiced[:-apart]]
    if not len(change):
        return 0.0
    return float(np.clip((MOVING_CENTS - np.median(change)) / (MOVING_CENTS - STILL_CENTS), 0, 1))


def tell_count(asked: int, likely: int, on_progress: OnProgress | None) -> None:
    """Say through the progress if another number of voices was asked for than is heard."""
    if asked != likely:
        heard = f"about {likely} voices are heard" if likely > 1 else "one voice is heard"
        hint = f"; try --voices {likely}" if likely >= FEWEST_VOICES else ""
        Progress("listen", 1, on_progress).step(f"{heard}, {asked} were asked for{hint}")


def _decoded(
    candidates: Candidates, voices: tuple[Voice, ...], registers_hz: np.ndarray, config: DecodeConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Return F0 (T, V), 0 where unvoiced, and the evidence of what was chosen; registers are (V,) or (T, V)."""
    f0_hz, evidence = candidates.f0_hz, candidates.evidence
    count = min(config.most_candidates, f0_hz.shape[1])
    pitch, gain = [], []
    registers_TV = np.broadcast_to(registers_hz, (len(f0_hz), len(voices)))
    for voice, register_T in zip(voices, registers_TV.T, strict=True):
        inside = (f0_hz >= voice.low_hz) & (f0_hz <= voice.high_hz)
        away = (cents(f0_hz) - cents(register_T)[:, None]) / config.register_cents
        own = np.where(inside, evidence - 0.5 * away**2, NO_EVIDENCE)
        best = np.argsort(-own, 1)[:, :count]
        pitch.append(np.take_along_axis(f0_hz, best, 1))
        gain.append(np.take_along_axis(own, best, 1))
    f0_TVC, gain_TVC = np.stack(pitch, 1), np.stack(gain, 1)
    path = joint_path(cents(f0_TVC), gain_TVC, config)
    index = np.maximum(path, 0)[..., None]
    voiced = path >= 0
    chosen_hz = np.where(voiced, np.take_along_axis(f0_TVC, index, 2)[..., 0], 0.0)
    chosen = np.where(voiced, np.take_along_axis(gain_TVC, index, 2)[..., 0], -gain_TVC.max(2)).clip(-20, 20)
    return chosen_hz, chosen
