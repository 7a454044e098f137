"""Pictures show what sounds, where it sounds."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from partbook.report.png import png
from partbook.report.spectrogram import Axis, log_spectrogram, picture, reference_power


def decoded(file: bytes) -> np.ndarray:
    """Read an 8-bit greyscale PNG whose rows use filters 0 and 2, checking every chunk."""
    assert file[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(file):
        size, name = struct.unpack(">I4s", file[at : at + 8])
        chunks[name] = file[at + 8 : at + 8 + size]
        assert struct.unpack(">I", file[at + 8 + size : at + 12 + size])[0] == zlib.crc32(name + chunks[name])
        at += 12 + size
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    pixels = rows[:, 1:].copy()
    assert set(rows[:, 0]) <= {0, 2}
    for row in range(1, height):
        if rows[row, 0] == 2:
            pixels[row] += pixels[row - 1]
    return pixels


@settings(max_examples=25, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_png_decodes_to_its_pixels(pixels):
    assert np.array_equal(decoded(png(pixels)), pixels)


def test_picture_of_equal_rows_packs_well():
    row = np.random.default_rng(0).integers(0, 256, 500).astype(np.uint8)
    packed = png(np.tile(row, (40, 1)))
    assert len(packed) < 2 * len(row)
    assert np.array_equal(decoded(packed), np.tile(row, (40, 1)))


@pytest.mark.parametrize("f0_hz", [61.0, 440.0, 3001.0])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_row_of_a_tone_is_that_of_its_frequency(f0_hz, rate):
    axis = Axis.covering(50, 5000)
    time_s = np.arange(rate) / rate
    power = log_spectrogram(np.sin(2 * np.pi * f0_hz * time_s), rate, axis, 20)
    loudest_hz = axis.frequencies_hz()[power[:, 10].argmax()]
    assert abs(12 * np.log2(loudest_hz / f0_hz)) < 1


def test_column_of_a_click_is_that_of_its_time():
    rate, axis = 16_000, Axis.covering(100, 5000)
    signal = np.zeros(2 * rate)
    signal[rate // 2] = 1
    power = log_spectrogram(signal, rate, axis, 200).sum(0)
    assert abs(power.argmax() - 50) <= 1


def test_silence_is_a_blank_picture_and_the_reference_is_drawn_at_full_strength():
    axis = Axis.covering(100, 5000)
    silence = np.zeros((axis.rows, 8), np.float32)
    assert not decoded(base64.b64decode(picture(silence, axis, reference_power(silence, axis)))).any()
    loud = np.ones((axis.rows, 8), np.float32)
    assert decoded(base64.b64decode(picture(loud, axis, reference_power(loud, axis)))).max() == 255
