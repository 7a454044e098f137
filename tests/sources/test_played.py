from dataclasses import replace

import pytest
import torch

from partbook.dsp.divergence import beta_divergence
from partbook.dsp.lingering import lingering
from partbook.sources.nmf import Nmf
from partbook.sources.played import Played, started

BINS_HZ = torch.linspace(0, 4000, 150)
FRAMES, FRAME_S = 60, 0.1


def rest(sources=2):
    return Nmf.random(sources, len(BINS_HZ), 3, FRAMES, torch.Generator().manual_seed(9))


@pytest.fixture
def combs():
    """Return lines that come and go."""
    rng = torch.Generator().manual_seed(0)
    lines_NF1 = torch.rand(2, len(BINS_HZ), 1, generator=rng) ** 6
    return lines_NF1 * (torch.rand(2, 1, FRAMES, generator=rng) > 0.7) + 1e-6


@pytest.fixture
def model(combs):
    power_NFT = torch.cat([combs, lingering(combs, 0.5)]) + 1e-4
    return started(combs, power_NFT, rest(), BINS_HZ, FRAME_S, 1.0, torch.Generator().manual_seed(1))


@pytest.fixture
def observed(model):
    rng = torch.Generator().manual_seed(2)
    return model.power() * (0.5 + torch.rand(model.power().shape, generator=rng))


def pulls(x, model, beta=0.0):
    y = model.power().clamp_min(1e-9)
    return x * y ** (beta - 2), y ** (beta - 1)


def test_sources_are_players_tails_and_the_rest(model):
    assert model.power().shape == (2 + 2 + 2, len(BINS_HZ), FRAMES)
    torch.testing.assert_close(model.power()[4:], rest().power())


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_every_update_of_every_part_lowers_the_divergence(model, observed, beta):
    before = beta_divergence(observed, model.power(), beta)
    for _ in range(4):
        for part in model.parts:
            model = model.update(part, *pulls(observed, model, beta), beta)
            now = beta_divergence(observed, model.power(), beta)
            assert now <= before * (1 + 1e-5), part
            before = now


@pytest.mark.parametrize("rt60_s", [0.4, 0.9, 3.0])
def test_the_reverberation_time_is_found(model, rt60_s):
    truth = model.decaying(10 ** (-6 * FRAME_S / rt60_s)).power()
    for _ in range(40):
        model = model.update("decay", *pulls(truth, model), 0.0)
    assert model.rt60_s == pytest.approx(rt60_s, rel=0.05)


def test_the_start_follows_the_powers_that_it_is_given(combs):
    power_NFT = torch.cat([combs, lingering(combs, 0.2)]) + 1e-4
    power_NFT = power_NFT * torch.tensor([1.0, 30.0, 0.1, 3.0])[:, None, None]
    found = started(combs, power_NFT, rest(), BINS_HZ, FRAME_S, 0.9, torch.Generator().manual_seed(1)).power()[:4]
    torch.testing.assert_close(found.sum((1, 2)), power_NFT.sum((1, 2)), rtol=0.05, atol=0)
    assert ((found - power_NFT).abs().sum((1, 2)) < 0.4 * power_NFT.sum((1, 2))).all()


def test_players_are_silent_where_they_may_not_play(model, observed):
    may_NT = (torch.arange(FRAMES) < 30).float().repeat(4, 1)
    model = model.playing(may_NT)
    for part in model.parts:
        model = model.update(part, *pulls(observed, model), 0.0)
    assert model.power()[:4, :, 30:].max() == 0 and (model.power()[:4, :, :30].sum((1, 2)) > 0).all()


def test_rescale_multiplies_the_power_of_every_source_and_bin(model):
    gain_NF = torch.rand(6, len(BINS_HZ)) + 0.5
    torch.testing.assert_close(model.rescale(gain_NF).power(), model.power() * gain_NF[..., None])


def test_a_player_whose_pitch_is_never_heard_keeps_a_finite_power(combs):
    combs = torch.stack([combs[0], torch.zeros_like(combs[1])])
    power_NFT = torch.cat([combs, lingering(combs, 0.5)]) + 1e-3
    model = started(combs, power_NFT, rest(), BINS_HZ, FRAME_S, 1.0, torch.Generator().manual_seed(1))
    for part in model.parts:
        model = model.update(part, *pulls(torch.rand(6, len(BINS_HZ), FRAMES), model), 0.0)
    assert torch.isfinite(model.power()).all() and (model.power()[1] > 0).all()


def test_updates_leave_the_model_they_came_from_alone(model, observed):
    before = model.power()
    for part in model.parts:
        changed = model.update(part, *pulls(observed, model), 0.0)
        assert isinstance(changed, Played) and changed is not model
    assert torch.equal(model.power(), before) and replace(model).decay == model.decay
