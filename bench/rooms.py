"""Real voices in simulated rooms, before one microphone: what it is worth that the room's tail is known.

Stems of real recordings are dry. So they are sung in a simulated hall (image method) and separated blindly; the truth
is every voice as it is heard there, with its tail.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from partbook.config import VoicesConfig
from partbook.evaluate.material import find_pieces
from partbook.room.plan import Capsule

from .material import MATERIAL, prepared, voices_of
from .singer import stretch
from .stereo import MATERIALS, STAND_M, InHall, scores_of

_OMNI = (Capsule(STAND_M, pattern="omni"),)
ROOMS: Mapping[str, InHall] = {
    f"{distance_m:g} m, RT60 {rt60_s:g} s": InHall(_OMNI, distance_m, rt60_s)
    for distance_m, rt60_s in ((2.5, 0.6), (2.5, 1.2), (5.0, 1.2), (2.5, 2.2), (5.0, 2.2))
}
UNTOLD = VoicesConfig(tails=False)


def rooms() -> list[dict[str, object]]:
    """Return a table per material: do nothing, without knowing the tail, Partbook, and ideal ratio masks."""
    torch.set_num_threads(1)
    columns = ["voices, blind, at most 24 s", "do nothing", "tail unknown", "Partbook", "ideal ratio masks"]
    tables = []
    for material in (each for each in MATERIAL if each.name in MATERIALS):
        rows = []
        for name, room in ROOMS.items():
            scores = []
            for files in find_pieces(prepared(material)):
                voices = voices_of(material, files)
                _, stems_NS, rate, _, _ = stretch(files, voices)
                scores.append(scores_of(room.placed(stems_NS, rate), rate, voices, UNTOLD, VoicesConfig()))
            rows.append([name, *(f"{score:.2f}".replace("-", "−") for score in np.mean(scores, 0))])
        tables.append({"title": f"In rooms: {material.title}", "columns": columns, "rows": rows})
    return tables
