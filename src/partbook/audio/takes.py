"""Whether the microphones of a session recorded the same take.

What a spot hears reaches the main microphones some milliseconds later. In stretches spread over the recording the
generalised cross-correlation with phase transform therefore has its highest peak near lag 0; of files of different
takes it has it anywhere.
"""

from __future__ import annotations

import numpy as np

from ..errors import AudioError
from .alignment import lag
from .recording import Recording

NEAR_S = 0.05
"""Way of sound through a room: 17 m."""

_WINDOW_S, _REACH_S, _WINDOWS, _FEWEST = 2.0, 1.0, 12, 4
_LEAST = 0.34
_QUIET = 1e-4
"""Windows of less than this share of a spot's strongest have no say (−40 dB)."""


def check_one_take(recording: Recording) -> None:
    """Raise AudioError if a spot shares no time with any of the main microphones; too short a recording cannot tell."""
    rows = {role: [m for m, mic in enumerate(recording.microphones) if mic.role == role] for role in ("spot", "main")}
    window, reach = (round(s * recording.sample_rate) for s in (_WINDOW_S, _REACH_S))
    room = recording.length - window - 2 * reach
    count = min(_WINDOWS, 1 + 2 * room // window)
    if not rows["main"] or count < _FEWEST:
        return
    near = round(NEAR_S * recording.sample_rate)
    power_SW, near_SMW = [], []
    for first in np.linspace(0, room, count).astype(int):
        samples = recording.read(first, first + window + 2 * reach).astype(np.float64)
        middles = samples[:, reach : reach + window]
        power_SW.append([middles[spot] @ middles[spot] for spot in rows["spot"]])
        near_SMW.append(
            [
                [abs(_peak(middles[spot], samples[main], reach)) <= near for main in rows["main"]]
                for spot in rows["spot"]
            ]
        )
    power_WS, near_WSM = np.array(power_SW), np.array(near_SMW)
    for s, spot in enumerate(rows["spot"]):
        heard_W = power_WS[:, s] > _QUIET * power_WS[:, s].max(initial=0)
        if heard_W.sum() >= _FEWEST and near_WSM[heard_W, s].mean(0).max() <= _LEAST:
            name = recording.microphones[spot].name
            hint = "--align if its recorder was started at another time, or leaving it out"
            raise AudioError("microphones of one take", f"{name!r}, of which the main microphones hear nothing", hint)


def _peak(spot_S: np.ndarray, main_S: np.ndarray, reach: int) -> float:
    """Return how much later a main microphone hears what a spot hears, samples from ``-reach`` to ``reach``."""
    return lag(spot_S, main_S, 2 * reach) - reach if spot_S.any() and main_S.any() else 0.0


__all__ = ["check_one_take"]
