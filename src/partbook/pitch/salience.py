"""How strongly every F0 is present in every frame, without training: a non-negative decomposition into combs.

The compressed, partly whitened magnitude spectrum is explained as a non-negative sum of harmonic combs, one per F0 of
a fine logarithmic grid, by the multiplicative updates of the Kullback-Leibler divergence (Févotte & Idier 2011). Unlike
a harmonic sum, the combs compete: a partial that one F0 explains counts no more for its octaves and fifths. (Compare
Vincent, Bertin & Badeau, "Adaptive harmonic spectral decomposition for multiple pitch estimation", TASLP 2010.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..dsp.bases import smooth_basis
from ..dsp.divergence import EPS
from ..dsp.stft import Stft


@dataclass(frozen=True)
class SalienceConfig:
    """How salience is computed.

    Attributes
    ----------
    window_s, overlap
        Length of the window, long enough to resolve a bass's partials, and frames per window.
    band_hz
        Upper edge of what is explained.
    low_hz, high_hz, step_cents
        The grid of F0.
    compression
        Exponent of power: 0.5 is magnitude.
    whitening
        How much of the broad spectral envelope is divided out, 0 to 1.
    rolloff
        Partial ``k`` of a comb weighs ``k ** -rolloff``.
    smear_cents
        Partials widen by this much of their frequency: vibrato, and the grid's own step.
    iterations
        Multiplicative updates.
    """

    window_s: float = 0.1
    overlap: int = 14
    band_hz: float = 4000.0
    low_hz: float = 60.0
    high_hz: float = 1150.0
    step_cents: float = 20.0
    compression: float = 0.45
    whitening: float = 0.4
    rolloff: float = 0.9
    smear_cents: float = 30.0
    iterations: int = 40

    @property
    def grid_hz(self) -> np.ndarray:
        """F0 of every row of a salience."""
        count = int(1200 * np.log2(self.high_hz / self.low_hz) / self.step_cents) + 1
        return self.low_hz * 2 ** (np.arange(count) * self.step_cents / 1200)


def comb_atoms(bins_hz: Float[Tensor, " F"], window_s: float, config: SalienceConfig) -> Float[Tensor, "F G"]:
    """Return one comb of unit sum per F0 of the grid, its lobes as wide as the window and vibrato make them."""
    f0_hz = torch.from_numpy(config.grid_hz).float()
    # A Hann window's main lobe in power, compressed, is close to a Gaussian of this width.
    lobe_hz = 0.72 / window_s
    smear = 2 ** (config.smear_cents / 1200) - 1
    atoms = torch.zeros(len(bins_hz), len(f0_hz))
    for k in range(1, int(bins_hz[-1] / config.low_hz) + 1):
        partial_hz = k * f0_hz
        width_hz = torch.hypot(torch.tensor(lobe_hz), smear * partial_hz)
        lobe = torch.exp(-0.5 * ((bins_hz[:, None] - partial_hz) / width_hz) ** 2)
        atoms += lobe * k**-config.rolloff * (partial_hz < 1.05 * bins_hz[-1])
    return atoms / atoms.sum(0)


def harmonic_salience(
    power_FT: Float[Tensor, "F T"], atoms_FG: Float[Tensor, "F G"], bins_hz: Tensor, config: SalienceConfig
) -> Tensor:
    """Return the salience (G, T) of every F0 in the unit of the compressed spectrum.

    Parameters
    ----------
    power_FT
        Power of the bins up to the edge of the band.
    atoms_FG
        From :func:`comb_atoms`.
    bins_hz
        Frequency of every bin.
    config
        The settings that made the atoms.
    """
    power_FT = power_FT + EPS
    broad_FJ = smooth_basis(bins_hz, 10)
    envelope_FT = broad_FJ @ ((broad_FJ / broad_FJ.sum(0)).T @ power_FT)
    envelope_FT = torch.nn.functional.avg_pool1d(envelope_FT[None], 9, 1, 4, count_include_pad=False)[0]
    whitened_FT = power_FT / (envelope_FT + 1e-3 * envelope_FT.amax()) ** config.whitening
    observed_FT = whitened_FT**config.compression
    salience_GT = observed_FT.sum(0).expand(atoms_FG.shape[1], -1) / atoms_FG.shape[1]
    for _ in range(config.iterations):
        ratio_FT = observed_FT / (atoms_FG @ salience_GT).clamp_min(EPS)
        salience_GT = salience_GT * (atoms_FG.T @ ratio_FT)
    # Digital silence has no F0, however it is normalised.
    return salience_GT * (power_FT.sum(0) > 2 * EPS * len(power_FT))


def analysis(sample_rate: int, config: SalienceConfig) -> tuple[Stft, Tensor]:
    """Return the transform that salience reads, and the frequencies of the bins up to the edge of the band."""
    stft = Stft.lasting(config.window_s, sample_rate, config.overlap)
    bins = min(stft.bins, int(config.band_hz * stft.n_fft / sample_rate) + 1)
    return stft, torch.arange(bins) * (sample_rate / stft.n_fft)
