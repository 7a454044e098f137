"""The log-frequency transform measures sinusoids, and its harmonics are where they belong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from partbook.dsp.hcqt import LogTransform, harmonic_rows, harmonics_of, shifted

RATE, HOP = 16_000, 128
FULL = LogTransform()
SMALL = LogTransform(rows=180, low_hz=110.0)


def tone(hz, amplitude=1.0, phase=0.0, samples=RATE):
    return amplitude * torch.cos(2 * torch.pi * hz * torch.arange(samples, dtype=torch.float64) / RATE + phase).float()


def directly(transform, x, row, frame):
    """Return the inner product with a windowed sinusoid, straight from the definition."""
    hz, length = float(transform.grid_hz[row]), float(transform.windows_s[row]) * transform.sample_rate
    offset = np.arange(-int(length // 2), int(length // 2) + 1)
    window = np.where(np.abs(offset) < length / 2, 0.5 + 0.5 * np.cos(2 * np.pi * offset / length), 0.0)
    at = frame * transform.hop_samples + offset
    inside = (at >= 0) & (at < len(x))
    values = np.where(inside, x[np.clip(at, 0, len(x) - 1)], 0.0)
    return 2 * (window * values * np.exp(-2j * np.pi * hz * offset / transform.sample_rate)).sum() / window.sum()


@pytest.mark.parametrize("row", [40, 61, 120, 200, 333, 453])
def test_a_sinusoid_on_a_row_has_its_amplitude_and_phase_there(row):
    hz, frame = float(FULL.grid_hz[row]), 60
    value = FULL(tone(hz, 0.3, 1.0))[row, frame]
    phase = (2 * np.pi * hz * frame * HOP / RATE + 1.0) % (2 * np.pi)
    assert abs(value) == pytest.approx(0.3, rel=5e-3)
    assert np.angle(complex(value) * np.exp(-1j * phase)) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("hz", [80.0, 233.3, 440.0, 1234.5, 6000.0])
def test_the_loudest_row_is_the_nearest(hz):
    loudest = FULL(tone(hz)).abs()[:, 40:80].mean(1).argmax()
    assert abs(1200 * np.log2(float(FULL.grid_hz[loudest]) / hz)) <= 10.5


def test_every_value_is_the_inner_product_that_it_is_said_to_be(rng):
    x = rng.standard_normal(9000).astype(np.float32)
    found = FULL(torch.from_numpy(x))
    scale = float(found.abs().mean())
    for row, frame in zip(rng.integers(0, FULL.rows, 25), rng.integers(0, FULL.frames(9000), 25), strict=True):
        assert abs(complex(found[row, frame]) - directly(FULL, x, row, frame)) < 0.01 * scale


def test_peaks_are_where_a_second_author_finds_them(rng):
    librosa = pytest.importorskip("librosa")
    hz = SMALL.grid_hz[[12, 40, 75, 101, 140, 167]]
    x = sum(tone(float(each), 0.1 + 0.2 * rng.random(), 6 * rng.random(), 2 * RATE) for each in hz)
    ours = SMALL(x).abs()[:, 60:190].mean(1).numpy()
    theirs = librosa.cqt(
        x.numpy(), sr=RATE, hop_length=HOP, fmin=SMALL.low_hz, n_bins=SMALL.rows, bins_per_octave=SMALL.per_octave
    )
    theirs = np.abs(theirs)[:, 60:190].mean(1)

    def peaks(row_F):
        inner = (row_F[1:-1] > row_F[:-2]) & (row_F[1:-1] >= row_F[2:]) & (row_F[1:-1] > 0.2 * row_F.max())
        return np.flatnonzero(inner) + 1

    assert np.abs(peaks(ours) - peaks(theirs)).max() <= 1 and len(peaks(ours)) == len(hz)


def test_the_transform_is_linear(rng):
    x, y = torch.from_numpy(rng.standard_normal((2, 5000)).astype(np.float32))
    assert torch.allclose(SMALL(2 * x - 3 * y), 2 * SMALL(x) - 3 * SMALL(y), atol=1e-5)


def test_a_shift_by_hops_shifts_the_frames(rng):
    x = torch.from_numpy(rng.standard_normal(8000).astype(np.float32))
    shifted_x = torch.nn.functional.pad(x, (3 * HOP, 0))
    assert torch.allclose(SMALL(shifted_x)[:, 20:60], SMALL(x)[:, 17:57], atol=1e-5)


@pytest.mark.parametrize("samples", [1, 127, 128, 129, 2047, 5000])
def test_frames_cover_any_length(samples):
    value = SMALL(torch.ones(3, samples))
    assert value.shape == (3, SMALL.rows, SMALL.frames(samples)) and torch.isfinite(value.abs()).all()


def test_axes_before_time_are_kept(rng):
    x = torch.from_numpy(rng.standard_normal((2, 3, 3000)).astype(np.float32))
    together = SMALL(x)
    assert together.shape[:2] == (2, 3) and torch.allclose(together[1, 2], SMALL(x[1, 2]), atol=1e-6)


def test_its_gradient_is_its_adjoint(rng):
    """Of a linear transform, d Re<y, W x> / dx is W^H y: it holds for every y, along any direction."""
    x = torch.from_numpy(rng.standard_normal(3000).astype(np.float32)).requires_grad_()
    value = SMALL(x)
    y = torch.from_numpy(rng.standard_normal((2, *value.shape)).astype(np.float32))
    (y[0] * value.real + y[1] * value.imag).sum().backward()
    direction = torch.from_numpy(rng.standard_normal(3000).astype(np.float32))
    along = SMALL(direction)
    assert float(x.grad @ direction) == pytest.approx(float((y[0] * along.real + y[1] * along.imag).sum()), rel=1e-3)


def test_windows_shorten_with_frequency_within_bounds():
    lengths_s = FULL.windows_s
    assert (lengths_s.diff() <= 0).all() and float(lengths_s.max()) == pytest.approx(FULL.longest_s)
    nearest = int((FULL.grid_hz - 1000).abs().argmin())
    assert float(lengths_s[nearest]) == pytest.approx(FULL.window_s, rel=0.01)
    assert FULL.n_fft >= FULL.longest_s * RATE


def test_vibrato_is_followed():
    """6 Hz and 80 cents either way: the loudest row follows within 30 cents at 500 Hz."""
    times_s = torch.arange(2 * RATE) / RATE
    cents = 80 * torch.sin(2 * torch.pi * 6 * times_s)
    x = torch.cos(torch.cumsum(2 * torch.pi * 1000 * 2 ** (cents / 1200) / RATE, 0))
    rows = FULL(x).abs()[:, 20:230].argmax(0)
    heard = 1200 * torch.log2(FULL.grid_hz[rows] / 1000)
    assert (heard - cents[::HOP][20:230]).abs().median() < 25


def test_rows_beyond_half_the_rate_are_refused():
    with pytest.raises(ValueError, match="8000"):
        LogTransform(rows=600)


@pytest.mark.parametrize("rows", [-9, -3, -1, 0, 1, 4, 7, 12])
@pytest.mark.parametrize("count", [1, 5, 9])
def test_shifting_takes_row_by_row_and_fills_with_zeros(rows, count):
    x = torch.arange(1.0, 8.0)[:, None] * torch.ones(7, 2)
    expected = [float(x[g + rows, 0]) if 0 <= g + rows < 7 else 0.0 for g in range(count)]
    assert shifted(x, rows, count)[:, 0].tolist() == expected


def test_a_complex_tone_is_found_in_all_its_harmonics():
    hz = float(FULL.grid_hz[150])
    x = sum(tone(k * hz) for k in range(1, 7))
    level = FULL(x).abs()[None, :, 60:61]
    harmonics = (1, 2, 3, 4, 5, 6)
    gathered = harmonics_of(level, harmonics, FULL.per_octave, 300)
    assert gathered.shape == (len(harmonics), 300, 1)
    assert (gathered[:, 150, 0] > 0.9).all()
    assert gathered.min(0).values[:, 0].argmax() == 150, "no other row has them all"


def test_channels_stay_beside_one_another(rng):
    x = torch.from_numpy(rng.standard_normal((2, 3, 200, 4)).astype(np.float32))
    gathered = harmonics_of(x, (0.5, 1, 2), 60, 100)
    assert gathered.shape == (2, 9, 100, 4)
    assert torch.equal(gathered[:, 3:6], x[:, :, :100]) and torch.equal(gathered[:, 6:], x[:, :, 60:160])
    assert not gathered[:, :3, :60].any() and torch.equal(gathered[:, :3, 60:], x[:, :, :40])


def test_an_octave_is_as_many_rows_as_it_should_be():
    assert [harmonic_rows(h, 60) for h in (0.5, 1, 2, 4, 3, 1 / 3)] == [-60, 0, 60, 120, 95, -95]
