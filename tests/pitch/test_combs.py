import numpy as np

from partbook.audio import recording_from_array
from partbook.pitch.combs import evidence_of, likely_voices, observed_peaks, peaks
from partbook.pitch.salience import SalienceConfig

RATE = 16000


def test_blocks_of_listening_do_not_change_what_is_heard(sung, monkeypatch):
    recording = recording_from_array(sung.parts[:, 0, : 4 * RATE].sum(0), RATE)
    _, f0_hz, strength = observed_peaks(recording, SalienceConfig(), None)
    monkeypatch.setitem(observed_peaks.__globals__, "BLOCK_S", 1.3)
    _, again_hz, _ = observed_peaks(recording, SalienceConfig(), None)
    first = strength[:, 0] > 0.1 * strength.max()
    assert np.mean(np.abs(f0_hz[first, 0] / again_hz[first, 0] - 1) < 1e-3) > 0.98


def test_evidence_does_not_depend_on_the_level_of_the_recording(rng):
    strength = np.sort(rng.exponential(1, (300, 6)), 1)[:, ::-1]
    assert np.allclose(evidence_of(strength), evidence_of(1e3 * strength), atol=1e-3)


def test_evidence_does_not_depend_on_how_long_the_pauses_are(rng):
    strength = np.sort(rng.exponential(1, (600, 6)), 1)[:, ::-1]
    pause = np.zeros((3000, 6))
    between = evidence_of(np.concatenate([pause, strength, pause]))[3000:3600]
    assert np.allclose(between[70:-70], evidence_of(strength)[70:-70], atol=1e-3)


def test_peaks_are_placed_between_the_rows():
    grid_hz = 100 * 2 ** (np.arange(60) * 20 / 1200)
    true_hz = grid_hz[30] * 2 ** (7 / 1200)
    salience = np.exp(-0.5 * (1200 * np.log2(grid_hz / true_hz) / 25) ** 2)[:, None]
    f0_hz, strength = peaks(salience, grid_hz, 3)
    assert abs(1200 * np.log2(f0_hz[0, 0] / true_hz)) < 0.5
    assert (strength[0, 1:] == 0).all()


def test_nothing_heard_counts_as_the_fewest_voices():
    assert likely_voices(np.zeros((50, 16))) == 2
