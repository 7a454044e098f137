"""A transform with logarithmic frequency, and its rows gathered harmonic by harmonic.

One wide transform is computed; the harmonics of every F0 are found in it by shifting along frequency (Bittner et al.,
"Deep salience representations for F0 estimation in polyphonic music", ISMIR 2017, computed one transform a harmonic).

The windows shorten towards high frequencies, but less than in a constant-Q transform: their length follows
``frequency ** -exponent``, within bounds. High partials of low voices stay resolved, and no window is longer than a
period of vibrato allows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Complex, Float
from torch import Tensor


@dataclass(frozen=True)
class LogTransform:
    """A bank of Hann-windowed complex sinusoids, spaced evenly in logarithmic frequency.

    Its value at a row is the complex amplitude (peak) of a sinusoid there, with its phase at the middle of the frame;
    frame ``t`` is centred on sample ``t * hop_samples``, and the signal is taken as zero outside its ends.

    Attributes
    ----------
    sample_rate
        Hz.
    hop_samples
        Samples from frame to frame.
    low_hz, rows, per_octave
        Frequency of row 0, number of rows, rows per octave.
    window_s, exponent, longest_s
        Length of the window at 1 kHz; how it falls with frequency (1 is constant Q); its bound.

    Examples
    --------
    >>> transform = LogTransform(16_000, 128, rows=100)
    >>> transform(torch.zeros(2, 1281)).shape
    torch.Size([2, 100, 11])
    """

    sample_rate: int = 16_000
    hop_samples: int = 128
    low_hz: float = 40.0
    rows: int = 454
    per_octave: int = 60
    window_s: float = 0.09
    exponent: float = 0.6
    longest_s: float = 0.18

    def __post_init__(self) -> None:
        if self.grid_hz[-1] >= self.sample_rate / 2:
            raise ValueError(f"expected rows below {self.sample_rate / 2} Hz, got one at {self.grid_hz[-1]:.0f} Hz")

    @property
    def grid_hz(self) -> Tensor:
        """Frequency of every row."""
        return self.low_hz * 2 ** (torch.arange(self.rows, dtype=torch.float64) / self.per_octave)

    @property
    def windows_s(self) -> Tensor:
        """Length of every row's window."""
        return (self.window_s * (1000 / self.grid_hz) ** self.exponent).clamp(max=self.longest_s)

    @property
    def n_fft(self) -> int:
        """Samples of the Fourier transform that holds the longest window."""
        return 2 ** math.ceil(math.log2(float(self.windows_s.max()) * self.sample_rate + 1))

    def frames(self, samples: int) -> int:
        """Return the number of frames of a signal of so many samples."""
        return samples // self.hop_samples + 1

    def __call__(self, x: Float[Tensor, "... S"]) -> Complex[Tensor, "... F T"]:
        """Transform signals along their last axis, in single precision."""
        flat = x.reshape(-1, x.shape[-1]).float()
        rectangle = torch.ones(self.n_fft, device=x.device)
        spectra = torch.stft(
            flat, self.n_fft, self.hop_samples, window=rectangle, pad_mode="constant", return_complex=True
        )
        pieces = [kernel.to(x.device) @ spectra[:, low:high] for low, high, kernel in _kernels(self)]
        rows = torch.cat(pieces, 1)
        return rows.reshape(*x.shape[:-1], *rows.shape[-2:])


@lru_cache(maxsize=8)
def _kernels(transform: LogTransform) -> list[tuple[int, int, Tensor]]:
    """Return the transforms of the windowed sinusoids (Brown & Puckette, JASA 1992), one dense block per octave.

    Of each only the bins within four widths of the main lobe are kept: the rest of a Hann window is below −60 dB.
    """
    size, rate = transform.n_fft, transform.sample_rate
    offset = torch.arange(size, dtype=torch.float64) - size // 2
    bin_hz = rate / size
    blocks = []
    for first in range(0, transform.rows, transform.per_octave):
        hz = transform.grid_hz[first : first + transform.per_octave]
        length = transform.windows_s[first : first + transform.per_octave, None] * rate
        window = torch.where(offset.abs() < length / 2, 0.5 + 0.5 * torch.cos(2 * torch.pi * offset / length), 0.0)
        atoms = 2 * window / window.sum(1, keepdim=True)
        atoms = atoms * torch.exp(2j * torch.pi * hz[:, None] * offset / rate)
        # Parseval: the inner product with an atom in time is one over n_fft times that in frequency. The frame's middle
        # is at size // 2 in both.
        kernel = torch.fft.fft(atoms).conj()[:, : size // 2 + 1] / size
        reach_hz = 8 * rate / float(length.min())
        low = max(0, int((float(hz[0]) - reach_hz) / bin_hz))
        high = min(size // 2 + 1, int((float(hz[-1]) + reach_hz) / bin_hz) + 2)
        blocks.append((low, high, kernel[:, low:high].to(torch.complex64)))
    return blocks


def shifted(x: Float[Tensor, "... F T"], rows: int, count: int) -> Float[Tensor, "... G T"]:
    """Return ``count`` rows of which row ``g`` is row ``g + rows`` of ``x``; zero where there is none.

    Examples
    --------
    >>> shifted(torch.tensor([[1.0], [2.0], [3.0]]), 2, 3).flatten().tolist()
    [3.0, 0.0, 0.0]
    """
    low = min(max(0, -rows), count)
    high = max(low, min(count, x.shape[-2] - rows))
    return torch.nn.functional.pad(x[..., low + rows : high + rows, :], (0, 0, low, count - high))


def harmonic_rows(harmonic: float, per_octave: int) -> int:
    """Return by how many rows a harmonic (or, below 1, a subharmonic) lies above its fundamental."""
    return round(per_octave * math.log2(harmonic))


def harmonics_of(x: Float[Tensor, "... C F T"], harmonics: tuple[float, ...], per_octave: int, count: int) -> Tensor:
    """Return, for each of the lowest ``count`` rows, what all channels hold at its harmonics: (..., H·C, count, T)."""
    return torch.cat([shifted(x, harmonic_rows(h, per_octave), count) for h in harmonics], -3)


__all__ = ["LogTransform", "harmonic_rows", "harmonics_of", "shifted"]
