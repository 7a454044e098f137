"""Contours bend notes by as much as they say, when they say."""

from __future__ import annotations

import numpy as np
import pytest

from partbook.data.contours import CONTROL_HZ, control_times_s, growing, phrases, pitch, swell_db, vibrato, wander
from partbook.data.scores import Note

NOTES = [Note(0.5, 1.5, 60), Note(1.5, 2.5, 64, slurred=True), Note(3.0, 4.0, 55)]
TIMES_S = control_times_s(4.5)


def at(values, time_s):
    return values[round(time_s * CONTROL_HZ)]


@pytest.mark.parametrize("seconds", [0.03, 0.3])
def test_wandering_has_mean_0_variance_1_and_forgets(seconds):
    many = np.stack([wander(3 * CONTROL_HZ, seconds, np.random.default_rng(seed)) for seed in range(200)])
    assert abs(many[:, ::100].mean()) < 0.1
    assert (many[:, ::100] ** 2).mean() == pytest.approx(1, rel=0.1)
    near, far = (many[:, :1] * many[:, [round(k * seconds * CONTROL_HZ)]] for k in (0.1, 4))
    assert near.mean() > 0.8 and abs(far.mean()) < 0.25


def test_pitch_stands_on_the_notes_and_glides_between_them():
    midi = pitch(NOTES, TIMES_S, 0.1, 0.0)
    assert [at(midi, time_s) for time_s in (0.6, 1.4, 1.6, 2.4, 3.5)] == pytest.approx([60, 60, 64, 64, 55])
    gliding = midi[(TIMES_S > 1.4) & (TIMES_S < 1.6)]
    assert (np.diff(gliding) >= -1e-9).all()
    assert at(midi, 1.5) == pytest.approx(62, abs=0.3)


def test_notes_after_rests_begin_low_and_slurred_ones_do_not():
    bent = pitch(NOTES, TIMES_S, 0.1, 80.0) - pitch(NOTES, TIMES_S, 0.1, 0.0)
    assert at(bent, 0.5) == pytest.approx(-0.8) and at(bent, 3.0) == pytest.approx(-0.8, abs=1e-3)
    assert at(bent, 0.7) > -0.02 and abs(at(bent, 1.52)) < 1e-3


def test_vibrato_waits_grows_to_its_depth_and_keeps_its_rate():
    notes = [Note(0.0, 8.0, 60)]
    times_s = control_times_s(8.0)
    bent = vibrato(notes, times_s, 5.5, 0.3, np.random.default_rng(0))
    assert np.abs(bent[: round(0.2 * CONTROL_HZ)]).max() == 0
    late = bent[CONTROL_HZ:]
    assert np.sqrt(2 * (late**2).mean()) == pytest.approx(1, rel=0.2)
    crossings = (np.diff(np.sign(late)) > 0).sum() / 7.0
    assert crossings == pytest.approx(5.5, rel=0.05)


def test_short_notes_have_no_vibrato():
    assert growing([Note(0.0, 0.2, 60)], control_times_s(1.0), 0.25).max() == 0


def test_phrases_end_at_rests_and_swell_in_their_middle():
    assert [len(phrase) for phrase in phrases(NOTES)] == [2, 1]
    loudness_db = swell_db(NOTES, TIMES_S, 0.0, 6.0)
    assert at(loudness_db, 1.5) == pytest.approx(0, abs=0.1)
    assert at(loudness_db, 0.6) < -3 and at(loudness_db, 2.4) < -3
