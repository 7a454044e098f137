"""What a room adds to voices before one microphone: how long their past lasts, how loud it is, without it and with it.

In power, and alike in every bin, a voice in a room is what is sung now and what lingers of what was sung,

    wet(f, t) = dry(f, t) + late * (1 - d) sum_(j >= 1) d^(j-1) dry(f, t - j),

with ``d`` the share that is left after one frame (Polack's exponential decay, as in Lebart, Boucher & Denbigh, "A new
method based on spectral subtraction for speech dereverberation", Acta Acustica 2001). Powers add up, so the tail of a
recording can be taken off before anybody knows its voices; what is then told of each voice tells its tail.

How long a room lasts shows where a partial has just left a bin and no other has come: what sounds there is the room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool1d

from ..axes import Power_FT, Power_NFT
from ..dsp.divergence import EPS
from ..dsp.lingering import decay_of, lingering

RT60_S = np.geomspace(0.15, 3.6, 12)
"""Reverberation times that are tried."""

ROOMY_S, ROOMY_SHARE = (0.8, 1.1), (0.15, 0.4)
"""Reverberation times, and shares of a lasting sound that linger, between which a room begins to count. Where it is
less, a voice that trails off looks the same, and the models of voices bear it."""

CHAMBER_S, PLAIN, DOUBT = 0.6, 0.02, 4.0
"""A reverberation time that is none of a hall, and how much better than that a hall's must explain each bin that is
asked: at least the second, and the third over the root of their number, for a few seconds tell little. At twice as much
it counts in full."""

MOST_SHARE = 0.5
"""More is not taken off: too much costs more than too little."""

LEAST = 0.05
"""Share of a power that is always left."""

HEARD_HZ = (150.0, 3000.0)
"""Where the room is listened to."""

THERE, GONE = 0.1, 1e-3
"""Power of a unit comb from which a partial is in a bin, and below which no voice is there."""

BESIDE_HZ = 35.0
"""How far beside its bin the roughness of a partial is heard."""

_ROUNDS, _ASKED = 20, 20_000
"""Updates of the levels; bins and frames without a partial, at most, that are asked."""


@dataclass(frozen=True)
class Tail:
    """What a room leaves of earlier sound; by default nothing.

    Attributes
    ----------
    rt60_s
        Time in which it falls by 60 dB.
    late
        Its power over that of what is sung now, in a sound that lasts.
    """

    rt60_s: float = 0.0
    late: float = 0.0

    def taken_off(self, wet_FT: Power_FT, frame_s: float) -> Power_FT:
        """Return the power without what lingers in it."""
        if not self.late:
            return wet_FT
        decay, lingers_F, dry = decay_of(self.rt60_s, frame_s), torch.zeros_like(wet_FT[:, 0]), []
        for wet_F in wet_FT.T.contiguous():
            dry.append(torch.maximum(wet_F - self.late * lingers_F, LEAST * wet_F))
            lingers_F = decay * lingers_F + (1 - decay) * dry[-1]
        return torch.stack(dry, 1)

    def lingers(self, dry_NFT: Power_NFT, frame_s: float) -> Float[Tensor, "L F T"]:
        """Return what lingers of every power, or no power at all (L = 0) where nothing does."""
        if not self.late:
            return dry_NFT[:0]
        return self.late * lingering(dry_NFT, decay_of(self.rt60_s, frame_s))


DRY = Tail()
"""The tail of no room."""


@dataclass(frozen=True)
class Heard:
    """What a stretch of a recording says of its room.

    Attributes
    ----------
    costs, shares
        For every time of :data:`RT60_S`, how badly it explains what sounds where no partial is (the negative logarithm
        of its likelihood, in the mean), and how much of a lasting sound it takes to linger.
    asked
        How many bins and frames said so.
    """

    costs: np.ndarray
    shares: np.ndarray
    asked: int


def heard_in(power_FT: Power_FT, comb_NFT: Power_NFT, bins_hz: Float[Tensor, " F"], frame_s: float) -> Heard:
    """Return what a stretch says of its room.

    Where no voice has a partial, power is that of a tail, of the roughness of partials near by, and of what is always
    there, in proportions that are found by multiplicative updates for every reverberation time.

    Parameters
    ----------
    power_FT
        Power of the recording.
    comb_NFT
        Power of the combs of all voices, where a partial of amplitude 1 peaks at about 1.
    bins_hz, frame_s
        Frequencies of the bins, and seconds from frame to frame.
    """
    inside = (bins_hz >= HEARD_HZ[0]) & (bins_hz < HEARD_HZ[1])
    x_FT, comb_FT = power_FT[inside], comb_NFT.sum(0)[inside]
    gone_FT = comb_FT < GONE
    step = max(1, int(gone_FT.sum()) // _ASKED)
    sung_FT = torch.where(comb_FT > THERE, x_FT, 0)
    x = x_FT[gone_FT][::step]
    if len(x) < 2 or not sung_FT.any():
        return Heard(np.zeros(len(RT60_S)), np.zeros(len(RT60_S)), 0)
    reach = max(1, round(BESIDE_HZ / float(bins_hz[1])))
    beside_FT = avg_pool1d(sung_FT.T, 2 * reach + 1, 1, reach).T
    always_FT = x_FT.quantile(0.1, -1, keepdim=True).expand_as(x_FT)
    others = [each[gone_FT][::step] for each in (beside_FT, always_FT)]
    floor = 1e-9 * float(x_FT.mean()) + EPS
    level_3, costs, shares = torch.tensor([0.3, 0.1, 1.0]), [], []
    for rt60_s in RT60_S:
        late = lingering(sung_FT, decay_of(rt60_s, frame_s))[gone_FT][::step]
        parts = torch.stack([late, *others]) + floor
        for _ in range(_ROUNDS):
            y = level_3 @ parts
            level_3 = level_3 * ((parts @ (x / y**2)) / (parts @ (1 / y))).sqrt()
        y = level_3 @ parts
        costs.append(float((x / y + y.log()).mean()))
        shares.append(float(level_3[0]))
    return Heard(np.array(costs), np.array(shares), len(x))


def told_by(heard: Sequence[Heard]) -> Tail:
    """Return the tail that stretches tell of together; none where there is hardly any, or it is not plain.

    Examples
    --------
    >>> told_by([])
    Tail(rt60_s=0.0, late=0.0)
    """
    asked = np.array([each.asked for each in heard])
    if not asked.sum():
        return DRY
    costs = asked @ np.stack([each.costs for each in heard]) / asked.sum()
    shares = asked @ np.stack([np.log(each.shares + 1e-3) for each in heard]) / asked.sum()
    best = _lowest(costs)
    rt60_s, share = (float(np.exp(np.interp(best, range(len(costs)), logs))) for logs in (np.log(RT60_S), shares))
    gain = float(np.interp(np.log(CHAMBER_S), np.log(RT60_S), costs) - costs.min())
    plain = max(PLAIN, DOUBT / float(np.sqrt(asked.sum())))
    counts = _ramp(rt60_s, *ROOMY_S) * _ramp(share, *ROOMY_SHARE) * _ramp(gain, plain, 2 * plain)
    share = min(share, MOST_SHARE)
    return Tail(rt60_s, float(counts * share / (1 - share))) if counts else DRY


def _lowest(costs: np.ndarray) -> float:
    """Return where, between their numbers, costs are lowest: the vertex of the parabola through three of them."""
    best = int(costs.argmin())
    if not 0 < best < len(costs) - 1:
        return float(best)
    left, middle, right = costs[best - 1 : best + 2]
    return best + 0.5 * float((left - right) / max(left - 2 * middle + right, 1e-12))


def _ramp(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))


__all__ = ["DRY", "RT60_S", "Heard", "Tail", "heard_in", "told_by"]
