"""The quick hall is a hall: distances, decay, and the balance of direct sound and reverberation of another's."""

from __future__ import annotations

import numpy as np
import pytest

from partbook.data.hall import SPEED_M_S, quick_responses
from partbook.room.simulate import Capsule, Hall, impulse_responses

RATE = 16_000
HALL = Hall((9.0, 12.0, 5.0), 0.6)
SOURCE = (4.0, 8.0, 1.5)


def responses(capsules, hall=HALL, seed=0):
    return quick_responses(hall, [SOURCE], capsules, RATE, np.random.default_rng(seed))[0]


def direct_to_reverberant_db(response):
    first = np.abs(response).argmax()
    early = (response[max(0, first - 30) : first + 40] ** 2).sum()
    return 10 * np.log10(early / ((response**2).sum() - early))


def test_direct_sound_falls_with_distance_and_arrives_later():
    further_m = 100 * SPEED_M_S / RATE
    places_m = [(4.0, 7.0, 1.5), (4.0, 7.0 - further_m, 1.5)]
    near, far = responses([Capsule(place_m, pattern="omni") for place_m in places_m])
    assert np.abs(near).argmax() == 0
    assert np.abs(far).argmax() == 100
    assert near[0] == pytest.approx(1, rel=0.02)
    assert far[100] == pytest.approx(1 / (1 + further_m), rel=0.1)


def test_cardioid_turned_away_hears_the_reverberation_only():
    towards, away = responses([Capsule((4.0, 7.0, 1.5), (0, 1, 0)), Capsule((4.0, 7.0, 1.5), (0, -1, 0))])
    assert np.abs(towards[:20]).max() > 50 * np.abs(away[:20]).max()
    assert (away**2).sum() > 0.01


@pytest.mark.parametrize("rt60_s", [0.4, 1.2])
def test_low_frequencies_fall_by_60_db_in_the_reverberation_time(rt60_s):
    (response,) = responses([Capsule((4.0, 4.0, 1.5), pattern="omni")], Hall((9.0, 12.0, 5.0), rt60_s))
    low = np.convolve(response, np.hanning(32) / 16)
    decay_db = 10 * np.log10(np.cumsum(low[::-1] ** 2)[::-1] + 1e-30)
    times_s = np.arange(len(low)) / RATE
    inside = (times_s > 0.1 * rt60_s) & (times_s < 0.6 * rt60_s)
    slope = np.polyfit(times_s[inside], decay_db[inside], 1)[0]
    assert -60 / slope == pytest.approx(rt60_s, rel=0.2)


@pytest.mark.parametrize("distance_m", [0.6, 2.0, 5.0])
@pytest.mark.parametrize("pattern", ["omni", "cardioid"])
def test_balance_of_direct_sound_and_reverberation_agrees_with_the_image_method(distance_m, pattern):
    pytest.importorskip("pyroomacoustics")
    capsule = Capsule((4.0, 8.0 - distance_m, 1.5), (0.0, 1.0, 0.0), pattern)
    (quick,) = responses([capsule])
    exact = impulse_responses(HALL, [SOURCE], [capsule], RATE)[0, 0]
    assert direct_to_reverberant_db(quick) == pytest.approx(direct_to_reverberant_db(exact), abs=2.5)


def test_tail_depends_on_the_generator_alone():
    capsule = [Capsule((4.0, 6.0, 1.5))]
    assert np.array_equal(responses(capsule, seed=1), responses(capsule, seed=1))
    assert not np.array_equal(responses(capsule, seed=1), responses(capsule, seed=2))
