import numpy as np
import pytest
import torch

from partbook.pitch.period import SEARCH_CENTS, period_errors

RATE = 16000
TIMES_S = np.arange(0.1, 0.9, 0.008)


def tone(f0_hz):
    t = np.arange(RATE) / RATE
    partials = range(1, min(10, int(RATE / 2 / f0_hz)) + 1)
    return torch.from_numpy(sum(np.cos(2 * np.pi * k * f0_hz * t + k) / k for k in partials)).float()


def heard(x, f0_hz):
    return period_errors(TIMES_S, np.full(len(TIMES_S), float(f0_hz)), x, RATE)


@pytest.mark.parametrize("f0_hz", [60.0, 97.3, 440.0, 1234.5])
@pytest.mark.parametrize("cents", [-SEARCH_CENTS + 15, -33.0, 0.0, 7.0, SEARCH_CENTS - 15])
def test_the_period_of_a_tone_is_found_to_a_cent(f0_hz, cents):
    errors, repeats = heard(tone(f0_hz * 2 ** (cents / 1200)), f0_hz)
    assert np.abs(errors - cents).max() < 1
    assert repeats.min() > 0.97


def test_level_changes_nothing():
    x = tone(200.0)
    for a, b in zip(heard(x, 205.0), heard(1e-3 * x, 205.0), strict=True):
        assert np.allclose(a, b, atol=0.01)


def test_beyond_the_search_there_is_no_error_and_no_certainty():
    errors, repeats = heard(tone(200.0), 200.0 * 2 ** (-(SEARCH_CENTS + 60) / 1200))
    assert not errors.any() and not repeats.any()


def test_silence_says_nothing():
    errors, repeats = heard(torch.zeros(RATE), 200.0)
    assert not errors.any() and not repeats.any()


def test_noise_repeats_itself_less_the_more_there_is_of_it():
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 1, RATE)).float()
    means = [heard(tone(200.0) + level * noise, 200.0)[1].mean() for level in (0.0, 0.3, 1.0, 3.0)]
    assert means == sorted(means, reverse=True) and means[-1] < 0.5 < means[1]


def test_frames_at_the_ends_are_read_too():
    errors, _ = period_errors(np.array([0.0, 1 - 1 / RATE]), np.array([300.0, 300.0]), tone(306.0), RATE)
    assert np.abs(errors - 1200 * np.log2(306 / 300)).max() < 10
