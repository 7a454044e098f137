"""F0 that follows voices told apart comes nearer to them, and voices in octaves are told apart better by it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from partbook.config import VoicesConfig
from partbook.dsp.oscillator import flat_partials
from partbook.engine.apart import APART, followed, listened_again, loudest, told_apart
from partbook.engine.spectra import Analysis
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


@pytest.mark.parametrize("cents", [-15.0, 6.0])
def test_a_track_comes_to_where_its_voice_is(cents):
    """A lone voice with vibrato."""
    voice_S, track = sung(220.0, 30.0)
    alone_NFT = ANALYSIS.stft(voice_S)[None, : ANALYSIS.bins]
    shares = torch.ones(alone_NFT.shape)
    (moved,) = followed([off(track, cents)], alone_NFT, shares, 0, len(voice_S), ANALYSIS, APART)
    assert np.abs(cents_between(moved.exact, track)).max() < 1.0


def test_frames_without_a_voice_stay_without():
    voice_S, track = sung(220.0)
    track.f0_hz[200:300] = 0.0
    alone_NFT = ANALYSIS.stft(voice_S)[None, : ANALYSIS.bins]
    (moved,) = followed([track], alone_NFT, torch.ones(alone_NFT.shape), 0, len(voice_S), ANALYSIS, APART)
    for each in (moved.exact, moved.reported):
        assert np.array_equal(each.f0_hz == 0, track.f0_hz == 0) and np.isfinite(each.f0_hz).all()


def test_the_loudest_channel_is_heard(rng):
    X_MFT = torch.from_numpy(rng.standard_normal((3, 5, 7)) * np.array([1.0, 3.0, 0.1])[:, None, None])
    assert loudest(X_MFT) == 1 and loudest(X_MFT[[1, 0]]) == 0


@pytest.fixture(scope="module")
def octave():
    """Return two voices an octave apart (N, S), their exact tracks, and what a tracker made of these."""
    (high_S, high), (low_S, low) = sung(392.0, 25.0, 5.5, 1.2), sung(196.4, 20.0, 4.8)
    return torch.stack([high_S, low_S]), [high, low], [off(high, 6.0), off(low, -5.0)]


def powers(voices_NS):
    """Return the true powers and a little background, of a mixture of unit mean power, and what to multiply it by."""
    power_NFT = ANALYSIS.stft(voices_NS)[:, : ANALYSIS.bins].abs() ** 2
    level = (ANALYSIS.stft(voices_NS.sum(0)).abs()[: ANALYSIS.bins] ** 2).mean()
    return torch.cat([power_NFT / level, torch.full_like(power_NFT[:1], 1e-6)]), level**-0.5


def apart(octave, tracks, steady=1.0):
    """Return the mean SI-SDR of voices told apart by their true powers and these tracks."""
    lambda_NFT, gain = powers(octave[0])
    heard = octave[0].sum(0)[None] * gain, 0, tracks, lambda_NFT, ANALYSIS, VoicesConfig(), steady
    images, look = told_apart(*heard)
    stems = look.stft.inverse(images, octave[0].shape[-1])[:, 0]
    return np.mean([si_sdr(s.numpy(), e.numpy()) for s, e in zip(octave[0], stems, strict=False)])


def test_voices_in_octaves_are_told_apart_better_when_they_are_listened_to_again(octave):
    """Nearer to what exact tracks would give, every time."""
    voices_NS, exact, told = octave
    lambda_NFT, gain = powers(voices_NS)
    mixture = voices_NS.sum(0)[None] * gain
    again = [each.exact for each in listened_again(mixture, 0, told, lambda_NFT, ANALYSIS, VoicesConfig(), 1.0)]
    reached = [apart(octave, tracks) for tracks in (told, again, exact)]
    assert reached[1] - reached[0] > 0.4 * (reached[2] - reached[0]) > 0.5
    for track, before, truth in zip(again, told, exact, strict=True):
        assert np.abs(cents_between(track, truth)).mean() < 0.7 * np.abs(cents_between(before, truth)).mean()


def test_where_no_whole_images_are_wanted_the_analysed_bins_of_them_are_the_same(octave):
    voices_NS, exact, _ = octave
    lambda_NFT, gain = powers(voices_NS)
    narrow = replace(ANALYSIS, bins=ANALYSIS.bins * 3 // 4)
    heard = voices_NS.sum(0)[None] * gain, 0, exact, lambda_NFT[:, : narrow.bins], narrow, VoicesConfig(), 1.0
    (whole, look), (low, _) = told_apart(*heard), told_apart(*heard, whole=False)
    assert low.shape[2] == look.bins < whole.shape[2]
    assert torch.allclose(low, whole[:, :, : look.bins], atol=1e-5)


def test_steady_voices_are_heard_in_more_frames_and_longer(octave):
    voices_NS, exact, _ = octave
    lambda_NFT, gain = powers(voices_NS)
    heard = voices_NS.sum(0)[None] * gain, 0, exact, lambda_NFT, ANALYSIS, VoicesConfig()
    (steady, finer), (wavering, look) = told_apart(*heard, 1.0), told_apart(*heard, 0.05)
    assert look is ANALYSIS and finer.stft.hop_samples == ANALYSIS.stft.hop_samples // 2
    assert steady.shape[-1] == finer.stft.frames(voices_NS.shape[-1]) > wavering.shape[-1]
    assert apart(octave, exact) > apart(octave, exact, 0.05)
