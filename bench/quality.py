"""Quality on every recording with a truth: ours beside the published systems, floors and ceilings, in one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import torch
from rich.console import Console

from partbook.config import SALIENCES, Options
from partbook.evaluate.evaluation import Evaluation, evaluate
from partbook.evaluate.material import find_estimates, find_pieces
from partbook.evaluate.pitch import EnsemblePitch, score_pitch
from partbook.evaluate.statistics import compare
from partbook.evaluate.tables import as_json, pitch_figures, plain, rows
from partbook.evaluate.terminal import figures_table, pitch_table
from partbook.evaluate.writing import write_evaluation
from partbook.pitch.tracks import Track, read_f0
from partbook.separate import separate, separate_into

from .material import MATERIAL, OUT, SHARED, Material, prepared, published, voices_of
from .plots import plot_f0
from .soundfont import ENSEMBLES, soundfont_pieces

FILE_WIDTH = 240
BLIND, GIVEN = "Partbook, blind", "Partbook, F0 given"
SYSTEMS: Mapping[str, Options] = {
    BLIND: Options(),
    **{f"{BLIND}, {name} salience": Options(salience=name) for name in SALIENCES if name != Options().salience},
    GIVEN: Options(),
}
"""Ours: what is scored as "Partbook" first, then other ways to hear the pitch, then the pitch given."""

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

LAGS_S = {"dagstuhl": 0.03}
"""How much later than its F0, told by larynx microphones, a recording is."""


def quality(names: Sequence[str] = (), *, anew: bool = True) -> dict[str, object]:
    """Measure every material, or those named, and return the figures ready for JSON.

    Without ``anew`` the stems of the last run are scored again.
    """
    torch.set_num_threads(1)
    console = Console()
    console = console if console.is_terminal else Console(width=FILE_WIDTH)
    measured: dict[str, object] = {}
    for material in MATERIAL:
        if names and material.name not in names:
            continue
        systems = separated(material) if anew else systems_kept(material)
        for protocol in material.protocols:
            evaluation = scored(material, systems, protocol)
            table = rows(evaluation)
            first = protocol == material.protocols[0]
            name = material.name if first else f"{material.name}-{protocol}"
            title = material.title if first else f"{material.title}: {evaluation.protocol.about}"
            console.print(f"\n[bold]{title}[/]")
            console.print(figures_table(evaluation, table))
            if first and evaluation.pitch:
                console.print(pitch_table(evaluation))
            for problem in evaluation.problems:
                console.print(str(problem), style="red", markup=False)
            write_evaluation(OUT / name / "evaluation", evaluation, table)
            measured[name] = {"title": title, **_brief(as_json(evaluation, table))}
            measured[name] |= {"pairs": plain(pairs(evaluation)), **(_pitch(evaluation.pitch) if first else {})}
    wanted = [name for name in (*PITCH_ONLY, *ENSEMBLES) if anew and (not names or name in names)]
    pieces = PITCH_ONLY | (soundfont_pieces() if set(wanted) & set(ENSEMBLES) else {})
    for name, (title, mixture, f0) in pieces.items():
        if name in wanted:
            found = {system: {name: blind_pitch(name, system, mixture, f0)} for system in SYSTEMS if system != GIVEN}
            measured[name] = {"title": title, **_pitch(found)}
    return measured


def pairs(evaluation: Evaluation) -> dict[str, dict[str, dict[str, float]]]:
    """Return by how much each of ours is better than each of the others, on the same cells."""
    metric = evaluation.protocol.metrics[0]
    others = [system for system in evaluation.systems if system not in SYSTEMS]
    return {
        other: {
            own: asdict(compare(evaluation.cells(own), evaluation.cells(other), metric))
            for own in evaluation.systems
            if own in SYSTEMS
        }
        for other in others
    }


def _pitch(found: Mapping[str, Mapping[str, EnsemblePitch]]) -> dict[str, object]:
    """Return F0 scores of every system, and of every voice what became of its frames."""
    classes = ("correct", "missed", "swapped", "octave", "wrong")
    voices = {
        system: {
            voice: {c: getattr(scores, c) for c in classes}
            for piece in pieces.values()
            for voice, scores in piece.voices.items()
        }
        for system, pieces in found.items()
        if len(pieces) == 1
    }
    figures = {system: pitch_figures(pieces.values()) for system, pieces in found.items()}
    return {"pitch_figures": plain(figures), "pitch_voices": plain(voices)}


def _brief(found: dict[str, object]) -> dict[str, object]:
    """Leave out what the page does not show: of single sources all but the main figure."""
    systems = [
        system | {"sources": {name: {"si_sdr": figures["si_sdr"]} for name, figures in system["sources"].items()}}
        for system in found["systems"]
    ]
    return {"systems": systems, "problems": found["problems"], "notes": found["notes"]}


def separated(material: Material) -> list[str]:
    """Separate a material by every one of our systems, and draw the F0 that was found; return their names."""
    for files in find_pieces(prepared(material)):
        truth = {voice: read_f0(files.f0[voice]) for voice in voices_of(material, files) if voice in files.f0}
        folder = OUT / material.name / files.piece
        for system, options in SYSTEMS.items():
            f0 = [files.f0[voice] for voice in truth] if system == GIVEN else ()
            separate_into(folder, files.mixture, voices=voices_of(material, files), f0=f0, name=system, options=options)
            if system != GIVEN:
                found = find_estimates(folder / system, files).f0
                plot_f0(folder / f"{system}.png", truth, {voice: read_f0(path) for voice, path in found.items()})
    return list(SYSTEMS)


def systems_kept(material: Material) -> list[str]:
    """Return which of our systems have stems of a material from the last run."""
    pieces = find_pieces(prepared(material))
    return [name for name in SYSTEMS if all((OUT / material.name / files.piece / name).is_dir() for files in pieces)]


def scored(material: Material, systems: Sequence[str], protocol: str) -> Evaluation:
    """Score the stems of our systems, and of those that published theirs."""
    ours = [OUT / material.name / "{piece}" / system for system in systems]
    first, *against = [*ours, *published(material).values()]
    return evaluate(prepared(material), first, against=against, protocol=protocol)


def _later(track: Track, seconds: float) -> Track:
    return Track(track.times_s + seconds, track.f0_hz, track.confidence)


def blind_pitch(name: str, system: str, mixture: str, f0: Mapping[str, str]) -> EnsemblePitch:
    """Return the F0 scores of a blind separation, and draw what was found."""
    truth = {voice: _later(read_f0(SHARED / path), LAGS_S.get(name, 0.0)) for voice, path in f0.items()}
    tracks: dict[str, Track] = dict(separate(SHARED / mixture, voices=list(truth), options=SYSTEMS[system]).f0)
    plot_f0(OUT / name / f"{system}.png", truth, tracks)
    return score_pitch(truth, tracks)
