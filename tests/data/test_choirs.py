"""Synthetic ensembles are what their seed says, and sound at the F0 that they claim."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from partbook.data import choirs
from partbook.data.choirs import ENSEMBLES, any_singer, piece
from partbook.data.counterpoint import RANGES_MIDI
from partbook.data.playing import INSTRUMENTS
from partbook.data.singing import TRACTS

RATE = 16_000


def heard_hz(samples, at_s, expected_hz):
    """Return the F0 around a time: the best lag of the normalised autocorrelation near the expected one, refined."""
    middle, half = round(at_s * RATE), round(0.02 * RATE)
    period = RATE / expected_hz
    lags = np.arange(int(0.85 * period), int(1.18 * period) + 2)
    here = samples[middle - half : middle + half]
    # Symmetric about the middle, so that a gliding pitch is not heard late.
    score = np.empty(len(lags))
    for n, lag in enumerate(lags):
        early = samples[middle - half - lag // 2 :][: len(here)]
        late = samples[middle - half - lag // 2 + lag :][: len(here)]
        score[n] = early @ late / np.sqrt((early @ early) * (late @ late) + 1e-12)
    best = np.clip(score.argmax(), 1, len(lags) - 2)
    left, top, right = score[best - 1 : best + 2]
    return RATE / (lags[best] + 0.5 * (left - right) / (left - 2 * top + right)), top


def cents_off(performance, part, rng, count=60):
    """Return by how many cents the sound of a part differs from its F0 at moments where it is clear."""
    track, samples = performance.tracks[part], performance.parts[part, 0].astype(float)
    inside = track.f0_hz > 0
    inside &= (track.times_s > 0.1) & (track.times_s < len(samples) / RATE - 0.1)
    off = []
    for at in rng.choice(np.flatnonzero(inside), min(count, inside.sum()), replace=False):
        hz, clear = heard_hz(samples, track.times_s[at], track.f0_hz[at])
        if clear > 0.8:
            off.append(1200 * np.log2(hz / track.f0_hz[at]))
    return np.array(off)


@pytest.mark.parametrize("seed", [0, 3, 7])
def test_a_seed_says_everything(seed):
    one, same, other = piece(seed, duration_s=2.0), piece(seed, duration_s=2.0), piece(seed + 1, duration_s=2.0)
    assert one.names == same.names and np.array_equal(one.parts, same.parts)
    assert all(np.array_equal(a.f0_hz, b.f0_hz) for a, b in zip(one.tracks, same.tracks, strict=True))
    assert one.parts.shape != other.parts.shape or not np.array_equal(one.parts, other.parts)


@pytest.mark.parametrize("seed", range(8))
def test_f0_is_that_of_the_sound(seed, rng):
    """The truth agrees with the autocorrelation of the dry part; consonants and bows may blur some moments."""
    performance = piece(seed, RATE, 4.0)
    for part in range(len(performance.names)):
        off = cents_off(performance, part, rng)
        assert len(off) > 15, performance.names[part]
        assert np.median(np.abs(off)) < 20 and abs(np.median(off)) < 10, performance.names[part]


def test_f0_agrees_with_a_second_author():
    librosa = pytest.importorskip("librosa")
    performance = piece(4, RATE, 4.0)
    for samples, track in zip(performance.parts[:, 0], performance.tracks, strict=True):
        hz = librosa.yin(samples, fmin=60, fmax=1400, sr=RATE, frame_length=1024, hop_length=128)
        truth_hz = track.at(np.arange(len(hz)) * 128 / RATE).f0_hz
        both = truth_hz > 0
        assert both.mean() > 0.3
        assert np.median(np.abs(1200 * np.log2(hz[both] / truth_hz[both]))) < 20


def test_parts_are_silent_where_their_f0_says_so():
    performance = piece(0, RATE, 4.0)
    for samples, track in zip(performance.parts[:, 0], performance.tracks, strict=True):
        voiced = np.interp(np.arange(len(samples)) / RATE, track.times_s, track.f0_hz > 0)
        low = scipy.signal.sosfiltfilt(scipy.signal.butter(4, 1500, fs=RATE, output="sos"), samples.astype(float))
        assert (low[voiced == 0] ** 2).mean() < 0.05 * (low[voiced == 1] ** 2).mean()


def test_choirs_and_players_are_those_that_can_be_rendered():
    for names in ENSEMBLES:
        assert {name.rstrip("0123456789") for name in names.split(",")} <= set(TRACTS)
    rng = np.random.default_rng(0)
    for names in (choirs._players(rng) for _ in range(100)):
        words = [name.rstrip("0123456789") for name in names]
        assert 1 <= len(names) == len(set(names)) <= 6 and set(words) <= set(INSTRUMENTS) | set(TRACTS)
        middles = [sum(RANGES_MIDI[word]) for word in words]
        assert middles == sorted(middles, reverse=True)


def test_singers_are_drawn_wide_but_possible():
    drawn = [any_singer(voice, np.random.default_rng(seed)) for voice in TRACTS for seed in range(60)]
    keys = ("vibrato_cents", "vibrato_hz", "glide_s")
    depth, rate, glide = (np.array([getattr(singer, key) for singer in drawn]) for key in keys)
    assert depth.min() < 5 and depth.max() > 100 and rate.min() > 4 and rate.max() < 7.5 and 0.02 <= glide.min() < 0.03
    assert all(0.8 < singer.tract < 1.4 for singer in drawn)
