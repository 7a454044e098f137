import dataclasses

import mir_eval
import numpy as np
import pytest

from partbook.evaluate.pitch import calibration, frame_classes, score_pitch
from partbook.pitch.tracks import Track

NAMES = ("soprano", "alto", "tenor", "bass")


def quartet(seed=0, frames=400):
    """Return four gliding voices with rests, on a grid of 10 ms."""
    rng = np.random.default_rng(seed)
    times_s = np.arange(frames) * 0.01
    tracks = {}
    for name, low_hz in zip(NAMES, (400, 290, 180, 100), strict=True):
        f0_hz = low_hz * 2 ** (np.cumsum(rng.normal(0, 5, frames)) / 1200)
        f0_hz[rng.integers(frames) :][:60] = 0
        tracks[name] = Track(times_s, f0_hz, np.full(frames, 0.9))
    return tracks


def changed(track, **values):
    return dataclasses.replace(track, **values)


def test_references_score_perfectly_against_themselves():
    scores = score_pitch(quartet(), quartet())
    assert scores.f_measure == scores.assignment_f_measure == 1
    for voice in scores.voices.values():
        assert voice.correct == voice.raw_pitch == voice.overall == voice.f_measure == 1
        assert voice.voicing_false_alarm == 0
        assert voice.cents.p95 == pytest.approx(0, abs=1e-9)


def test_two_exchanged_voices_are_swaps_and_cost_no_multi_f0():
    references = quartet()
    estimates = references | {"alto": references["tenor"], "tenor": references["alto"]}
    scores = score_pitch(references, estimates)
    assert scores.f_measure == 1
    assert scores.assignment_f_measure < 0.6
    assert scores.voices["alto"].correct == 0
    assert scores.voices["alto"].swapped > 0.5
    assert scores.voices["soprano"].correct == 1


def test_an_octave_an_absence_and_a_wild_guess_are_told_apart():
    references = quartet()
    estimates = {
        "soprano": changed(references["soprano"], f0_hz=2 * references["soprano"].f0_hz),
        "alto": changed(references["alto"], f0_hz=0 * references["alto"].f0_hz),
        "tenor": changed(references["tenor"], f0_hz=1.2 * references["tenor"].f0_hz),
    }
    voices = score_pitch(references, estimates).voices
    assert voices["soprano"].octave == 1 and voices["soprano"].raw_chroma == 1 and voices["soprano"].raw_pitch == 0
    assert voices["alto"].missed == 1
    assert voices["tenor"].wrong > 0.9
    assert voices["bass"].missed == 1


@pytest.mark.parametrize("seed", range(3))
def test_classes_sum_to_one_and_agree_with_mir_eval(seed):
    rng = np.random.default_rng(seed)
    references = quartet(seed)
    estimates = {
        name: changed(track, f0_hz=track.f0_hz * 2 ** rng.choice([0, 0, 0.03, 1, -1, 0.3], len(track.f0_hz)))
        for name, track in references.items()
    }
    scores = score_pitch(references, estimates)
    for name, voice in scores.voices.items():
        assert voice.correct + voice.swapped + voice.octave + voice.wrong + voice.missed == pytest.approx(1)
        theirs = mir_eval.melody.evaluate(
            references[name].times_s, references[name].f0_hz, estimates[name].times_s, estimates[name].f0_hz
        )
        assert voice.raw_pitch == voice.correct == pytest.approx(theirs["Raw Pitch Accuracy"])
        assert voice.overall == pytest.approx(theirs["Overall Accuracy"])


def test_a_constant_mistuning_is_a_bias_in_cents():
    references = quartet()
    estimates = {n: changed(t, f0_hz=t.f0_hz * 2 ** (20 / 1200)) for n, t in references.items()}
    cents = score_pitch(references, estimates).voices["alto"].cents
    assert cents.bias == pytest.approx(20) and cents.median == pytest.approx(20)
    assert score_pitch(references, estimates, tolerance_cents=10).voices["alto"].correct == 0


def test_unison_is_no_swap():
    classes = frame_classes(np.array([[200.0], [200.0]]), np.array([201.0]), 0, 50)
    assert classes.tolist() == ["correct"]


def test_confidence_that_is_always_too_high_is_seen():
    confidence = np.full(1000, 0.95)
    correct = np.arange(1000) < 600
    result = calibration(confidence, correct)
    assert result.expected_error == pytest.approx(0.35)
    assert result.accuracy[9] == pytest.approx(0.6) and result.count.sum() == 1000


def test_tracks_on_other_grids_score_alike():
    references = quartet()
    finer = {name: track.at(np.arange(0, 3.99, 0.004)) for name, track in references.items()}
    scores = score_pitch(references, finer)
    assert min(voice.correct for voice in scores.voices.values()) > 0.98


def test_raw_pitch_counts_where_an_unvoiced_voice_would_be_and_nothing_else_does():
    times_s = 0.01 * np.arange(100)
    truth = Track(times_s, np.full(100, 220.0), np.ones(100))
    f0_hz = np.where(times_s < 0.5, 220.0, 0.0)
    resting_hz = np.where(f0_hz > 0, 0.0, np.where(times_s < 0.75, 221.0, 300.0))
    plain, told = (
        score_pitch({"alto": truth}, {"alto": Track(times_s, f0_hz, np.ones(100), resting)})
        for resting in (None, resting_hz)
    )
    assert plain.voices["alto"].raw_pitch == pytest.approx(0.5) and told.voices["alto"].raw_pitch == pytest.approx(0.75)
    signed_hz = np.where(f0_hz > 0, f0_hz, -resting_hz)
    found = mir_eval.melody.evaluate(times_s, truth.f0_hz, times_s, signed_hz)
    assert told.voices["alto"].raw_pitch == pytest.approx(found["Raw Pitch Accuracy"])
    assert told.voices["alto"].overall == pytest.approx(found["Overall Accuracy"])
    for name in ("voicing_recall", "missed", "correct", "overall", "f_measure"):
        assert getattr(told.voices["alto"], name) == getattr(plain.voices["alto"], name)
    assert (told.f_measure, told.recall) == (plain.f_measure, plain.recall)


def test_a_voice_that_never_sounds_has_no_accuracy_but_a_false_alarm():
    references = quartet()
    references["bass"] = changed(references["bass"], f0_hz=0 * references["bass"].f0_hz)
    voice = score_pitch(references, quartet()).voices["bass"]
    assert np.isnan(voice.raw_pitch) and np.isnan(voice.correct)
    assert voice.voicing_false_alarm > 0.8
