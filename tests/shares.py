"""A separation without a method, for tests of everything around it."""

import numpy as np

from partbook.pitch.tracks import Track
from partbook.stems import Block, Separation, Source


def split(recording, names=("Soprano", "Bass"), f0=None, block=1000, seed=0, gain=1.0):
    """Return a separation into fixed shares of the recording: no method, but all that writing and reading need."""
    shares = gain * np.arange(1, len(names) + 1, dtype=np.float32) / (len(names) + 1) ** 2

    def blocks():
        for start in range(0, recording.length, block):
            mixture = recording.read(start, min(start + block, recording.length))
            yield Block(start, shares[:, None, None] * mixture)

    sources = tuple(Source(name.lower(), name) for name in names)
    return Separation(recording, sources, blocks, f0 or {}, {"shares": shares.tolist()}, seed)


def steady(recording, voices):
    """Return a steady track per voice, a fifth apart, as long as the recording."""
    times_s = np.arange(0, recording.length / recording.sample_rate, 0.008)
    return {
        voice.id: Track(times_s, np.full(len(times_s), 660.0 / 1.5**n), np.full(len(times_s), 0.9))
        for n, voice in enumerate(voices)
    }
