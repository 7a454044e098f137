"""What any salience tells the decoder: for every frame, a few candidates of F0 and how likely each is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

NO_EVIDENCE = -1e4
"""Evidence where there is no candidate."""


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


__all__ = ["NO_EVIDENCE", "Candidates", "cents"]
