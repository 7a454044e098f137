import numpy as np
import pytest
import torch

from partbook.dsp.stft import Stft
from partbook.pitch.refine import RefineConfig, finer_in_glides, refined
from partbook.pitch.tracks import Track

RATE = 16000
STFT = Stft(2048, 512)


def voice(vibrato_cents=80.0, seconds=1.5, f0_hz=300.0):
    """Return a voice with vibrato and its exact track."""
    times_s = np.arange(0, seconds, 0.008)
    every_s = np.arange(int(seconds * RATE)) / RATE

    def pitch_hz(t):
        return f0_hz * 2 ** (vibrato_cents / 1200 * np.sin(2 * np.pi * 6 * t))

    phi = 2 * np.pi * np.cumsum(pitch_hz(every_s)) / RATE
    x = sum(np.cos(k * phi + k) / k for k in range(1, 12))
    return torch.from_numpy(x).float(), Track(times_s, pitch_hz(times_s), np.ones(len(times_s)))


def off_by(track, cents):
    return Track(track.times_s, track.f0_hz * 2 ** (np.asarray(cents) / 1200), track.confidence)


def refine(track, x, start_s=0.0, reluctance=0.0):
    return refine_both(track, x, start_s, reluctance).exact


def refine_both(track, x, start_s=0.0, reluctance=0.0):
    share = torch.ones(STFT.bins, STFT.frames(len(x)))
    return refined(
        track, x, start_s, RATE, share, RATE / STFT.n_fft, STFT.hop_samples / RATE, RefineConfig(reluctance=reluctance)
    )


def error_cents(track, truth, inner=slice(8, -8)):
    return 1200 * np.log2(track.f0_hz[inner] / truth.f0_hz[inner])


@pytest.mark.parametrize("cents", [-30.0, -10.0, 0.0, 20.0])
def test_a_track_comes_back_to_its_voice_through_vibrato(cents):
    x, truth = voice()
    found = refine(off_by(truth, cents), x)
    assert np.median(np.abs(error_cents(found, truth))) < 3


def test_what_is_reported_is_the_pitch_as_well():
    x, truth = voice()
    for cents in (-30.0, 20.0):
        found = refine_both(off_by(truth, cents), x).reported
        assert np.median(np.abs(error_cents(found, truth))) < 3


def test_where_phases_wander_what_is_reported_is_nearer_to_the_pitch():
    # Two singers of one part, a few cents and some random walk apart: partials beat, the period goes on.
    random = np.random.default_rng(3)
    times_s, every_s = np.arange(0, 3, 0.008), np.arange(3 * RATE) / RATE
    steps = np.cumsum(random.normal(0, 1.5, (2, 60)), 1) + np.array([[8.0], [-8.0]])
    sung = [300 * 2 ** (np.interp(every_s, np.linspace(0, 3, 60), each) / 1200) for each in steps]
    x = sum(
        np.cos(2 * np.pi * k * np.cumsum(f0_hz) / RATE + k * k * n) / k
        for n, f0_hz in enumerate(sung)
        for k in range(1, 12)
    )
    truth = Track(times_s, np.sqrt(np.prod([np.interp(times_s, every_s, each) for each in sung], 0)), np.ones(375))
    found = refine_both(off_by(truth, random.normal(0, 15, 375)), torch.from_numpy(x).float())
    exact, reported = (np.sqrt(np.mean(error_cents(each, truth) ** 2)) for each in (found.exact, found.reported))
    assert reported < 0.9 * exact


def test_an_error_that_moves_is_followed():
    x, truth = voice(vibrato_cents=0.0)
    wandering = 20 * np.sin(2 * np.pi * 2 * truth.times_s)
    found = refine(off_by(truth, wandering), x)
    assert np.median(np.abs(error_cents(found, truth))) < 3


def test_reluctance_keeps_a_track_nearer_to_what_was_given():
    x, truth = voice()
    given = off_by(truth, 30.0)
    free, kept = (refine(given, x, reluctance=pull) for pull in (0.0, 0.1))
    assert np.median(error_cents(free, truth)) < np.median(error_cents(kept, truth)) < 30


def test_a_track_goes_on_smoothly_where_its_voice_is_covered_and_follows_it_where_it_is_not():
    x, truth = voice(vibrato_cents=20.0)
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 1.0, len(x))).float()
    shaken = off_by(truth, np.random.default_rng(1).normal(0, 10, len(truth.times_s)))

    def found(heard, config):
        share = torch.ones(STFT.bins, STFT.frames(len(x)))
        return refined(shaken, heard, 0.0, RATE, share, RATE / STFT.n_fft, STFT.hop_samples / RATE, config).exact

    free, usual = RefineConfig(stiffness=0.0), RefineConfig()
    for heard in (x, x + noise):
        loose, stiff = (np.abs(error_cents(found(heard, config), truth)) for config in (free, usual))
        assert np.median(stiff) < 0.7 * np.median(loose) and np.median(stiff) < 4


@pytest.mark.parametrize("step_s", [0.002, 0.005, 0.03, 0.04])
def test_vibrato_is_followed_in_noise_and_in_steps_of_any_length(step_s):
    x, truth = voice(vibrato_cents=60.0)
    track = truth.at(np.arange(0, 1.5, step_s))
    found = refine(track, x + torch.from_numpy(np.random.default_rng(0).normal(0, 2, len(x))).float())
    assert np.median(np.abs(error_cents(found, track, slice(3, -3)))) < 4


def test_notes_are_not_smoothed_into_one_another():
    low, _ = voice(vibrato_cents=0.0, seconds=0.8)
    high, _ = voice(vibrato_cents=0.0, seconds=0.8, f0_hz=330.0)
    times_s = np.arange(0, 1.6, 0.008)
    f0_hz = np.where(times_s < 0.8, 300.0, 330.0)
    track = Track(times_s, f0_hz, np.ones(len(times_s)))
    config = RefineConfig(stiffness=1e4)
    x = torch.cat([low, high])
    share = torch.ones(STFT.bins, STFT.frames(len(x)))
    found = refined(track, x, 0.0, RATE, share, RATE / STFT.n_fft, STFT.hop_samples / RATE, config).exact
    assert np.abs(1200 * np.log2(found.f0_hz / f0_hz))[8:-8].max() < 12, "165 cents apart"


def test_unvoiced_frames_and_frames_outside_the_stretch_stay_as_they_are():
    x, truth = voice()
    f0_hz = np.where(truth.times_s < 0.3, 0.0, truth.f0_hz * 2 ** (20 / 1200))
    track = Track(truth.times_s + 1.0, f0_hz, truth.confidence)
    found = refine(track, x[: RATE // 2], start_s=1.0)
    same = (truth.times_s < 0.3) | (truth.times_s >= 0.5)
    assert np.array_equal(found.f0_hz[same], f0_hz[same])
    assert not np.array_equal(found.f0_hz[~same], f0_hz[~same])


def test_a_silent_voice_stays_where_it_is():
    x, truth = voice()
    found = refine(truth, torch.zeros_like(x))
    assert np.abs(error_cents(found, truth)).max() < 10


def glide(semitones=2.0, lasting_s=0.08, seconds=1.2, low_hz=220.0):
    """Return a voice that glides upwards in the middle, and its exact track."""
    times_s, every_s = np.arange(0, seconds, 0.008), np.arange(int(seconds * RATE)) / RATE

    def pitch_hz(t):
        return low_hz * 2 ** (semitones / 12 * np.clip((t - 0.5 * seconds) / lasting_s + 0.5, 0, 1))

    phi = 2 * np.pi * np.cumsum(pitch_hz(every_s)) / RATE
    x = sum(np.cos(k * phi + k) / k for k in range(1, 12))
    return torch.from_numpy(x).float(), Track(times_s, pitch_hz(times_s), np.ones(len(times_s)))


def cut_short(track, frames=13):
    """Return a track as it is seen in frames of a tenth of a second: glides lose their corners."""
    kernel = np.hanning(frames + 2)[1:-1]
    seen = np.convolve(np.pad(np.log(track.f0_hz), frames // 2, "edge"), kernel / kernel.sum(), "valid")
    return Track(track.times_s, np.exp(seen), track.confidence)


def test_in_a_glide_the_finer_track_is_nearer_and_taken():
    x, truth = glide(semitones=5.0)
    seen = cut_short(truth)
    taken = finer_in_glides(seen, refine_both(seen, x, reluctance=0.1).reported)
    middle = slice(60, 90)
    before, after = (np.abs(error_cents(track, truth, middle)).mean() for track in (seen, taken))
    assert before > 10
    assert after < 0.3 * before


def test_where_no_voice_glides_a_track_stays():
    _, truth = voice(vibrato_cents=30.0)
    finer = off_by(truth, 20.0)
    np.testing.assert_array_equal(finer_in_glides(truth, finer).f0_hz, truth.f0_hz)


@pytest.mark.parametrize("step_s", [0.002, 0.008])
def test_a_glide_is_one_at_any_step(step_s):
    _, truth = glide()
    seen = truth.at(np.arange(0, 1.19, step_s))
    finer = off_by(seen, 20.0)
    moved_s = seen.times_s[finer_in_glides(seen, finer).f0_hz != seen.f0_hz]
    assert moved_s.min() == pytest.approx(0.6 - 0.04 - 0.04, abs=0.02)
    assert moved_s.max() == pytest.approx(0.6 + 0.04 + 0.04, abs=0.02)


def test_a_leap_over_a_pause_is_no_glide():
    times_s = np.arange(0, 1, 0.008)
    f0_hz = np.where(times_s < 0.5, 220.0, 330.0) * ((times_s < 0.45) | (times_s > 0.55))
    track = Track(times_s, f0_hz, np.ones(len(times_s)))
    assert finer_in_glides(track, off_by(track, 20.0)) is not track
    np.testing.assert_array_equal(finer_in_glides(track, off_by(track, 20.0)).f0_hz, f0_hz)
