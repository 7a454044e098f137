from dataclasses import replace

import pytest
import torch

from partbook.dsp.bases import smooth_basis
from partbook.dsp.divergence import beta_divergence
from partbook.dsp.oscillator import flat_partials
from partbook.dsp.stft import Stft
from partbook.singer.bands import Sight, faster, slower, standing
from partbook.singer.model import Singer, SingerConfig
from partbook.singer.synth import power
from partbook.train.weights import seeded

RATE, STFT = 16000, Stft(1024, 256)
BINS_HZ = torch.arange(STFT.bins) * (RATE / STFT.n_fft)
SAMPLES = 8000
FALLING = 1 / (1 + (BINS_HZ / 700) ** 2)[:, None]


def scene(*f0_hz, batch=1):
    """Return power of a mixture of flat voices through a falling filter, combs, F0 per frame, and the true powers."""
    waves = torch.stack([flat_partials(torch.full((SAMPLES,), hz), RATE, 8000) for hz in f0_hz])
    comb = (STFT(waves) * (4 / STFT.n_fft)).abs() ** 2
    level = torch.linspace(1, 3, len(f0_hz))[:, None, None]
    truth = level * comb * FALLING
    scale = truth.sum(0).mean()
    f0 = torch.tensor(f0_hz)[:, None].expand(-1, comb.shape[-1])
    x, combs, tracks, voices = truth.sum(0) / scale, comb, f0, truth / scale
    return tuple(each.expand(batch, *each.shape) for each in (x, combs, tracks, voices))


def trained(order=0, seed=0, fine=4, rounds=2, **others):
    """Return a network whose every weight says something."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        singer = Singer(
            SingerConfig(
                16, channels=8, order=order, fine_channels=fine, partial_rounds=rounds, partial_channels=4, **others
            )
        )
        for weight in singer.parameters():
            weight.data += 0.05 * torch.randn(weight.shape, generator=generator)
    return singer.eval()


def powers(singer, x, combs, f0):
    with torch.no_grad():
        return singer(x, combs, f0, BINS_HZ)[-1].power()


@pytest.mark.parametrize("order", [0, 10])
def test_permuted_voices_give_permuted_powers(order):
    x, combs, f0, _ = scene(220.0, 277.0, 415.0)
    singer, swap = trained(order), [2, 0, 1]
    whole, swapped = powers(singer, x, combs, f0), powers(singer, x, combs[:, swap], f0[:, swap])
    assert torch.allclose(whole[:, swap], swapped, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("voices", [1, 2, 8])
def test_any_number_of_voices_sings(voices):
    x, combs, f0, _ = scene(*(110.0 * 1.19**n for n in range(voices)))
    assert powers(trained(), x, combs, f0).shape == combs.shape


def test_mixtures_of_a_batch_do_not_hear_each_other():
    one, two = scene(220.0, 277.0), scene(150.0, 415.0)
    singer = trained()
    both = powers(singer, *(torch.cat([a, b]) for a, b in zip(one[:3], two[:3], strict=True)))
    assert torch.allclose(both[:1], powers(singer, *one[:3]), rtol=1e-3, atol=1e-7)


def test_a_voice_hears_what_the_others_sing():
    x, combs, f0, _ = scene(220.0, 277.0, 415.0)
    singer = trained()
    moved = scene(220.0, 300.0, 415.0)
    before, after = powers(singer, x, combs, f0), powers(singer, x, moved[1], moved[2])
    assert (before[:, 0] / after[:, 0]).log().abs().max() > 1e-2


def test_a_voice_alone_has_no_others_to_hear():
    x, combs, f0, _ = scene(220.0)
    singer = trained()
    alone = powers(singer, x, combs, f0)
    for encoder in singer.rounds:
        for layer in encoder.layers:
            layer.context.weight.data[:, layer.context.weight.shape[0] :] += 1.0
    assert torch.allclose(powers(singer, x, combs, f0), alone, rtol=1e-4)


def test_both_directions_of_time_are_heard():
    x, combs, f0, _ = scene(220.0, 277.0)
    singer, middle = trained(), x.shape[-1] // 2
    whole = powers(singer, x, combs, f0)
    for changed in (0, -1):
        other = x.clone()
        other[..., changed] *= 4
        assert (powers(singer, other, combs, f0)[..., middle] / whole[..., middle]).log().abs().max() > 1e-6


def test_untrained_rounds_come_nearer_to_the_voices():
    x, combs, f0, truth = scene(220.0, 277.0, 415.0)
    with torch.no_grad():
        said = Singer()(x, combs, f0, BINS_HZ)
    loud = truth > 1e-2 * truth.max()
    errors = [float((each.power()[loud] / truth[loud]).log().abs().mean()) for each in said]
    assert errors[-1] < errors[0] < 1.5 and errors[-1] < 0.5


def test_the_network_is_a_tenth_of_the_published_one():
    assert sum(weight.numel() for weight in Singer(SingerConfig(order=20)).parameters()) < 557_396


@pytest.mark.parametrize("order", [0, 10])
def test_learning_lowers_the_divergence_of_the_mixture(order):
    x, combs, f0, _ = scene(220.0, 277.0, batch=1)
    singer = trained(order, seed=1)
    optimiser = torch.optim.Adam(singer.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        said = singer(x, combs, f0, BINS_HZ)[-1]
        losses.append(beta_divergence(x, said.power().sum(1) + said.background(), 0.5) / x.numel())
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    assert all(torch.isfinite(weight.grad).all() for weight in singer.parameters() if weight.grad is not None)
    assert losses[-1] < 0.9 * losses[0]


def test_a_rest_has_no_harmonics_and_silence_has_powers_too():
    x, combs, f0, _ = scene(220.0, 277.0)
    rest = combs.clone()
    rest[:, 0], f0 = 0, f0.clone()
    f0[:, 0] = 0
    with torch.no_grad():
        said = trained()(x, rest, f0, BINS_HZ)[-1]
    assert not said.power(0.0)[:, 0].any()
    assert torch.isfinite(powers(trained(), torch.zeros_like(x), torch.zeros_like(combs), torch.zeros_like(f0))).all()


def test_tracts_named_by_the_network_are_those_of_its_powers():
    x, combs, f0, _ = scene(220.0, 277.0)
    with torch.no_grad():
        said = trained(10, fine=0, rounds=0)(x, combs, f0, BINS_HZ)[-1]
    controls = replace(said.controls[0], noise_NIT=torch.zeros_like(said.controls[0].noise_NIT))
    sung = power(controls, combs[0], f0[0], BINS_HZ)
    peaks = combs[0] > 0.1
    assert (sung / said.lines()[0])[peaks].log10().abs().mean() < 0.05


def test_what_looks_at_single_bins_begins_as_nothing_and_ends_at_its_edge():
    x, combs, f0, _ = scene(220.0, 277.0)
    plain, fine = (seeded(lambda c=c: Singer(SingerConfig(fine_channels=c, fine_hz=2000.0)), 0) for c in (0, 4))
    fine.load_state_dict(plain.state_dict(), strict=False)
    assert torch.allclose(powers(fine, x, combs, f0), powers(plain, x, combs, f0))
    torch.nn.init.ones_(fine.finish.answer.bias)
    gain = powers(fine, x, combs, f0) / powers(plain, x, combs, f0)
    low = BINS_HZ < 2000
    assert torch.allclose(gain[:, :, low], torch.tensor(torch.e)) and torch.allclose(gain[:, :, ~low], torch.ones(()))


def test_what_is_heard_in_wide_bins_is_said_of_all():
    x = torch.rand(2, 3, 101, 7)
    wide = Sight(60, 4)(x)
    assert torch.equal(wide[..., :60, :], x[..., :60, :]) and wide.shape[-2] == 60 + 11
    assert torch.allclose(wide[..., 60, :], x[..., 60:64, :].mean(-2)) and torch.equal(wide[..., -1, :], x[..., -1, :])
    assert torch.equal(Sight(101, 4)(x), x) and torch.equal(Sight(60, 4)(x[0, 0]), wide[0, 0])
    assert Sight(60, 4).widths(torch.ones(101)).tolist() == [1] * 60 + [4] * 10 + [1]
    mixture, combs, f0, _ = scene(220.0, 277.0)
    with torch.no_grad():
        for said in trained()(mixture, combs, f0, BINS_HZ):
            assert said.power().shape == combs.shape


def test_what_is_said_of_some_bins_and_frames_is_what_is_said_of_all():
    x, combs, f0, _ = scene(220.0, 277.0)
    with torch.no_grad():
        said = trained()(x, combs, f0, BINS_HZ)[-1]
        whole, cut = said.power(), said.between(slice(3, 9)).below(100)
        anew = replace(said).between(slice(3, 9)).below(100)
    assert torch.allclose(cut.power(), whole[:, :, :100, 3:9]) and torch.allclose(anew.power(), cut.power())
    assert torch.equal(cut.background(), said.background()[:, :100])


def test_a_partial_beside_its_line_can_be_learned_from_the_bins():
    x, combs, f0, truth = scene(220.0, 277.0)
    shifted = combs.roll(2, -2)
    singer = seeded(lambda: Singer(SingerConfig(bands=16, channels=8, fine_channels=8)), 0)
    optimiser = torch.optim.Adam(singer.finish.parameters(), 3e-3)
    errors = []
    for _ in range(25):
        shares = (said := singer(x, shifted, f0, BINS_HZ)[-1].power()) / said.sum(1, keepdim=True)
        errors.append((shares * x[:, None] - truth).square().sum() / truth.square().sum())
        optimiser.zero_grad()
        errors[-1].backward()
        optimiser.step()
    assert errors[-1] < 0.5 * errors[0]


def test_the_background_is_a_share_of_steady_noise_and_no_held_note():
    bumps = smooth_basis(BINS_HZ, 16, 8000.0)
    generator = torch.Generator().manual_seed(0)
    noise = -torch.rand(1, len(BINS_HZ), 400, generator=generator).log()
    alone = standing(noise, bumps).exp()
    assert (alone > 0.1).all() and (alone < 0.5).all()
    note = noise.clone()
    note[:, 40] += 1e4
    assert (standing(note, bumps).exp() / alone).max() < 4
    assert torch.isfinite(standing(torch.zeros_like(noise), bumps)).all()


@pytest.mark.parametrize("pace", [1, 2])
def test_frames_that_are_looked_at_are_said_as_if_all_were(pace):
    low, high = scene(220.0, 277.0), scene(247.0, 330.0)
    x, combs, f0, _ = (torch.cat([a[..., :24], b[..., 24:]], -1) for a, b in zip(low, high, strict=True))
    singer = trained(pace=pace, partial_dilations=(1,), fine_dilations=(1,))
    near, fine = slice(2, 31), slice(3, 31)
    with torch.no_grad():
        whole = singer(x, combs, f0, BINS_HZ)
        part = singer(x, combs, f0, BINS_HZ, near, fine)
    assert [each.first for each in part] == [0, 0, 0, 2, 2, 3]
    for earlier, same in zip(whole[:3], part[:3], strict=True):
        assert torch.equal(earlier.power(), same.power())
    # What partials and bins say reaches some frames: the tails of powers, and the layers.
    for all_, here in zip(whole[3:], part[3:], strict=True):
        compared = all_.power()[..., 19:25], here.power()[..., 19 - here.first : 25 - here.first]
        assert torch.allclose(*compared, rtol=1e-3, atol=1e-7)
    assert torch.equal(part[-1].background(), whole[-1].background())


@pytest.mark.parametrize("frames", [30, 31])
def test_rounds_that_take_two_frames_for_one_say_the_same_of_what_stands_still(frames):
    x, combs, f0, _ = (each[..., 10:11].expand(*each.shape[:-1], frames) for each in scene(220.0, 277.0))
    with torch.no_grad():
        one, two = (trained(pace=pace, dilations=())(x, combs, f0, BINS_HZ) for pace in (1, 2))
    assert one[-1].pace == two[-1].pace == 1
    for each, same in zip(one, two, strict=True):
        assert torch.allclose(each.power(), same.power(), rtol=1e-3, atol=1e-7)


def test_frames_taken_together_are_means_and_told_again_on_straight_lines():
    x = torch.arange(24.0).reshape(2, 1, 3, 4)
    assert torch.equal(slower(x, 2), x.unflatten(-1, (2, 2)).mean(-1))
    assert torch.equal(slower(x, 3)[..., 1], x[..., 3])
    line = torch.arange(9.0).expand(2, 3, 9)
    assert torch.allclose(faster(slower(line, 2), 2, 9)[..., 1:-2], line[..., 1:-2])
    assert faster(slower(line, 4), 4, 9).shape == line.shape
    assert slower(line, 1) is line and faster(line, 1, 9) is line


@pytest.mark.parametrize("order", [0, 10])
def test_rounds_speak_of_their_own_frames_where_not_all_is_wanted(order):
    x, combs, f0, _ = scene(220.0, 277.0)
    singer = trained(order, pace=2)
    with torch.no_grad():
        told, whole = (singer(x, combs, f0, BINS_HZ, whole=each) for each in (False, True))
    assert [each.pace for each in told[:3]] == [2] * 3 and all(each.pace == 1 for each in told[3:])
    assert all(each.frames.stop >= x.shape[-1] for each in told)
    assert all(each.power().shape[-1] == x.shape[-1] for each in told[3:])
    count = singer.sight(BINS_HZ).single
    assert torch.allclose(told[-1].power()[:, :, :count], whole[-1].power()[:, :, :count], rtol=1e-3, atol=1e-7)


def test_a_voice_of_one_of_two_frames_is_that_of_both():
    x, combs, f0, _ = scene(220.0, 277.0)
    every_second = f0 * (torch.arange(f0.shape[-1]) % 2)
    with torch.no_grad():
        one, two = (trained(pace=2, rounds=0, fine=0)(x, combs, each, BINS_HZ) for each in (f0, every_second))
    assert torch.equal(one[-1].power(), two[-1].power())
