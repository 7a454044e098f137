import torch

from partbook.dsp.bases import mel, smooth_basis


def test_bumps_are_non_negative_and_sum_to_one_everywhere():
    basis = smooth_basis(torch.linspace(0, 8000, 513), 30)
    assert basis.shape == (513, 30)
    assert (basis >= 0).all()
    assert torch.allclose(basis.sum(1), torch.ones(513), atol=1e-5)


def test_mel_rises_and_is_a_thousand_at_a_thousand_hertz():
    assert abs(float(mel(torch.tensor(1000.0))) - 1000) < 1
    assert (mel(torch.linspace(0, 9000, 50)).diff() > 0).all()
