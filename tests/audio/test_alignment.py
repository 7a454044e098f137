"""Separate recorders: what their clocks did to a take is found and undone."""

import numpy as np
import pytest
import scipy.signal
import soundfile

from partbook.audio import excerpt, open_session
from partbook.audio.alignment import Clock, read_at
from partbook.errors import AudioError

RATE = 16_000


def music(seconds, seed=0):
    """Return notes of noise with sharp onsets at uneven times, band-limited."""
    rng = np.random.default_rng(seed)
    samples = np.zeros(round(seconds * RATE))
    at = 0
    while at < len(samples):
        length = min(len(samples) - at, int(rng.uniform(0.1, 0.5) * RATE))
        samples[at : at + length] += rng.standard_normal(length) * np.exp(-np.arange(length) / (0.1 * RATE))
        at += length
    low = scipy.signal.butter(8, 5000, fs=RATE, output="sos")
    return 0.1 * scipy.signal.sosfiltfilt(low, samples)


def recorded(samples, rate, offset_s, ppm):
    """Return what a recorder of another rate writes that starts ``offset_s`` sooner and whose clock runs fast."""
    true_rate = rate * (1 + 1e-6 * ppm)
    times_s = np.arange(round((len(samples) / RATE + 1) * rate)) / true_rate - offset_s
    fine = scipy.signal.resample_poly(samples, 8, 1)
    return np.interp(times_s, np.arange(len(fine)) / (8 * RATE), fine, 0, 0)


@pytest.fixture
def folder(tmp_path):
    soundfile.write(tmp_path / "Main.wav", music(20), RATE, "FLOAT")
    return tmp_path


@pytest.mark.parametrize("rate, offset_s, ppm", [(16_000, 0.4, 0), (16_000, -1.3, 60), (22_050, 0.21, -35)])
def test_offset_rate_and_drift_are_undone(folder, rate, offset_s, ppm):
    soundfile.write(folder / "Flute.wav", recorded(0.5 * music(20), rate, offset_s, ppm), rate, "FLOAT")
    recording = open_session(folder, spots=["Flute"], main=["Main"], align=True)
    (found,) = recording.setup["alignment"]
    assert found["offset_ms"] == pytest.approx(1000 * offset_s * (1 + 1e-6 * ppm), abs=0.05)
    assert found["drift_ppm"] == pytest.approx(ppm, abs=2)
    assert found["confidence"] > 0.8
    main, flute = recording.read(2 * RATE, 17 * RATE)
    assert np.sum((flute - 0.5 * main) ** 2) < 0.01 * np.sum((0.5 * main) ** 2)


def held_notes(seconds, rng):
    """Return slurred notes with vibrato, which have no onsets."""
    hz = np.repeat(rng.choice([220.0, 247.0, 277.0, 311.0, 349.0, 392.0], 2 * seconds), RATE // 2)
    hz = scipy.signal.lfilter(np.ones(800) / 800, 1, hz)
    hz = np.maximum(hz, 200) * (1 + 0.005 * np.sin(11 * np.pi * np.arange(len(hz)) / RATE))
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    return sum(np.sin(k * phase) / k for k in range(1, 15))


@pytest.mark.parametrize("seed", [1, 2])
def test_held_notes_in_a_hall_are_aligned_by_what_leaks_into_a_spot(tmp_path, seed):
    rng = np.random.default_rng(seed)
    own, *others = (held_notes(15, rng) for _ in range(3))
    hall = 0.1 * rng.standard_normal((2, RATE // 2)) * np.exp(-np.arange(RATE // 2) / (0.1 * RATE))
    far = scipy.signal.fftconvolve(sum(others), hall[1])[: len(own)]
    soundfile.write(tmp_path / "Main.wav", 0.015 * far, RATE, "FLOAT")
    spot = recorded(0.05 * own + 0.002 * far, 22_050, 0.7, 40)
    soundfile.write(tmp_path / "Flute.wav", spot, 22_050, "FLOAT")
    (found,) = open_session(tmp_path, spots=["Flute"], main=["Main"], align=True).setup["alignment"]
    assert found["offset_ms"] == pytest.approx(700, abs=0.1)
    assert found["drift_ppm"] == pytest.approx(40, abs=4)


def test_the_delay_of_a_room_is_left_alone(folder):
    soundfile.write(folder / "Flute.wav", np.roll(music(20), 160), RATE, "FLOAT")
    recording = open_session(folder, spots=["Flute"], main=["Main"], align=True)
    assert recording.setup["alignment"][0]["offset_ms"] == 0
    np.testing.assert_array_equal(
        recording.read(0, 1000)[1], soundfile.read(folder / "Flute.wav", dtype="float32")[0][:1000]
    )


@pytest.mark.parametrize("seed", [1, 8, 9, 14])
def test_another_take_is_refused_also_where_it_would_hardly_overlap(folder, seed):
    soundfile.write(folder / "Main.wav", music(10), RATE, "FLOAT")
    soundfile.write(folder / "Flute.wav", music(10, seed=seed), RATE, "FLOAT")
    with pytest.raises(AudioError, match="one take"):
        open_session(folder, spots=["Flute"], main=["Main"], align=True)


def test_scattered_arrivals_in_a_hall_are_no_drift(folder):
    at_every_s = [-1.2, 0.1, 0.9, -0.4, 1.1, -0.8, 0.5, -0.2, 0.7, 0.0]
    late = [np.roll(music(20), round((0.01 + 0.001 * each) * RATE)) for each in at_every_s]
    pieces = [row[2 * RATE * n : 2 * RATE * (n + 1)] for n, row in enumerate(late)]
    soundfile.write(folder / "Flute.wav", np.concatenate(pieces), RATE, "FLOAT")
    recording = open_session(folder, spots=["Flute"], main=["Main"], align=True)
    assert recording.setup["alignment"][0]["drift_ppm"] == 0


def test_unequal_files_need_to_be_aligned(folder):
    soundfile.write(folder / "Flute.wav", music(19), RATE, "FLOAT")
    with pytest.raises(AudioError, match="--align"):
        open_session(folder, spots=["Flute"], main=["Main"])


def test_pieces_of_an_aligned_recording_join(folder):
    soundfile.write(folder / "Flute.wav", recorded(music(20), 22_050, 0.1, 20), 22_050, "FLOAT")
    recording = open_session(folder, spots=["Flute"], main=["Main"], align=True)
    whole = recording.read(0, 90_000)
    pieces = [recording.read(a, b) for a, b in ((0, 40_001), (40_001, 40_002), (40_002, 90_000))]
    np.testing.assert_allclose(np.concatenate(pieces, -1), whole, atol=1e-6)
    np.testing.assert_allclose(excerpt(recording, 1, 2).read(0, RATE), whole[:, RATE : 2 * RATE], atol=1e-6)


def test_interpolation_keeps_a_tone(tmp_path):
    times_s = np.arange(4000) / 8000
    soundfile.write(tmp_path / "tone.wav", np.sin(2 * np.pi * 2500 * times_s), 8000, "FLOAT")
    found = read_at(tmp_path / "tone.wav", [0], Clock(0.9, 10.3), 100, 4000)[0]
    expected = np.sin(2 * np.pi * 2500 * (10.3 + 0.9 * np.arange(100, 4000)) / 8000)
    assert np.abs(found - expected).max() < 1e-3


@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_recorders_may_run_for_minutes_before_the_music(tmp_path, noise):
    rng = np.random.default_rng(0)
    for name, before_s, gain in (("Main", 150.0, 1.0), ("Flute", 140.3, 0.5)):
        waiting = np.zeros(round(before_s * RATE))
        samples = np.concatenate([waiting, gain * music(20)])
        soundfile.write(tmp_path / f"{name}.wav", samples + noise * rng.standard_normal(len(samples)), RATE, "FLOAT")
    (found,) = open_session(tmp_path, spots=["Flute"], main=["Main"], align=True).setup["alignment"]
    assert found["offset_ms"] == pytest.approx(-9700, abs=0.1)
    assert found["drift_ppm"] == pytest.approx(0, abs=2)
