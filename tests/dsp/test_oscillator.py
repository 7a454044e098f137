import numpy as np
import pytest
import torch

from partbook.dsp.oscillator import flat_partials, harmonics, phase, upsampled


def bank(f0_hz, sample_rate, edge_hz, first, step):
    """Return the same sum partial by partial."""
    phi = phase(f0_hz, sample_rate)
    total = torch.zeros_like(phi)
    for k in range(first, int(edge_hz / float(f0_hz.min())) + 1, step):
        total += torch.cos(k * phi) * (k * f0_hz < edge_hz)
    return total.float()


@pytest.mark.parametrize(("first", "step"), [(1, 1), (1, 2), (2, 3), (3, 3)])
@pytest.mark.parametrize("lowest_hz", [61.3, 200.0, 997.0])
def test_closed_form_is_the_sum_of_its_partials(first, step, lowest_hz):
    t = torch.arange(4000) / 16000
    f0_hz = lowest_hz * 2 ** (0.1 * torch.sin(2 * torch.pi * 6 * t))
    expected = bank(f0_hz.double(), 16000, 4000, first, step)
    assert torch.allclose(flat_partials(f0_hz, 16000, 4000, first, step), expected, atol=2e-3)


def test_interleaved_combs_sum_to_the_whole_comb():
    f0_hz = torch.full((3000,), 123.4)
    whole = flat_partials(f0_hz, 16000, 5000)
    parts = sum(flat_partials(f0_hz, 16000, 5000, first, 3) for first in (1, 2, 3))
    assert torch.allclose(whole, parts, atol=1e-3)


def test_nothing_sounds_at_or_above_the_edge():
    spectrum = np.abs(np.fft.rfft(flat_partials(torch.full((16000,), 250.0), 16000, 1000).numpy()))
    assert np.flatnonzero(spectrum > 100).tolist() == [250, 500, 750]


def test_a_fundamental_above_the_edge_is_silent():
    assert not flat_partials(torch.full((100,), 900.0), 16000, 800).any()


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("decay", [1.0, 0.8])
def test_harmonics_are_the_sum_of_their_partials_and_the_highest_fades(rate, decay):
    f0_hz = torch.full((2000,), 210.0, dtype=torch.float64)
    phi = phase(f0_hz, rate)
    # 1000/210 = 4.76: three whole partials, and of the fourth 0.76.
    parts = [decay ** (k - 1) * torch.cos(k * phi) for k in (1, 2, 3, 4)]
    expected = sum(parts[:3]) + (1000 / 210 - 4) * parts[3]
    assert torch.allclose(harmonics(f0_hz, rate, 1000, decay), expected, atol=1e-9)


def test_harmonics_of_a_pulse_train_have_no_holes():
    # 100 Hz at 8 kHz: every 80th sample falls exactly on a pulse.
    pulses = harmonics(torch.full((800,), 100.0), 8000, 4000)
    assert torch.isfinite(pulses).all()
    assert torch.allclose(pulses[79::80], torch.full((10,), 39.0), atol=1e-3)


def test_harmonics_scale_with_f0_as_time_does():
    slow, fast = (
        harmonics(torch.full((n,), hz, dtype=torch.float64), 16000, 20 * hz) for n, hz in ((800, 50), (400, 100))
    )
    assert torch.allclose(slow[1::2], fast, atol=1e-9)


def test_gradients_of_harmonics_in_f0_and_decay_are_right():
    f0_hz = (200 + 5 * torch.rand(20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).requires_grad_()
    decay = torch.full((20,), 0.9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, d: harmonics(f, 8000, 1700, d), (f0_hz, decay))


def test_no_frequency_glides_through_zero_beside_a_rest():
    f0_hz = torch.tensor([200.0, 200.0, 0.0, 0.0, 300.0, 300.0])
    at_hz, gate = upsampled(f0_hz, 100, 600)
    assert ((at_hz - 200).abs() < 1e-3).logical_or((at_hz - 300).abs() < 1e-3).logical_or(gate == 0).all()
    assert gate[:101].eq(1).all() and gate[200:301].eq(0).all() and gate[400:].eq(1).all()
    assert gate.diff().abs().max() < 0.02


def test_a_voice_that_never_sounds_has_a_closed_gate():
    at_hz, gate = upsampled(torch.zeros(2, 5), 64, 300)
    assert (at_hz > 0).all() and not gate.any()


def test_upsampled_f0_moves_with_its_frames():
    f0_hz = torch.tensor([100.0, 200.0, 400.0], dtype=torch.float64).requires_grad_()
    at_hz, _ = upsampled(f0_hz, 8, 24)
    assert torch.allclose(at_hz.log().diff()[:15], torch.full((15,), np.log(2) / 8).double())
    assert torch.autograd.gradcheck(lambda f: upsampled(f, 8, 24)[0], (f0_hz,))
