"""Build ``docs/results.md`` from ``docs/results.json``, which the bench writes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from partbook.evaluate.protocols import METRICS

from .material import REPOSITORY

JSON, PAGE = REPOSITORY / "docs" / "results.json", REPOSITORY / "docs" / "results.md"

_METRICS = ("si_sdr", "si_sdri", "sdr", "sir", "sar", "spectral_snr", "mel_cepstral")
_INTRODUCTION = """\
# Results

Built by `make bench` from what it measures on the recordings beside the repository (`PARTBOOK_SHARED`); nothing here
was typed by hand. Every figure has others beside it that say what it is worth:

- **do nothing**: the untouched mixture; **comb**: a fixed comb of partials 1/k at the F0 named, nothing learned;
- **ideal masks** and **oracle** filters, made from the true stems: what no method of their kind can pass;
- the outputs of published systems, scored by the same code in the same run.

Excerpts of 4 s, SI-SDR with the mean removed, mean of voices. Brackets: 95 % interval when excerpts are drawn with
replacement (two or three excerpts say little, and their intervals less). *Better by*: mean difference of the first
system to this one on the same cells. The F0 that is "given" is true where it is known and otherwise pYIN's on the
isolated stems, in windows of 64 ms, each looked for in the range of its voice.
"""


def write_results(sections: Mapping[str, object]) -> list[Path]:
    """Add sections to the JSON file and build the page again; return the files."""
    known = json.loads(JSON.read_text("utf-8")) if JSON.is_file() else {}
    known |= sections
    JSON.parent.mkdir(exist_ok=True)
    JSON.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text("\n".join(page(known)) + "\n", "utf-8")
    return [JSON, PAGE]


def page(known: Mapping[str, object]) -> Iterator[str]:
    """Yield the lines of the page."""
    yield _INTRODUCTION
    for name, material in known.get("quality", {}).get("materials", {}).items():
        yield f"## {material['title']}\n"
        if "systems" in material:
            yield from _figures(material)
        yield from _pairs(material.get("pairs", {}))
        yield from _pitch(material)
        yield from (f"- {note}" for note in [*material.get("problems", []), *material.get("notes", [])])
        yield f"<!-- {name} -->\n"
    for section in ("stereo", "rooms", "sessions", "reflections", "quintet", "choirs"):
        for table in known.get(section, {}).get("tables", []):
            yield f"## {table['title']}\n"
            yield from _table(table["columns"], table["rows"])
    if "speed" in known:
        yield from _speed(known["speed"]["jobs"])
    for name, section in known.items():
        if isinstance(section, Mapping) and "machine" in section:
            yield _machine(name, section["machine"])


def _figures(material: Mapping) -> Iterator[str]:
    systems = material["systems"]
    metrics = [metric for metric in _METRICS if metric in systems[0]["figures"]]
    sources = list(dict.fromkeys(source for system in systems for source in system["sources"]))
    places = len({system["place"] for system in systems}) > 1
    head = ["system", *(["where"] if places else []), *(METRICS[m] for m in metrics), *sources, "better by"]
    body = []
    first = next(system["system"] for system in systems if system["kind"] == "system")
    for system in systems:
        name = f"**{system['system']}**" if system["system"] == first else system["system"]
        figures = [
            _with_interval(system["figures"][m]) if m == "si_sdr" else _value(system["figures"][m]) for m in metrics
        ]
        voices = [_value(system["sources"][s]["si_sdr"]) if s in system["sources"] else "" for s in sources]
        where = [system["place"] or "every microphone"] if places else []
        body.append([name, *where, *figures, *voices, _lead(system["against_first"])])
    yield from _table(head, body)
    counts = systems[0]["figures"]["si_sdr"]
    exchanged = {s["system"]: sum(s["exchanged"].values()) for s in systems if s["kind"] == "system" and s["exchanged"]}
    told = ", ".join(f"{name} {count}" for name, count in exchanged.items()) or "none"
    left_out = counts["silent_references"]
    yield f"{counts['cells']} cells; {left_out} with a silent reference left out; voices exchanged in cells: {told}.\n"


def _pairs(pairs: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> Iterator[str]:
    """Yield by how much each of ours is better than each of the others."""
    if pairs:
        ours = list(next(iter(pairs.values())))
        yield from _table(["better than", *ours], ([other, *map(_lead, by.values())] for other, by in pairs.items()))


def _pitch(material: Mapping) -> Iterator[str]:
    rows = material.get("pitch_figures")
    if rows:
        columns = list(next(iter(rows.values())))
        yield from _table(
            ["F0", *columns], ([name, *(_number(v, 3) for v in row.values())] for name, row in rows.items())
        )
    voices = {system: found for system, found in material.get("pitch_voices", {}).items() if "given" not in system}
    if voices:
        shares = list(next(iter(next(iter(voices.values())).values())))
        body = (
            [system, voice, *(_number(share, 3) for share in found.values())]
            for system, by_voice in voices.items()
            for voice, found in by_voice.items()
        )
        yield from _table(["frames of F0", "voice", *shares], body)


def _speed(jobs: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    yield "## Speed and memory\n"
    yield "Each in a process of its own, after importing; scores on one thread each. Best of up to three runs.\n"
    rows = []
    for name, job in jobs.items():
        task, _, library = name.partition(": ")
        ours = jobs.get(f"{task}: Partbook")
        times = f"{job['seconds'] / ours['seconds']:.1f}" if ours and library not in ("", "Partbook") else ""
        cpu = f"{job['cpu_seconds']:.2f}" if "cpu_seconds" in job else ""
        rows.append([task, library or "Partbook", f"{job['seconds']:.2f}", cpu, times, f"{job['memory_gb']:.2f}"])
    yield from _table(["job", "by", "seconds", "CPU seconds", "times ours", "memory in GB"], rows)


def _machine(name: str, machine: Mapping) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in machine["versions"].items() if version)
    return (
        f"*{name}*: {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}, "
        f"Python {machine['python']}; {versions}.\n"
    )


def _table(head: Iterable[str], body: Iterable[Iterable[str]]) -> Iterator[str]:
    head = list(head)
    yield f"| {' | '.join(head)} |"
    yield f"|---|{'---:|' * (len(head) - 1)}"
    yield from (f"| {' | '.join(map(str, row))} |" for row in body)
    yield ""


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def _value(figure: Mapping[str, float | None]) -> str:
    return _number(figure["value"])


def _with_interval(figure: Mapping[str, float | None]) -> str:
    if figure["low"] is None:
        return _number(figure["value"])
    return f"{_number(figure['value'])} [{_number(figure['low'], 1)}, {_number(figure['high'], 1)}]"


def _lead(lead: Mapping[str, float | None] | None) -> str:
    if lead is None:
        return ""
    return _with_interval({"value": lead["difference"], "low": lead["low"], "high": lead["high"]})
