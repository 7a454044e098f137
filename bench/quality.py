"""Quality on every recording with a truth: ours beside the published systems, floors and ceilings, in one run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from partbook.evaluate.evaluation import Evaluation, evaluate
from partbook.evaluate.material import find_pieces
from partbook.evaluate.pitch import score_pitch
from partbook.evaluate.tables import as_json, pitch_figures, plain, rows
from partbook.evaluate.terminal import figures_table, pitch_table
from partbook.evaluate.writing import write_evaluation
from partbook.pitch.tracks import Track, read_f0
from partbook.separate import separate_into

from .material import MATERIAL, OUT, SHARED, Material, prepared, published, voices_of

BLIND, GIVEN = "Partbook, blind", "Partbook, F0 given"

PITCH_ONLY = {
    "cantoria": (
        "Cantoría HCB, real quartet, 36 s, F0 corrected by hand",
        "voices/cantoria_hcb/Cantoria_HCB_Mix.flac",
        {
            voice: f"voices/cantoria_hcb/Cantoria_HCB_{letter}.csv"
            for voice, letter in (("soprano", "S"), ("alto", "A"), ("tenor", "T"), ("bass", "B"))
        },
    ),
    "dagstuhl": (
        "Dagstuhl ChoirSet, quartet A, room microphone",
        "voices/dagstuhl/libsoni/data_audio/demo_f0/DCS_LI_QuartetA_Take04_StereoReverb_STM.flac",
        {
            voice: f"voices/dagstuhl/libsoni/data_csv/demo_f0/DCS_LI_QuartetA_Take04_{singer}_LRX.csv"
            for voice, singer in (("soprano", "S2"), ("alto", "A1"), ("tenor", "T1"), ("bass", "B1"))
        },
    ),
}
"""Recordings with a true F0 but no stems: title, mixture, F0 files by voice."""


def quality(
    names: Sequence[str] = (), systems: Sequence[str] = (BLIND, GIVEN), *, separate: bool = True
) -> dict[str, object]:
    """Measure every material, or those named, and return the figures ready for JSON.

    Without ``separate`` the stems of the last run are scored again.
    """
    torch.set_num_threads(1)
    console = Console()
    measured: dict[str, object] = {}
    for material in MATERIAL:
        if names and material.name not in names:
            continue
        evaluation = score(material, systems, separate=separate)
        table = rows(evaluation)
        console.print(f"\n[bold]{material.title}[/]")
        console.print(figures_table(evaluation, table))
        if evaluation.pitch:
            console.print(pitch_table(evaluation))
        for problem in evaluation.problems:
            console.print(str(problem), style="red", markup=False)
        write_evaluation(OUT / material.name / "evaluation", evaluation, table)
        measured[material.name] = {"title": material.title, **_brief(as_json(evaluation, table))}
        measured[material.name]["pitch_figures"] = {
            system: plain(pitch_figures(pieces.values())) for system, pieces in evaluation.pitch.items()
        }
    if BLIND in systems and separate:
        for name, (title, mixture, f0) in PITCH_ONLY.items():
            if not names or name in names:
                measured[name] = {"title": title, "pitch_figures": {BLIND: plain(blind_pitch(mixture, f0))}}
    return measured


def _brief(found: dict[str, object]) -> dict[str, object]:
    """Leave out what the page does not show: of single sources all but the main figure."""
    systems = [
        system | {"sources": {name: {"si_sdr": figures["si_sdr"]} for name, figures in system["sources"].items()}}
        for system in found["systems"]
    ]
    return {"systems": systems, "problems": found["problems"], "notes": found["notes"]}


def score(material: Material, systems: Sequence[str], *, separate: bool) -> Evaluation:
    """Separate a material and score everything there is for it."""
    references = prepared(material)
    for system in systems if separate else ():
        separated(material, references, system)
    ours = [OUT / material.name / "{piece}" / system for system in systems]
    first, *against = [*ours, *published(material).values()]
    return evaluate(references, first, against=against)


def separated(material: Material, references: Path, system: str) -> float:
    """Separate every piece of a material into ``bench/out`` by the public function and return the seconds it took."""
    started = time.perf_counter()
    for files in find_pieces(references):
        voices = voices_of(material, files)
        f0 = [files.f0[voice] for voice in voices] if system == GIVEN else ()
        separate_into(OUT / material.name / files.piece, files.mixture, voices=voices, f0=f0, name=system)
    return time.perf_counter() - started


def blind_pitch(mixture: str, f0: dict[str, str]) -> dict[str, float]:
    """Return the F0 scores of a blind separation."""
    from partbook import separate

    truth = {voice: read_f0(SHARED / path) for voice, path in f0.items()}
    stems = separate(SHARED / mixture, voices=list(truth))
    tracks: dict[str, Track] = dict(stems.f0)
    return pitch_figures([score_pitch(truth, tracks)])
