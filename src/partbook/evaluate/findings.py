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
        N, M = self.reference_energy.shape
        energy = self.reference_energy[..., None, None] * self.estimate_energy
        correlation = self.dots / np.sqrt(np.where(energy > 0, energy, np.inf))
        own = np.stack([correlation[n, :, n] for n in range(N)])
        for n in range(N):
            swapped = _better_order(own[n])
            if M > 1 and swapped:
                yield sources[n], f"channels seem swapped ({swapped})"
            elif own[n].trace() / M < -0.5:
                yield sources[n], "polarity is inverted"
        exchanged = _better_order(np.sqrt(np.square(correlation).mean((1, 3))))
        if N > 1 and exchanged:
            yield ", ".join(sources), f"stems seem exchanged ({exchanged})"


def _better_order(correlation: np.ndarray) -> str:
    """Return in words by how much another order of the columns fits better, or nothing if none does."""
    coherence = np.minimum(np.square(correlation), 1 - 1e-10)
    fit_db = 10 * np.log10(np.maximum(coherence, 1e-10) / (1 - coherence))
    order = best_permutation(fit_db)
    as_named, best = fit_db.diagonal().mean(), fit_db[range(len(order)), order].mean()
    if best - as_named < NOTICEABLE_DB or order == tuple(range(len(order))):
        return ""
    places = " ".join(str(i + 1) for i in order)
    return f"order {places} fits at {best:.1f} dB, as named {as_named:.1f} dB"
