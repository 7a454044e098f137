"""F0 that follows separated voices comes nearer to them, and voices in octaves are told apart better by it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from partbook.config import Options, VoicesConfig
from partbook.dsp.oscillator import flat_partials
from partbook.engine.closer import closer, loudest
from partbook.engine.spectra import Analysis
from partbook.engine.voices import separate_stretch
from partbook.evaluate.separation import si_sdr
from partbook.pitch.tracks import Track

RATE, SECONDS = 16_000, 3.0
TIMES_S = np.arange(round(SECONDS * 250)) / 250
ANALYSIS = Analysis.of(RATE, VoicesConfig())


def sung(f0_hz, vibrato_cents=0.0, rate_hz=5.0, fall=1.0):
    """Return harmonics 1/k^fall of a voice with vibrato (S,), and its exact track, which rests for a moment."""
    cents = vibrato_cents * np.sin(2 * np.pi * rate_hz * TIMES_S)
    track = Track(TIMES_S, f0_hz * 2 ** (cents / 1200), np.ones_like(TIMES_S))
    at_s = np.arange(round(SECONDS * RATE)) / RATE
    fine_hz = torch.from_numpy(np.interp(at_s, TIMES_S, track.f0_hz))
    waves = flat_partials(fine_hz, RATE, RATE / 2).float()
    spectrum = torch.fft.rfft(waves)
    spectrum /= (torch.fft.rfftfreq(len(waves), 1 / RATE) / f0_hz).clamp_min(1) ** fall
    return torch.fft.irfft(spectrum, len(waves)), track


def off(track, cents):
    return replace(track, f0_hz=track.f0_hz * 2 ** (cents / 1200))


def cents_between(track, other):
    inside = (TIMES_S > 0.3) & (TIMES_S < SECONDS - 0.3)
    return 1200 * np.log2(track.f0_hz[inside] / other.f0_hz[inside])


@pytest.mark.parametrize("channel", [0, 1])
@pytest.mark.parametrize("cents", [-15.0, 6.0])
def test_a_track_comes_to_where_its_voice_is(cents, channel):
    """A lone voice with vibrato, as the louder of two channels has it."""
    voice_S, track = sung(220.0, 30.0)
    images = torch.zeros(1, 2, *ANALYSIS.stft(voice_S).shape, dtype=torch.complex64)
    images[0, channel], images[0, 1 - channel] = ANALYSIS.stft(voice_S), 1e-3 * torch.randn(images.shape[2:])
    assert loudest(images[0]) == channel
    (moved,) = closer([off(track, cents)], images, 0, len(voice_S), ANALYSIS)
    assert np.abs(cents_between(moved, track)).max() < 1.0


def test_frames_without_a_voice_stay_without(rng):
    voice_S, track = sung(220.0)
    track.f0_hz[200:300] = 0.0
    (moved,) = closer([track], ANALYSIS.stft(voice_S)[None, None], 0, len(voice_S), ANALYSIS)
    assert np.array_equal(moved.f0_hz == 0, track.f0_hz == 0) and np.isfinite(moved.f0_hz).all()


@pytest.fixture(scope="module")
def octave():
    """Return two voices an octave apart (N, S), their exact tracks, and what a tracker made of these."""
    (high_S, high), (low_S, low) = sung(392.0, 25.0, 5.5, 1.2), sung(196.4, 20.0, 4.8)
    return torch.stack([high_S, low_S]), [high, low], [off(high, 6.0), off(low, -5.0)]


def heard(octave, model, steady, listened):
    voices_NS, _, told = octave
    options, config = Options(model=model), replace(VoicesConfig(), listened=listened)
    images = separate_stretch(voices_NS.sum(0)[None], 0, told, ANALYSIS, options, config, steady=steady)
    return images[:, 0]


def test_voices_in_octaves_are_told_apart_better_when_they_are_listened_to_again(octave):
    once, twice, thrice = (
        np.mean([si_sdr(s.numpy(), e.numpy()) for s, e in zip(octave[0], heard(octave, "both", 1.0, n), strict=True)])
        for n in (1, 2, 3)
    )
    assert twice > once + 1 and thrice > twice - 0.3


@pytest.mark.parametrize(("model", "steady"), [("fit", 1.0), ("network", 1.0), ("both", 0.2)])
def test_a_model_alone_hears_voices_once_and_wavering_ones_are_heard_once(octave, model, steady):
    assert torch.equal(heard(octave, model, steady, 1), heard(octave, model, steady, 3))
