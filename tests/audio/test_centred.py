import numpy as np

import partbook
from partbook.audio import recording_from_array
from partbook.audio.centred import centred
from partbook.data.render import sung_dry
from partbook.data.scores import bundled_score

RATE = 16000


def test_an_offset_is_gone_whatever_is_read(rng):
    sound = rng.uniform(-0.1, 0.1, (3, RATE))
    sound -= sound.mean(1, keepdims=True)
    offset = np.array([[0.3], [0.0], [-0.05]])
    sound[2] = 0
    heard = centred(recording_from_array(sound + offset, RATE))
    np.testing.assert_allclose(heard.read(0, RATE), sound, atol=1e-6)
    np.testing.assert_allclose(heard.read(100, 300), sound[:, 100:300], atol=1e-6)


def test_a_recording_without_one_stays_itself(rng):
    for samples in (rng.standard_normal((2, RATE)) + 0.001, np.zeros(RATE)):
        recording = recording_from_array(samples, RATE)
        assert centred(recording) is recording


def test_it_is_in_the_residual_and_changes_no_voice():
    mixture = sung_dry(bundled_score("jesu"), RATE, seed=3).parts[:, 0, RATE : 3 * RATE].sum(0)
    mixture -= mixture.mean()
    straight, shifted = (partbook.separate(mixture + offset, RATE, voices="SATB") for offset in (0.0, 0.5))
    for voice, image in straight.items():
        np.testing.assert_allclose(shifted[voice], image, atol=3e-3 * np.abs(mixture).max())
    assert abs(shifted.residual.mean() - 0.5) < 0.01
    tracks = [partbook.pitch.track(recording_from_array(mixture + offset, RATE), voices="SATB") for offset in (0, 0.5)]
    for voice, track in tracks[0].items():
        np.testing.assert_allclose(tracks[1][voice].f0_hz, track.f0_hz, rtol=1e-2)
