"""What any salience tells the decoder: for every frame, a few candidates of F0 and how likely each is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

NO_EVIDENCE = -1e4
"""Evidence where there is no candidate."""

SUPPORT, EXPECTED, MOST = 0.2, 1.0, 3.0
"""How much a nat of a witness's evidence counts, from where on it supports a candidate, and its largest size."""

NEAR_CENTS = 50.0
"""Candidates so near to each other are one."""


@dataclass(frozen=True)
class Candidates:
    """The candidates of every frame.

    Attributes
    ----------
    times_s
        Shape (T,), steps of at most 8 ms.
    f0_hz
        Shape (T, C).
    evidence
        About the logarithm of the odds that it is sounded, in nats; :data:`NO_EVIDENCE` where there is no further
        candidate. Shape (T, C).
    likely
        How many voices there probably are; 0 if nothing sounds.
    """

    times_s: np.ndarray
    f0_hz: np.ndarray
    evidence: np.ndarray
    likely: int

    def thinned(self, every: int) -> Candidates:
        """Return every so many frames."""
        return replace(self, times_s=self.times_s[::every], f0_hz=self.f0_hz[::every], evidence=self.evidence[::every])


def cents(f0_hz: np.ndarray) -> np.ndarray:
    """Return pitch in cents above 10 Hz."""
    return 1200 * np.log2(np.asarray(f0_hz) / 10)


def supported(candidates: Candidates, witness: Candidates) -> Candidates:
    """Return candidates with evidence that has heard a witness, who may be less reliable but errs elsewhere.

    A candidate of which the witness knows nothing is doubted as far as one can be.

    Parameters
    ----------
    candidates, witness
        Of one recording; their frames may differ.
    """
    frame = np.interp(candidates.times_s, witness.times_s, np.arange(len(witness.times_s))).round().astype(int)
    own_cents, witness_cents = cents(candidates.f0_hz), cents(witness.f0_hz[frame])
    told = np.full_like(candidates.evidence, -MOST)
    # One candidate of the witness after the other: all pairs at once would need their product of memory.
    for other_cents, evidence in zip(witness_cents.T, witness.evidence[frame].T, strict=True):
        near = np.abs(own_cents - other_cents[:, None]) < NEAR_CENTS
        told = np.where(near, np.maximum(told, evidence[:, None]), told)
    heard = candidates.evidence + SUPPORT * (told.clip(-MOST, MOST) - EXPECTED)
    evidence = np.where(candidates.evidence > NO_EVIDENCE, heard, NO_EVIDENCE)
    order = np.argsort(-evidence, 1, kind="stable")
    return replace(
        candidates,
        f0_hz=np.take_along_axis(candidates.f0_hz, order, 1),
        evidence=np.take_along_axis(evidence, order, 1),
    )


def strongest(height_GT: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ``count`` highest peaks of every frame: fractional row and height, both (T, count).

    A parabola through three rows places a peak between them. Where there is no further peak the height is −inf.

    Parameters
    ----------
    height_GT
        Logarithm of a salience, over rows and frames.
    """
    inner = height_GT[1:-1]
    is_peak = (inner > height_GT[:-2]) & (inner >= height_GT[2:])
    peak = np.where(is_peak, inner, -np.inf)
    row_CT = np.argsort(-peak, 0)[:count] + 1
    left, middle, right = (np.take_along_axis(height_GT, row_CT + shift, 0) for shift in (-1, 0, 1))
    offset = 0.5 * (left - right) / np.minimum(left - 2 * middle + right, -1e-6)
    return (row_CT + offset.clip(-0.5, 0.5)).T, np.take_along_axis(peak, row_CT - 1, 0).T


__all__ = ["NO_EVIDENCE", "Candidates", "cents", "strongest", "supported"]
