"""Files of different takes are no session."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal

from partbook.audio import Microphone, recording_from_array
from partbook.audio.takes import check_one_take
from partbook.errors import AudioError

RATE = 8000
MICROPHONES = (
    Microphone("Main", "", 1, "main"),
    Microphone("Flute", "", 2, "spot", "flute"),
    Microphone("Cello", "", 3, "spot", "cello"),
)


def session(seconds=10, late_s=(0.01, 0.02), seed=0):
    """Return two players in notes of noise, each at its own spot and later at the main microphone, reverberant."""
    rng = np.random.default_rng(seed)
    notes = rng.uniform(0, 1, (2, seconds * 4)) ** 3
    dry = rng.standard_normal((2, seconds * RATE)) * np.repeat(notes, RATE // 4, 1)
    tail = rng.standard_normal((2, RATE // 4)) * np.exp(-np.arange(RATE // 4) / 600) * 0.05
    main = sum(np.roll(x, round(d * RATE)) for x, d in zip(dry, late_s, strict=True))
    main = main + scipy.signal.fftconvolve(dry, tail, axes=-1)[:, : dry.shape[-1]].sum(0)
    return np.stack([main, *dry]).astype(np.float32)


def recorded(samples):
    return replace(recording_from_array(samples, RATE), microphones=MICROPHONES)


def test_one_take_is_a_session():
    check_one_take(recorded(session()))


@pytest.mark.parametrize("cello", [session(seed=1)[2], np.roll(session()[2], 12_000)])
def test_a_spot_of_another_take_is_named_with_a_way_out(cello):
    samples = session()
    samples[2] = cello
    with pytest.raises(AudioError, match=r"one take, got 'Cello'.*--align") as caught:
        check_one_take(recorded(samples))
    assert "\n" not in str(caught.value)


def test_who_hardly_plays_and_what_is_too_short_to_tell_is_let_pass():
    samples = session()
    samples[2] = 0
    check_one_take(recorded(samples))
    samples[2] = session(seed=1)[2]
    check_one_take(recorded(samples[:, : 4 * RATE]))


def test_without_main_microphones_spots_may_share_nothing():
    samples = session()
    recording = recording_from_array(samples[1:], RATE)
    check_one_take(replace(recording, microphones=MICROPHONES[1:]))
