"""Small sound files in memory, for pages that carry their sound with them."""

from __future__ import annotations

import io

import numpy as np
import soundfile

MP3_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Every sample rate that MP3 knows."""


def flac_bytes(samples: np.ndarray, sample_rate: int) -> bytes:
    """Return a 16-bit FLAC file of int16 samples of shape (S, M)."""
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format="FLAC", subtype="PCM_16", compression_level=0.8)
    return file.getvalue()


def mp3_bytes(samples: np.ndarray, sample_rate: int, smallness: float) -> bytes:
    """Return an MP3 file of constant bit rate.

    Parameters
    ----------
    samples
        int16, shape (S, 1) or (S, 2).
    sample_rate
        One of :data:`MP3_RATES_HZ`.
    smallness
        From 0 (best) to 1 (smallest). The bit rate does not depend on the number of channels.
    """
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format="MP3", bitrate_mode="CONSTANT", compression_level=smallness)
    return file.getvalue()


__all__ = ["MP3_RATES_HZ", "flac_bytes", "mp3_bytes"]
