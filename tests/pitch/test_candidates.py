import numpy as np
import pytest

from partbook.audio import recording_from_array
from partbook.pitch.candidates import EXPECTED, MOST, NO_EVIDENCE, SUPPORT, Candidates, supported
from partbook.pitch.combs import comb_candidates
from partbook.pitch.following import WITNESS, witnessed_candidates
from partbook.pitch.heard import network_candidates


def drawn(rng, frames=40, count=5, step_s=0.008):
    f0_hz = rng.uniform(100, 800, (frames, count))
    evidence = -np.sort(-rng.normal(0, 3, (frames, count)), 1)
    evidence[:, -1] = np.where(rng.random(frames) < 0.5, NO_EVIDENCE, evidence[:, -1])
    return Candidates(np.arange(frames) * step_s, f0_hz, evidence, 3)


def test_of_two_candidates_the_one_that_the_witness_hears_comes_first():
    times_s = np.arange(3) * 0.008
    heard = Candidates(times_s, np.tile([200.0, 300.0], (3, 1)), np.tile([1.1, 1.0], (3, 1)), 2)
    # 30 cents off is the same pitch.
    witness = Candidates(times_s, np.full((3, 1), 300.0 * 2 ** (30 / 1200)), np.full((3, 1), 2.0), 2)
    found = supported(heard, witness)
    np.testing.assert_allclose(found.f0_hz, np.tile([300.0, 200.0], (3, 1)))
    expected = [1.0 + SUPPORT * (2.0 - EXPECTED), 1.1 - SUPPORT * (MOST + EXPECTED)]
    np.testing.assert_allclose(found.evidence, np.tile(expected, (3, 1)))


def test_pitches_stay_and_no_candidate_comes_or_goes(rng):
    heard = drawn(rng)
    found = supported(heard, drawn(rng))
    np.testing.assert_array_equal(np.sort(found.f0_hz), np.sort(heard.f0_hz))
    assert ((found.evidence == NO_EVIDENCE).sum(1) == (heard.evidence == NO_EVIDENCE).sum(1)).all()
    assert (np.diff(found.evidence, axis=1) <= 0).all()
    moved = np.sort(found.evidence[:, :-1]) - np.sort(heard.evidence[:, :-1])
    assert np.abs(moved).max() <= SUPPORT * (MOST + EXPECTED) + 1e-9


def test_the_order_and_the_frames_of_a_witness_do_not_matter(rng):
    heard, witness = drawn(rng), drawn(rng, count=4)
    # Two of them near the same candidate, two near another.
    witness.f0_hz[:] = heard.f0_hz[:, [0, 0, 1, 1]] * 2 ** (rng.uniform(-40, 40, witness.f0_hz.shape) / 1200)
    order = [2, 0, 3, 1]
    shuffled = Candidates(witness.times_s, witness.f0_hz[:, order], witness.evidence[:, order], 3)
    finer = Candidates(
        np.arange(79) * 0.004, np.repeat(witness.f0_hz, 2, 0)[:79], np.repeat(witness.evidence, 2, 0)[:79], 3
    )
    once = supported(heard, witness)
    for other in (shuffled, finer):
        np.testing.assert_allclose(supported(heard, other).evidence, once.evidence)


def test_the_network_has_combs_for_its_witness():
    t = np.arange(16000) / 16000
    chord = sum(np.cos(2 * np.pi * k * f * t + k) / k for f in (174.6, 277.2) for k in range(1, 12))
    recording = recording_from_array(0.1 * chord, 16000)
    network, combs = network_candidates(recording), comb_candidates(recording, config=WITNESS)
    found = witnessed_candidates(recording)
    np.testing.assert_allclose(found.evidence, supported(network, combs).evidence)
    sounding = np.abs(1200 * np.log2(found.f0_hz[:, :2] / np.array([174.6, 277.2])[:, None, None])).min(0) < 50
    assert sounding[20:-20].mean() > 0.95


@pytest.mark.parametrize("samples", [1, 100])
def test_a_recording_of_a_few_samples_is_heard(samples):
    assert np.isfinite(witnessed_candidates(recording_from_array(np.ones(samples, np.float32), 16000)).f0_hz).all()
