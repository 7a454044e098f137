"""How alike the reflections of a calibration and of a session alone are, in one hall and in two.

``python -m bench reflections``. The seats are the same in every hall; sessions of 10 s, takes of 8 s, notes and whole
solos, and impulse responses. What ``partbook separate --calibration`` refuses rests on this table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from partbook.audio import source_names
from partbook.audio.health import examined
from partbook.config import Options, SessionConfig
from partbook.engine.analysis import analysed
from partbook.engine.calibrated import SAME_ROOM, known_here, reflections_alike, suited
from partbook.engine.calibration import Calibration, calibrate
from partbook.engine.measured import measured
from partbook.engine.players import learned
from partbook.engine.session import planned
from partbook.engine.starts import from_spots
from partbook.engine.telling import telling
from partbook.room.plan import Hall

from .halls import Session, seat_responses, session, solo_takes

RATE, SESSION_S, TAKE_S = 24_000, 10.0, 8.0
SOLOS_FROM_S = SESSION_S + 1
"""Takes of whole solos begin where their sessions are over."""

HALLS = {
    "small": Hall((8.0, 10.0, 4.0), 0.4),
    "middle": Hall(),
    "middle, damped": Hall(Hall().size_m, 0.4),
    "middle, live": Hall(Hall().size_m, 1.8),
    "a little longer": Hall((12.6, 15.0, 5.6), 0.9),
    "broad": Hall((14.0, 12.0, 7.0), 0.9),
    "large": Hall((18.0, 30.0, 10.0), 1.8),
}


@dataclass(frozen=True)
class Played:
    """A session: piece, hall, how far the players moved, and the seed of the directions."""

    piece: str
    hall: str
    moved_m: float = 0.0
    move: int = 0


SESSIONS = (
    *(Played("notes", hall) for hall in ("small", "middle", "middle, damped", "large")),
    *(Played("notes", "middle", 0.05, move) for move in range(3)),
    Played("notes", "middle", 0.1),
    Played("notes", "middle", 0.5),
    Played("notes", "large", 0.05, 1),
    *(Played("winds", hall) for hall in ("middle", "a little longer", "large")),
    Played("winds", "small", 0.05, 1),
    Played("winds", "middle", 0.05),
    Played("winds", "middle", 0.5),
    Played("solos", "middle"),
    Played("solos", "middle", 0.05),
)
CALIBRATIONS = {
    "responses": tuple(HALLS),
    "notes": tuple(HALLS),
    "winds": ("small", "middle", "middle, damped", "a little longer", "large"),
    "solos": ("middle", "a little longer", "large"),
}
"""Halls by what was played for the takes; impulse responses go with every session."""

KINDS = (
    "same hall, other take",
    "same hall, all players moved by 5 cm",
    "same hall, all players moved by 10 cm",
    "same walls, other absorption, moved by up to 10 cm",
    "same walls, all players moved by 50 cm",
    "another hall",
)


def reflections() -> list[dict[str, object]]:
    """Return the table of correlations, mean of the players, by what session and calibration have in common."""
    calibrations = {(kind, hall): calibrated(kind, hall) for kind, halls in CALIBRATIONS.items() for hall in halls}
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for played in SESSIONS:
        known = {key: each for key, each in calibrations.items() if key[0] in ("responses", played.piece)}
        for (_, hall), value in zip(known, alike_to(played, list(known.values())), strict=True):
            found[in_common(played, hall)].append(value)
    rows = [
        [kind, f"{len(values)}", f"{min(values):.2f}", f"{max(values):.2f}", f"{sum(v < SAME_ROOM for v in values)}"]
        for kind, values in found.items()
    ]
    columns = ["session and calibration", "pairs", "least", "most", "refused"]
    return [{"title": "Reflections of a calibration in those of a session", "columns": columns, "rows": rows}]


def in_common(played: Played, hall: str) -> str:
    """Return what a session has in common with the calibration of a hall, a word of :data:`KINDS`."""
    if HALLS[played.hall].size_m != HALLS[hall].size_m:
        return KINDS[5]
    if math.isclose(played.moved_m, 0.5):
        return KINDS[4]
    if played.hall != hall:
        return KINDS[3]
    return KINDS[round(20 * played.moved_m)]


def calibrated(kind: str, hall: str) -> Calibration:
    """Return the calibration of a hall by impulse responses or by solo takes."""
    if kind == "responses":
        return measured(seat_responses(HALLS[hall], RATE))
    takes = solo_takes(kind, HALLS[hall], RATE, duration_s=TAKE_S, from_s=SOLOS_FROM_S)
    return calibrate(takes, options=Options())


def alike_to(played: Played, calibrations: Sequence[Calibration]) -> list[float]:
    """Return how alike what a session alone finds is to each of the calibrations."""
    recording: Session = session(
        played.piece, HALLS[played.hall], RATE, duration_s=SESSION_S, moved_m=played.moved_m, move=played.move
    )
    options, config, ids = Options(), SessionConfig(), tuple(source_names(recording))
    analysis = analysed(recording, ids, examined(recording).level_M, {}, options, config)
    sections = telling(planned(analysis, len(ids), options, config), analysis, options, config)
    blind = learned(analysis, sections, options, config, from_spots, None)
    found = []
    for calibration in calibrations:
        here = suited(calibration, analysis, ids)
        found.append(reflections_alike(calibration, known_here(calibration, here)[1], blind, here))
    return found
