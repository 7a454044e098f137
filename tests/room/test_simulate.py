import numpy as np
import pytest

from partbook.room.simulate import Capsule, Hall, images, impulse_responses

pytest.importorskip("pyroomacoustics")

SMALL = Hall((5.0, 6.0, 3.0), 0.3)


def test_sound_arrives_after_the_time_it_needs():
    capsule = Capsule((1.0, 4.0, 1.5), (0.0, -1.0, 0.0))
    response = impulse_responses(SMALL, [(1.0, 1.0, 1.5)], [capsule], 16_000)[0, 0]
    delay = np.argmax(np.abs(response)) - 40  # fractional delay filters are centred 40 samples late
    assert delay == pytest.approx(3.0 / 343 * 16_000, abs=1.5)


def test_a_cardioid_hears_the_front_louder_than_the_back():
    aims = [(0.0, -1.0, 0.0), (0.0, 1.0, 0.0)]
    capsules = [Capsule((2.5, 3.0, 1.5), aim) for aim in aims]
    front, back = impulse_responses(SMALL, [(2.5, 2.5, 1.5)], capsules, 16_000)[0]
    assert np.sum(front**2) > 4 * np.sum(back**2)


def test_reverberation_lasts_as_long_as_asked():
    response = impulse_responses(SMALL, [(1.0, 1.5, 1.0)], [Capsule((3.9, 4.4, 2.1), pattern="omni")], 16_000)[0, 0]
    decay_db = 10 * np.log10(np.cumsum(response[::-1] ** 2)[::-1] / np.sum(response**2) + 1e-20)
    t20 = (np.argmax(decay_db < -25) - np.argmax(decay_db < -5)) / 16_000 * 3
    assert t20 == pytest.approx(0.3, rel=0.35)


def test_images_are_convolutions_cut_to_the_length_of_the_sources(rng):
    dry, responses = rng.standard_normal((2, 100)), rng.standard_normal((2, 3, 30))
    wet = images(dry, responses)
    assert wet.shape == (2, 3, 100)
    np.testing.assert_allclose(wet[1, 2], np.convolve(dry[1], responses[1, 2])[:100])
