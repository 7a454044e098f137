import numpy as np
import pytest

from partbook.audio import recording_from_array
from partbook.data.render import sung_dry
from partbook.data.scores import bundled_score
from partbook.ensemble import named_voices
from partbook.pitch.salience import SalienceConfig
from partbook.pitch.track import evidence_of, likely_voices, observed_peaks, peaks, track_voices

RATE = 16000


@pytest.fixture(scope="module")
def sung():
    return sung_dry(bundled_score("jesu"), RATE, seed=3)


def near(track, truth, cents=50.0):
    """Return the share of the truth's voiced frames that a track finds."""
    found_hz = track.at(truth.times_s).f0_hz
    voiced = truth.f0_hz > 0
    away = np.abs(1200 * np.log2(np.maximum(found_hz, 1) / np.maximum(truth.f0_hz, 1)))
    return np.mean(away[voiced] < cents)


def test_a_duet_is_followed_and_counted(sung):
    pair = [0, 3]
    duet = recording_from_array(sung.parts[pair, 0].sum(0), RATE)
    voices = named_voices([sung.names[n] for n in pair])
    _, tracks = track_voices(duet, voices)
    for voice, n in zip(voices, pair, strict=True):
        assert near(tracks[voice.id], sung.tracks[n]) > 0.75, voice.name


def test_a_chord_of_steady_voices_is_counted():
    t = np.arange(2 * RATE) / RATE
    for count in (2, 3, 4):
        f0_hz = [110.0, 174.6, 277.2, 440.0][:count]
        tones = [sum(np.cos(2 * np.pi * k * f * t + k) / k for k in range(1, int(4000 / f))) for f in f0_hz]
        assert len(track_voices(recording_from_array(0.1 * sum(tones), RATE), None)[0]) == count


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


def test_blocks_of_listening_do_not_change_what_is_heard(sung, monkeypatch):
    recording = recording_from_array(sung.parts[:, 0, : 4 * RATE].sum(0), RATE)
    _, f0_hz, strength = observed_peaks(recording, SalienceConfig(), None)
    monkeypatch.setitem(observed_peaks.__globals__, "BLOCK_S", 1.3)
    _, again_hz, _ = observed_peaks(recording, SalienceConfig(), None)
    first = strength[:, 0] > 0.1 * strength.max()
    assert np.mean(np.abs(f0_hz[first, 0] / again_hz[first, 0] - 1) < 1e-3) > 0.98


def test_evidence_does_not_depend_on_the_level_of_the_recording(rng):
    from partbook.pitch.decode import DecodeConfig

    strength = np.sort(rng.exponential(1, (300, 6)), 1)[:, ::-1]
    config = DecodeConfig()
    assert np.allclose(evidence_of(strength, config), evidence_of(1e3 * strength, config), atol=1e-3)


def test_peaks_are_placed_between_the_rows():
    grid_hz = 100 * 2 ** (np.arange(60) * 20 / 1200)
    true_hz = grid_hz[30] * 2 ** (7 / 1200)
    salience = np.exp(-0.5 * (1200 * np.log2(grid_hz / true_hz) / 25) ** 2)[:, None]
    f0_hz, strength = peaks(salience, grid_hz, 3)
    assert abs(1200 * np.log2(f0_hz[0, 0] / true_hz)) < 0.5
    assert (strength[0, 1:] == 0).all()


def test_nothing_heard_counts_as_the_fewest_voices():
    assert likely_voices(np.zeros((50, 16))) == 2
