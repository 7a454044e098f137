"""Notes of a voice that slides, shakes, drifts and glitches are those of the score."""

import mir_eval
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from partbook.data.contours import control_times_s, pitch, vibrato, wander
from partbook.data.scores import bundled_score
from partbook.errors import OptionError
from partbook.pitch.notes import Note, NoteConfig, notes_of, semitones, tuning_semitones
from partbook.pitch.tracks import Track


def hz(midi):
    return 440 * 2 ** ((np.asarray(midi, float) - 69) / 12)


def sung(notes, rng, depth_cents=60.0, rate_hz=5.5, glide_s=0.1, scoop_cents=60.0, detuned_cents=0.0):
    """Return the F0 of a singer of some notes, every 8 ms, with glitches of an octave and frames that are lost."""
    times_s = control_times_s(notes[-1].stop_s + 0.3)
    midi = pitch(notes, times_s, glide_s, scoop_cents) + detuned_cents / 100
    midi += depth_cents / 100 * vibrato(notes, times_s, rate_hz, 0.15, rng)
    midi += 0.08 * wander(len(times_s), 1.5, rng) + 0.05 * wander(len(times_s), 0.03, rng)
    sounding = np.any([(times_s >= note.start_s) & (times_s < note.stop_s) for note in notes], 0)
    f0_hz = np.where(sounding, hz(midi), 0.0)[::4].copy()
    for at in rng.integers(0, len(f0_hz) - 4, len(notes) // 3):
        f0_hz[at : at + 3] *= rng.choice([0.0, 2.0, 0.5])
    return Track(times_s[::4], f0_hz, np.full(len(f0_hz), 0.8))


def held(notes):
    """Return the notes of a score as (start, stop, midi); those repeated without a rest are one."""
    merged = []
    for note in notes:
        again = merged and merged[-1][2] == note.midi and note.start_s - merged[-1][1] < 0.02
        merged[-1:] = [(merged[-1][0], note.stop_s, note.midi)] if again else [*merged[-1:], _told(note)]
    return merged


def _told(note):
    return note.start_s, note.stop_s, note.midi


def agreement(truth, found):
    """Return mir_eval's F measure of notes: starts within 0.1 s, the right semitone."""
    true_s, found_s = (np.array([[start_s, stop_s] for start_s, stop_s, _ in each]) for each in (truth, found))
    true_hz, found_hz = (hz([midi for *_, midi in each]) for each in (truth, found))
    return mir_eval.transcription.precision_recall_f1_overlap(
        true_s, true_hz, found_s, found_hz, onset_tolerance=0.1, pitch_tolerance=10, offset_ratio=None
    )[2]


@pytest.mark.parametrize("score", ["jesu", "grave"])
@pytest.mark.parametrize(
    ("depth_cents", "rate_hz", "glide_s", "detuned_cents"), [(0, 5, 0.05, 0), (60, 5.5, 0.1, 30), (90, 6, 0.12, -40)]
)
def test_the_notes_of_a_score_come_back(rng, score, depth_cents, rate_hz, glide_s, detuned_cents):
    parts = [part.notes for part in bundled_score(score).parts]
    tracks = [sung(notes, rng, depth_cents, rate_hz, glide_s, 60, detuned_cents) for notes in parts]
    found = notes_of(tracks)
    scores = [agreement(held(part), [_told(note) for note in notes]) for part, notes in zip(parts, found, strict=True)]
    assert np.mean(scores) > 0.96 and min(scores) > 0.85
    assert tuning_semitones([note for notes in found for note in notes]) == pytest.approx(detuned_cents / 100, abs=0.06)


@given(st.floats(0, 100), st.floats(5, 7), st.floats(0, 2 * np.pi), st.floats(45, 80))
@example(68.0, 6.265625, 1.0, 45.0)
@settings(max_examples=25, deadline=None)
def test_vibrato_around_any_pitch_is_one_note_at_its_centre(depth_cents, rate_hz, phase, centre):
    times_s = np.arange(0, 1.5, 0.008)
    midi = centre + depth_cents / 100 * np.sin(2 * np.pi * rate_hz * times_s + phase)
    ((note,),) = notes_of([Track(times_s, hz(midi), np.ones(len(midi)))])
    assert note.pitch == pytest.approx(centre, abs=0.08)
    assert (note.start_s, note.stop_s) == (0, pytest.approx(1.5, abs=0.03))


def test_a_transposed_voice_has_transposed_notes(rng):
    track = sung(bundled_score("jesu").parts[0].notes, rng)
    up = Track(track.times_s, track.f0_hz * 2 ** (7 / 12), track.confidence)
    (low,), (high,) = notes_of([track]), notes_of([up])
    assert [note.midi + 7 for note in low] == [note.midi for note in high]
    assert [note.start_s for note in low] == [note.start_s for note in high]


def test_a_glide_is_parted_in_its_middle_and_a_drift_is_not():
    times_s = np.arange(0, 2, 0.008)
    glide = np.interp(times_s, [0.95, 1.05], [60, 64])
    first, second = notes_of([Track(times_s, hz(glide), np.ones(len(glide)))])[0]
    assert (first.midi, second.midi) == (60, 64) and second.start_s == pytest.approx(1.0, abs=0.03)
    drift = 60 + 0.25 * times_s
    assert len(notes_of([Track(times_s, hz(drift), np.ones(len(drift)))])[0]) == 1


def test_a_pause_ends_a_note_and_a_lost_frame_does_not():
    times_s = np.arange(0, 2, 0.008)
    for pause_s, count in ((0.02, 1), (0.15, 2)):
        f0_hz = np.where(np.abs(times_s - 1) < pause_s / 2, 0.0, 220.0)
        assert len(notes_of([Track(times_s, f0_hz, np.ones(len(f0_hz)))])[0]) == count


def test_blips_silence_and_single_frames_give_no_notes():
    times_s = np.arange(0, 1, 0.008)
    blip = np.where(np.abs(times_s - 0.5) < 0.03, 220.0, 0.0)
    single = Track(np.zeros(1), np.full(1, 220.0), np.ones(1))
    assert notes_of([Track(times_s, blip, blip), Track(times_s, 0 * blip, blip), single]) == [[], [], []]
    assert tuning_semitones([]) == 0


def test_a_given_tuning_names_the_notes():
    times_s = np.arange(0, 1, 0.008)
    track = Track(times_s, np.full(len(times_s), 415.0), np.ones(len(times_s)))
    assert [notes_of([track], NoteConfig(tuning_hz=a4))[0][0].midi for a4 in (415.0, 440.0)] == [69, 68]
    for a4 in (44.0, float("nan")):
        with pytest.raises(OptionError):
            NoteConfig(tuning_hz=a4)


def test_the_tuning_is_that_of_all_voices_together():
    one, other = (Note(0, 1, pitch, round(pitch), 1.0) for pitch in (60.4, 67.4))
    assert tuning_semitones([one, other]) == pytest.approx(0.4)
    assert np.isnan(semitones(np.zeros(3))).all()
