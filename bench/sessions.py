"""Sessions in simulated halls: ours, the peers and the ceilings on the same recordings, in one run.

``python -m bench.sessions [HALL …] [METHOD …]``; the figures go to ``bench/out/sessions.json`` too, where those of
other methods in the same hall stay.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table

from partbook.config import Options, SessionConfig, SessionOptions
from partbook.engine.calibration import calibrate
from partbook.engine.session import separate_session
from partbook.evaluate.separation import si_sdr
from partbook.room.simulate import Hall

from . import peers
from .halls import Session, session, solo_takes
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
    "notes-moved": lambda: session("notes", Hall(), 24_000, moved_m=0.05),
    "notes-sixth": lambda: session("notes", Hall(), 24_000, unmiked=True),
}
"""Piece, hall and rate by name."""


def ours(config: SessionConfig) -> peers.Method:
    """Return our own separation with these settings."""

    def separate(session: Session) -> np.ndarray:
        separation = separate_session(session, options=Options(), config=config)
        return np.concatenate([block.images for block in separation.blocks()], -1)

    return separate


def calibrated(**known: str) -> peers.Method:
    """Return our own separation after a calibration by other solos, of 8 s each, in the same hall.

    Of pieces of whole recorded solos there are no others.
    """

    def separate(session: Session) -> np.ndarray:
        piece, hall = str(session.setup["piece"]), session.setup["hall"]
        takes = solo_takes(piece, hall, session.sample_rate, duration_s=8.0)
        with TemporaryDirectory() as folder:
            file = calibrate(takes, options=Options()).save(Path(folder) / "calibration.safetensors")
            told = SessionOptions(calibration=file, **known)
            separation = separate_session(session, options=Options(), session=told)
            return np.concatenate([block.images for block in separation.blocks()], -1)

    return separate


METHODS: dict[str, peers.Method] = {
    "unprocessed": peers.unprocessed,
    "Partbook": ours(SessionConfig()),
    "Partbook, diagonal covariances": ours(replace(SessionConfig(), full_rounds=0)),
    "Partbook, calibrated": calibrated(),
    "Partbook, calibrated, dictionary": calibrated(sources="dictionary"),
    "phase-blind Wiener": peers.phase_blind,
    "pyroomacoustics FastMNMF2": peers.fastmnmf2,
    "pyroomacoustics ILRMA": peers.ilrma,
    "pyroomacoustics AuxIVA": peers.auxiva,
    "ideal power mask": peers.ideal_mask,
    "oracle full-rank Wiener": peers.oracle_full_rank,
}
"""In the order of the tables."""


def sessions(names: Sequence[str] = ()) -> list[dict[str, object]]:
    """Measure every hall, or those named, by every method, or those named, and the speed of an iteration.

    Returns tables of title, columns and rows.
    """
    unknown = [name for name in names if name not in HALLS and name not in METHODS]
    if unknown:
        raise SystemExit(f"expected halls ({', '.join(HALLS)}) or methods ({', '.join(METHODS)}), got {unknown[0]!r}")
    methods = [name for name in METHODS if name in names] or list(METHODS)
    tables = [
        measured(name, make(), methods)
        for name, make in HALLS.items()
        if name in names or names == methods or not names
    ]
    return tables if names else [*tables, iteration_speed()]


def measured(name: str, recording: Session, methods: Sequence[str]) -> dict[str, object]:
    """Score methods at the players' own spots and at the main centre."""
    places = {"own spot": recording.spots, "centre": [1] * len(recording.spots)}
    rows = []
    for method in methods:
        if "calibrated" in method and recording.setup["piece"] == "solos":
            continue
        separate = METHODS[method]
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
    measured_now = sessions(names)
    known = json.loads(file.read_text("utf-8"))["tables"] if file.is_file() else []
    tables = {table["title"]: table for table in known}
    for table in measured_now:
        console.print(shown(table), "")
        tables[table["title"]] = _merged(tables.get(table["title"]), table)
    OUT.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"machine": machine(), "tables": list(tables.values())}, indent=1) + "\n", "utf-8")


def _merged(known: Mapping[str, object] | None, table: dict[str, object]) -> dict[str, object]:
    """Return a table with the rows of methods that were measured before and not now."""
    if known is None or known["columns"] != table["columns"]:
        return table
    rows = {row[0]: row for row in (*known["rows"], *table["rows"])}
    order = [method for method in METHODS if method in rows] or list(rows)
    return table | {"rows": [rows[method] for method in order]}


if __name__ == "__main__":
    main(sys.argv[1:])
