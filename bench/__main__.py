"""Measure, and build ``docs/results.md``.

``python -m bench [quality] [stereo] [rooms] [sessions] [reflections] [quintet] [choirs] [speed] [NAME …] [rescore]``

A NAME chooses what is measured, and the section that knows it. With ``rescore`` the stems of the last run are scored
again instead of made again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from rich.console import Console

from .choirs import choirs
from .machine import machine
from .material import MATERIAL
from .quality import PITCH_ONLY, quality
from .quintet import quintet
from .reflections import reflections
from .results import JSON, write_results
from .rooms import rooms
from .sessions import CHEAP, HALLS, ITERATION, METHODS, merged, sessions
from .soundfont import ENSEMBLES
from .speed import JOBS, speed
from .stereo import stereo

RESCORE = "rescore"
NAMES = {
    "quality": [*(material.name for material in MATERIAL), *PITCH_ONLY, *ENSEMBLES],
    "stereo": [],
    "rooms": [],
    "sessions": [*HALLS, *METHODS, CHEAP, ITERATION],
    "reflections": [],
    "quintet": [],
    "choirs": [],
    "speed": list(JOBS),
}
"""What can be measured, by section."""


def main(arguments: Sequence[str]) -> None:
    """Run the sections named, those that know the names, or all."""
    words = [word for word in arguments if word != RESCORE]
    unknown = [word for word in words if word not in NAMES and not any(word in names for names in NAMES.values())]
    if unknown:
        known = ", ".join([*NAMES, *(name for names in NAMES.values() for name in names)])
        sys.exit(f"bench: expected {known} or {RESCORE}, got {unknown[0]!r}")
    for section in NAMES:
        chosen = [word for word in words if word in NAMES[section]]
        if not words or section in words or chosen:
            _measure(section, chosen, anew=RESCORE not in arguments)
    Console().print(f"\nwritten to {JSON.parent}", highlight=False)


def _measure(section: str, chosen: Sequence[str], *, anew: bool) -> None:
    """Measure one section and write it, beside what is known of the rest of it where only some was measured."""
    if section == "quality":
        materials = quality(chosen, anew=anew)
        kept = _known(section).get("materials", {}) if chosen or not anew else {}
        found: dict[str, object] = {"materials": kept | materials}
    elif section == "speed":
        jobs = speed(chosen)
        found = {"jobs": (_known(section).get("jobs", {}) if chosen else {}) | jobs}
    else:
        tables = {
            "stereo": stereo, "rooms": rooms, "sessions": lambda: sessions(chosen), "reflections": reflections,
            "quintet": quintet, "choirs": choirs,
        }[section]()  # fmt: skip
        kept = {table["title"]: table for table in (_known(section).get("tables", []) if chosen else [])}
        for table in tables:
            kept[table["title"]] = merged(kept.get(table["title"]), table)
        found = {"tables": list(kept.values())}
    write_results({section: {"machine": machine(), **found}})


def _known(section: str) -> dict[str, object]:
    """Return what is written of a section by now: what took minutes or hours may have had others beside it."""
    return json.loads(JSON.read_text("utf-8")).get(section, {}) if JSON.is_file() else {}


if __name__ == "__main__":
    main(sys.argv[1:])
