"""Spectrograms with a logarithmic frequency axis, as small greyscale pictures."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from .png import png

_WINDOW_S = 0.093
_RANGE_DB = 66.0
_TILT_DB_PER_OCTAVE = 3.0
_GREYS = 40
_BATCH = 256


@dataclass(frozen=True)
class Axis:
    """A logarithmic frequency axis from ``low_hz`` to ``high_hz`` in ``rows`` steps, lowest last."""

    low_hz: float
    high_hz: float
    rows: int

    @classmethod
    def covering(cls, low_hz: float, high_hz: float, rows_per_octave: int = 36) -> Axis:
        """Return an axis with so many rows to the octave."""
        return cls(low_hz, high_hz, max(8, round(rows_per_octave * np.log2(high_hz / low_hz))))

    def frequencies_hz(self) -> np.ndarray:
        """Return the frequency of every row, top to bottom."""
        return np.geomspace(self.high_hz, self.low_hz, self.rows)


def log_spectrogram(signal: np.ndarray, rate: int, axis: Axis, columns: int) -> np.ndarray:
    """Return the power of a signal on a logarithmic frequency axis.

    Parameters
    ----------
    signal
        Samples, shape (S,).
    rate
        Hz.
    axis
        Frequencies of the rows.
    columns
        Number of columns, each one frame in the middle of an equal stretch of time.

    Returns
    -------
    array
        Power, shape (rows, columns). Rows narrower than a bin are interpolated, wider ones take the mean of the bins
        they cover.
    """
    window = 2 * round(_WINDOW_S * rate / 2)
    padded = np.pad(signal.astype(np.float32), window // 2 + 1)
    starts = ((np.arange(columns) + 0.5) * len(signal) / columns).astype(int)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)
    hann = np.hanning(window).astype(np.float32)
    weights = _row_weights(axis, rate, window)
    picture = np.empty((axis.rows, columns), np.float32)
    for at in range(0, columns, _BATCH):
        power = np.abs(np.fft.rfft(frames[starts[at : at + _BATCH]] * hann)) ** 2
        picture[:, at : at + _BATCH] = weights @ power.T.astype(np.float32)
    return picture


def _row_weights(axis: Axis, rate: int, window: int) -> scipy.sparse.csr_array:
    """Return the matrix from bins to rows: triangles as wide as a row or a bin, whichever is wider."""
    bins = np.arange(window // 2 + 1)
    centre = axis.frequencies_hz() * window / rate
    half = np.maximum(1.0, centre * ((axis.high_hz / axis.low_hz) ** (1 / (axis.rows - 1)) - 1))
    triangles = np.maximum(0, 1 - np.abs(bins - centre[:, None]) / half[:, None])
    return scipy.sparse.csr_array((triangles / np.maximum(triangles.sum(1, keepdims=True), 1e-9)).astype(np.float32))


def reference_power(power: np.ndarray, axis: Axis) -> float:
    """Return the power that is drawn at full strength: nearly the largest, after the tilt; 1 for silence."""
    return float(np.quantile(power * _tilt(axis), 0.9995)) or 1.0


def picture(power: np.ndarray, axis: Axis, reference: float) -> str:
    """Return a power as a greyscale PNG in base64: 0 is nothing, 255 the reference; 3 dB per octave are added."""
    level_db = 10 * np.log10(np.maximum(power * _tilt(axis) / reference, 1e-12))
    strength = np.clip(1 + level_db / _RANGE_DB, 0, 1)
    grey = np.round(strength * (_GREYS - 1)) * (255 / (_GREYS - 1))
    return base64.b64encode(png(grey.astype(np.uint8))).decode()


def _tilt(axis: Axis) -> np.ndarray:
    octaves = np.log2(axis.frequencies_hz() / axis.low_hz)[:, None]
    return (10 ** (_TILT_DB_PER_OCTAVE * octaves / 10)).astype(np.float32)
