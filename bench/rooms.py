"""Real voices in simulated rooms, before one microphone: what it is worth that the room's tail is known.

Stems of real recordings are dry. So they are sung in a simulated hall (image method) and separated blindly; the truth
is every voice as it is heard there, with its tail.
"""

from __future__ import annotations

from collections.abc import Mapping

from partbook.config import VoicesConfig
from partbook.room.plan import Capsule

from .stereo import STAND_M, InHall, with_and_without

_OMNI = (Capsule(STAND_M, pattern="omni"),)
ROOMS: Mapping[str, InHall] = {
    f"{distance_m:g} m, RT60 {rt60_s:g} s": InHall(_OMNI, distance_m, rt60_s)
    for distance_m, rt60_s in ((2.5, 0.6), (2.5, 1.2), (5.0, 1.2), (2.5, 2.2), (5.0, 2.2))
}


def rooms() -> list[dict[str, object]]:
    """Return a table per material, with voices told apart as if there were no tail beside Partbook."""
    return with_and_without("In rooms", ROOMS, "tail unknown", VoicesConfig(tails=False))
