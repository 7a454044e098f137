"""Small pieces on the disk for tests of the evaluation."""

import numpy as np
import soundfile

from partbook.pitch.tracks import Track, write_f0

RATE = 8000
VOICES = ("soprano", "alto", "tenor")
F0_HZ = (440.0, 330.0, 220.0)


def stems(seconds=9, channels=1, seed=0, rate=RATE):
    """Return three noisy harmonic voices, shape (3, channels, S)."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    loudness = 1 + 0.5 * np.sin(2 * np.pi * 0.4 * t + rng.uniform(0, 6, (3, 1)))
    tones = np.stack([sum(np.sin(2 * np.pi * f * k * t + k) / k for k in range(1, 6)) for f in F0_HZ])
    voices = 0.1 * loudness * (tones + 0.1 * rng.standard_normal(tones.shape))
    pan = rng.uniform(0.3, 1, (3, channels, 1)) if channels > 1 else np.ones((3, 1, 1))
    return pan * voices[:, None]


def leaky(references, leak=0.2, seed=1):
    """Return estimates with a share of the other voices and a little noise."""
    noise = np.random.default_rng(seed).standard_normal(references.shape)
    return (1 - leak) * references + leak * references.sum(0) + 0.001 * noise


def write_stems(folder, samples, prefix="", names=VOICES, rate=RATE, mixture=False):
    """Write stems (N, C, S) as 32-bit float WAV, and their sum."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, stem in zip(names, samples, strict=True):
        soundfile.write(folder / f"{prefix}{name}.wav", stem.T, rate, subtype="FLOAT")
    if mixture:
        soundfile.write(folder / f"{prefix}mix.wav", samples.sum(0).T, rate, subtype="FLOAT")
    return folder


def write_tracks(folder, seconds, suffix="", shift=1.0):
    """Write the constant F0 of every voice."""
    folder.mkdir(parents=True, exist_ok=True)
    times_s = np.arange(0, seconds, 0.008)
    for name, f0_hz in zip(VOICES, F0_HZ, strict=True):
        track = Track(times_s, np.full_like(times_s, shift * f0_hz), np.full_like(times_s, 0.9))
        write_f0(folder / f"{name}{suffix}.csv", track)
