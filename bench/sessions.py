"""Sessions in simulated halls: ours, the peers and the ceilings on the same recordings, in one run.

``python -m bench.sessions [HALL …]``; the figures go to ``bench/out/sessions.json`` too.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.table import Table

from partbook.config import Options, SessionConfig
from partbook.engine.session import separate_session
from partbook.evaluate.separation import si_sdr
from partbook.room.simulate import Hall

from . import peers
from .halls import Session, session
from .iteration import iteration_speed
from .machine import machine
from .material import OUT

HALLS: dict[str, Callable[[], Session]] = {
    "notes-24k": lambda: session("notes", Hall(), 24_000),
    "notes-48k": lambda: session("notes", Hall(), 48_000),
    "solos-24k": lambda: session("solos", Hall(), 24_000),
    "winds-24k": lambda: session("winds", Hall(), 24_000),
    "notes-dry": lambda: session("notes", Hall((8.0, 10.0, 4.0), 0.4), 24_000),
    "notes-wet": lambda: session("notes", Hall((18.0, 30.0, 10.0), 1.8), 24_000),
}
"""Piece, hall and rate by name."""


def ours(config: SessionConfig) -> peers.Method:
    """Return our own separation with these settings."""

    def separate(session: Session) -> np.ndarray:
        separation = separate_session(session, options=Options(), config=config)
        return np.concatenate([block.images for block in separation.blocks()], -1)

    return separate


METHODS: dict[str, peers.Method] = {
    "unprocessed": peers.unprocessed,
    "Partbook": ours(SessionConfig()),
    "Partbook, diagonal covariances": ours(replace(SessionConfig(), full_rounds=0)),
    "phase-blind Wiener": peers.phase_blind,
    "pyroomacoustics FastMNMF2": peers.fastmnmf2,
    "pyroomacoustics ILRMA": peers.ilrma,
    "pyroomacoustics AuxIVA": peers.auxiva,
    "ideal power mask": peers.ideal_mask,
    "oracle full-rank Wiener": peers.oracle_full_rank,
}
"""In the order of the tables."""


def sessions(names: Sequence[str] = ()) -> list[dict[str, object]]:
    """Measure every hall, or those named, and the speed of an iteration; return tables of title, columns and rows."""
    tables = [measured(name, HALLS[name]()) for name in names or HALLS]
    return [*tables, iteration_speed()]


def measured(name: str, recording: Session) -> dict[str, object]:
    """Score every method at the players' own spots and at the main centre."""
    places = {"own spot": recording.spots, "centre": [1] * len(recording.spots)}
    rows = []
    for method, separate in METHODS.items():
        begun = time.perf_counter()
        images = separate(recording)
        seconds = time.perf_counter() - begun
        figures: list[str] = []
        for at in places.values():
            scores = [float(si_sdr(recording.images[n, m], images[n, m])) for n, m in enumerate(at)]
            figures += [f"{np.mean(scores):.1f}", " ".join(f"{score:.1f}" for score in scores)]
        rows.append([method, *figures, f"{seconds:.0f}"])
    columns = ["SI-SDR in dB", "own spot", "by player", "main centre", "by player", "seconds"]
    return {"title": f"Session {name}", "columns": columns, "rows": rows}


def shown(table: Mapping[str, object]) -> Table:
    """Return a table for the terminal."""
    view = Table(title=table["title"], title_justify="left", box=None)
    for number, column in enumerate(table["columns"]):
        view.add_column(column, justify="right" if number else "left")
    for row in table["rows"]:
        view.add_row(*row)
    return view


def main(names: Sequence[str]) -> None:
    """Measure, show, and write ``bench/out/sessions.json``; tables of halls that were not named stay."""
    file, console = OUT / "sessions.json", Console(width=160)
    known = json.loads(file.read_text("utf-8"))["tables"] if file.is_file() else []
    tables = {table["title"]: table for table in known}
    for table in sessions(names):
        console.print(shown(table), "")
        tables[table["title"]] = table
    OUT.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"machine": machine(), "tables": list(tables.values())}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
