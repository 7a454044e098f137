"""Somebody who plays in a session without a spot."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal
import torch

from partbook.audio import Microphone, recording_from_array
from partbook.config import Options, SessionConfig
from partbook.engine import players, starts, strangers
from partbook.engine.analysis import analysed
from partbook.engine.session import separate_session
from partbook.room.fastmnmf import FastMnmf
from partbook.sources.nmf import Nmf
from partbook.sources.sections import Sections

RATE, SAMPLES = 8000, 24_000
QUICK = SessionConfig(window_s=0.128, components=8, diagonal_rounds=16, full_rounds=3)


def notes(lowest_hz, seed):
    rng = np.random.default_rng(seed)
    f0_hz = np.repeat(lowest_hz * 2 ** (rng.integers(0, 8, 12) / 12), SAMPLES // 12)
    phase = 2 * np.pi * np.cumsum(f0_hz) / RATE
    strokes = np.exp(-3 * ((np.arange(SAMPLES) * 4 / RATE) % 1)) * np.repeat(rng.random(12) < 0.8, SAMPLES // 12)
    return strokes * sum(np.sin(k * phase) / k for k in range(1, 7))


def recorded(stranger):
    """Return images of three players at two mains and three spots, and the session, where one more plays or not."""
    rng = np.random.default_rng(0)
    dry = np.stack([notes(f0_hz, seed) for seed, f0_hz in enumerate((440.0, 520.0, 170.0, 110.0))])
    taps, delay = 600, np.arange(600)
    responses = 0.012 * rng.standard_normal((4, 5, taps)) * np.exp(-delay / 150)
    for n in range(4):
        for m in range(5):
            level = 0.35 if m < 2 or n == 3 else 1.0 if m == 2 + n else 0.12
            responses[n, m, 0 if m == 2 + n else 20 + 13 * n + 7 * m] += level
    images = 0.1 * scipy.signal.fftconvolve(dry[:, None], responses, axes=-1)[..., :SAMPLES]
    heard = images.sum(0) if stranger else images[:3].sum(0)
    names = ("Left", "Right", "a", "b", "c")
    microphones = tuple(
        Microphone(name, "", m + 1, "main" if m < 2 else "spot", None if m < 2 else name)
        for m, name in enumerate(names)
    )
    return images, replace(recording_from_array(heard.astype(np.float32), RATE), microphones=microphones)


def separated(recording):
    separation = separate_session(recording, options=Options(), config=QUICK)
    return np.concatenate([block.images for block in separation.blocks()], -1)


def error(image, truth):
    return 10 * np.log10(np.sum((image - truth) ** 2) / np.sum(truth**2))


def test_what_a_stranger_plays_is_kept_from_the_players(monkeypatch):
    images, recording = recorded(stranger=True)
    found = separated(recording)
    monkeypatch.setattr(players, "UNMIKED", np.inf)
    unwary = separated(recording)
    better = [error(unwary[n, 2 + n], images[n, 2 + n]) - error(found[n, 2 + n], images[n, 2 + n]) for n in range(3)]
    assert np.mean(better) > 1


def test_where_there_is_no_stranger_none_is_found(monkeypatch):
    _, recording = recorded(stranger=False)
    found = separated(recording)
    monkeypatch.setattr(players, "UNMIKED", np.inf)
    assert np.array_equal(separated(recording), found)


@pytest.fixture
def model():
    """Return a room of two players at a main and two spots, with spectra of which one pattern is far away."""
    _, recording = recorded(stranger=False)
    microphones = [recording.microphones[m] for m in (0, 2, 3)]
    whole = recording_from_array(np.zeros((3, SAMPLES), np.float32), RATE)
    analysis = analysed(replace(whole, microphones=tuple(microphones)), ("a", "b"), np.ones(3), {}, Options(), QUICK)
    bins = analysis.bins
    far = torch.zeros(bins, dtype=torch.bool)
    far[::7] = True
    Q_FMM = torch.eye(3, dtype=torch.complex128).repeat(bins, 1, 1)
    # Rows of Q scale what is heard: at the far bins the first player is as loud at the main microphone as at its spot.
    Q_FMM[far, 1, 1] = 10**0.5
    g_NM = torch.tensor([[0.1, 1.0, 0.05], [0.1, 0.05, 1.0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [1.0, 0.3, 0.3]])
    W_NFK = torch.rand(5, bins, 3, generator=torch.Generator().manual_seed(0)) * ~far[:, None] + 1e-9
    W_NFK[0, :, 1] = far.float()
    W_NFK[4, :, 2] *= 1e-6
    spectra = Sections((Nmf(W_NFK, torch.ones(5, 3, 20)),), (20,))
    return analysis, FastMnmf(Q_FMM, g_NM), spectra, torch.full((2,), 2.3)


def test_a_pattern_that_is_not_near_goes_to_the_stranger(model):
    analysis, room, spectra, nearness_N = model
    given = strangers.disowned(spectra, room, analysis, nearness_N).models[0]
    before = spectra.models[0]
    torch.testing.assert_close(given.W_NFK[0, :, 1], strangers.FORGOTTEN * before.W_NFK[0, :, 1])
    torch.testing.assert_close(given.W_NFK[0, :, [0, 2]], before.W_NFK[0, :, [0, 2]])
    torch.testing.assert_close(given.W_NFK[1:4], before.W_NFK[1:4])
    # In the place of the stranger's weakest, as loud at the main microphone as it was.
    heard_MF = room.heard_NMF()[:, 0]
    torch.testing.assert_close(given.W_NFK[4, :, 2] * heard_MF[4], before.W_NFK[0, :, 1] * heard_MF[0])


def test_energy_of_nobody_is_that_of_patterns_that_are_not_near(model):
    analysis, room, spectra, nearness_N = model
    energy = strangers.foreign_energy(spectra, room, analysis, nearness_N)
    expected = (room.heard_NMF()[0, 0] * spectra.models[0].W_NFK[0, :, 1]).sum() * 20
    assert energy == pytest.approx(float(expected), rel=1e-3)
    assert strangers.foreign_energy(spectra, room, analysis, nearness_N - 10) == 0


def test_a_player_of_the_plan_without_a_spot_is_expected_however_faint(monkeypatch):
    _, recording = recorded(stranger=True)
    told = {"source": [{"name": name} for name in "ABC"] + [{"name": "D", "spot": False}]}
    said = []
    monkeypatch.setattr(players, "UNMIKED", np.inf)
    for setup in ({}, told):
        lines = []
        found = separate_session(
            replace(recording, setup=setup),
            options=Options(),
            config=replace(QUICK, diagonal_rounds=2, full_rounds=1),
            on_progress=lambda event, lines=lines: lines.append(event.message),
        )
        kept = found.config["session"]["remarks"]
        said.append([any("somebody without a spot" in line for line in each) for each in (lines, kept)])
    assert said == [[False, False], [True, True]]


def test_a_player_whose_spot_is_dead_is_kept_from_the_others(monkeypatch):
    images, recording = recorded(stranger=False)
    samples = recording.read(0, recording.length)
    samples[4] = 0
    broken = replace(recording_from_array(samples, RATE), microphones=recording.microphones)
    monkeypatch.setattr(players, "UNMIKED", np.inf)
    found = separated(broken)
    monkeypatch.setattr(starts, "expecting_strangers", starts.warily)
    unwary = separated(broken)
    better = [
        error(unwary[n, m], images[n, m]) - error(found[n, m], images[n, m]) for n in range(2) for m in (0, 1, 2 + n)
    ]
    assert not found[2].any() and not found[:, 4].any()
    assert np.mean(better) > 1
