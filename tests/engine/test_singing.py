import torch

from partbook.dsp.oscillator import flat_partials
from partbook.dsp.stft import Stft
from partbook.engine.singing import (
    BACKGROUND_SHARE,
    NOISE_SHARE,
    STEADY,
    WAVERING,
    blended,
    lasting,
    sung_power,
    trained,
)
from partbook.singer.model import Singer, SingerConfig
from partbook.train.weights import seeded
from partbook.wiener import masks

RATE, STFT = 16000, Stft(1024, 256)
BINS_HZ = torch.arange(STFT.bins) * (RATE / STFT.n_fft)
SINGER = seeded(lambda: Singer(SingerConfig(bands=16, channels=8)), 0)


def scene(*f0_hz):
    """Return power of a mixture of flat voices, their interleaved combs and F0 per frame."""
    samples = torch.tensor(f0_hz)[:, None].expand(-1, 6000)
    waves = torch.stack([flat_partials(samples, RATE, 8000, first, 3) for first in (1, 2, 3)], 1)
    combs = STFT(waves) * (4 / STFT.n_fft)
    return combs.sum((0, 1)).abs() ** 2, combs, torch.tensor(f0_hz)[:, None].expand(-1, combs.shape[-1])


def test_every_voice_and_the_background_get_a_power_and_the_comb_shows():
    x, combs, f0 = scene(220.0, 311.0)
    powers = sung_power(x, combs, f0, BINS_HZ, singer=SINGER)
    assert powers.shape == (3, *x.shape) and (powers > 0).all()
    own, other = round(220 / BINS_HZ[1].item()), round(311 / BINS_HZ[1].item())
    assert (powers[0, own] > 10 * powers[1, own]).all() and (powers[1, other] > 10 * powers[0, other]).all()


def test_powers_scale_with_the_recording():
    x, combs, f0 = scene(220.0, 311.0)
    assert torch.allclose(
        sung_power(100 * x, combs, f0, BINS_HZ, singer=SINGER), 100 * sung_power(x, combs, f0, BINS_HZ, singer=SINGER)
    )


def test_silence_has_finite_powers():
    x, combs, f0 = scene(220.0)
    assert torch.isfinite(sung_power(0 * x, 0 * combs, 0 * f0, BINS_HZ, singer=SINGER)).all()


def test_the_shipped_network_tells_voices_apart_nearly_as_well_as_their_true_powers():
    _, combs, f0 = scene(220.0, 277.0, 415.0)
    # The published network has 557 396.
    assert sum(weight.numel() for weight in trained().parameters()) < 557_396 / 2
    voices = combs.sum(1) / (1 + (BINS_HZ / 700) ** 2)[:, None]
    x = voices.sum(0).abs() ** 2
    powers = sung_power(x, combs, f0, BINS_HZ)
    found, best = (
        10 * ((voices.abs() ** 2).sum((1, 2)) / ((mask * voices.sum(0) - voices).abs() ** 2).sum((1, 2))).log10()
        for mask in (powers[:-1] / powers.sum(0), voices.abs() ** 2 / (voices.abs() ** 2).sum(0))
    )
    assert (best - found).max() < 3, "of the mask that knows the voices"


def test_between_steady_and_wavering_voices_lie_means_of_the_two_networks():
    weights = {at: trained(at).state_dict() for at in (0.0, WAVERING, (WAVERING + STEADY) / 2, STEADY, 1.0)}
    choir, same_choir, middle, same_steady, steady = weights.values()
    for name in steady:
        assert torch.equal(choir[name], same_choir[name]) and torch.equal(steady[name], same_steady[name])
        assert torch.allclose(middle[name], (choir[name] + steady[name]) / 2, atol=1e-6)
    assert any(not torch.equal(choir[name], steady[name]) for name in steady)


def test_opinions_meet_between_and_one_with_all_the_weight_is_all():
    generator = torch.Generator().manual_seed(0)
    several = [torch.rand(3, 5, 7, generator=generator) + 0.1 for _ in range(3)]
    between, stacked = blended(several, (0.5, 0.3, 0.2)), torch.stack(several)
    assert (between <= stacked.amax(0) + 1e-6).all() and (between >= stacked.amin(0) - 1e-6).all()
    assert torch.allclose(blended(several, (0.0, 1.0, 0.0)), several[1])
    assert torch.allclose(blended([4 * each for each in several], (0.5, 0.3, 0.2)), 4 * between)


def test_opinions_whose_weights_sum_to_less_than_one_are_softened():
    same = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(0)) + 0.1
    assert torch.allclose(blended((same, same), (0.3, 0.4)), same**0.7)


def test_noise_and_background_are_believed_less_than_harmonics():
    x, combs, f0 = scene(220.0, 311.0)
    noisy = x + x.mean() * 0.1
    powers = sung_power(noisy, combs, f0, BINS_HZ, singer=SINGER)
    with torch.no_grad():
        level, comb = noisy.mean(), combs.sum(1).abs().square()
        said = SINGER((noisy / level)[None], comb[None], f0[None], BINS_HZ)[-1]
    noise = level * (said.power() - said.power(0.0))[0]
    assert torch.allclose(powers[:-1], level * said.power(0.0)[0] + NOISE_SHARE * noise, rtol=1e-3)
    assert torch.allclose(powers[-1], BACKGROUND_SHARE * level * said.background()[0].expand_as(x), rtol=1e-3)


def test_a_blend_is_the_mean_of_opinions_in_decibels_and_follows_the_scale_of_each():
    one, other = torch.tensor([1.0, 100.0]), torch.tensor([100.0, 1.0])
    torch.testing.assert_close(blended((one, other), (0.5, 0.5)), torch.tensor([10.0, 10.0]))
    torch.testing.assert_close(blended((4 * one, other), (0.25, 0.75)), 4**0.25 * blended((one, other), (0.25, 0.75)))


def lasted(x, said, combs, seed=0):
    return lasting(x, said, combs, BINS_HZ, torch.Generator().manual_seed(seed))


def test_what_lasts_takes_a_slip_of_the_network_back():
    x, combs, f0 = scene(220.0, 311.0)
    x = x / x.mean()
    said = sung_power(x, combs, f0, BINS_HZ)
    at = round(4 * 220 / BINS_HZ[1].item()), combs.shape[-1] // 2
    here = slice(at[0] - 2, at[0] + 3), at[1]
    slipped = said.clone()
    # Just there the voices change places.
    slipped[0][here], slipped[1][here] = said[1][here], said[0][here]
    share = masks(lasted(x, slipped, combs))[0][at]
    assert masks(slipped)[0][at] < 0.1 and share > 0.5


def test_what_lasts_follows_the_level_of_the_voices_and_their_order():
    x, combs, f0 = scene(220.0, 311.0)
    x = x / x.mean()
    said = sung_power(x, combs, f0, BINS_HZ)
    once = lasted(x, said, combs)
    assert once.shape == said.shape
    # All shares are the same where all powers are louder.
    torch.testing.assert_close(lasted(x, 5 * said, combs), once, rtol=1e-3, atol=1e-6)
    swapped = lasted(x, said[[1, 0, 2]], combs[[1, 0]])[[1, 0, 2]]
    # The order decides which random start a voice has, no more.
    assert (10 * (swapped[:2].sum(1) / once[:2].sum(1)).log10()).abs().median() < 1


def test_a_voice_that_is_silent_stays_so_in_what_lasts():
    x, combs, f0 = scene(220.0, 311.0)
    x = x / x.mean()
    said = sung_power(x, combs, f0, BINS_HZ)
    said[1], combs = 0.0, combs * torch.tensor([1.0, 0.0])[:, None, None, None]
    powers = lasted(x, said, combs)
    assert torch.isfinite(powers).all() and powers[1].mean() < 1e-3 * powers[0].mean()
