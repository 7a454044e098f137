import numpy as np

import partbook
from partbook.audio import recording_from_array
from partbook.audio.conditioning import centred, levelled, powers
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
        assert np.linalg.norm(shifted[voice] - image) < 0.02 * np.linalg.norm(image)
    assert abs(shifted.residual.mean() - 0.5) < 0.01
    tracks = [partbook.pitch.track(recording_from_array(mixture + offset, RATE), voices="SATB") for offset in (0, 0.5)]
    for voice, track in tracks[0].items():
        np.testing.assert_allclose(tracks[1][voice].f0_hz, track.f0_hz, rtol=1e-2)


def level_db(recording, from_s, to_s):
    """Return the level of a recording from one second to another."""
    power = powers(recording, RATE)
    return 10 * np.log10(power[from_s:to_s].mean())


def test_soft_passages_are_as_loud_as_loud_ones_pauses_and_bangs_aside(rng):
    db = np.repeat([-20.0, 0.0, -80.0, -10.0], 20 * RATE)
    db[10 * RATE : 10 * RATE + 800] = 20
    sound = rng.standard_normal((2, len(db))) * 10 ** (db / 20)
    whole = levelled(recording_from_array(sound, RATE))
    for from_s, to_s in ((1, 9), (12, 18), (22, 38), (62, 78)):
        assert abs(level_db(whole, from_s, to_s) - level_db(whole, 22, 38)) < 1.5
    assert level_db(whole, 45, 55) - level_db(whole, 22, 38) < -45
    np.testing.assert_array_equal(whole.read(700, 900), whole.read(0, 1000)[:, 700:900])
    louder = levelled(recording_from_array(4 * sound, RATE))
    np.testing.assert_allclose(louder.read(0, RATE), 4 * whole.read(0, RATE), rtol=1e-5)


def test_silence_stays_itself():
    recording = recording_from_array(np.zeros((2, RATE)), RATE)
    assert levelled(recording) is recording


def test_pitch_does_not_depend_on_how_loud_it_is_elsewhere():
    sung = sung_dry(bundled_score("jesu"), RATE, seed=3).parts[:, 0, RATE : 5 * RATE].sum(0)
    soft = np.concatenate([sung, np.zeros(4 * RATE), 300 * np.tile(sung, 4)])
    alone, before = (partbook.pitch.track(recording_from_array(x / 100, RATE), voices="SATB") for x in (sung, soft))
    missed = [
        np.mean((before[voice].f0_hz[: len(track.f0_hz)] > 0) != (track.f0_hz > 0)) for voice, track in alone.items()
    ]
    assert np.mean(missed) < 0.03
