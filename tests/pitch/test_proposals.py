"""Where voices would be while unvoiced: on from where they were, on what suits them, or nowhere that is known."""

import numpy as np
import pytest

from partbook.pitch.candidates import NO_EVIDENCE, Candidates
from partbook.pitch.proposals import HELD_S, proposed

STEP_S = 0.008


def heard(*f0_hz, evidence=0.0, frames=200):
    """Return candidates that stand still, or move where a sequence is given."""
    lines = [np.broadcast_to(np.asarray(each, float), frames) for each in f0_hz]
    levels = np.broadcast_to(np.asarray(evidence, float), (frames, len(lines)))
    return Candidates(np.arange(frames) * STEP_S, np.stack(lines, 1), levels, len(lines))


def sung(f0_hz, first, last, frames=200):
    return np.where((np.arange(frames) >= first) & (np.arange(frames) < last), f0_hz, 0.0)


def test_what_is_voiced_stays_and_all_else_is_somewhere():
    f0_NT = np.stack([sung(300, 50, 80), sung(150, 0, 200)])
    where = proposed(f0_NT, heard(310, 150, evidence=-3))
    np.testing.assert_array_equal(where[f0_NT > 0], f0_NT[f0_NT > 0])
    assert (where > 0).all()


def test_a_voice_is_held_a_tenth_of_a_second_and_then_goes_where_something_is_heard():
    where = proposed(sung(300, 0, 50)[None], heard(330, evidence=-1))[0]
    held = round(HELD_S / STEP_S)
    np.testing.assert_allclose(where[50 : 50 + held], 300)
    np.testing.assert_allclose(where[50 + held + 1 :], 330)


def test_a_pause_goes_on_from_both_its_ends():
    f0_T = sung(300, 0, 50) + sung(200, 58, 200)
    where = proposed(f0_T[None], heard(900, evidence=-1))[0]
    np.testing.assert_allclose(where[50:54], 300)
    np.testing.assert_allclose(where[54:58], 200)


def test_a_voice_before_its_first_note_is_where_that_begins():
    where = proposed(sung(300, 10, 200)[None], heard(500, evidence=-1))[0]
    np.testing.assert_allclose(where, 300)


def test_a_steady_candidate_is_likelier_than_a_louder_one_that_leaps():
    leaping = np.where(np.arange(200) % 2, 260.0, 350.0)
    where = proposed(sung(300, 0, 50)[None], heard(310, leaping, evidence=(0.0, 0.5)))[0]
    np.testing.assert_allclose(where[80:], 310)


def test_the_candidate_of_the_own_register_is_likelier_than_another():
    f0_NT = np.stack([sung(600, 0, 50), sung(120, 0, 50)])
    where = proposed(f0_NT, heard(580, 130, evidence=1.0))
    np.testing.assert_allclose(where[:, 100:], [[580] * 100, [130] * 100])


def test_what_another_voice_sings_is_no_evidence_for_one_that_rests():
    """The other voice's line is by far the loudest; that which nobody sings is where the resting voice would be."""
    f0_NT = np.stack([sung(600, 0, 50), sung(300, 0, 200)])
    where = proposed(f0_NT, heard(300, 580, evidence=(6.0, -1.0)))
    np.testing.assert_allclose(where[0, 100:], 580)
    alone = proposed(f0_NT[:1], heard(300, 580, evidence=(6.0, -1.0)))
    np.testing.assert_allclose(alone[0, 100:], 300)


@pytest.mark.parametrize("factor", [0.5, 1.3])
def test_transposing_all_transposes_what_is_proposed(factor, rng):
    f0_hz, f0_T = 200 * 2 ** rng.uniform(0, 1, (200, 4)), sung(300, 40, 90)
    candidates = Candidates(np.arange(200) * STEP_S, f0_hz, rng.normal(0, 1, (200, 4)), 1)
    higher = Candidates(candidates.times_s, factor * f0_hz, candidates.evidence, 1)
    np.testing.assert_allclose(proposed(factor * f0_T[None], higher), factor * proposed(f0_T[None], candidates))


def test_of_silent_voices_and_silence_nothing_is_known():
    assert not proposed(np.zeros((2, 200)), heard(300, evidence=3)).any()
    where = proposed(sung(300, 0, 50)[None], heard(330, evidence=NO_EVIDENCE))[0]
    assert (where[:60] == 300).all() and not where[70:].any()
    assert proposed(np.zeros((1, 0)), heard(300, frames=0)).shape == (1, 0)
