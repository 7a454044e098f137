"""Wear changes how parts sound, and neither their number, their length nor their truth."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from partbook.data import wear
from partbook.data.wear import coded, coloured, in_sections, in_some_room, noisy, overloaded, swelled, transposed, worn

RATE, HOP = 16_000, 128


def level_db(x):
    return 10 * np.log10((np.asarray(x) ** 2).mean() + 1e-30)


def peak_hz(x):
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)), 8 * len(x)))
    return spectrum.argmax() * RATE / (8 * len(x))


@pytest.fixture
def parts():
    """Return two steady tones of harmonics, and their F0."""
    times_s = np.arange(2 * RATE) / RATE
    f0_hz = np.array([220.0, 330.0])
    tones = sum(np.sin(2 * np.pi * k * f0_hz[:, None] * times_s) / k for k in range(1, 12))
    return 0.1 * tones, np.tile(f0_hz[:, None], (1, 2 * RATE // HOP + 1))


@pytest.mark.parametrize("ratio", [0.84, 0.97, 1.0, 1.06, 1.19])
def test_transposing_moves_sound_and_truth_together(parts, ratio):
    quick_NS, f0_NT = transposed(*parts, ratio)
    for before, after, f0_hz in zip(parts[0], quick_NS, f0_NT, strict=True):
        assert peak_hz(after) == pytest.approx(ratio * peak_hz(before), rel=1e-3)
        assert f0_hz == pytest.approx(peak_hz(after), rel=1e-3)
    assert quick_NS.shape[1] / parts[0].shape[1] == pytest.approx(1 / ratio, abs=1e-3)
    assert f0_NT.shape[1] / parts[1].shape[1] == pytest.approx(1 / ratio, abs=0.01)


def test_transposing_keeps_time(parts):
    """A part that falls silent half way is silent from half way."""
    parts_NS, f0_NT = parts[0].copy(), parts[1].copy()
    parts_NS[:, RATE:], f0_NT[:, RATE // HOP :] = 0, 0
    quick_NS, quick_NT = transposed(parts_NS, f0_NT, 1.1)
    half = RATE / 1.1 / HOP
    assert (quick_NT[:, : int(0.99 * half)] > 0).all() and not quick_NT[:, int(1.01 * half) + 1 :].any()
    assert level_db(quick_NS[:, int(RATE / 1.1) + 200 :]) < level_db(quick_NS) - 40


def test_colour_is_linear_smooth_and_each_parts_own(parts, rng):
    seeds = [np.random.default_rng(1) for _ in range(3)]
    one, double, none = (coloured(k * parts[0], RATE, 3.0, seed) for k, seed in zip((1, 2, 0), seeds, strict=True))
    assert double == pytest.approx(2 * one) and not none.any()
    click = np.zeros((2, RATE))
    click[:, RATE // 2] = 1
    response_db = 20 * np.log10(np.abs(np.fft.rfft(coloured(click, RATE, 3.0, rng))) + 1e-9)[:, 50:7000]
    assert np.abs(np.diff(response_db)).max() < 0.5 and 1 < response_db.std() < 12
    assert np.abs(response_db[0] - response_db[1]).max() > 1
    assert coloured(parts[0], RATE, 0.0, rng) == pytest.approx(parts[0], abs=1e-9)


def test_parts_swell_slowly_each_by_itself(rng):
    steady = np.ones((2, 4 * RATE))
    swell_db = 20 * np.log10(swelled(steady, RATE, 3.0, rng))
    assert swell_db.std() > 0.5 and np.abs(swell_db).max() < 15
    assert np.abs(np.diff(swell_db)).max() * RATE < 30, "dB in a second"
    assert np.abs(swell_db[0] - swell_db[1]).max() > 1
    assert np.array_equal(swelled(steady, RATE, 0.0, rng), steady)


def test_rooms_are_causal_linear_and_keep_the_direct_sound():
    click = np.zeros((1, 2 * RATE))
    click[0, RATE] = 1
    for seed in range(12):
        heard = in_some_room(click, RATE, np.random.default_rng(seed))
        assert np.abs(heard[0, :RATE]).max() < 1e-9 and heard[0, RATE] == pytest.approx(1)
        again = in_some_room(3 * click, RATE, np.random.default_rng(seed))
        assert again == pytest.approx(3 * heard)
        tail = heard[0, RATE + 1 :]
        assert level_db(tail[: RATE // 4]) >= level_db(tail[-RATE // 4 :]), "it dies away"


def test_noise_lies_as_far_below_as_it_is_drawn(parts):
    mixture_S = parts[0].sum(0)[: RATE // 2]
    below = []
    for seed in range(30):
        noise = noisy(mixture_S, RATE, np.random.default_rng(seed)) - mixture_S
        below.append(level_db(mixture_S) - level_db(noise))
        louder = noisy(10 * mixture_S, RATE, np.random.default_rng(seed)) - 10 * mixture_S
        assert louder == pytest.approx(10 * noise, abs=1e-6)
    assert 20 < min(below) < 35 and 55 < max(below) < 76


def test_coding_keeps_what_is_loud_and_drops_the_top(parts, rng):
    mixture_S = parts[0].sum(0)
    decoded = coded(mixture_S, RATE, rng)
    assert len(decoded) == len(mixture_S)
    inner = slice(1024, -1024)
    assert level_db((decoded - mixture_S)[inner]) < level_db(mixture_S) - 10
    hiss = coded(rng.standard_normal(RATE), RATE, np.random.default_rng(5))
    hz, power = scipy.signal.welch(hiss, RATE, nperseg=512)
    assert power[hz > 7900].max() < 0.1 * power[(hz > 500) & (hz < 3000)].mean()


def test_overload_bends_peaks_and_leaves_small_signals(parts, rng):
    mixture_S = parts[0].sum(0)
    pressed = overloaded(mixture_S, rng)
    assert (np.sign(pressed) == np.sign(mixture_S)).all() and (np.abs(pressed) <= np.abs(mixture_S) + 1e-12).all()
    small = np.abs(mixture_S) < 0.01 * np.abs(mixture_S).max()
    assert pressed[small] == pytest.approx(mixture_S[small], rel=0.01)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(4000, 20_001))
def test_a_worn_mixture_is_finite_as_long_as_its_parts_and_follows_from_the_seed(seed, count, samples):
    parts_NS = np.random.default_rng(seed).standard_normal((count, samples)) * 0.1
    mixture_S = worn(parts_NS, RATE, np.random.default_rng(seed))
    assert mixture_S.shape == (samples,) and np.isfinite(mixture_S).all()
    assert np.array_equal(mixture_S, worn(parts_NS, RATE, np.random.default_rng(seed)))
    assert abs(level_db(mixture_S) - level_db(parts_NS.sum(0))) < 40


def test_silence_stays_nearly_silent():
    for seed in range(15):
        mixture_S = worn(np.zeros((2, RATE)), RATE, np.random.default_rng(seed))
        assert np.isfinite(mixture_S).all() and level_db(mixture_S) < -150


def test_wear_changes_nothing_that_it_is_given(parts, rng):
    before = parts[0].copy()
    worn(parts[0], RATE, rng)
    transposed(*parts, 1.1)
    assert np.array_equal(parts[0], before)


def test_a_section_is_its_loudest_singer_and_softer_ones_beside(rng):
    """The line of a steady tone stays the loudest; what joins it lies near, within 60 cents and 60 ms, and as far below
    as was drawn."""
    tone = np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    tone[: RATE // 2] = tone[-RATE // 2 :] = 0
    parts_NS = np.stack([tone, np.zeros_like(tone)])
    for _ in range(8):
        together = in_sections(parts_NS, RATE, rng, (-20.0, -20.0))
        assert not together[1].any()
        others = together[0] - tone
        assert -32 < level_db(others) - level_db(tone) < -8
        assert not others[: int(0.43 * RATE)].any() and not others[-int(0.43 * RATE) :].any()
        hz, power = scipy.signal.welch(others[RATE // 2 : -RATE // 2], RATE, nperseg=8192)
        near = np.abs(1200 * np.log2(np.maximum(hz, 1) / 440)) < 150
        assert power[near].sum() > 0.95 * power.sum()
        hz, power = scipy.signal.welch(together[0], RATE, nperseg=8192)
        assert abs(hz[power.argmax()] - 440) < 3


def test_now_and_then_a_recording_is_harsh(parts, monkeypatch):
    drawn = []
    monkeypatch.setattr(wear, "in_some_room", lambda parts, rate, rng, kind: drawn.append(kind) or parts)
    for seed in range(60):
        worn(parts[0], RATE, np.random.default_rng(seed))
    assert 0.1 < np.mean([kind is wear.HARSH for kind in drawn]) < 0.5
