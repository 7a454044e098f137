import pytest
import torch

from partbook.dsp.divergence import beta_divergence
from partbook.sources.nmf import Nmf


def pressure(x, y, beta):
    return x * y ** (beta - 2), y ** (beta - 1)


@pytest.fixture
def observed():
    rng = torch.Generator().manual_seed(0)
    return torch.rand(2, 20, 3, generator=rng) @ torch.rand(2, 3, 30, generator=rng) + 1e-3


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 2.0])
def test_no_update_raises_the_divergence(observed, beta):
    model = Nmf.random(2, 20, 3, 30, torch.Generator().manual_seed(1))
    before = beta_divergence(observed, model.power(), beta)
    for _ in range(10):
        for part in model.parts:
            model = model.update(part, *pressure(observed, model.power(), beta), beta)
            now = beta_divergence(observed, model.power(), beta)
            assert now <= before * (1 + 1e-5)
            before = now


def test_low_rank_powers_are_recovered(observed):
    model = Nmf.random(2, 20, 3, 30, torch.Generator().manual_seed(1))
    for _ in range(150):
        for part in model.parts:
            model = model.update(part, *pressure(observed, model.power(), 1.0), 1.0)
    assert beta_divergence(observed, model.power(), 1.0) < 2e-3 * observed.sum()


def test_rescale_multiplies_the_power_of_every_bin():
    model = Nmf.random(2, 20, 3, 30, torch.Generator().manual_seed(1))
    gain_NF = torch.rand(2, 20) + 0.5
    torch.testing.assert_close(model.rescale(gain_NF).power(), model.power() * gain_NF[..., None])


def test_an_update_leaves_the_model_it_came_from_alone(observed):
    model = Nmf.random(2, 20, 3, 30, torch.Generator().manual_seed(1))
    W, H = model.W_NFK.clone(), model.H_NKT.clone()
    for part in model.parts:
        model.update(part, *pressure(observed, model.power(), 0.0), 0.0)
    assert torch.equal(model.W_NFK, W) and torch.equal(model.H_NKT, H)


def test_static_sources_keep_their_activations(observed):
    model = Nmf.random(2, 20, 3, 30, torch.Generator().manual_seed(1))
    model = Nmf(model.W_NFK, model.H_NKT, static=1)
    updated = model.update("H", *pressure(observed, model.power(), 0.0), 0.0)
    assert torch.equal(updated.H_NKT[1], model.H_NKT[1])
    assert not torch.equal(updated.H_NKT[0], model.H_NKT[0])


def test_the_same_seed_draws_the_same_factors():
    first, second = (Nmf.random(2, 5, 3, 7, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.W_NFK, second.W_NFK) and torch.equal(first.H_NKT, second.H_NKT)
