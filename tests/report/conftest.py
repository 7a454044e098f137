"""Small results to report on: three sung tones, and a session of two players."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from partbook.audio import Microphone, recording_from_array
from partbook.audio.recording import ArrayRecording
from partbook.pitch.tracks import Track
from partbook.stems import Block, Separation, Source, write


def _tone(f0_hz: float, seconds: float, rate: int, level: float = 0.1) -> np.ndarray:
    """Return a few harmonics with a slow vibrato."""
    time_s = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * f0_hz * time_s + 0.5 * np.sin(2 * np.pi * 5 * time_s)
    return (level * sum(np.sin(k * phase) / k for k in range(1, 6))).astype(np.float32)


def _written(folder: Path, name: str, images: dict[str, np.ndarray], rate: int, **options) -> Path:
    """Write images of shape (M, S) and a little noise as the result of a separation; return its folder."""
    stacked = np.stack(list(images.values()))
    noise = 1e-3 * np.random.default_rng(0).standard_normal(stacked.shape[1:]).astype(np.float32)
    mixture = stacked.sum(0) + noise
    recording = options.get("recording") or recording_from_array(mixture, rate, name)
    names = options.get("names", {})
    sources = tuple(Source(id, names.get(id, id.capitalize()), 0.75) for id in images)
    step = 1 << 18

    def blocks():
        for start in range(0, stacked.shape[-1], step):
            yield Block(start, stacked[..., start : start + step])

    config = {"method": "given", "fit": {"beta": 0.5}}
    return write(Separation(recording, sources, blocks, options.get("f0", {}), config), folder)


@pytest.fixture(scope="session")
def tone():
    """Return the function that makes a tone."""
    return _tone


@pytest.fixture(scope="session")
def written():
    """Return the function that writes a result."""
    return _written


@pytest.fixture(scope="session")
def trio(tmp_path_factory) -> Path:
    """Three voices of four seconds in mono, their F0 known; the names need quoting in HTML and in links."""
    f0_hz = {"soprano": 440.0, "alto": 311.1, "bass": 110.0}
    times_s = np.arange(0, 4, 0.008)
    f0 = {id: Track(times_s, np.full_like(times_s, hz), np.full_like(times_s, 0.9)) for id, hz in f0_hz.items()}
    images = {id: _tone(hz, 4, 16_000)[None] for id, hz in f0_hz.items()}
    names = {"bass": "Bass</script><b>"}
    return _written(tmp_path_factory.mktemp("trio"), 'Trio <b> &"絆', images, 16_000, f0=f0, names=names)


@pytest.fixture(scope="session")
def session(tmp_path_factory) -> Path:
    """Two players, each loud at its own spot and 20 dB softer at the other; the second image keeps half its level."""
    rate = 24_000
    flute, cello = _tone(700, 2, rate), _tone(130, 2, rate)
    gains = {"flute": np.array([0.3, 0.2, 1.0, 0.1]), "cello": np.array([0.2, 0.3, 0.1, 1.0])}
    full = {"flute": gains["flute"][:, None] * flute, "cello": gains["cello"][:, None] * cello}
    mixture = (full["flute"] + full["cello"]).astype(np.float32)
    microphones = (
        Microphone("Left", "Left.wav", 1, "main"),
        Microphone("Right", "Right.wav", 1, "main"),
        Microphone("Flute", "Flute.wav", 1, "spot", "flute"),
        Microphone("Cello", "Cello.wav", 1, "spot", "cello"),
    )
    recording = ArrayRecording("hall", rate, mixture.shape[1], microphones, mixture)
    images = {"flute": full["flute"].astype(np.float32), "cello": (0.5 * full["cello"]).astype(np.float32)}
    return _written(tmp_path_factory.mktemp("session"), "hall", images, rate, recording=recording)
