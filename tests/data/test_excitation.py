"""The closed sum of harmonics is their sum, and a filter that does not change is a convolution."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from partbook.data.excitation import bins_hz, filtered, frame_times_s, harmonics, loudest_rms, phase_of


@settings(max_examples=30, deadline=None)
@given(st.floats(50, 1500), st.floats(0, 6.28), st.sampled_from([4000.0, 8000.0, 20_000.0]))
def test_harmonics_are_the_sum_of_cosines(f0_hz, start, highest_hz):
    phase = start + np.array([0.0, 1e-12, 0.3, np.pi, 5.0])
    count = highest_hz / f0_hz
    whole = int(count)
    expected = sum(np.cos(k * phase) for k in range(1, whole + 1)) + (count - whole) * np.cos((whole + 1) * phase)
    assert np.allclose(harmonics(phase, np.full(5, f0_hz), highest_hz), expected, atol=1e-6 * count)


def test_harmonics_do_not_jump_when_one_comes_or_goes():
    f0_hz = np.array([1000.0001, 999.9999])
    low, high = harmonics(np.array([1.0, 1.0]), f0_hz, 8000.0)
    assert abs(low - high) < 1e-5


def test_phase_advances_by_f0():
    phase = phase_of(np.full(8001, 100.0), 8000)
    assert np.allclose(np.cos(phase), np.cos(2 * np.pi * np.arange(8001) / 80))
    assert phase[0] == 0
    assert phase.min() >= 0 and phase.max() < 2 * np.pi


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100])
@pytest.mark.parametrize("samples", [1, 500, 12_345])
def test_flat_filter_changes_nothing(rate, samples, rng):
    signal = rng.standard_normal(samples)
    responses = np.ones((len(frame_times_s(samples, rate)), len(bins_hz(rate))))
    assert np.allclose(filtered(signal, responses, rate), signal, atol=1e-12)


def test_constant_filter_is_a_convolution(rng):
    rate, samples = 8000, 3000
    signal, kernel = rng.standard_normal(samples), rng.standard_normal(40)
    size = 2 * (len(bins_hz(rate)) - 1)
    responses = np.tile(np.fft.rfft(kernel, size), (len(frame_times_s(samples, rate)), 1))
    assert np.allclose(filtered(signal, responses, rate), scipy.signal.lfilter(kernel, 1, signal))


def test_loudest_rms_finds_the_loud_tenth(rng):
    signal = np.concatenate([0.01 * np.ones(4000), 2 * np.ones(800), np.zeros(4000)])
    assert loudest_rms(signal, 8000) == pytest.approx(2)
    assert loudest_rms(np.zeros(100), 8000) == 1
