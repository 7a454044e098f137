"""One letter per axis, one alias per kind of tensor.

======  ============================================================
letter  axis
======  ============================================================
``B``   batch
``N``   source (a voice, a player; the background comes last)
``M``   microphone (or channel of a recording)
``F``   frequency bin
``T``   frame
``S``   sample
``K``   component of a factorisation
``P``   partial
======  ============================================================

The order is always N, M, F, T. In numerical kernels a name carries its axes (``lambda_NFT``); everywhere else names
are words and units (``f0_hz``, ``gain_db``, ``hop_samples``).
"""

from __future__ import annotations

from jaxtyping import Complex, Float
from torch import Tensor

Audio_MS = Float[Tensor, "M S"]
"""Samples of every microphone; full scale is 1."""

Spectrum_MFT = Complex[Tensor, "M F T"]
"""Short-time Fourier transform of every microphone."""

Power_FT = Float[Tensor, "F T"]
"""Power of one signal: squared magnitude of its short-time Fourier transform."""

Power_NFT = Float[Tensor, "N F T"]
"""Power of every source, before the room."""

Images_NMFT = Complex[Tensor, "N M F T"]
"""Every source as every microphone heard it."""

Gain_NM = Float[Tensor, "N M"]
"""Power gain from every source to every (diagonalised) channel."""

Mixing_FMM = Complex[Tensor, "F M M"]
"""One matrix per frequency: the diagonaliser Q of FastMNMF."""

__all__ = ["Audio_MS", "Gain_NM", "Images_NMFT", "Mixing_FMM", "Power_FT", "Power_NFT", "Spectrum_MFT"]
