"""Sessions in simulated halls: ours, the peers and the ceilings on the same recordings, in one run.

``python -m bench.sessions [HALL …] [METHOD …] [cheap] [iteration]``; with ``cheap`` the peers that take minutes are
left out, and ``iteration`` alone measures the speed of one iteration and no hall. The figures go to
``bench/out/sessions.json`` too, where those of other methods in the same hall stay. Peers that are not installed are
named and left out.
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

from partbook.audio import recording_from_array
from partbook.config import Options, SessionConfig, SessionOptions
from partbook.engine.calibration import calibrate
from partbook.engine.measured import measured
from partbook.engine.session import separate_session
from partbook.ensemble import Voice, range_hz
from partbook.evaluate.separation import si_sdr
from partbook.pitch.following import track_voices
from partbook.pitch.tracks import Track
from partbook.room.plan import Hall

from . import peers
from .halls import PIECES, Session, seat_responses, session, solo_takes, without_spots
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
    "notes-spaced": lambda: session("notes", Hall(), 24_000, spaced=True),
}
"""Piece, hall and rate by name."""


def ours(config: SessionConfig | None = None, **known: str) -> peers.Method:
    """Return our own separation with these settings."""

    def separate(session: Session) -> np.ndarray:
        separation = separate_session(session, options=Options(), config=config, session=SessionOptions(**known))
        return np.concatenate([block.images for block in separation.blocks()], -1)

    return separate


def spotless(method: peers.Method) -> peers.Method:
    """Return a separation of the main microphones alone; nobody is heard at the spots then."""

    def separate(session: Session) -> np.ndarray:
        found = method(without_spots(session))
        return np.concatenate([found, np.full_like(session.images[:, found.shape[1] :], np.nan)], 1)

    return separate


def with_f0(session: Session) -> np.ndarray:
    """Return our own separation of the main microphones alone, told the F0 that is heard in the true images."""
    names = [part[0] for part in PIECES[session.setup["piece"]]]
    voices = [Voice(f"player{n + 1}", name, *range_hz(name)) for n, name in enumerate(names)]
    tracks = {}
    for voice, images in zip(voices, session.images, strict=True):
        alone = recording_from_array(np.ascontiguousarray(images[CENTRE]), session.sample_rate)
        tracks |= track_voices(alone, (voice,))[1]
    order = sorted(range(len(voices)), key=lambda n: -np.median(_voiced(tracks[voices[n].id])))
    mains = replace(without_spots(session), setup={})
    separation = separate_session(mains, options=Options(), voices=tuple(voices[n] for n in order), f0=tracks)
    found = np.concatenate([block.images for block in separation.blocks()], -1)[np.argsort(order)]
    return np.concatenate([found, np.full_like(session.images[:, found.shape[1] :], np.nan)], 1)


def _voiced(track: Track) -> np.ndarray:
    return track.f0_hz[track.f0_hz > 0]


def by_responses(session: Session) -> np.ndarray:
    """Return our own separation after a calibration by impulse responses of the same hall."""
    hall, spaced = session.setup["hall"], session.setup["spaced"]
    responses = seat_responses(hall, session.sample_rate, spaced=spaced)
    if not session.spots:
        responses = {id: without_spots(response) for id, response in responses.items()}
    with TemporaryDirectory() as folder:
        file = measured(responses).save(Path(folder) / "calibration.safetensors")
        return ours(calibration=file)(session)


def calibrated(**known: str) -> peers.Method:
    """Return our own separation after a calibration by other solos, of 8 s each, in the same hall.

    Of pieces of whole recorded solos there are no others.
    """

    def separate(session: Session) -> np.ndarray:
        piece, hall, spaced = (session.setup[key] for key in ("piece", "hall", "spaced"))
        takes = solo_takes(piece, hall, session.sample_rate, duration_s=8.0, spaced=spaced)
        with TemporaryDirectory() as folder:
            file = calibrate(takes, options=Options()).save(Path(folder) / "calibration.safetensors")
            return ours(calibration=file, **known)(session)

    return separate


METHODS: dict[str, peers.Method] = {
    "unprocessed": peers.unprocessed,
    "Partbook": ours(),
    "Partbook, diagonal covariances": ours(replace(SessionConfig(), full_rounds=0)),
    "Partbook, source-filter": ours(sources="source-filter"),
    "Partbook, calibrated": calibrated(),
    "Partbook, calibrated, dictionary": calibrated(sources="dictionary"),
    "Partbook, calibrated by responses": by_responses,
    "Partbook, plan start": ours(start="plan"),
    "Partbook, circular start": ours(start="circular"),
    "Partbook, diagonal start": ours(start="diagonal"),
    "Partbook, random start": ours(start="random"),
    "Partbook, no spots, plan start": spotless(ours(start="plan")),
    "Partbook, no spots, calibrated by responses": spotless(by_responses),
    "Partbook, no spots, F0 given": with_f0,
    "phase-blind Wiener": peers.phase_blind,
    "pyroomacoustics FastMNMF2": peers.fastmnmf2,
    "pyroomacoustics ILRMA": peers.ilrma,
    "pyroomacoustics AuxIVA": peers.auxiva,
    "ssspy FastMNMF": peers.ssspy_fastmnmf,
    "ssspy ILRMA": peers.ssspy_ilrma,
    "ssspy AuxIVA": peers.ssspy_auxiva,
    "ideal power mask": peers.ideal_mask,
    "ideal amplitude mask": peers.ideal_amplitude_mask,
    "ideal binary mask": peers.ideal_binary_mask,
    "oracle full-rank Wiener": peers.oracle_full_rank,
}
"""In the order of the tables."""

CHEAP, ITERATION = "cheap", "iteration"
MINUTES = [name for name in METHODS if name.startswith(("pyroomacoustics", "ssspy"))]
BY_TAKES = ("Partbook, calibrated", "Partbook, calibrated, dictionary")
STARTS = [name for name in METHODS if "start" in name or "no spots" in name]
STARTS_IN = "notes-24k"
"""Hall in which starts are compared; elsewhere they are measured where they are named."""
CENTRE = 1
"""Row of the main microphone in the middle."""
GAINS = "Sessions, gain over the microphones themselves"
GAIN_COLUMNS = ["SI-SDR in dB", "audible", "mean gain", "least gain", "of", "at"]
HEARD_DB = -20.0
"""Level in the mixture of a microphone above which a player counts as audible there."""


def sessions(names: Sequence[str] = ()) -> list[dict[str, object]]:
    """Measure every hall, or those named, by every method, or those named, and the speed of an iteration.

    Returns tables of title, columns and rows.
    """
    if list(names) == [ITERATION]:
        return [iteration_speed()]
    cheap, timed = CHEAP in names, ITERATION in names
    names = [name for name in names if name not in (CHEAP, ITERATION)]
    unknown = [name for name in names if name not in HALLS and name not in METHODS]
    if unknown:
        raise SystemExit(f"expected halls ({', '.join(HALLS)}) or methods ({', '.join(METHODS)}), got {unknown[0]!r}")
    methods = [name for name in METHODS if name in names] or [
        name for name in METHODS if not (cheap and name in MINUTES)
    ]
    found = [
        measured_in(
            name, make(), [each for each in methods if each in names or name == STARTS_IN or each not in STARTS]
        )
        for name, make in HALLS.items()
        if name in names or not any(hall in names for hall in HALLS)
    ]
    tables, gains = [table for table, _ in found], [row for _, rows in found for row in rows]
    tables += [{"title": GAINS, "columns": GAIN_COLUMNS, "rows": gains}] if gains else []
    return tables if names and not timed else [*tables, iteration_speed()]


def measured_in(name: str, recording: Session, methods: Sequence[str]) -> tuple[dict[str, object], list[list[str]]]:
    """Return the scores of methods at the own spots and the main centre; and what ours gains, if it is among them."""
    places = {"own spot": recording.spots, "centre": [CENTRE] * len(recording.spots)}
    rows, gains = [], []
    for method in methods:
        if method in BY_TAKES and recording.setup["piece"] == "solos":
            continue
        separate = METHODS[method]
        begun = time.process_time()
        try:
            images = separate(recording)
        except ModuleNotFoundError as error:
            Console(stderr=True).print(f"{method} left out: {error.name} is not installed", highlight=False)
            continue
        seconds = time.process_time() - begun
        if method == "Partbook":
            gains = [[name, *gained(recording, images)]]
        figures: list[str] = []
        for at in places.values():
            scores = [float(si_sdr(recording.images[n, m], images[n, m])) for n, m in enumerate(at)]
            words = [f"{score:.1f}" if np.isfinite(score) else "–" for score in (np.mean(scores), *scores)]
            figures += [words[0], " ".join(words[1:])]
        rows.append([method, *figures, f"{seconds:.0f}"])
    columns = ["SI-SDR in dB", "own spot", "by player", "main centre", "by player", "CPU seconds"]
    return {"title": f"Session {name}", "columns": columns, "rows": rows}, gains


def gained(recording: Session, images: np.ndarray) -> list[str]:
    """Return how many players are audible at how many microphones, and what is gained there on average and at least."""
    mixture_MS = recording.mixture
    energy_NM, whole_M = np.square(recording.images).sum(-1), np.square(mixture_MS).sum(-1)
    gain_db = {
        (n, m): float(si_sdr(recording.images[n, m], images[n, m]) - si_sdr(recording.images[n, m], mixture_MS[m]))
        for n, m in zip(*np.nonzero(energy_NM > 10 ** (HEARD_DB / 10) * whole_M), strict=True)
    }
    player, microphone = min(gain_db, key=gain_db.get)
    figures = [f"{np.mean(list(gain_db.values())):.1f}", f"{gain_db[player, microphone]:.1f}"]
    at = recording.microphones[microphone].name
    return [f"{len(gain_db)} of {energy_NM.size}", *figures, f"player{player + 1}", at]


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
        tables[table["title"]] = merged(tables.get(table["title"]), table)
    OUT.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"machine": machine(), "tables": list(tables.values())}, indent=1) + "\n", "utf-8")


def merged(known: Mapping[str, object] | None, table: dict[str, object]) -> dict[str, object]:
    """Return a table with the rows of methods that were measured before and not now."""
    if known is None or known["columns"] != table["columns"]:
        return table
    rows = {row[0]: row for row in (*known["rows"], *table["rows"])}
    order = [method for method in METHODS if method in rows] + [name for name in rows if name not in METHODS]
    return table | {"rows": [rows[method] for method in order]}


if __name__ == "__main__":
    main(sys.argv[1:])
