import pytest
import torch

from partbook.fit import fit
from partbook.room.single import Single
from partbook.sources.levels import start


def patterns(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(3, 2, 40, 30, generator=generator) ** 4 + 1e-5, torch.full((40, 30), 1e-3)


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0, 2.0])
def test_the_levels_behind_a_mixture_are_found(beta):
    pattern, background = patterns()
    truth = torch.tensor([[2.0, 0.5], [0.1, 1.0], [3.0, 0.2]])
    x = (truth[..., None, None] * pattern).sum((0, 1)) + background
    found, _ = fit(x, start(pattern, background), Single(), iterations=600, beta=beta, fixed_room=True)
    assert torch.allclose(found.level_KN, truth, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0])
def test_every_update_lowers_the_divergence(beta):
    pattern, background = patterns()
    x, model, room = patterns(1)[0].sum((0, 1)), start(pattern, background), Single()
    before = room.divergence(x, model.power(), beta)
    for _ in range(10):
        model = model.update("level", *room.pressure(x, model.power(), beta), beta)
        after = room.divergence(x, model.power(), beta)
        assert after <= before * (1 + 1e-5)
        before = after


def test_rescaling_multiplies_every_power_by_its_gain():
    model = start(*patterns())
    gain = torch.rand(3, 40, generator=torch.Generator().manual_seed(0)) + 0.5
    assert torch.allclose(model.rescale(gain).power(), gain[..., None] * model.power(), rtol=1e-5)
