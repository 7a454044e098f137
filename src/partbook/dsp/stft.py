"""Short-time Fourier transform with an exact inverse, for any length from one sample on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import scipy.fft
import torch
from jaxtyping import Complex, Float
from torch import Tensor


@dataclass(frozen=True)
class Stft:
    """A Hann analysis with weighted overlap-add as its exact inverse.

    Frame ``t`` is centred on sample ``t * hop_samples``; the signal is taken as zero outside its ends.

    Attributes
    ----------
    n_fft
        Samples of the window and of the transform; even.
    hop_samples
        Samples from frame to frame, at most half of ``n_fft``.

    Examples
    --------
    >>> stft = Stft(64, 16)
    >>> x = torch.randn(1000)
    >>> bool(torch.allclose(stft.inverse(stft(x), 1000), x, atol=1e-6))
    True
    """

    n_fft: int
    hop_samples: int

    def __post_init__(self) -> None:
        if self.n_fft % 2 or not 0 < self.hop_samples <= self.n_fft // 2:
            raise ValueError(f"expected an even n_fft and 0 < hop <= n_fft/2, got {self.n_fft} and {self.hop_samples}")

    @classmethod
    def lasting(cls, window_s: float, sample_rate: int, overlap: int = 4, multiple: int = 1) -> Stft:
        """Return the transform whose window lasts about ``window_s`` seconds, with ``overlap`` frames per window.

        The size is rounded up to one that the fast Fourier transform likes; window and hop are multiples of
        ``multiple``.
        """
        step = 2 * overlap * multiple
        size = step * scipy.fft.next_fast_len(max(1, math.ceil(window_s * sample_rate / step - 1e-9)), real=True)
        return cls(size, size // overlap)

    @property
    def bins(self) -> int:
        """Number of frequency bins, 0 to Nyquist."""
        return self.n_fft // 2 + 1

    def frames(self, samples: int) -> int:
        """Return the number of frames of a signal of so many samples."""
        return samples // self.hop_samples + 1

    def window(self, like: Tensor) -> Tensor:
        """Return the periodic Hann window on the device and in the precision of ``like``."""
        return torch.hann_window(self.n_fft, dtype=like.dtype, device=like.device)

    def __call__(self, x: Float[Tensor, "... S"]) -> Complex[Tensor, "... F T"]:
        """Transform signals along their last axis."""
        flat = x.reshape(-1, x.shape[-1])
        spectra = torch.stft(
            flat, self.n_fft, self.hop_samples, window=self.window(x), pad_mode="constant", return_complex=True
        )
        return spectra.reshape(*x.shape[:-1], *spectra.shape[-2:])

    def inverse(self, spectra: Complex[Tensor, "... F T"], samples: int) -> Float[Tensor, "... S"]:
        """Return the ``samples`` samples whose transform lies nearest to ``spectra``, exactly so for a transform."""
        flat = spectra.reshape(-1, *spectra.shape[-2:])
        x = torch.istft(flat, self.n_fft, self.hop_samples, window=self.window(spectra.real), length=samples)
        return x.reshape(*spectra.shape[:-2], samples)
