import pytest
import torch

from partbook.fit import fit
from partbook.room.single import Single
from partbook.sources.source_filter import start

BINS_HZ = torch.linspace(0, 4000, 120)


def voices(count=3, frames=40, seed=0):
    """Return unlike combs, and a model to start from."""
    generator = torch.Generator().manual_seed(seed)
    combs = torch.rand(count, len(BINS_HZ), frames, generator=generator) ** 6 + 1e-4
    return start(combs, BINS_HZ, generator, vowels=3, bumps=12, breath_bumps=5)


def mixture(seed=1):
    """Return the power of a mixture drawn from another model with the same combs."""
    model = voices()
    other = voices(seed=seed)
    unlike = {"comb_NFT": model.comb_NFT, "filter_NJK": other.filter_NJK**4, "activation_NKT": other.activation_NKT**4}
    lambda_NFT = other.__class__(**{**vars(other), **unlike}).power()
    return model, lambda_NFT


@pytest.mark.parametrize("beta", [0.0, 0.25, 0.5, 1.0, 2.0])
def test_every_update_of_every_part_lowers_the_divergence(beta):
    sources, truth = mixture()
    observed, room = truth.sum(0), Single()
    before = room.divergence(observed, sources.power(), beta)
    for _ in range(5):
        for part in sources.parts:
            sources = sources.update(part, *room.pressure(observed, sources.power(), beta), beta)
            after = room.divergence(observed, sources.power(), beta)
            assert after <= before * (1 + 1e-5), part
            before = after


def test_fit_recovers_the_powers_behind_a_mixture():
    sources, truth = mixture()
    start_error = (sources.power()[:-1].log() - truth[:-1].log()).abs().mean()
    fitted, _ = fit(truth.sum(0), sources, Single(), iterations=200, beta=0.5, fixed_room=True)
    error = (fitted.power()[:-1].clamp_min(1e-9).log() - truth[:-1].log()).abs().mean()
    assert error < 0.5 * start_error


def test_permuted_voices_give_permuted_powers():
    sources, truth = mixture()
    order = [2, 0, 1]
    per_voice = ("comb_NFT", "filter_NJK", "activation_NKT", "breath_NIK", "breathing_NKT")
    swapped = sources.__class__(**{**vars(sources), **{name: getattr(sources, name)[order] for name in per_voice}})
    fitted, again = (
        fit(truth.sum(0), each, Single(), iterations=5, beta=0.5, fixed_room=True)[0].power()
        for each in (sources, swapped)
    )
    assert torch.allclose(fitted[[*order, 3]], again, rtol=1e-4)


def test_rescaling_multiplies_every_power_by_its_gain():
    sources, _ = mixture()
    gain = torch.rand(4, len(BINS_HZ)) + 0.5
    assert torch.allclose(sources.rescale(gain).power(), gain[..., None] * sources.power(), rtol=1e-5)


def test_the_voiced_part_follows_the_comb_and_breath_does_not():
    sources, _ = mixture()
    noise = sources.power()[:-1] - sources.voiced()
    assert (noise > 0).all()
    ratio = sources.voiced() / sources.comb_NFT
    assert (ratio.diff(dim=1).abs() < 0.6 * ratio[:, 1:]).all(), "the filter is smooth over frequency"
