"""What the network hears depends on the sound alone: not on its level, its rate, or where blocks begin."""

import numpy as np
import pytest
import soxr

from partbook.audio import recording_from_array
from partbook.pitch import heard
from partbook.pitch.candidates import NO_EVIDENCE
from partbook.pitch.heard import hear, network_candidates, shipped_network

RATE = 16_000


@pytest.fixture(scope="module")
def mixture(sung):
    return sung.parts[:, 0, : 5 * RATE].sum(0)


def strongest_hz(candidates):
    """Return the F0 of the likeliest candidate where something sounds, and where that is."""
    sounds = candidates.evidence[:, 0] > 3
    return np.where(sounds, candidates.f0_hz[:, 0], 0.0), sounds


def alike(a, b):
    """Return the share of frames in which the likeliest candidates agree within 10 cents."""
    a_hz, b_hz = strongest_hz(a)[0], strongest_hz(b)[0]
    frames = min(len(a_hz), len(b_hz))
    a_hz, b_hz = a_hz[:frames], b_hz[:frames]
    near = np.abs(1200 * np.log2(np.maximum(a_hz, 1) / np.maximum(b_hz, 1))) < 10
    return near.mean()


def test_level_changes_nothing(mixture):
    loud, soft = (network_candidates(recording_from_array(gain * mixture, RATE)) for gain in (1.0, 0.01))
    assert np.allclose(loud.evidence[:, 0], soft.evidence[:, 0], atol=0.05)
    assert loud.likely == soft.likely


def test_long_pauses_change_nothing(mixture):
    pause = np.zeros(20 * RATE, mixture.dtype)
    alone = network_candidates(recording_from_array(mixture, RATE))
    between = network_candidates(recording_from_array(np.concatenate([pause, mixture, pause]), RATE))
    first, frames = 20 * 125, len(alone.times_s) - 1
    assert np.median(np.abs(between.evidence[first : first + frames, 0] - alone.evidence[:-1, 0])) < 0.1
    assert not (between.evidence[: first - 25] > 0).any()
    assert between.likely == alone.likely


def test_blocks_do_not_change_what_is_heard(mixture, monkeypatch):
    whole = network_candidates(recording_from_array(mixture, RATE))
    monkeypatch.setattr(heard, "BLOCK_S", 2)
    pieces = network_candidates(recording_from_array(mixture, RATE))
    assert len(whole.times_s) == len(pieces.times_s)
    assert alike(whole, pieces) > 0.99


@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
def test_the_rate_of_the_recording_hardly_matters(mixture, rate):
    other = recording_from_array(soxr.resample(mixture, RATE, rate).astype(np.float32), rate)
    found = network_candidates(other)
    assert np.diff(found.times_s).max() <= 0.008 + 1e-9
    assert alike(network_candidates(recording_from_array(mixture, RATE)), found) > 0.85


def test_channels_are_heard_together_even_out_of_phase(mixture):
    mono = network_candidates(recording_from_array(mixture, RATE))
    stereo = network_candidates(recording_from_array(np.stack([mixture, -mixture]), RATE))
    assert alike(mono, stereo) > 0.99


@pytest.mark.parametrize("samples", [1, 127, 128, 16_000, 16_001])
def test_silence_of_any_length_holds_no_candidates(samples):
    silent = network_candidates(recording_from_array(np.zeros(samples, np.float32), RATE))
    assert (silent.evidence == NO_EVIDENCE).all()
    assert silent.likely == 0
    assert len(silent.times_s) == samples // 128 + 1


def test_the_vibrato_of_a_singer_is_followed_within_8_cents():
    times_s = np.arange(4 * RATE) / RATE
    for centre_hz in (130.0, 330.0, 660.0):
        f0_hz = centre_hz * 2 ** (80 / 1200 * np.sin(2 * np.pi * 6 * times_s))
        phase = 2 * np.pi * np.cumsum(f0_hz) / RATE
        voice = sum(np.cos(k * phase) / k for k in range(1, int(6000 / centre_hz)))
        found = hear(recording_from_array(0.1 * voice, RATE), shipped_network())
        inside = slice(25, -25)
        true_hz = np.interp(found.times_s, times_s, f0_hz)[inside]
        error = np.abs(1200 * np.log2(found.f0_hz[inside, 0] / true_hz))
        assert np.median(error) < 8, centre_hz
