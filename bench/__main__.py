"""Measure, and build ``docs/results.md``.

``python -m bench [quality] [sessions] [quintet] [speed] [NAME …] [rescore]``

With ``rescore`` the stems of the last run are scored again instead of made again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from rich.console import Console

from .machine import machine
from .quality import quality
from .quintet import quintet
from .results import JSON, write_results
from .sessions import sessions
from .speed import speed

RESCORE = "rescore"
SECTIONS = ("quality", "sessions", "quintet", "speed")


def main(arguments: Sequence[str]) -> None:
    """Run the sections named, or all; other words choose what is measured in them."""
    sections = [section for section in SECTIONS if section in arguments] or SECTIONS
    names = [word for word in arguments if word not in (*SECTIONS, RESCORE)]
    if "quality" in sections:
        rescore = RESCORE in arguments
        measured = quality(names, separate=not rescore)
        write_results({"quality": _merged("quality", "materials", measured, partial=bool(names) or rescore)})
    if "sessions" in sections:
        write_results({"sessions": {"machine": machine(), "tables": sessions(names)}})
    if "quintet" in sections:
        write_results({"quintet": {"machine": machine(), "tables": quintet()}})
    if "speed" in sections:
        write_results({"speed": _merged("speed", "jobs", speed(names), partial=bool(names))})
    Console().print(f"\nwritten to {JSON.parent}", highlight=False)


def _merged(section: str, part: str, measured: dict[str, object], *, partial: bool) -> dict[str, object]:
    """Return a section; where only some of it was measured, beside what is already known of the rest."""
    known = json.loads(JSON.read_text("utf-8")).get(section, {}) if partial and JSON.is_file() else {}
    return {"machine": machine(), part: known.get(part, {}) | measured}


if __name__ == "__main__":
    main(sys.argv[1:])
