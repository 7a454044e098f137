"""Ensembles of sampled instruments, played by FluidSynth with a soundfont that nothing was trained on."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import mido
import numpy as np
import soundfile

from partbook.data.counterpoint import some_score
from partbook.data.scores import Part, Score, bundled_score
from partbook.pitch.tracks import write_f0

from .material import OUT, pyin

ENSEMBLES = {
    "soundfont-winds": {"flute": 73, "oboe": 68, "clarinet": 71, "bassoon": 70},
    "soundfont-quintet": {"violin1": 40, "flute2": 73, "clarinet3": 71, "horn4": 60, "cello5": 42},
}
"""Players high to low, with their programs in General MIDI, numbered from 0."""

_SOUNDFONTS = (Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"), Path("/usr/share/sounds/sf2/default-GM.sf2"))
_SECONDS, _RATE = 30.0, 44_100
_RMS = 0.06
"""Of every player: all are about equally loud."""

Entry = tuple[str, str, Mapping[str, str]]


def soundfont_pieces() -> dict[str, Entry]:
    """Return title, mixture and F0 files of every ensemble by name; nothing where there is no synthesiser."""
    soundfont = next((path for path in _SOUNDFONTS if path.is_file()), None)
    if shutil.which("fluidsynth") is None or soundfont is None:
        return {}
    return {name: _piece(name, players, soundfont) for name, players in ENSEMBLES.items()}


def _piece(name: str, players: Mapping[str, int], soundfont: Path) -> Entry:
    folder = OUT / name / "references"
    title = f"{len(players)} instruments of a soundfont ({', '.join(word.rstrip('0123456789') for word in players)})"
    mixture = folder / "mix.wav"
    if not mixture.is_file():
        (folder / "f0").mkdir(parents=True, exist_ok=True)
        parts = _score(name, list(players)).parts
        stems = [
            _played(part, player, program, soundfont, folder)
            for part, (player, program) in zip(parts, players.items(), strict=True)
        ]
        total = np.zeros(max(map(len, stems)))
        for stem in stems:
            total[: len(stem)] += stem
        soundfile.write(mixture, total, _RATE, subtype="FLOAT")
    return title, str(mixture), {player: str(folder / "f0" / f"{player}.csv") for player in players}


def _score(name: str, players: Sequence[str]) -> Score:
    """Return a chorale for the winds, and polyphony by rule and chance for the others."""
    if name == "soundfont-winds":
        return bundled_score("jesu")
    return some_score(players, _SECONDS, np.random.default_rng([len(players), 7]))


def _played(part: Part, player: str, program: int, soundfont: Path, folder: Path) -> np.ndarray:
    """Return one part alone, dry, and write its F0."""
    midi, wav = folder / f"{player}.mid", folder / f"{player}.wav"
    events = [(note.start_s, 1, round(note.midi)) for note in part.notes]
    events += [(note.stop_s - 0.01, 0, round(note.midi)) for note in part.notes]
    file = mido.MidiFile(ticks_per_beat=500)
    file.tracks.append(_track(sorted(events), program))
    file.save(midi)
    quiet = ["-ni", "-q", "-R", "0", "-C", "0", "-r", str(_RATE), "-F", str(wav), str(soundfont), str(midi)]
    subprocess.run(["fluidsynth", *quiet], check=True, capture_output=True, timeout=120)
    samples, _ = soundfile.read(wav, always_2d=True)
    samples = samples.mean(1)
    samples *= _RMS / np.sqrt((samples**2).mean() + 1e-12)
    soundfile.write(wav, samples, _RATE, subtype="FLOAT")
    write_f0(folder / "f0" / f"{player}.csv", pyin(wav, player, 50.0, 2000.0))
    return samples


def _track(events: Sequence[tuple[float, int, int]], program: int) -> mido.MidiTrack:
    """Return events (seconds, on or off, note) at the default tempo, in which a tick is a millisecond."""
    track = mido.MidiTrack([mido.Message("program_change", program=program)])
    now = 0
    for seconds, on, note in events:
        tick = round(1000 * seconds)
        track.append(mido.Message("note_on", note=note, velocity=90 * on, time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=500))
    return track


__all__ = ["ENSEMBLES", "soundfont_pieces"]
