import itertools

import numpy as np
import pytest

from partbook.audio import recording_from_array
from partbook.ensemble import named_voices
from partbook.pitch.candidates import Candidates
from partbook.pitch.following import SALIENCES, followed, moving_registers, stillness, track_voices

RATE = 16000


def near(track, truth, cents=50.0):
    """Return the share of the truth's voiced frames that a track finds."""
    found_hz = track.at(truth.times_s).f0_hz
    voiced = truth.f0_hz > 0
    away = np.abs(1200 * np.log2(np.maximum(found_hz, 1) / np.maximum(truth.f0_hz, 1)))
    return np.mean(away[voiced] < cents)


def swung(times_s):
    """Return the factor of a vibrato of half a semitone to either side."""
    return 2 ** (0.5 / 12 * np.sin(2 * np.pi * 5.5 * times_s))


@pytest.mark.parametrize("salience", SALIENCES)
def test_a_duet_is_followed(sung, salience):
    pair = [0, 3]
    duet = recording_from_array(sung.parts[pair, 0].sum(0), RATE)
    voices = named_voices([sung.names[n] for n in pair])
    _, tracks = track_voices(duet, voices, salience=salience)
    for voice, n in zip(voices, pair, strict=True):
        assert near(tracks[voice.id], sung.tracks[n]) > 0.75, voice.name


@pytest.mark.parametrize("salience", SALIENCES)
def test_a_chord_of_steady_voices_is_counted(salience):
    t = np.arange(2 * RATE) / RATE
    for count in (2, 3, 4):
        # No whole ratio: a tone that never moves, exactly on a harmonic of another, may be no more than that.
        f0_hz = [110.0, 174.6, 277.2, 415.3][:count]
        tones = [sum(np.cos(2 * np.pi * k * f * t + k) / k for k in range(1, int(4000 / f))) for f in f0_hz]
        assert len(track_voices(recording_from_array(0.1 * sum(tones), RATE), None, salience=salience)[0]) == count


def test_frames_are_at_most_8_ms_and_cover_the_recording():
    for rate in (8000, 16000, 22050, 44100, 48000):
        _, tracks = track_voices(recording_from_array(np.zeros(rate, np.float32), rate), named_voices(["alto"] * 2))
        for track in tracks.values():
            assert np.diff(track.times_s).max() <= 0.008 + 1e-9
            assert track.times_s[0] == 0 and track.times_s[-1] > 1 - 0.009


def test_confidence_lies_between_0_and_1_and_silence_is_unvoiced():
    _, tracks = track_voices(recording_from_array(np.zeros(RATE, np.float32), RATE), named_voices(["alto", "bass"]))
    for track in tracks.values():
        assert not track.f0_hz.any()
        assert ((track.confidence >= 0) & (track.confidence <= 1)).all()


def test_where_all_voices_are_high_the_inner_ones_are_high_too():
    # Soprano, tenor and bass go up a fourth. Two candidates are left for the alto: one a fourth up, one where it was.
    home_hz, high_hz = np.array([440.0, 330.0, 220.0, 165.0]), np.array([587.0, 440.0, 294.0, 220.0])
    times_s = np.arange(4000) * 0.008
    high = times_s[:, None] >= 24
    usual = np.where(high, home_hz[1], 100.0)
    # They are singers: of voices that are still, nobody in particular would be on another's octave.
    heard = np.concatenate([np.where(high, high_hz, home_hz), usual], 1) * swung(times_s)[:, None]
    evidence = np.concatenate([np.tile([6.0, 3.0, 6.0, 6.0], (len(heard), 1)), np.where(high, 2.9, -1e4)], 1)
    voices = named_voices(["soprano", "alto", "tenor", "bass"])
    tracks = followed(Candidates(times_s, heard, evidence, 4), voices, SALIENCES["network"][1])
    late = times_s > 26
    assert [round(float(np.median(track.f0_hz[late]))) for track in tracks.values()] == [587, 440, 294, 220]


def test_registers_stay_where_nobody_moves_and_of_voices_that_rest():
    path_s = np.arange(0, 10, 0.024)
    path_hz = np.zeros((len(path_s), 2))
    path_hz[:, 0] = 300.0
    registers = moving_registers(path_s, path_hz, [250.0, 120.0], np.array([0.0, 5.0, 12.0]))
    assert np.allclose(registers, [300.0, 120.0])


TIMES_S = np.arange(1000) * 0.008
SWUNG = swung(TIMES_S)


def test_voices_that_hold_their_pitch_are_still_and_those_that_swing_are_not():
    held = np.ones_like(TIMES_S)[:, None] * [440.0, 220.0]
    notes = np.where(TIMES_S[:, None] % 2 < 1, held, 1.2 * held)
    rests = np.where(TIMES_S[:, None] % 0.3 < 0.15, held, 0.0)
    assert stillness(TIMES_S, held) == stillness(TIMES_S, notes) == stillness(TIMES_S, rests) == 1
    assert (
        stillness(TIMES_S, held * SWUNG[:, None])
        == stillness(TIMES_S, 0 * held)
        == stillness(TIMES_S[:1], held[:1])
        == 0
    )
    # As much vibrato as this is between.
    little = [stillness(TIMES_S, held * SWUNG[:, None] ** share) for share in (0.12, 0.18, 0.2, 0.3)]
    assert all(0 <= later <= sooner <= 1 for sooner, later in itertools.pairwise(little))
    assert 0 < little[1] < 1
    assert stillness(TIMES_S, 3 * held * SWUNG[:, None] ** 0.18) == pytest.approx(little[1], abs=1e-6)
    assert stillness(TIMES_S[::3], held[::3] * SWUNG[::3, None] ** 0.18) == pytest.approx(little[1], abs=0.1)


@pytest.mark.parametrize(("swing", "sounds"), [(0 * TIMES_S + 1, False), (SWUNG, True)])
def test_where_voices_are_still_a_harmonic_that_is_hardly_heard_is_no_voice(swing, sounds):
    f0_hz = 220.0 * swing[:, None] * [1.0, 3.0]
    evidence = np.broadcast_to([4.0, 0.2], f0_hz.shape)
    tracks = followed(
        Candidates(TIMES_S, f0_hz, evidence, 2), named_voices(["violin", "cello"]), SALIENCES["network"][1]
    )
    assert (tracks["cello"].f0_hz > 0).all()
    assert (tracks["violin"].f0_hz > 0).mean() == sounds
