"""What lingers of a power in a room: earlier frames, each weaker by the same share than the one after it."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def lingering(power: Float[Tensor, "*axes F T"], decay: float) -> Float[Tensor, "*axes F T"]:
    """Return ``(1 - d) sum_(j >= 1) d^(j-1) power_(t-j)``: of what lasts, as much lingers in the end.

    Parameters
    ----------
    power
        Powers over time, which comes last.
    decay
        Share ``d`` that is left after one frame, from 0 to below 1.
    """
    frames = torch.arange(power.shape[-1], device=power.device)
    lag_TT = frames - frames[:, None] - 1
    weight_TT = torch.where(lag_TT >= 0, (1 - decay) * decay ** lag_TT.clamp_min(0).to(power), 0)
    return power @ weight_TT


def decay_of(rt60_s: float, frame_s: float) -> float:
    """Return the share of a power that is left after one frame where it falls by 60 dB in a reverberation time.

    Examples
    --------
    >>> round(decay_of(rt60_s=0.6, frame_s=0.1), 6)
    0.1
    """
    return 10 ** (-6 * frame_s / rt60_s)


__all__ = ["decay_of", "lingering"]
