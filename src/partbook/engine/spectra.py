"""How one recording of voices is looked at: its transform, and the combs of F0 tracks in it.

Combs are synthesised at the recording's rate divided by a whole number, with the window divided alike, so that their
bins and frames are the recording's own and nothing is ever resampled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..coherent import INTERLEAVED
from ..config import VoicesConfig
from ..dsp.oscillator import flat_partials
from ..dsp.stft import Stft
from ..pitch.tracks import Track

GRID_S = 0.001
"""Distance of the times at which F0 is read for a comb."""

WHOLE = 1
"""As many interleaved combs as powers need, which see their sum alone."""


@dataclass(frozen=True)
class Analysis:
    """How a recording is looked at: its transform, and how much coarser the combs may be sampled."""

    stft: Stft
    sample_rate: int
    decimation: int
    bins: int

    @classmethod
    def of(cls, sample_rate: int, config: VoicesConfig) -> Analysis:
        """Return the analysis of a recording of this rate."""
        decimation = max(1, int(sample_rate // (2 * config.band_hz)))
        stft = Stft.lasting(config.window_s, sample_rate, config.overlap, multiple=decimation)
        bins = min(stft.bins, int(config.band_hz * stft.n_fft / sample_rate) + 1)
        return cls(stft, sample_rate, decimation, bins)

    @property
    def coarse(self) -> Stft:
        """The same transform of the same signal sampled at the coarser rate."""
        return Stft(self.stft.n_fft // self.decimation, self.stft.hop_samples // self.decimation)

    @property
    def finer(self) -> Analysis:
        """The same with twice as many frames."""
        return replace(self, stft=Stft(self.stft.n_fft, self.stft.hop_samples // 2))

    @property
    def frame_s(self) -> float:
        """Seconds from frame to frame."""
        return self.stft.hop_samples / self.sample_rate

    @property
    def bins_hz(self) -> Tensor:
        """Frequency of every analysed bin."""
        return torch.arange(self.bins) * (self.sample_rate / self.stft.n_fft)

    def f0_hz(self, tracks: list[Track], start: int, samples: int) -> Tensor:
        """Return the F0 (N, T) of tracks in the frames of a stretch, 0 where unvoiced."""
        frames = np.arange(self.stft.frames(samples))
        times_s = (start + frames * self.stft.hop_samples) / self.sample_rate
        return torch.from_numpy(np.stack([track.at(times_s).f0_hz for track in tracks])).float()

    def combs(self, tracks: list[Track], start: int, samples: int, interleaved: int = INTERLEAVED) -> Tensor:
        """Return the transforms (N, R, F, T) of every track's interleaved unit combs, from sample ``start`` on."""
        rate, coarse = self.sample_rate / self.decimation, self.coarse
        count = -(-samples // self.decimation)
        times_s = start / self.sample_rate + np.arange(count) / rate
        # No track is finer than this grid, and samples between are soon interpolated.
        nearest = np.round(np.arange(count) / (rate * GRID_S)).astype(int)
        grid_s = times_s[0] + np.arange(nearest[-1] + 1) * GRID_S
        edge_hz = float(self.bins_hz[-1])
        combs = []
        for track in tracks:
            f0_hz = track.at(grid_s).f0_hz
            voiced = f0_hz > 0
            held_hz = np.interp(times_s, grid_s[voiced], f0_hz[voiced]) if voiced.any() else np.full(count, 100.0)
            f0_hz, gate = torch.from_numpy(held_hz), torch.from_numpy(voiced[nearest].astype(np.float32))
            waves = [flat_partials(f0_hz, rate, edge_hz, first, interleaved) for first in range(1, interleaved + 1)]
            combs.append(coarse(torch.stack(waves) * gate)[:, : self.bins, : self.stft.frames(samples)])
        return torch.stack(combs) * (4 / coarse.n_fft)


__all__ = ["GRID_S", "WHOLE", "Analysis"]
