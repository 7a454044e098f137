import pytest
import torch

from partbook.dsp.divergence import beta_divergence, exponent


@pytest.mark.parametrize("beta", [0.0, 0.25, 0.5, 1.0, 1.5, 2.0])
def test_gradient_is_down_minus_up(beta):
    x, y = torch.rand(5, 4, dtype=torch.double) + 0.1, torch.rand(5, 4, dtype=torch.double) + 0.1
    y.requires_grad_()
    (gradient,) = torch.autograd.grad(beta_divergence(x, y, beta), y)
    y = y.detach()
    assert torch.allclose(gradient, y ** (beta - 1) - x * y ** (beta - 2))


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 2.0])
def test_divergence_is_zero_at_equality_and_positive_elsewhere(beta):
    x = torch.rand(50, dtype=torch.double) + 0.1
    assert float(beta_divergence(x, x, beta)) == pytest.approx(0, abs=1e-12)
    assert float(beta_divergence(x, x * 1.1, beta)) > 0


def test_limits_meet_their_neighbours():
    x, y = torch.tensor([0.3, 2.0]).double(), torch.tensor([0.5, 1.0]).double()
    for beta in (0.0, 1.0):
        assert float(beta_divergence(x, y, beta)) == pytest.approx(float(beta_divergence(x, y, beta + 1e-6)), rel=1e-4)


def test_exponents_of_monotone_updates():
    assert [exponent(beta) for beta in (0, 0.5, 1, 2, 3)] == [0.5, pytest.approx(2 / 3), 1, 1, 0.5]
