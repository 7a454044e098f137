"""The recordings that quality is measured on, brought into one shape: a folder per piece with stems, mixture and F0."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from partbook.ensemble import range_hz
from partbook.evaluate.material import Files, find_pieces
from partbook.pitch.tracks import Track, write_f0

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("PARTBOOK_SHARED", REPOSITORY.parent / "shared")) / "data"
OUT = REPOSITORY / "bench" / "out"


@dataclass(frozen=True)
class Material:
    """One recording, or several alike.

    Attributes
    ----------
    name, title
        For files and for people.
    folder
        Of the references, below the shared recordings.
    pieces
        Folders of pieces inside it; empty if it is one piece itself.
    voices
        Ids of the stems, high to low, where their names do not say it.
    stems
        File of every stem where the folder holds more than the stems.
    published
        Outputs of other systems by name; ``{piece}`` stands for the folder of the piece.
    least_hz, most_hz
        Where F0 is looked for in the stems, in the range of the voice.
    protocols
        How it is scored.
    """

    name: str
    title: str
    folder: str
    pieces: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()
    stems: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[str, str] = field(default_factory=dict)
    least_hz: float = 60.0
    most_hz: float = 1100.0
    protocols: tuple[str, ...] = ("excerpts",)


_EXCERPTS = "voices/rossinyol_excerpts"
_WHOLE = "voices/rossinyol/published"
MATERIAL = (
    Material(
        "quartet-excerpts",
        "El Rossinyol, real quartet, two excerpts of 4 s",
        _EXCERPTS,
        ("7.984", "27.984"),
        published={
            system: f"{_EXCERPTS}/{{piece}}/published/{system}"
            for system in ("W-Up-bcbsq", "W-Up-bc1song", "UMSS-bcbsq", "UMSS-bc1song", "U-Net-bcbsq")
        },
    ),
    Material(
        "duet-excerpts",
        "El Rossinyol, real duets, three excerpts of 4 s",
        _EXCERPTS,
        ("duet_soprano_alto", "duet_alto_bass", "duet_tenor_bass"),
        published={"UMSS-2voices": f"{_EXCERPTS}/{{piece}}/published/UMSS-2voices"},
    ),
    Material(
        "quartet-song",
        "El Rossinyol, real quartet, whole song of 137 s",
        "voices/rossinyol",
        published={
            "score-informed NMF": f"{_WHOLE}/score-informed-nmf",
            "score-informed Wave-U-Net": f"{_WHOLE}/score-informed-wave-u-net",
        },
        protocols=("excerpts", "umss"),
    ),
    Material("sinsy-chorale", "Bach chorale BWV 269, synthetic voices with exact F0", "voices/sinsy_bwv269"),
    Material(
        "choralsynth",
        "ChoralSynth, three pieces with lyrics, synthetic voices",
        "voices/choralsynth",
        ("08_Anima_nostra/voices", "Hunting_song_Macfarren_WC/voices", "If_you_love_me/voices"),
        voices=("cantus", "soprano", "altus", "alto", "tenor i", "tenor ii", "tenor", "bassus", "bass"),
    ),
    Material(
        "violin-duet",
        "URMP, two real violins",
        "ensembles/urmp_violin_duet",
        voices=("violin1", "violin2"),
        stems={"violin1": "VIOLIN1_REF.flac", "violin2": "VIOLIN2_REF.flac", "mix": "VIOLINS_MIX.flac"},
        published={"published": "ensembles/urmp_violin_duet/{piece}_SEP"},
        most_hz=3000.0,
    ),
    Material(
        "solo-singers",
        "Vocadito, two real solo singers added up",
        "voices/vocadito",
        voices=("singer1", "singer2"),
        stems={"singer1": "vocadito_14.flac", "singer2": "vocadito_10.flac"},
    ),
    Material(
        "octave-scale",
        "Dagstuhl ChoirSet, real soprano and bass an octave apart on one scale, larynx microphones added up",
        "voices/dagstuhl/khadorstorm_SE/audio_wav_22050_mono",
        voices=("soprano", "bass"),
        stems={
            "soprano": "DCS_SE_FullChoir_ScaleUpDown02_S1_LRX.flac",
            "bass": "DCS_SE_FullChoir_ScaleUpDown02_B1_LRX.flac",
        },
    ),
)


def prepared(material: Material) -> Path:
    """Gather the references of a material below ``bench/out`` and return the folder of its pieces.

    Stems stay where they are and are linked; a missing mixture is written as the sum of the stems; F0 that is not
    known is estimated from the stems with pYIN in windows of 64 ms, each in the range of its voice.
    """
    target = OUT / material.name / "references"
    for files in _pieces(material):
        folder = target / files.piece
        folder.mkdir(parents=True, exist_ok=True)
        for id, path in files.stems.items():
            _link(path, folder / f"{id}{path.suffix}")
        _mixture(files, folder)
        for id, path in files.stems.items():
            f0 = folder / "f0" / f"{id}.csv"
            f0.parent.mkdir(exist_ok=True)
            if id in files.f0:
                shutil.copyfile(files.f0[id], f0)
            elif not f0.is_file():
                write_f0(f0, pyin(path, id, material.least_hz, material.most_hz))
    return target


def voices_of(material: Material, files: Files) -> list[str]:
    """Return the ids of a piece from the highest voice to the lowest."""
    order = list(material.voices) or list(files.stems)
    return sorted(files.stems, key=order.index)


def published(material: Material) -> dict[str, Path]:
    """Gather the outputs of other systems in one folder per piece and return them by name."""
    found = {}
    for system, pattern in material.published.items():
        for piece in material.pieces or (Path(material.folder).name,):
            folder = OUT / material.name / piece / system
            folder.mkdir(parents=True, exist_ok=True)
            for path in _published_files(pattern, piece):
                _link(path, folder / path.name)
        found[system] = OUT / material.name / "{piece}" / system
    return found


def pyin(path: Path, id: str, least_hz: float, most_hz: float, window_s: float = 0.064) -> Track:
    """Return the F0 of a single voice by pYIN (Mauch & Dixon, ICASSP 2014), every 8 ms.

    It is looked for between two frequencies, and in the range of the voice that the id names: wider, pYIN finds up to a
    sixth of the voiced frames in the noise of rests, far above the voice.
    """
    import librosa

    low_hz, high_hz = range_hz(id)
    samples, rate = soundfile.read(path, always_2d=True)
    samples, rate = librosa.resample(samples.mean(1), orig_sr=rate, target_sr=16_000), 16_000
    f0_hz, _, confidence = librosa.pyin(
        samples,
        sr=rate,
        fmin=max(least_hz, low_hz),
        fmax=min(most_hz, high_hz),
        frame_length=round(window_s * rate),
        hop_length=128,
    )
    times_s = np.arange(len(f0_hz)) * 128 / rate
    return Track(times_s, np.nan_to_num(f0_hz), np.nan_to_num(confidence))


def _pieces(material: Material) -> Iterator[Files]:
    root = SHARED / material.folder
    if material.stems:
        stems = {id: root / name for id, name in material.stems.items()}
        yield Files(root.name, {id: path for id, path in stems.items() if id != "mix"}, stems.get("mix"))
        return
    for piece in material.pieces or ("",):
        (files,) = find_pieces(root / piece)
        name = Path(piece).parts[0] if piece else root.name
        yield Files(name, files.stems, files.mixture, files.f0)


def _mixture(files: Files, folder: Path) -> None:
    if files.mixture:
        _link(files.mixture, folder / f"mix{files.mixture.suffix}")
    elif not (folder / "mix.wav").is_file():
        stems = [soundfile.read(path, always_2d=True) for path in files.stems.values()]
        total = np.zeros((max(len(samples) for samples, _ in stems), stems[0][0].shape[1]))
        for samples, _ in stems:
            total[: len(samples)] += samples
        soundfile.write(folder / "mix.wav", total, stems[0][1], subtype="FLOAT")


def _published_files(pattern: str, piece: str) -> list[Path]:
    start = SHARED / pattern.replace("{piece}", piece)
    if pattern.endswith("_SEP"):
        return sorted(start.parent.glob("*_SEP.*"))
    return sorted(path for path in start.parent.iterdir() if path.name.startswith(start.name))


def _link(path: Path, to: Path) -> None:
    if not to.exists():
        to.symlink_to(path)
