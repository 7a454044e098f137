"""Sessions whose players are followed by their pitch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from partbook.audio import Microphone, recording_from_array
from partbook.config import Options, SessionConfig, SessionOptions
from partbook.dsp.stft import Stft
from partbook.engine.analysis import analysed
from partbook.engine.pitched import combs, followed
from partbook.engine.session import separate_session
from partbook.pitch.tracks import Track

RATE, SECONDS = 16_000, 3
QUICK = SessionConfig(window_s=0.128, band_hz=4000.0, components=4, diagonal_rounds=8, full_rounds=2)
F0_HZ = {"violin": 660.0, "cello": 147.0}


def tone(f0_hz):
    """Return a tone with vibrato, and its F0."""
    times_s = np.arange(SECONDS * RATE) / RATE
    moving_hz = f0_hz * 2 ** (0.2 / 12 * np.sin(2 * np.pi * 5 * times_s))
    phase = 2 * np.pi * np.cumsum(moving_hz) / RATE
    partials = [np.sin(k * phase) / k for k in range(1, 9) if k * f0_hz < RATE / 2.5]
    return 0.1 * np.sum(partials, 0), moving_hz


def recorded():
    """Return two players at a main microphone and their spots, and the session."""
    rng = np.random.default_rng(0)
    dry = np.stack([tone(f0_hz)[0] for f0_hz in F0_HZ.values()])
    dry *= np.repeat(rng.uniform(0.05, 1, (2, 12)), SECONDS * RATE // 12, axis=1)
    gain_NM = np.array([[0.3, 1.0, 0.25], [0.35, 0.2, 1.0]])
    images = np.stack(
        [
            [np.roll(gain * sound, int(40 * (1 - gain))) for gain in gain_M]
            for sound, gain_M in zip(dry, gain_NM, strict=True)
        ]
    )
    microphones = (Microphone("Main", "", 1, "main"),)
    microphones += tuple(Microphone(f"spot{id}", "", 2 + n, "spot", id) for n, id in enumerate(F0_HZ))
    samples = images.sum(0) + 1e-5 * rng.standard_normal(images.shape[1:])
    return images, replace(recording_from_array(samples.astype(np.float32), RATE), microphones=microphones)


@pytest.fixture(scope="module")
def session():
    return recorded()


def test_every_player_is_followed_at_its_own_pitch(session):
    images, recording = session
    analysis = analysed(recording, tuple(F0_HZ), np.ones(3), {}, Options(), QUICK)
    alone = torch.from_numpy(np.stack([images[0, 1], images[1, 2]])).float()
    for track, f0_hz in zip(followed(alone, RATE, analysis), F0_HZ.values(), strict=True):
        true_hz = np.interp(track.times_s, np.arange(SECONDS * RATE) / RATE, tone(f0_hz)[1])
        inside = (track.f0_hz > 0) & (track.times_s > 0.2) & (track.times_s < SECONDS - 0.2)
        assert inside.mean() > 0.7
        assert np.median(np.abs(1200 * np.log2(track.f0_hz / true_hz, where=inside, out=np.zeros_like(true_hz)))) < 25


def test_a_comb_has_its_lines_at_the_multiples_of_the_pitch_while_it_sounds():
    stft = Stft(2048, 512)
    times_s = np.arange(0, 2, 0.008)
    track = Track(times_s, np.where(times_s < 1, 250.0, 0.0), np.ones(len(times_s)))
    power_FT = combs([track], RATE, stft, 513, 2 * RATE)[0]
    line = round(250 / (RATE / 2048))
    sounding, silent = power_FT[:, 10:25], power_FT[:, 45:55]
    assert (sounding[[line, 2 * line, 3 * line]] > 100 * sounding[[line // 2, 3 * line // 2]].amax()).all()
    assert silent.max() < 1e-6 * sounding.max()


def test_a_track_without_pitch_has_a_silent_comb():
    track = Track(np.array([0.0, 1.0]), np.zeros(2), np.zeros(2))
    assert combs([track], RATE, Stft(512, 128), 100, RATE).abs().max() == 0


@pytest.fixture(scope="module")
def separated(session):
    told = SessionOptions(sources="source-filter")
    separation = separate_session(session[1], options=Options(), config=QUICK, session=told)
    return np.concatenate([block.images for block in separation.blocks()], -1)


def test_source_filter_spectra_bring_every_player_out(session, separated):
    images, recording = session
    mixture = recording.read(0, recording.length)
    for n in range(2):
        for m in (0, 1 + n):
            before = np.sum((mixture[m] - images[n, m]) ** 2)
            assert np.sum((separated[n, m] - images[n, m]) ** 2) < 0.3 * before


def test_the_same_seed_gives_the_same_images(session, separated):
    told = SessionOptions(sources="source-filter")
    again = separate_session(session[1], options=Options(), config=QUICK, session=told)
    assert np.array_equal(np.concatenate([block.images for block in again.blocks()], -1), separated)


def test_a_long_session_is_followed_section_by_section(session):
    images, recording = session
    config = replace(QUICK, section_s=1.0, room_s=1.6, context_s=0.2)
    told = SessionOptions(sources="source-filter")
    separation = separate_session(recording, options=Options(), config=config, session=told)
    found = np.concatenate([block.images for block in separation.blocks()], -1)
    error = np.sum((found[0, 1] - images[0, 1]) ** 2) / np.sum(images[0, 1] ** 2)
    assert found.shape == images.shape and error < 0.05
