"""The singer on every recording with a truth, beside a comb and a fit, and what a training step of it costs.

``python -m bench.singer [MATERIAL …] [adapt] [step]`` measures what is named, or all, prints the tables and writes them
into ``docs/singer.md``, beside what is not measured anew. With ``adapt`` the network is also adapted to every
recording, which takes a minute each.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from rich.console import Console

from partbook.config import Options
from partbook.dsp.precision import low_precision_pays
from partbook.evaluate.floors import harmonic_comb
from partbook.evaluate.material import Files, find_pieces
from partbook.evaluate.protocols import PROTOCOLS, excerpts
from partbook.evaluate.separation import is_silent, si_sdr
from partbook.evaluate.spectral import mel_cepstral_distance
from partbook.pitch.tracks import Track, read_f0, within
from partbook.separate import separate
from partbook.train.recipes import read_recipe
from partbook.train.singer import SingerTask

from .material import MATERIAL, REPOSITORY, Material, prepared, voices_of

PUBLISHED = {"seconds": 16.5, "memory_gb": 4.3}
"""The published network on the same kind of batch, one thread (a sum of 101 sinusoids, an all-pole loop)."""

SYNTHETIC = ("sinsy-chorale", "choralsynth")
"""Materials of voices that nobody sang."""

SCENES = 4
"""Of a training step that is measured."""

LONGEST_S = 24.0
"""Of a longer piece so much is heard, from a quarter of it on."""

SYSTEMS = {
    "comb": None,
    "fit": Options(model="fit"),
    "network": Options(model="network"),
    "both": Options(),
    "both, adapted": Options(adapt_s=60.0),
}
PAGE, JSON = REPOSITORY / "docs" / "singer.md", REPOSITORY / "docs" / "singer.json"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass
class Tally:
    """What one system reached on one material: SI-SDR and mel-cepstral distance of cells, CPU and audio seconds."""

    si_sdr: list[float] = field(default_factory=list)
    distance: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    audio_s: float = 0.0

    def figures(self) -> dict[str, float]:
        """Return the means."""
        rate = self.cpu_s / self.audio_s if self.audio_s else 0.0
        return {"si_sdr": float(np.mean(self.si_sdr)), "distance": float(np.mean(self.distance)), "rate": rate}


def material_figures(material: Material, systems: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return the figures of every system with F0 given and its own, by ``given: fit``, ``own: fit`` and so on."""
    tallies: dict[str, Tally] = {}
    for files in find_pieces(prepared(material)):
        voices = voices_of(material, files)
        mixture, references, rate, from_s, to_s = stretch(files, voices)
        given = {voice: within(read_f0(files.f0[voice]), voice, from_s, to_s) for voice in voices}
        for source, f0 in (("given", given), ("own", None)):
            for system in systems:
                began = time.process_time()
                images = _images(mixture, rate, voices, f0, SYSTEMS[system])
                tally = tallies.setdefault(f"{source}: {system}", Tally())
                tally.cpu_s += time.process_time() - began
                tally.audio_s += to_s - from_s
                _score(tally, references, images, rate)
    return {name: tally.figures() for name, tally in tallies.items()}


def stretch(files: Files, voices: Sequence[str]) -> tuple[np.ndarray, np.ndarray, int, float, float]:
    """Return mixture (M, S) and references (N, S), their rate, and from when to when they last."""
    with soundfile.SoundFile(files.mixture) as file:
        rate, length = file.samplerate, file.frames
    most = round(LONGEST_S * rate)
    first = length // 4 if length > 1.5 * most else 0
    count = min(most, length - first) if first else length
    mixture, *parts = (
        soundfile.read(path, frames=count, start=first, always_2d=True)[0].T
        for path in (files.mixture, *(files.stems[voice] for voice in voices))
    )
    references = np.zeros((len(voices), mixture.shape[1]))
    for reference, part in zip(references, parts, strict=True):
        reference[: part.shape[1]] = part.mean(0)
    return mixture, references, rate, first / rate, (first + mixture.shape[1]) / rate


def _images(
    mixture: np.ndarray, rate: int, voices: Sequence[str], f0: Mapping[str, Track] | None, options: Options | None
) -> np.ndarray:
    """Return the voices (N, S), their channels averaged, from F0 given or found; a comb without options."""
    if options is None:
        f0 = f0 or separate(mixture, rate, voices=voices, options=SYSTEMS["fit"]).f0
        images = harmonic_comb(torch.from_numpy(mixture), rate, [f0[voice] for voice in voices]).numpy()
    else:
        stems = separate(mixture, rate, voices=voices, f0=f0, options=options)
        images = np.stack([np.asarray(stems[voice]) for voice in voices])
    return images.mean(1)


def _score(tally: Tally, references: np.ndarray, images: np.ndarray, rate: int) -> None:
    """Add the scores of all cells of 4 s in which a reference sounds."""
    for first, last in excerpts(PROTOCOLS["excerpts"], references.shape[1], rate):
        for reference, image in zip(references[:, first:last], images[:, first:last], strict=True):
            if not is_silent(reference):
                tally.si_sdr.append(float(si_sdr(reference, image)))
                tally.distance.append(float(mel_cepstral_distance(reference, image, rate)))


def training_step(steps: int = 12) -> Mapping[str, float]:
    """Return CPU seconds of a step on 4 × 4 s × 4 voices with F0 given, its batches apart, and the peak memory.

    Neighbours on a machine make steps slower and none faster, by half and more: the least is what a step costs, the
    median what it cost that day.

    All is as in the recipe, which learns from so many scenes at once; four scenes are as many batches of one step. The
    first step, in which kernels are chosen, is not counted.
    """
    torch.set_num_threads(1)
    recipe = read_recipe("singer", "singer")
    low_precision = recipe.loop.low_precision and low_precision_pays(torch.device("cpu"))
    config = replace(recipe.settings, pieces=4, seconds=4.0, voices=(4,))
    batches = max(1, SCENES // config.scenes)
    with tempfile.TemporaryDirectory() as folder:
        task = SingerTask(config, Path(folder))
        optimiser = torch.optim.AdamW(task.model.parameters())
        task.batch(0, 0)
        drawing, learning = [], []
        for step in range(steps + 1):
            started = time.process_time()
            drawn = [task.batch(0, batches * step + k) for k in range(batches)]
            ready = time.process_time()
            optimiser.zero_grad()
            for batch in drawn:
                with torch.autocast("cpu", torch.bfloat16, enabled=low_precision):
                    loss, _ = task.loss(batch)
                (loss / batches).backward()
            optimiser.step()
            drawing.append(ready - started)
            learning.append(time.process_time() - ready)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    weights = sum(weight.numel() for weight in task.model.parameters())
    return {
        "seconds": min(learning[1:]),
        "median_seconds": float(np.median(learning[1:])),
        "batch_seconds": min(drawing[1:]),
        "memory_gb": peak_gb,
        "weights": weights,
    }


def tables(known: Mapping[str, Mapping]) -> Iterator[str]:
    """Yield the lines of the tables of all that is known."""
    materials = known.get("materials", {})
    names = [material.name for material in MATERIAL if material.name in materials]
    for what, of, digits in (("SI-SDR in dB", "si_sdr", 2), ("Mel-cepstral distance", "distance", 1)):
        for source, title in (("given", "F0 given"), ("own", "F0 of its own")):
            yield f"{what}, {title}:\n"
            yield f"| | {' | '.join(names)} | mean of real recordings |"
            yield f"|---|{'---:|' * (len(names) + 1)}"
            for system in SYSTEMS:
                found = [materials[name].get(f"{source}: {system}") for name in names]
                if not any(found):
                    continue
                real = [f[of] for name, f in zip(names, found, strict=True) if f and name not in SYNTHETIC]
                whole = f"{np.mean(real):.{digits}f}" if all(found) else "–"
                told = [f"{each[of]:.{digits}f}" if each else "–" for each in found]
                yield f"| {system} | {' | '.join(told)} | {whole} |"
            yield ""
    rates = {
        system: [f[f"{s}: {system}"]["rate"] for f in materials.values() for s in ("given",) if f"{s}: {system}" in f]
        for system in SYSTEMS
    }
    told = ", ".join(f"{system} {np.mean(rate):.2f}" for system, rate in rates.items() if rate)
    yield f"CPU seconds per second of a recording whose F0 is given, one thread: {told}.\n"
    if "step" in known:
        step = known["step"]
        yield (
            f"A training step of four scenes of 4 s with four voices: {step['seconds']:.2f} CPU seconds of one thread "
            f"at best, {step['median_seconds']:.2f} at the median of twelve, and {step['batch_seconds']:.2f} to make "
            f"its batch, in {step['memory_gb']:.1f} GB, for {step['weights']} weights; the published network's took "
            f"{PUBLISHED['seconds']} s and {PUBLISHED['memory_gb']} GB.\n"
        )


def main(arguments: Sequence[str]) -> None:
    """Measure what is named, or all, and write the tables."""
    torch.set_num_threads(1)
    names = [name for name in arguments if name not in ("adapt", "step")]
    known_names = [material.name for material in MATERIAL]
    unknown = [name for name in names if name not in known_names]
    if unknown:
        sys.exit(f"bench.singer: expected {', '.join(known_names)}, adapt or step, got {unknown[0]!r}")
    systems = [system for system in SYSTEMS if "adapt" in arguments or "adapted" not in system]
    known = json.loads(JSON.read_text("utf-8")) if JSON.is_file() else {"materials": {}}
    for material in MATERIAL:
        if material.name in names or not (names or "step" in arguments):
            kept = known["materials"].get(material.name, {})
            known["materials"][material.name] = kept | material_figures(material, systems)
            _write(known)
    if "step" in arguments or not arguments:
        known["step"] = dict(training_step())
        _write(known)
    Console(width=200).print("\n".join(tables(known)), markup=False, highlight=False)


def _write(known: Mapping[str, Mapping]) -> None:
    """Keep the figures, and put the tables of them into the page."""
    JSON.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n" + "\n".join(tables(known)) + f"\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
