"""From a recording to one F0 track per voice: salience → candidates → joint decoding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.ndimage import uniform_filter1d

from ..audio import Recording
from ..ensemble import FEWEST_VOICES, MOST_VOICES, Voice, parse_voices
from ..progress import OnProgress, Progress
from .decode import DecodeConfig, candidates_per_voice, joint_path
from .salience import SalienceConfig, analysis, comb_atoms, harmonic_salience
from .tracks import Track

BLOCK_S = 20.0
FAINTEST_VOICE = 0.18
"""Salience of the faintest voice relative to the strongest, in the median frame: what lies below is no voice."""

QUIET_QUANTILE = 0.4
"""The quietest frames do not count when voices are counted."""

NO_EVIDENCE = -1e4


def cents(f0_hz: np.ndarray) -> np.ndarray:
    """Return pitch in cents above 10 Hz."""
    return 1200 * np.log2(np.asarray(f0_hz) / 10)


def peaks(salience_GT: np.ndarray, grid_hz: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ``count`` strongest peaks of every frame: F0 in Hz and salience, both (T, count).

    Missing peaks have salience 0. A parabola through the logarithm of three rows places a peak between them.
    """
    inner = salience_GT[1:-1]
    is_peak = (inner > salience_GT[:-2]) & (inner >= salience_GT[2:])
    strength = np.where(is_peak, inner, 0)
    row_CT = np.argsort(-strength, 0)[:count] + 1
    strength_CT = np.take_along_axis(strength, row_CT - 1, 0)
    log = np.log(salience_GT + 1e-12)
    left, middle, right = (np.take_along_axis(log, row_CT + shift, 0) for shift in (-1, 0, 1))
    curvature = left - 2 * middle + right
    offset = np.where(curvature < 0, 0.5 * (left - right) / np.minimum(curvature, -1e-9), 0).clip(-0.5, 0.5)
    f0_hz = grid_hz[row_CT] * (grid_hz[1] / grid_hz[0]) ** offset
    return f0_hz.T, strength_CT.T


def observed_peaks(
    recording: Recording, config: SalienceConfig, on_progress: OnProgress | None, count: int = 16
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return times (T,), and F0 and salience (T, count) of the peaks of a whole recording, read block by block."""
    stft, bins_hz = analysis(recording.sample_rate, config)
    atoms = comb_atoms(bins_hz, stft.n_fft / recording.sample_rate, config)
    hop = stft.hop_samples
    step = max(1, round(BLOCK_S * recording.sample_rate / hop))
    frames = stft.frames(recording.length)
    context = stft.n_fft // hop + 5
    found = []
    progress = Progress("listen", -(-frames // step), on_progress)
    for first in range(0, frames, step):
        last = min(frames, first + step)
        a, b = max(0, first - context), min(frames, last + context)
        x_MS = torch.from_numpy(np.ascontiguousarray(recording.read(a * hop, min(recording.length, b * hop))))
        power_FT = (stft(x_MS.float())[:, : len(bins_hz)].abs() ** 2).sum(0)
        salience_GT = harmonic_salience(power_FT, atoms, bins_hz, config).numpy()[:, first - a : last - a]
        found.append(peaks(uniform_filter1d(salience_GT, 3, axis=1), config.grid_hz, count))
        progress.step()
    f0_hz, strength = (np.concatenate(each) for each in zip(*found, strict=True))
    return np.arange(len(f0_hz)) * hop / recording.sample_rate, f0_hz, strength


def track_voices(
    recording: Recording,
    voices: tuple[Voice, ...] | None,
    *,
    salience: SalienceConfig | None = None,
    decode: DecodeConfig | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[tuple[Voice, ...], dict[str, Track]]:
    """Estimate the F0 of every voice of a recording.

    Parameters
    ----------
    recording
        Any number of channels, heard together.
    voices
        Who sings, high to low; None guesses how many.
    salience, decode
        Settings.
    on_progress
        Where to report.

    Returns
    -------
    tuple
        The voices, and a track per voice id, with frames of at most 8 ms.
    """
    decode = decode or DecodeConfig()
    times_s, f0_hz, strength = observed_peaks(recording, salience or SalienceConfig(), on_progress)
    evidence = evidence_of(strength, decode)
    likely = likely_voices(strength)
    if voices is None:
        voices = parse_voices(str(likely))
    elif strength.any():
        tell_count(len(voices), likely, on_progress)
    registers = [np.sqrt(voice.low_hz * voice.high_hz) for voice in voices]
    path_hz, chosen = _decoded(f0_hz, evidence, voices, registers, decode)
    # Once more, with every voice's register where it was found to sing.
    found = [
        np.median(each[each > 0]) if (each > 0).any() else start
        for each, start in zip(path_hz.T, registers, strict=True)
    ]
    closer = replace(decode, register_cents=0.8 * decode.register_cents)
    path_hz, chosen = _decoded(f0_hz, evidence, voices, found, closer)
    confidence = 1 / (1 + np.exp(-chosen))
    return voices, {
        voice.id: Track(times_s, path_hz[:, n], np.where(path_hz[:, n] > 0, confidence[:, n], 1 - confidence[:, n]))
        for n, voice in enumerate(voices)
    }


def evidence_of(strength: np.ndarray, config: DecodeConfig) -> np.ndarray:
    """Return the logarithm of peak salience over the threshold, which follows the loudness of the passage halfway."""
    total = strength.sum(1)
    if total.max() <= 0:
        return np.full(strength.shape, NO_EVIDENCE)
    loud = np.quantile(total, 0.8)
    passage = uniform_filter1d(total, 125, mode="nearest")
    level = np.sqrt(loud * np.maximum(passage, 1e-3 * loud)) + 1e-12
    return np.where(strength > 0, np.log(np.maximum(strength, 1e-9) / (config.threshold * level[:, None])), NO_EVIDENCE)


def likely_voices(strength: np.ndarray) -> int:
    """Guess how many voices sing, from 2 to 8: as many as there are peaks that are not much fainter than the first.

    Parameters
    ----------
    strength
        Salience of the peaks of every frame, strongest first, shape (T, C).
    """
    total = strength.sum(1)
    loud = strength[total > np.quantile(total, QUIET_QUANTILE)]
    if not len(loud) or total.max() <= 0:
        return FEWEST_VOICES
    ratio = np.median(loud / loud[:, :1], 0)
    return int(np.clip((ratio > FAINTEST_VOICE).sum(), FEWEST_VOICES, MOST_VOICES))


def tell_count(asked: int, likely: int, on_progress: OnProgress | None) -> None:
    """Say through the progress if another number of voices was asked for than is heard."""
    if asked != likely:
        message = f"about {likely} voices are heard, {asked} were asked for; try --voices {likely}"
        Progress("listen", 1, on_progress).step(message)


def _decoded(
    f0_hz: np.ndarray, evidence: np.ndarray, voices: tuple[Voice, ...], registers: list[float], config: DecodeConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Return F0 (T, V), 0 where unvoiced, and the evidence of what was chosen."""
    count = candidates_per_voice(len(voices), config)
    pitch, gain = [], []
    for voice, register_hz in zip(voices, registers, strict=True):
        inside = (f0_hz >= voice.low_hz) & (f0_hz <= voice.high_hz)
        away = (cents(f0_hz) - cents(register_hz)) / config.register_cents
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
