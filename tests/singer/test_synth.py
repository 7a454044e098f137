import math
from dataclasses import replace

import pytest
import torch

from partbook.dsp.allpole import line_spectral_frequencies
from partbook.dsp.oscillator import harmonics, upsampled
from partbook.dsp.stft import Stft
from partbook.singer.synth import Controls, power, source, sung

RATE, HOP, FRAMES = 16000, 256, 60
SAMPLES = HOP * (FRAMES - 1)
STFT = Stft(1024, 256)
BINS_HZ = torch.arange(STFT.bins) * (RATE / STFT.n_fft)
"""The frames of the controls are those of the transform."""


def controls(voices=2, order=12, noise=0.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 0.4 * torch.randn(voices, 1, order + 1, generator=generator)
    return Controls(
        gain_NT=torch.full((voices, FRAMES), 0.1),
        decay_NT=torch.full((voices, FRAMES), 0.9),
        lsf_NTK=line_spectral_frequencies(logits).expand(voices, FRAMES, order),
        noise_NIT=torch.full((voices, 8, FRAMES), noise),
    )


def tracks(*f0_hz):
    return torch.tensor(f0_hz)[:, None].expand(-1, FRAMES).clone()


def sounded(model, f0_hz, rate=RATE, hop=HOP, samples=SAMPLES, **options):
    return sung(model, f0_hz, hop, samples, rate, torch.Generator().manual_seed(0), **options)


def combs(f0_hz):
    at_hz, gate = upsampled(f0_hz, HOP, SAMPLES)
    return STFT(gate * harmonics(at_hz, RATE, 8000)).abs() ** 2


def test_power_is_the_power_of_the_sound():
    model, f0_hz = controls(), tracks(220.0, 330.0)
    told = power(model, combs(f0_hz), f0_hz, BINS_HZ)[..., 3:-3]
    heard = STFT(sounded(model, f0_hz)).abs()[..., 3:-3] ** 2
    peaks = heard > 1e-3 * heard.amax(1, keepdim=True)
    assert (told / heard)[peaks].log10().abs().max() < 0.15
    assert (told.sum(1) / heard.sum(1)).log10().abs().max() < 0.02


def test_power_of_noise_is_its_density_through_the_tract():
    model, silent = controls(noise=0.01), tracks(0.0, 0.0)
    gain = float(STFT.window(BINS_HZ).square().sum())
    told = power(model, combs(silent), silent, BINS_HZ, gain)[..., 3:-3].mean(-1)
    runs = [
        STFT(sung(model, silent, HOP, SAMPLES, RATE, torch.Generator().manual_seed(n))).abs()[..., 3:-3] ** 2
        for n in range(20)
    ]
    assert (torch.stack(runs).mean((0, -1)) / told)[:, 3:-3].log10().abs().mean() < 0.1


def test_exact_tract_agrees_with_division_in_frequency():
    model, f0_hz = controls(noise=1e-5), tracks(150.0, 400.0)
    exact, divided = (sounded(model, f0_hz, exact=exact)[:, HOP:-HOP] for exact in (True, False))
    assert (exact - divided).square().sum() < 1e-2 * exact.square().sum()


def test_a_voice_at_twice_the_rate_is_the_same_voice():
    model, f0_hz = controls(), tracks(220.0, 331.0)
    slow, fast = sounded(model, f0_hz), sounded(model, f0_hz, 2 * RATE, 2 * HOP, 2 * SAMPLES)
    # Phases add up sample by sample, so the fast voice begins half a slow sample early.
    at_slow, at_fast = (STFT(slow).abs(), Stft(2048, 512)(fast).abs()[:, : STFT.bins] / 2)
    inside = (slice(None), slice(4, 400), slice(4, -4))
    assert (at_slow - at_fast)[inside].norm() < 0.05 * at_slow[inside].norm()


def test_an_octave_up_every_partial_is_an_octave_up():
    flat = replace(controls(1, seed=1), decay_NT=torch.ones(1, FRAMES), lsf_NTK=even())
    low, high = (STFT(sounded(flat, tracks(hz))).abs()[0, :, 30] for hz in (250.0, 500.0))
    assert torch.allclose(low[32::32][:8], high[32::32][:8], rtol=1e-2), "a flat tract adds nothing of its own"
    assert high[16::32][:7].max() < 1e-2 * low[16::32][:7].min()


def even(order=12):
    return line_spectral_frequencies(torch.zeros(1, FRAMES, order + 1))


def test_a_rest_is_silent_and_no_frequency_glides_into_it():
    f0_hz = tracks(200.0)
    f0_hz[:, 20:40] = 0
    sound = sounded(controls(1), f0_hz)[0]
    assert sound[22 * HOP : 38 * HOP].abs().max() < 1e-3 * sound.abs().max()
    spectrum = STFT(sound).abs()
    assert spectrum[:8, 18:22].max() < 0.1 * spectrum.max(), "below the fundamental there is nothing"


def test_voices_do_not_hear_each_other():
    model = controls(noise=1e-4)
    both = source(model, tracks(200.0, 300.0), HOP, SAMPLES, RATE, torch.Generator().manual_seed(0))
    other = source(model, tracks(200.0, 470.0), HOP, SAMPLES, RATE, torch.Generator().manual_seed(0))
    assert torch.equal(both[0], other[0]) and not torch.equal(both[1], other[1])


def test_gradients_reach_every_control():
    model, f0_hz = controls(1, noise=1e-4), tracks(200.0).requires_grad_()
    names = ("gain_NT", "decay_NT", "lsf_NTK", "noise_NIT")
    leaves = {name: getattr(model, name).clone().requires_grad_() for name in names}
    for exact in (False, True):
        sounded(replace(model, **leaves), f0_hz, exact=exact).square().sum().backward()
        for x in (*leaves.values(), f0_hz):
            assert torch.isfinite(x.grad).all() and x.grad.abs().sum() > 0
            x.grad = None


def test_exact_filters_belong_to_one_rate():
    with pytest.raises(ValueError, match="16000 Hz, got 44100"):
        sounded(controls(), tracks(200.0, 300.0), 44100, exact=True)


def test_the_tract_of_even_gaps_is_transparent():
    assert math.isclose(float(even()[0, 0, 0]), math.pi / 13, rel_tol=1e-5)
    model = replace(controls(1), lsf_NTK=even())
    untouched = source(model, tracks(200.0), HOP, SAMPLES, RATE, torch.Generator().manual_seed(0))
    assert torch.allclose(sounded(model, tracks(200.0), exact=True), untouched, atol=1e-4)
