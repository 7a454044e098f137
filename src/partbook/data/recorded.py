"""Singers with the voice of a person: what Sinsy sings, at another pitch and in another size.

`Sinsy <https://sinsy.sourceforge.net>`_ sings notes with a voice learned from recordings of one woman (NIT SONG070
F001, Nagoya Institute of Technology, CC BY 3.0). WORLD (Morise, Yokomori & Ozawa, "WORLD: a vocoder-based high-quality
speech synthesis system", IEICE Trans. Inf. Syst., 2016) takes that apart into F0, spectral envelope and aperiodicity;
here the envelope is stretched to the tract of any voice, and the F0 is a singer's of :mod:`partbook.data.singing`. So
the spectra and how they move from sound to sound are a person's, and the F0 is exact.

Needs the packages of the extra ``recorded``.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import scipy.ndimage
import soxr

from ..errors import OptionError
from ..pitch.tracks import Track
from .contours import CONTROL_HZ, control_times_s, swell_db
from .excitation import loudest_rms
from .scores import Note
from .singing import Singer, f0_sung_hz

SUNG_MIDI, LOWEST_MIDI, HIGHEST_MIDI = 69, 62, 76
"""Where that voice is asked to sing, on the mean of a part, and between which notes; below it has no voice."""

TRACT = 1.18
"""Formants of that voice, as :data:`partbook.data.singing.TRACTS` counts."""

SYLLABLES = tuple("あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわ")
"""What is sung, drawn note by note: Sinsy knows Japanese."""

EVENED = 0.8
"""How much of the swings of that voice's level from note to note is taken back: they are twenty decibels and more."""

_HELD = "ー"
_TICKS = 128
"""Of a second."""
_RATE = 24_000
_FRAME_S = 0.005
_STEPS = ("C", "C", "D", "D", "E", "F", "F", "G", "G", "A", "A", "B")
_SHARPS = (1, 3, 6, 8, 10)
_SOUNDS_DB = -40.0
"""Frames that are softer than this, relative to the loudest, count as unvoiced."""


def sing_recorded(
    notes: Sequence[Note], singer: Singer, duration_s: float, sample_rate: int, rng: np.random.Generator
) -> tuple[np.ndarray, Track]:
    """Sing notes with that voice; everything is as in :func:`partbook.data.singing.sing`.

    Raises
    ------
    OptionError
        If pysinsy or pyworld is missing.
    """
    _, pyworld = _packages()
    times_s = control_times_s(duration_s)
    f0_hz = f0_sung_hz(notes, singer, times_s, rng)
    loudness_db = swell_db(notes, times_s - singer.late_s, 3.0, 4.0)
    sung = _sung(notes, singer.late_s, duration_s, rng)
    found_hz, frames_s = pyworld.dio(sung, _RATE, f0_floor=120.0, f0_ceil=900.0, frame_period=1000 * _FRAME_S)
    found_hz = pyworld.stonemask(sung, found_hz, frames_s, _RATE)
    envelope_TF = pyworld.cheaptrick(sung, found_hz, frames_s, _RATE)
    aperiodicity_TF = pyworld.d4c(sung, found_hz, frames_s, _RATE)
    level_db = 10 * np.log10(envelope_TF.mean(1) + 1e-20)
    voiced = (found_hz > 0) & (level_db > level_db.max() + _SOUNDS_DB)
    gain_db = np.interp(frames_s, times_s, loudness_db) - EVENED * _swings_db(level_db, voiced)
    envelope_TF = stretched(envelope_TF, singer.tract / TRACT) * 10 ** (gain_db[:, None] / 10)
    told_hz = np.where(voiced, np.exp(np.interp(frames_s, times_s, np.log(f0_hz))), 0.0)
    samples = pyworld.synthesize(told_hz, np.ascontiguousarray(envelope_TF), aperiodicity_TF, _RATE, 1000 * _FRAME_S)
    samples = soxr.resample(samples, _RATE, sample_rate)[: round(duration_s * sample_rate)]
    samples = np.pad(samples, (0, round(duration_s * sample_rate) - len(samples)))
    at = np.round(times_s / _FRAME_S).astype(int).clip(0, len(voiced) - 1)
    every = CONTROL_HZ // 250
    inside = times_s[::every] < duration_s
    heard = voiced[at][::every][inside]
    track = Track(times_s[::every][inside], np.where(heard, f0_hz[::every][inside], 0.0), heard.astype(float))
    return samples / loudest_rms(samples, sample_rate), track


def stretched(envelope_TF: np.ndarray, ratio: float) -> np.ndarray:
    """Return spectral envelopes with all formants at so many times their frequency; above the last bin as there."""
    bins = envelope_TF.shape[1]
    at = np.arange(bins) / ratio
    low = np.floor(at).astype(int).clip(0, bins - 1)
    share = np.clip(at - low, 0, 1)
    logs_TF = np.log(envelope_TF + 1e-20)
    return np.exp((1 - share) * logs_TF[:, low] + share * logs_TF[:, (low + 1).clip(max=bins - 1)])


def score_xml(notes: Sequence[tuple[int, int, int, str]], ticks: int) -> bytes:
    """Return MusicXML of notes (start, stop, MIDI number, syllable), in ticks of 1/128 s, in one bar of ``ticks``."""
    score = ElementTree.Element("score-partwise", version="2.0")
    named = ElementTree.SubElement(ElementTree.SubElement(score, "part-list"), "score-part", id="P1")
    ElementTree.SubElement(named, "part-name").text = "voice"
    bar = ElementTree.SubElement(ElementTree.SubElement(score, "part", id="P1"), "measure", number="1")
    attributes = ElementTree.SubElement(bar, "attributes")
    ElementTree.SubElement(attributes, "divisions").text = str(_TICKS)
    ElementTree.SubElement(ElementTree.SubElement(attributes, "key"), "fifths").text = "0"
    metre = ElementTree.SubElement(attributes, "time")
    ElementTree.SubElement(metre, "beats").text = str(ticks // _TICKS)
    ElementTree.SubElement(metre, "beat-type").text = "4"
    ElementTree.SubElement(ElementTree.SubElement(bar, "direction"), "sound", tempo="60")
    at = 0
    for start, stop, midi, syllable in (*notes, (ticks, ticks, 0, "")):
        if start > at:
            ElementTree.SubElement(_note(bar, start - at), "rest")
        if stop > start:
            note = _note(bar, stop - start)
            pitch = ElementTree.SubElement(note, "pitch")
            ElementTree.SubElement(pitch, "step").text = _STEPS[midi % 12]
            ElementTree.SubElement(pitch, "alter").text = str(int(midi % 12 in _SHARPS))
            ElementTree.SubElement(pitch, "octave").text = str(midi // 12 - 1)
            ElementTree.SubElement(ElementTree.SubElement(note, "lyric"), "text").text = syllable
        at = stop
    return ElementTree.tostring(score, encoding="UTF-8", xml_declaration=True)


def _swings_db(level_db: np.ndarray, voiced: np.ndarray) -> np.ndarray:
    """Return how far the level of the voice, smoothed, is from its median."""
    if not voiced.any():
        return np.zeros_like(level_db)
    there = np.flatnonzero(voiced)
    held_db = np.interp(np.arange(len(level_db)), there, level_db[there])
    return scipy.ndimage.gaussian_filter1d(held_db, 0.1 / _FRAME_S, mode="nearest") - np.median(level_db[there])


def _note(bar: ElementTree.Element, ticks: int) -> ElementTree.Element:
    note = ElementTree.SubElement(bar, "note")
    ElementTree.SubElement(note, "duration").text = str(ticks)
    return note


def _sung(notes: Sequence[Note], late_s: float, duration_s: float, rng: np.random.Generator) -> np.ndarray:
    """Return Sinsy's singing of the notes, brought to where it sings well."""
    shift = SUNG_MIDI - round(float(np.mean([note.midi for note in notes])))
    # Sinsy wants a rest at either end.
    told, ticks = [], _TICKS * (math.ceil(duration_s) + 2)
    for note in notes:
        start, stop = (round(_TICKS * (1 + max(0.0, edge_s + late_s))) for edge_s in (note.start_s, note.stop_s))
        start, stop = max(start, told[-1][1] if told else 0), min(stop, ticks - _TICKS)
        midi = round(note.midi) + shift
        midi += 12 * math.ceil((LOWEST_MIDI - midi) / 12) if midi < LOWEST_MIDI else 0
        midi -= 12 * math.ceil((midi - HIGHEST_MIDI) / 12) if midi > HIGHEST_MIDI else 0
        syllable = _HELD if note.slurred and told else str(rng.choice(SYLLABLES))
        if stop > start:
            told.append((start, stop, midi, syllable))
    pysinsy, _ = _packages()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "score.xml"
        path.write_bytes(score_xml(told, ticks))
        with _unheard():
            sung, rate = pysinsy.synthesize(str(path))
    sung = soxr.resample(np.asarray(sung, float) / 32768, rate, _RATE)[_RATE:]
    # WORLD divides by the power of a frame: digital silence has none.
    return sung + 1e-6 * rng.standard_normal(len(sung))


@contextmanager
def _unheard():
    """Let nobody hear what libraries write to the error stream: of every short note Sinsy says that it is short."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@cache
def _packages():
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pysinsy
            import pyworld
    except ImportError as missing:
        hint = "pip install 'partbook[recorded]'"
        raise OptionError("pysinsy and pyworld for recorded voices", f"{missing}", hint) from None
    return pysinsy, pyworld


__all__ = ["SYLLABLES", "TRACT", "score_xml", "sing_recorded", "stretched"]
