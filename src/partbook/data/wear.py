"""What happens to dry parts on their way into a recording: levels, colour, room, noise, overload, coding.

Everything is drawn anew each time: mostly from what recordings of ensembles are like, now and then from ranges much
wider than any hall, so that a network trained on the result learns to overhear them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.signal
import soxr

Chance = np.random.Generator
Range = tuple[float, float]


@dataclass(frozen=True)
class Wear:
    """From what ranges recordings are drawn; levels and deviations in dB.

    Attributes
    ----------
    balance_db, most_apart_db
        Deviation of the levels of the parts, and its bound.
    swell_share, swell_db
        How often parts grow and fade by themselves, and with what deviation.
    colour_db, mix_colour_db
        Deviation of the spectral colour of the parts, and of the mixture.
    direct_db
        Direct sound above the reverberation.
    longest_rt60_s
        Of the rooms.
    reflection
        Largest amplitude of an early reflection.
    overload_share
        How often the mixture is overloaded.
    """

    balance_db: Range = (1, 3.5)
    most_apart_db: float = 8
    swell_share: float = 0.4
    swell_db: Range = (0.5, 2.5)
    colour_db: Range = (0.3, 2.5)
    mix_colour_db: float = 1.5
    direct_db: Range = (1, 18)
    longest_rt60_s: float = 2.2
    reflection: float = 0.4
    overload_share: float = 0.05


USUAL = Wear()
HARSH = Wear((1, 5), 10, 0.5, (1, 4), (0.5, 6), 2.0, (-6, 14), 2.8, 0.5, 0.1)
HARSH_SHARE = 0.3
"""How often a recording is a harsh one."""

OTHERS_DB = (-26.0, -8.0)
"""Level of the others in a section, relative to the one whose F0 counts."""


def transposed(parts_NS: np.ndarray, f0_NT: np.ndarray, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Play parts faster by a ratio: pitch, formants and tempo rise together.

    Parameters
    ----------
    parts_NS, f0_NT
        Samples, and F0 in Hz (0 unvoiced) on a regular grid over the same time.
    ratio
        Above 1 is faster and higher.

    Returns
    -------
    tuple
        Both, shorter by the ratio.
    """
    quick_NS = soxr.resample(parts_NS.T, ratio, 1.0, quality="HQ").T
    frames = int(f0_NT.shape[1] / ratio)
    nearest = np.minimum((np.arange(frames) * ratio + 0.5).astype(int), f0_NT.shape[1] - 1)
    return quick_NS, f0_NT[:, nearest] * ratio


def coloured(parts_NS: np.ndarray, sample_rate: int, depth_db: float, rng: Chance) -> np.ndarray:
    """Give every part a smooth spectral colour of its own: waves over logarithmic frequency with this deviation."""
    samples = parts_NS.shape[1]
    size = scipy.fft.next_fast_len(samples + sample_rate // 20, real=True)
    octaves = np.log2(np.maximum(scipy.fft.rfftfreq(size, 1 / sample_rate), 30) / 30)
    gain_db = np.zeros((len(parts_NS), len(octaves)))
    for waves in (0.15, 0.35, 0.8):
        phase = rng.uniform(0, 2 * np.pi, (len(parts_NS), 1))
        gain_db += depth_db * rng.normal(0, 1, (len(parts_NS), 1)) * np.sin(2 * np.pi * waves * octaves + phase)
    spectra = scipy.fft.rfft(parts_NS, size) * 10 ** (gain_db / 20)
    return scipy.fft.irfft(spectra, size)[:, :samples]


def swelled(parts_NS: np.ndarray, sample_rate: int, depth_db: float, rng: Chance) -> np.ndarray:
    """Let every part grow and fade by itself, every second or so, with this deviation."""
    seconds = parts_NS.shape[1] / sample_rate
    knots_db = depth_db * rng.normal(0, 1, (len(parts_NS), int(seconds) + 3))
    times_s = np.arange(parts_NS.shape[1]) / sample_rate + rng.random()
    gain_db = np.stack([np.interp(times_s, np.arange(len(each)), each) for each in knots_db])
    return parts_NS * 10 ** (gain_db / 20)


def in_sections(parts_NS: np.ndarray, sample_rate: int, rng: Chance, others_db: Range = OTHERS_DB) -> np.ndarray:
    """Let one to three others join every part in unison, further away than the one whose F0 counts.

    They begin and end a little earlier or later, drift from the pitch by themselves and have a vibrato of their own: in
    a choir, or where the singers of a section are recorded together, no partial is a single line.
    """
    times_s = np.arange(parts_NS.shape[1]) / sample_rate
    loud_db = rng.uniform(*others_db)
    together = parts_NS.copy()
    for together_S, part_S in zip(together, parts_NS, strict=True):
        for _ in range(rng.integers(1, 4)):
            knots = rng.normal(0, 1, int(times_s[-1]) + 3)
            cents = rng.normal(0, 6) + rng.uniform(3, 20) * np.interp(times_s, np.arange(len(knots)), knots)
            vibrato = np.sin(2 * np.pi * (rng.uniform(4.5, 6.5) * times_s + rng.random()))
            cents = cents + rng.uniform(0, 50) * vibrato
            at_s = rng.uniform(-0.06, 0.06) + np.cumsum(2 ** (cents / 1200)) / sample_rate
            other_S = np.interp(at_s, times_s, part_S, 0.0, 0.0)
            together_S += 10 ** ((loud_db + rng.normal(0, 3)) / 20) * other_S
    return together


def in_some_room(parts_NS: np.ndarray, sample_rate: int, rng: Chance, wear: Wear = HARSH) -> np.ndarray:
    """Put every part into one room: direct sound, a few reflections, a diffuse tail that decays faster when high."""
    rt60_s = float(np.exp(rng.uniform(np.log(0.15), np.log(wear.longest_rt60_s))))
    times_s = np.arange(int(min(rt60_s, 1.6) * sample_rate)) / sample_rate
    heard = np.empty_like(parts_NS)
    direct_db = rng.uniform(*wear.direct_db)
    dark = scipy.signal.butter(1, rng.uniform(1500, 7000), fs=sample_rate, output="sos")
    for n, part in enumerate(parts_NS):
        tail = rng.standard_normal(len(times_s)) * 10 ** (-3 * times_s / rt60_s)
        tail = scipy.signal.sosfilt(dark, tail)
        # The tail sets in a few milliseconds after the direct sound.
        tail[: int(rng.uniform(0.002, 0.02) * sample_rate)] = 0
        tail /= np.sqrt((tail**2).sum()) + 1e-12
        response = tail * 10 ** (-(direct_db + rng.normal(0, 2)) / 20)
        for _ in range(rng.integers(6)):
            response[rng.integers(1, min(len(response), sample_rate // 25))] += wear.reflection * rng.uniform(-1, 1)
        response[0] = 1.0
        heard[n] = scipy.signal.oaconvolve(part, response)[: len(part)]
    return heard


def noisy(mixture_S: np.ndarray, sample_rate: int, rng: Chance) -> np.ndarray:
    """Add stationary noise of some colour, and maybe mains hum."""
    level = np.sqrt((mixture_S**2).mean()) + 1e-9
    size = len(mixture_S)
    hz = np.maximum(scipy.fft.rfftfreq(size, 1 / sample_rate), 20)
    noise = scipy.fft.irfft(scipy.fft.rfft(rng.standard_normal(size)) * hz ** -rng.uniform(0, 1), size)
    noise *= level * 10 ** (-rng.uniform(22, 75) / 20) / (np.sqrt((noise**2).mean()) + 1e-12)
    if rng.random() < 0.1:
        mains = rng.choice([50.0, 60.0]) * np.arange(1, 4)[:, None] * np.arange(size) / sample_rate
        gain = level * 10 ** (-rng.uniform(25, 50) / 20)
        noise += gain * (rng.random((3, 1)) * np.sin(2 * np.pi * (mains + rng.random((3, 1))))).sum(0)
    return mixture_S + noise


def coded(mixture_S: np.ndarray, sample_rate: int, rng: Chance) -> np.ndarray:
    """Drop what a lossy coder would: bins far below their neighbourhood, and everything above some frequency."""
    hz, _, spectra_FT = scipy.signal.stft(mixture_S, sample_rate, nperseg=1024)
    loud_FT = scipy.signal.fftconvolve(np.abs(spectra_FT) ** 2, np.ones((15, 1)) / 15, mode="same")
    keep_FT = np.abs(spectra_FT) ** 2 > 10 ** (-rng.uniform(14, 35) / 10) * loud_FT
    keep_FT &= (hz < rng.uniform(3500, 8000))[:, None]
    return scipy.signal.istft(spectra_FT * keep_FT, sample_rate, nperseg=1024)[1][: len(mixture_S)]


def overloaded(mixture_S: np.ndarray, rng: Chance) -> np.ndarray:
    """Drive a soft limiter."""
    drive = rng.uniform(0.3, 2.0) / (np.abs(mixture_S).max() + 1e-9)
    return np.tanh(drive * mixture_S) / drive


def worn(parts_NS: np.ndarray, sample_rate: int, rng: Chance) -> np.ndarray:
    """Return a mixture (S,) of dry parts (N, S) as some recording would hold it."""
    wear = HARSH if rng.random() < HARSH_SHARE else USUAL
    most_db = wear.most_apart_db
    gains_db = np.clip(rng.normal(0, rng.uniform(*wear.balance_db), (len(parts_NS), 1)), -most_db, most_db)
    parts_NS = parts_NS * 10 ** (gains_db / 20)
    if rng.random() < wear.swell_share:
        parts_NS = swelled(parts_NS, sample_rate, rng.uniform(*wear.swell_db), rng)
    if rng.random() < 0.85:
        parts_NS = coloured(parts_NS, sample_rate, rng.uniform(*wear.colour_db), rng)
    if rng.random() < 0.7:
        parts_NS = in_some_room(parts_NS, sample_rate, rng, wear)
    mixture_S = parts_NS.sum(0)
    if rng.random() < 0.6:
        mixture_S = coloured(mixture_S[None], sample_rate, wear.mix_colour_db, rng)[0]
    if rng.random() < wear.overload_share:
        mixture_S = overloaded(mixture_S, rng)
    mixture_S = noisy(mixture_S, sample_rate, rng)
    if rng.random() < 0.15:
        mixture_S = coded(mixture_S, sample_rate, rng)
    return mixture_S


__all__ = [
    "HARSH",
    "USUAL",
    "Wear",
    "coded",
    "coloured",
    "in_sections",
    "in_some_room",
    "noisy",
    "overloaded",
    "swelled",
    "transposed",
    "worn",
]
