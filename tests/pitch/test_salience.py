import numpy as np
import torch

from partbook.pitch.salience import SalienceConfig, analysis, comb_atoms, harmonic_salience

CONFIG = SalienceConfig()
RATE = 16000


def salience(x):
    stft, bins_hz = analysis(RATE, CONFIG)
    power = stft(torch.from_numpy(x).float())[: len(bins_hz)].abs() ** 2
    return harmonic_salience(power, comb_atoms(bins_hz, stft.n_fft / RATE, CONFIG), bins_hz, CONFIG).numpy()


def tone(f0_hz, seconds=0.6):
    t = np.arange(int(seconds * RATE)) / RATE
    return sum(np.cos(2 * np.pi * k * f0_hz * t + k) / k for k in range(1, int(4000 / f0_hz) + 1))


def test_the_strongest_rows_of_a_chord_are_its_notes():
    chord_hz = [110.0, 164.8, 220.0, 277.2]
    middle = salience(sum(tone(each) for each in chord_hz)).mean(1)
    inner = middle[1:-1]
    rows = np.flatnonzero((inner > middle[:-2]) & (inner >= middle[2:])) + 1
    strongest = CONFIG.grid_hz[rows[np.argsort(-middle[rows])[:4]]]
    assert np.allclose(np.sort(strongest), chord_hz, rtol=2 ** (20 / 1200) - 1)


def test_a_single_note_has_neither_octave():
    middle = salience(tone(220.0)).mean(1)
    at = {f: middle[np.abs(CONFIG.grid_hz - f).argmin()] for f in (110.0, 220.0, 440.0)}
    assert at[220.0] > 10 * at[110.0] and at[220.0] > 10 * at[440.0]


def test_louder_recordings_have_proportionally_more_salience():
    quiet, loud = (salience(gain * tone(200.0))[:, 10:-10] for gain in (1, 10))
    ratio = loud.max() / quiet.max()
    assert ratio > 3
    assert np.allclose(loud, ratio * quiet, rtol=1e-2, atol=1e-3 * loud.max())


def test_atoms_have_unit_sum_and_silence_has_no_nan():
    stft, bins_hz = analysis(RATE, CONFIG)
    atoms = comb_atoms(bins_hz, stft.n_fft / RATE, CONFIG)
    assert torch.allclose(atoms.sum(0), torch.ones(atoms.shape[1]), atol=1e-5)
    assert np.isfinite(salience(np.zeros(8000))).all()
