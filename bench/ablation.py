"""Every strategy and contour of joint training beside one another, and ``docs/ablation.md`` built from what comes out.

``python -m bench.ablation [quick] [front=FOLDER] [singer=NAME] [costs] [NAME …]``

All begin with one front end, which is trained first on synthetic pieces unless a folder of an earlier run is named, and
learn from the same unlabelled mixtures. ``quick`` takes some minutes of a core, without it an hour.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import soxr
import torch

from partbook.audio import Recording, excerpt, open_recording
from partbook.dsp.oscillator import flat_partials, upsampled
from partbook.ensemble import parse_voices
from partbook.evaluate.pitch import score_pitch
from partbook.evaluate.separation import si_sdr
from partbook.pitch.contour import METHODS
from partbook.pitch.network import NetworkConfig
from partbook.pitch.tracks import Track, read_f0
from partbook.train.corpus import Corpus
from partbook.train.joint import JointConfig, JointModel, JointTask, Phase
from partbook.train.loop import LoopConfig, train
from partbook.train.pitch import PitchConfig, PitchTask
from partbook.train.sight import heard_power
from partbook.train.teacher import taught_paths
from partbook.train.weights import write_model
from partbook.wiener import masks

from .machine import machine
from .material import MATERIAL, OUT, REPOSITORY, SHARED, prepared
from .quality import LAGS_S, PITCH_ONLY
from .training import costs

PAGE, JSON = REPOSITORY / "docs" / "ablation.md", REPOSITORY / "docs" / "ablation.json"
VOICES = parse_voices("SATB")
IDS = [voice.id for voice in VOICES]
ALL, FRONT = ("hearing", "assigner", "singer"), ("hearing", "assigner")
COSTS = "costs"
SALIENCE = {"total": 1e4, "ranges": 1e5}
TAUGHT = {"taught": 1.0, "assigned": 1.0}


@dataclass(frozen=True)
class Budget:
    """How much is spent.

    Attributes
    ----------
    steps, mixtures, seconds
        Of every strategy.
    hearing_steps, assigner_steps, pieces
        Of the front end's training, on so many synthetic pieces.
    recordings_s
        At most so much of every recording is learned from and scored.
    """

    steps: int
    mixtures: int
    seconds: float
    hearing_steps: int
    assigner_steps: int
    pieces: int
    recordings_s: float


BUDGETS = {
    "quick": Budget(60, 1, 3.0, 250, 80, 60, 30.0),
    "whole": Budget(240, 2, 2.0, 400, 160, 120, 60.0),
}


def strategies(steps: int) -> dict[str, tuple[str, tuple[Phase, ...]]]:
    """Return the contour and the phases of every strategy, in the order of the table."""
    third, joint = max(1, steps // 3), {"spectral": 1.0, **SALIENCE}
    committed = joint | {"commitment": 1e4}

    def warm_up(**last: float) -> tuple[Phase, ...]:
        return (
            Phase(third, FRONT, total=1e4, ranges=1e5, commitment=1e4),
            Phase(third, ("singer",), spectral=1.0),
            Phase(third, ALL, **joint | last),
        )

    return {
        "nothing learned": ("reconstruction", ()),
        "F-F: singer alone": ("reconstruction", (Phase(trained=("singer",), spectral=1.0),)),
        "F-FT: assigner and singer": ("reconstruction", (Phase(trained=("assigner", "singer"), **committed),)),
        **{f"FT-FT: everything, {name}": (name, (Phase(trained=ALL, **committed),)) for name in METHODS},
        "W-Up, reconstruction": ("reconstruction", warm_up()),
        "W-Up, local, with transport": ("local", warm_up(transport=1.0)),
        "taught by the decoder": ("reconstruction", (Phase(trained=FRONT, **TAUGHT),)),
        **{
            f"taught, then everything, {name}": (
                name,
                (Phase(2 * third, FRONT, **TAUGHT), Phase(third, ALL, spectral=1.0, transport=1.0, **TAUGHT)),
            )
            for name in ("reconstruction", "local", "path")
        },
    }


@dataclass(frozen=True)
class Known:
    """A recording, its F0, and its stems if they are known."""

    name: str
    recording: Recording
    f0: Mapping[str, Track]
    stems: Mapping[str, Path] | None = None


def recordings(seconds: float) -> list[Known]:
    """Return the recordings that are scored; all of them are learned from, as mixtures."""
    known = []
    for name, (_, mixture, f0) in PITCH_ONLY.items():
        recording = _beginning(open_recording(SHARED / mixture), seconds)
        truth = {voice: read_f0(SHARED / path) for voice, path in f0.items()}
        lag_s, end_s = LAGS_S.get(name, 0.0), recording.length / recording.sample_rate
        known.append(Known(name, recording, {voice: _until(track, lag_s, end_s) for voice, track in truth.items()}))
    folder = prepared(next(material for material in MATERIAL if material.name == "quartet-excerpts"))
    for piece in sorted(each for each in folder.iterdir() if each.is_dir()):
        truth = {voice: read_f0(piece / "f0" / f"{voice}.csv") for voice in IDS}
        stems = {voice: piece / f"{voice}.flac" for voice in IDS}
        known.append(Known(piece.name, open_recording(piece / "mix.flac"), truth, stems))
    return known


def front_end(budget: Budget, folder: Path) -> Path:
    """Train a small salience network and an assigner on synthetic pieces; return the folder of both."""
    renders, target = folder / "renders", folder / "front"
    network = NetworkConfig(channels=16, exchanged=4, reach=((1, 1), (2, 2), (1, 4)))
    pitch = PitchTask(PitchConfig(network, pieces=budget.pieces, excerpts=2, seconds=2.0), renders)
    hearing = _trained(pitch, LoopConfig(budget.hearing_steps, 4e-3, 30, averaged=0.98, clip=20.0))
    config = JointConfig(
        pieces=budget.pieces, mixtures=2, seconds=3.0, phases=(Phase(trained=("assigner",), assigned=1.0),)
    )
    model = _trained(
        JointTask(config, renders, hearing=hearing),
        LoopConfig(budget.assigner_steps, 1e-2, 10, averaged=0.95, clip=5.0),
    )
    target.mkdir(parents=True, exist_ok=True)
    write_model(target, "front", model, model.settings(), dict.fromkeys(("about", "licence", "recipe", "figures"), ""))
    return target


def row(
    contour: str, phases: tuple[Phase, ...], front: Path, singer: str, known: Sequence[Known], budget: Budget
) -> dict:
    """Train by one strategy and return its figures."""
    taught = any(phase.needs(("taught",)) for phase in phases)
    config = JointConfig(
        hearing=str(front),
        assigner=str(front),
        singer=singer,
        contour=contour,
        hearing_rate=1.0 if taught else 0.1,
        assigner_rate=1.0 if taught else 0.1,
        mixtures=budget.mixtures,
        seconds=budget.seconds,
        phases=phases or (Phase(spectral=1.0),),
    )
    task = JointTask(config, OUT, 0, Corpus(tuple(each.recording for each in known), {}))
    begun = time.process_time()
    if phases:
        _trained(task, LoopConfig(budget.steps, 1e-3, 10, averaged=0.95, clip=5.0))
    spent_s = time.process_time() - begun
    each = [_scores(task, task.model.eval(), one) for one in known]
    names = list(dict.fromkeys(name for scores in each for name in scores))
    means = {name: float(np.mean([scores[name] for scores in each if name in scores])) for name in names}
    return means | {"cpu_s": spent_s}


@torch.no_grad()
def _scores(task: JointTask, model: JointModel, known: Known) -> dict[str, float]:
    told = taught_paths(known.recording, model.hearing, VOICES)
    transform = model.hearing.config.transform
    times_s = np.arange(told.f0_NT.shape[1]) * (transform.hop_samples / transform.sample_rate)
    middle = torch.tensor([[np.sqrt(voice.low_hz * voice.high_hz) for voice in VOICES]])
    octaves_BN = torch.log2(middle / transform.low_hz).float()
    heard_BGT = torch.from_numpy(told.heard_GT)[None].float()
    contours = task.contours(model.assigner(heard_BGT, octaves_BN, transform.per_octave))[0].numpy()
    found = {"contour": contours, "decoded": told.f0_NT}
    scores = {}
    for name, f0_NT in found.items():
        tracks = {id: Track(times_s, f0.astype(float), np.ones(len(f0))) for id, f0 in zip(IDS, f0_NT, strict=True)}
        pitch = score_pitch(known.f0, tracks)
        scores[f"raw_pitch_{name}"] = np.mean([voice.raw_pitch for voice in pitch.voices.values()])
        scores[f"overall_{name}"] = np.mean([voice.overall for voice in pitch.voices.values()])
        scores[f"f_{name}"] = pitch.assignment_f_measure
    if known.stems:
        found["given"] = np.stack([known.f0[id].at(times_s).f0_hz for id in IDS])
        scores |= {f"si_sdr_{name}": _separated(model, task, known, f0_NT) for name, f0_NT in found.items()}
    return scores


def _separated(model: JointModel, task: JointTask, known: Known, f0_NT: np.ndarray) -> float:
    """Return the mean SI-SDR of the stems through ordinary masks of the singer's powers."""
    rate, first = task.sight.frames.sample_rate, task.sight.stfts[0]
    x_S, stems_NS = _samples(known.recording, rate), [_samples(open_recording(known.stems[id]), rate) for id in IDS]
    x_BS = torch.from_numpy(x_S)[None]
    f0_BNT = torch.from_numpy(np.ascontiguousarray(f0_NT, np.float32))[None]
    at_hz, gate = upsampled(f0_BNT, task.sight.frames.hop_samples, x_BS.shape[-1])
    said = heard_power(x_BS, f0_BNT, flat_partials(at_hz, rate, rate / 2) * gate, model.singer, task.sight)
    share_NFT = masks(torch.cat([said.power()[0], said.background()[0].expand_as(said.power()[0, :1])]))[:-1]
    parts_NS = first.inverse(share_NFT * first(x_BS), x_BS.shape[-1]).numpy()
    return float(
        np.mean([si_sdr(stem[: len(part)], part[: len(stem)]) for stem, part in zip(stems_NS, parts_NS, strict=True)])
    )


def _samples(recording: Recording, rate: int) -> np.ndarray:
    mono = recording.read(0, recording.length).mean(0)
    return soxr.resample(mono, recording.sample_rate, rate, quality="HQ").astype(np.float32)


def _trained(task, loop: LoopConfig):
    task.check = dict
    with tempfile.TemporaryDirectory() as folder:
        return train(task, replace(loop, save_every=loop.steps, check_every=loop.steps), Path(folder))


def _beginning(recording: Recording, seconds: float) -> Recording:
    return excerpt(recording, 0, seconds) if recording.length > seconds * recording.sample_rate else recording


def _until(track: Track, lag_s: float, end_s: float) -> Track:
    inside = track.times_s + lag_s <= end_s
    return Track(track.times_s[inside] + lag_s, track.f0_hz[inside], track.confidence[inside])


COLUMNS = {
    "raw_pitch_contour": "raw pitch, contour", "overall_contour": "overall, contour",
    "raw_pitch_decoded": "raw pitch, decoded", "overall_decoded": "overall, decoded",
    "f_decoded": "assigned F, decoded",
    "si_sdr_contour": "SI-SDR, contour", "si_sdr_decoded": "SI-SDR, decoded", "si_sdr_given": "SI-SDR, F0 given",
    "cpu_s": "CPU seconds",
}  # fmt: skip


def page(found: Mapping) -> Iterator[str]:
    """Yield the lines of the page."""
    budget, rows = found["budget"], found["rows"]
    yield _INTRODUCTION.format(**budget)
    yield f"| strategy | {' | '.join(COLUMNS.values())} |"
    yield f"|---|{'---:|' * len(COLUMNS)}"
    for name, figures in rows.items():
        cells = [_number(figures.get(key), 3 if "si_sdr" not in key and key != "cpu_s" else 1) for key in COLUMNS]
        yield f"| {name} | {' | '.join(cells)} |"
    yield "\n## What a step costs\n"
    yield "CPU seconds of one thread, optimiser included, and the peak memory of the process.\n"
    yield "| step | seconds | wanted | published | memory in GB |\n|---|---:|---:|---:|---:|"
    for name, cost in found.get("costs", {}).items():
        shown = (cost["seconds"], cost["wanted"], cost["published"], cost["memory_gb"])
        yield f"| {name} | {' | '.join(f'{value:.2f}' for value in shown)} |"
    told, minutes = found["machine"], found["seconds"] / 60
    yield f"\n*{told['processor']}, torch {told['versions']['torch']}; the table in {minutes:.0f} minutes.*"


_INTRODUCTION = """\
# Strategies of joint training

Built by `python -m bench.ablation`; nothing here was typed by hand. Every row begins with the same front end (a small
salience network and an assigner, trained for {hearing_steps} and {assigner_steps} steps on synthetic pieces only: weak
on purpose) and a singer that was trained on synthetic mixtures, and learns for {steps} steps of {mixtures} ×
{seconds:g} s from the mixtures that it is then scored on: Cantoría and Dagstuhl (at most {recordings_s:g} s of each)
and two quartet excerpts of El Rossinyol. No stem and no F0 is shown to it. Learning rates: 1e-3; of a front end that
nobody teaches 1e-4, as published.

*Contour*: F0 as the contour method of the row reads it from the salience of every voice. *Decoded*: F0 of the joint
decoder from the same salience network. Raw pitch, overall accuracy and F are means over voices and recordings;
SI-SDR in dB, of the excerpts, through ordinary masks.
"""


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:.{digits}f}".replace("-", "−")


def main(arguments: Sequence[str], say: Callable[[str], object] = sys.stdout.write) -> None:
    """Measure the strategies named, or all, and write the page."""
    torch.set_num_threads(1)
    words = dict(word.partition("=")[::2] for word in arguments)
    budget = BUDGETS["quick" if "quick" in words else "whole"]
    chosen = [word for word in words if word not in ("quick", "front", "singer")]
    table = strategies(budget.steps)
    if unknown := [name for name in chosen if name not in (*table, COSTS)]:
        sys.exit(
            "bench.ablation: expected quick, front=FOLDER, singer=NAME, costs or one of "
            f"{', '.join(table)}, got {unknown[0]!r}"
        )
    known, folder = recordings(budget.recordings_s), OUT / "ablation"
    folder.mkdir(parents=True, exist_ok=True)
    front = Path(words["front"]) if "front" in words else front_end(budget, folder)
    found = json.loads(JSON.read_text("utf-8")) if chosen and JSON.is_file() else {"rows": {}, "seconds": 0.0}
    found |= {"budget": asdict(budget), "machine": machine()}
    for name in [name for name in chosen if name != COSTS] if chosen else table:
        begun = time.perf_counter()
        found["rows"][name] = row(*table[name], front, words.get("singer", "singer"), known, budget)
        found["rows"] = {each: found["rows"][each] for each in table if each in found["rows"]}
        found["seconds"] += time.perf_counter() - begun
        say(f"{name}: {json.dumps({key: round(value, 3) for key, value in found['rows'][name].items()})}\n")
        sys.stdout.flush()
        _write(found)
    if not chosen or COSTS in chosen:
        _write(found | {"costs": costs()})


def _write(found: Mapping) -> None:
    JSON.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text("\n".join(page(found)) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
