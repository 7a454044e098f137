import torch

from partbook.dsp.oscillator import flat_partials
from partbook.dsp.stft import Stft
from partbook.engine.singing import sung_power, trained
from partbook.room.single import Single
from partbook.singer.model import Singer, SingerConfig
from partbook.train.weights import seeded

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


def test_the_shipped_network_names_powers_that_explain_a_mixture():
    x, combs, f0 = scene(220.0, 277.0, 415.0)
    assert sum(weight.numel() for weight in trained().parameters()) < 25_000
    powers = sung_power(x, combs, f0, BINS_HZ)
    loud = x > 1e-2 * x.max()
    assert (powers.sum(0)[loud] / x[loud]).log10().abs().mean() < 0.35


def test_a_fit_of_levels_brings_the_sum_nearer_to_the_recording():
    x, combs, f0 = scene(220.0, 277.0)
    told, fitted = (sung_power(x, combs, f0, BINS_HZ, rounds=rounds, singer=SINGER) for rounds in (0, 20))
    room = Single()
    assert room.divergence(x, fitted, 0.25) < room.divergence(x, told, 0.25)
