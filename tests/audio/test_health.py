from dataclasses import replace

import numpy as np
import pytest

from partbook.audio import Microphone, recording_from_array
from partbook.audio.health import examined

RATE = 8000
NAMES = ("Left", "Flute", "Cello")


def session(samples):
    microphones = tuple(Microphone(name, "", m + 1, "spot", name.lower()) for m, name in enumerate(NAMES))
    return replace(recording_from_array(samples.astype(np.float32), RATE), microphones=microphones)


@pytest.fixture
def music(rng):
    """Three microphones of decaying noise: loud and soft stretches."""
    return 0.2 * rng.standard_normal((3, 6 * RATE)) * np.exp(-(np.arange(6 * RATE) % (3 * RATE)) / RATE)


def test_sound_microphones_have_no_problems(music):
    health = examined(session(music))
    assert health.problems == ()
    np.testing.assert_allclose(health.level_M, np.sqrt(np.mean(music**2, 1)), rtol=1e-5)


def test_dead_clipped_and_humming_microphones_are_named(music):
    times_s = np.arange(music.shape[1]) / RATE
    music[0] = np.clip(5 * music[0], -0.9, 0.9)
    music[1] = 0
    music[2] += sum(0.02 * np.sin(2 * np.pi * 50 * k * times_s) for k in (1, 2, 3, 5))
    problems = examined(session(music)).problems
    assert [problem.split(" ")[:3] for problem in problems] == [
        ["Left", "is", "clipped"], ["Flute", "is", "dead:"], ["Cello", "hums", "at"],
    ]  # fmt: skip
    assert "50 Hz" in problems[2]


@pytest.mark.parametrize(
    "partials", [{50: 1}, {50: 1, 150: 0.3}, {60: 1, 120: 0.5, 180: 0.3}, {100: 1, 200: 0.5, 300: 1}]
)
def test_hum_is_heard_beneath_notes_that_come_and_go(music, partials):
    """Notes a semitone from its harmonics, each for a second."""
    times_s = np.arange(music.shape[1]) / RATE
    notes_hz = np.array([185.0, 311.1, 103.8, 207.7, 58.3, 51.9])[times_s.astype(int)]
    music[1] += 0.2 * np.sin(2 * np.pi * np.cumsum(notes_hz) / RATE)
    music[1] += 0.02 * sum(level * np.sin(2 * np.pi * hz * times_s) for hz, level in partials.items())
    mains_hz = 60 if 60 in partials else 50
    assert examined(session(music)).problems == (f"Flute hums at {mains_hz} Hz",)


def test_hum_that_nobody_hears_is_not_named():
    times_s = np.arange(6 * RATE) / RATE
    samples = np.tile(0.5 * np.sin(2 * np.pi * 440 * times_s), (3, 1)) + 1e-4 * np.sin(2 * np.pi * 50 * times_s)
    assert examined(session(samples)).problems == ()


def test_a_held_low_note_is_no_hum(music):
    times_s = np.arange(music.shape[1]) / RATE
    music[2] += 0.2 * sum(np.sin(2 * np.pi * 98 * k * times_s) / k for k in range(1, 9))
    assert examined(session(music)).problems == ()


@pytest.mark.parametrize("samples", [1, 100, 16001])
def test_any_length_is_examined(rng, samples):
    assert examined(session(rng.standard_normal((3, samples)) * 0.1)).level_M.shape == (3,)


def test_silence_is_dead_everywhere():
    assert len(examined(session(np.zeros((3, 100)))).problems) == 3
