"""How a mixture is held against what the singer makes of it."""

from __future__ import annotations

import math

import pytest
import torch

from partbook.dsp.hcqt import LogTransform
from partbook.dsp.oscillator import harmonics, upsampled
from partbook.singer.model import Singer, SingerConfig
from partbook.train.sight import Sight, fitting, framed, heard_power, seen_through, unit_power
from partbook.train.weights import seeded

RATE, HOP = 16_000, 128
SIGHT = Sight((0.128, 0.064, 0.032), LogTransform())
ALL = ("spectral", "likelihood", "transport")


@pytest.fixture(scope="module")
def singer():
    return seeded(lambda: Singer(SingerConfig(bands=20, channels=4, rounds=3, dilations=(1,))), 0).requires_grad_(False)


def sung(*f0_hz, seconds=0.6, noise=0.0):
    """Return a mixture (1, S) of harmonic voices, and their F0 (1, N, T)."""
    samples = round(seconds * RATE)
    f0_BNT = torch.tensor(f0_hz)[None, :, None].expand(1, len(f0_hz), samples // HOP + 1).contiguous()
    at_hz, _ = upsampled(f0_BNT, HOP, samples)
    white = torch.randn(1, samples, generator=torch.Generator().manual_seed(0))
    return 0.1 * harmonics(at_hz, RATE, RATE / 2, 0.7).sum(1) + noise * white, f0_BNT


def test_the_right_f0_fits_better_than_a_wrong_one(singer):
    x_BS, f0_BNT = sung(220.0, 330.0)
    each = [fitting(x_BS, 2 ** (cents / 1200) * f0_BNT, singer, SIGHT, ALL) for cents in (0, 10, 30, 60, 100)]
    assert all(set(losses) == set(ALL) for losses in each)
    for name in ("spectral", "likelihood"):
        values = [float(losses[name]) for losses in each]
        assert values == sorted(values) and values[0] < 0.9 * values[1]


@pytest.mark.parametrize("cents", [25.0, -25.0])
@pytest.mark.parametrize("loss", ["spectral", "likelihood"])
def test_the_mixture_says_which_way_an_f0_has_to_go(singer, loss, cents):
    x_BS, f0_BNT = sung(220.0)
    off_cents = torch.tensor(cents, requires_grad=True)
    fitting(x_BS, f0_BNT * 2 ** (off_cents / 1200), singer, SIGHT, (loss,))[loss].backward()
    assert math.copysign(1, float(off_cents.grad)) == math.copysign(1, cents), "descent leads back"


def test_the_level_of_a_recording_does_not_matter(singer):
    x_BS, f0_BNT = sung(220.0, 330.0)
    one, other = (fitting(gain * x_BS, f0_BNT, singer, SIGHT, ALL) for gain in (1.0, 20.0))
    assert all(float(one[name]) == pytest.approx(float(other[name]), rel=1e-3) for name in ALL)


def test_seen_through_its_own_window_a_spectrum_is_what_it_was(singer):
    x_BS, f0_BNT = sung(220.0, 330.0)
    first = SIGHT.stfts[0]
    at_hz, gate = upsampled(f0_BNT, HOP, x_BS.shape[-1])
    combs_BNS = harmonics(at_hz, RATE, RATE / 2) * gate
    said = heard_power(x_BS, f0_BNT, combs_BNS, singer, SIGHT)
    again = seen_through(said, combs_BNS, first, first, SIGHT.bins_hz(first), singer.config.band_hz)
    assert torch.allclose(said.power(), again.power(), rtol=1e-4)


@pytest.mark.parametrize("number", [1, 2])
def test_noise_and_partials_keep_their_powers_in_a_shorter_window(singer, number):
    """Noise of a power in one window is modelled at the power that it has in another; so is a partial."""
    white = torch.randn(1, 40_000, generator=torch.Generator().manual_seed(1))
    first, stft = SIGHT.stfts[0], SIGHT.stfts[number]
    _, level_B11 = unit_power(white, first)
    seen = stft(white).abs().square() * (first.n_fft / stft.n_fft) ** 2 / level_B11
    assert float(seen.mean()) == pytest.approx(first.n_fft / stft.n_fft, rel=0.05)
    x_BS, f0_BNT = sung(220.0)
    combs_BNS = torch.zeros(1, 1, x_BS.shape[-1])
    said = heard_power(x_BS, f0_BNT, combs_BNS, singer, SIGHT)
    other = seen_through(said, combs_BNS, stft, first, SIGHT.bins_hz(stft), singer.config.band_hz)
    louder = other.background().mean() / said.background().mean()
    assert float(louder) == pytest.approx(first.n_fft / stft.n_fft, rel=0.02)


def test_gains_of_single_bins_and_partials_are_not_those_of_another_window(singer):
    x_BS, f0_BNT = sung(220.0)
    combs_BNS = torch.zeros(1, 1, x_BS.shape[-1])
    said, (first, stft, *_) = heard_power(x_BS, f0_BNT, combs_BNS, singer, SIGHT), SIGHT.stfts
    gain = torch.full_like(said.power()[:, :, :20], 2.0)
    other = seen_through(
        said.gained(partial_BNGT=gain, gain_BNGT=gain),
        *(combs_BNS, stft, first, SIGHT.bins_hz(stft), singer.config.band_hz),
    )
    assert other.partial_BNGT is other.gain_BNGT is None and other.power().isfinite().all()


def test_f0_is_framed_by_the_nearest():
    f0_BNT = torch.arange(1.0, 21.0)[None, None]
    assert framed(f0_BNT, 7, SIGHT)[0, 0].tolist() == [1, 5, 9, 13, 17, 20, 20]


def test_sound_with_tracts_carries_the_pitch_too():
    singer = seeded(lambda: Singer(SingerConfig(bands=20, channels=4, rounds=1, dilations=(1,), order=8)), 0)
    x_BS, f0_BNT = sung(220.0, seconds=0.3)
    f0_BNT.requires_grad_()
    loss = fitting(x_BS, f0_BNT, singer, SIGHT, ("spectral",), sound=True)["spectral"]
    loss.backward()
    assert torch.isfinite(loss) and f0_BNT.grad.isfinite().all() and f0_BNT.grad.abs().max() > 0
