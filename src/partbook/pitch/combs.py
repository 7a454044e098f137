"""Candidates from the harmonic salience: nothing trained."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import uniform_filter1d

from ..audio import Recording
from ..audio.conditioning import loud
from ..ensemble import FEWEST_VOICES, MOST_VOICES
from ..progress import OnProgress, Progress
from .candidates import NO_EVIDENCE, Candidates, strongest
from .salience import SalienceConfig, analysis, comb_atoms, harmonic_salience

BLOCK_S = 20.0
THRESHOLD = 0.015
"""Salience, relative to the level of a loud passage, at which a voice is as likely voiced as not."""

FAINTEST_VOICE = 0.18
"""Salience of the faintest voice relative to the strongest, in the median frame: what lies below is no voice."""

QUIET_QUANTILE = 0.4
"""The quietest frames do not count when voices are counted."""


def comb_candidates(
    recording: Recording, on_progress: OnProgress | None = None, config: SalienceConfig | None = None
) -> Candidates:
    """Return the candidates of every frame of a recording, all its channels heard together."""
    times_s, f0_hz, strength = observed_peaks(recording, config or SalienceConfig(), on_progress)
    return Candidates(times_s, f0_hz, evidence_of(strength), likely_voices(strength) if strength.any() else 0)


def peaks(salience_GT: np.ndarray, grid_hz: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ``count`` strongest peaks of every frame: F0 in Hz and salience, both (T, count).

    Missing peaks have salience 0.
    """
    row, height = strongest(np.log(salience_GT + 1e-12), count)
    return grid_hz[0] * (grid_hz[1] / grid_hz[0]) ** row, np.exp(height)


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


def evidence_of(strength: np.ndarray) -> np.ndarray:
    """Return the logarithm of peak salience over the threshold, which follows the loudness of the passage halfway."""
    total = strength.sum(1)
    if total.max() <= 0:
        return np.full(strength.shape, NO_EVIDENCE)
    # Salience is compressed power.
    compression = SalienceConfig.compression
    level = loud(total ** (1 / compression)) ** compression
    passage = uniform_filter1d(total, 125, mode="nearest")
    level = np.sqrt(level * np.maximum(passage, 1e-3 * level)) + 1e-12
    return np.where(strength > 0, np.log(np.maximum(strength, 1e-9) / (THRESHOLD * level[:, None])), NO_EVIDENCE)


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


__all__ = ["comb_candidates", "evidence_of", "likely_voices", "observed_peaks", "peaks"]
