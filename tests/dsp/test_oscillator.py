import numpy as np
import pytest
import torch

from partbook.dsp.oscillator import flat_partials, phase


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
