"""What the estimates of a whole piece resemble: exchanged stems, swapped channels, turned polarity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .separation import best_permutation

NOTICEABLE_DB = 3.0
"""An exchange is named if it is better by this mean SI-SDR over the whole piece."""


@dataclass(frozen=True)
class Likeness:
    """Inner products of references and estimates, summed over excerpts.

    Attributes
    ----------
    dots
        Of references and estimates, shape (..., N, M, N, M), the reference first.
    reference_energy, estimate_energy
        Shapes (N, M) and (..., N, M).
    """

    dots: np.ndarray
    reference_energy: np.ndarray
    estimate_energy: np.ndarray

    @classmethod
    def empty(cls, systems: int, sources: int, channels: int) -> Likeness:
        """Return the likeness of nothing yet, of so many systems."""
        one = (sources, channels)
        return cls(np.zeros((systems, *one, *one)), np.zeros(one), np.zeros((systems, *one)))

    def plus(self, references: Tensor, estimates: Tensor) -> Likeness:
        """Return the likeness with one more excerpt: references (N, M, S) and estimates (K, N, M, S)."""
        dots = torch.einsum("nms,kpqs->knmpq", references, estimates)
        return Likeness(
            self.dots + dots.numpy(),
            self.reference_energy + references.square().sum(-1).numpy(),
            self.estimate_energy + estimates.square().sum(-1).numpy(),
        )

    def by_system(self, names: Sequence[str]) -> Iterator[tuple[str, Likeness]]:
        """Yield the name and the likeness of every system."""
        for name, dots, energy in zip(names, self.dots, self.estimate_energy, strict=True):
            yield name, Likeness(dots, self.reference_energy, energy)

    def remarks(self, sources: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield a source and what its estimate resembles more than it should, for one system."""
        N = len(self.reference_energy)
        energy = np.outer(self.reference_energy.sum(1), self.estimate_energy.sum(1))
        scale = np.sqrt(np.where(energy > 0, energy, np.inf))
        for n in range(N):
            channels = self.dots[n, :, n] / scale[n, n]
            swapped = _better_order(channels, together=True)
            if swapped:
                yield sources[n], f"channels seem swapped ({swapped})"
            elif channels.trace() < -0.5:
                yield sources[n], "polarity is inverted"
        exchanged = _better_order(np.einsum("ncmc->nm", self.dots) / scale, together=False)
        if exchanged:
            yield ", ".join(sources), f"stems seem exchanged ({exchanged})"


def _better_order(correlation: np.ndarray, *, together: bool) -> str:
    """Return in words by how much another order of the columns fits better, or nothing if none does.

    Channels of one image correlate ``together``, in their sum; stems each for itself.
    """
    if not together:
        correlation = _fit_db(correlation)
    order = best_permutation(correlation)
    if order == tuple(range(len(order))):
        return ""
    as_named, best = correlation.diagonal(), correlation[range(len(order)), order]
    as_named, best = (_fit_db(x.sum()) if together else x.mean() for x in (as_named, best))
    if best - as_named < NOTICEABLE_DB:
        return ""
    places = " ".join(str(i + 1) for i in order)
    return f"order {places} fits at {best:.1f} dB, as named {as_named:.1f} dB"


def _fit_db(correlation: np.ndarray) -> np.ndarray:
    """Return the SI-SDR that a correlation means, within ±100 dB."""
    coherence = np.clip(np.square(correlation), 1e-10, 1 - 1e-10)
    return 10 * np.log10(coherence / (1 - coherence))
