"""Which sections of a session tell its room: those that sound, without their pauses.

To a likelihood that knows no scale every frame counts alike, whatever its level: a room learned from a pause is that of
the noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.ndimage import binary_dilation

from ..audio import Recording
from ..audio.conditioning import PART_S, loud, powers
from ..config import Options, SessionConfig
from .analysis import Analysis, Section

PAUSE = 1e-3
"""Power, relative to what is loud in the recording, up to which nobody plays (−30 dB)."""


def affordable_s(analysis: Analysis, options: Options, config: SessionConfig) -> float:
    """Return from how many seconds at once the room may be learned."""
    values_per_s = config.overlap * config.band_hz
    bytes_per_s = values_per_s * (24 * len(analysis.live) + 40 * (len(analysis.spots) + 1))
    return min(config.room_s, options.memory_bytes / 3 / bytes_per_s)


def telling(
    sections: Sequence[Section], analysis: Analysis, options: Options, config: SessionConfig
) -> Mapping[int, Section]:
    """Return the sections to learn the room from by number, as many as fit, evenly spread over those that sound.

    What they hear ends where their sound does. A section that sounds for less than half as long as another does tells
    little.
    """
    heard = dict(enumerate(without_pauses(sections, analysis.recording)))
    longest = max(section.last - section.first for section in heard.values())
    numbers = [number for number, section in heard.items() if section.last - section.first >= longest / 2]
    section_s = (sections[0].last - sections[0].first) / analysis.recording.sample_rate
    count = max(1, min(len(numbers), int(affordable_s(analysis, options, config) / section_s)))
    chosen = [numbers[int((k + 0.5) * len(numbers) / count)] for k in range(count)]
    return {number: heard[number] for number in chosen}


def without_pauses(sections: Sequence[Section], recording: Recording) -> list[Section]:
    """Return sections that hear nothing of the pauses at their ends, nor anything if all is one.

    If nothing sounds at all they are as they were.
    """
    sounds, part = _sounding(recording)
    trimmed = []
    for section in sections:
        parts = np.flatnonzero(sounds[section.first // part : -(-section.last // part)]) + section.first // part
        ends = (parts[0] * part, (parts[-1] + 1) * part) if len(parts) else (section.first, section.first)
        first, last = np.clip(ends, section.first, section.last)
        trimmed.append(replace(section, first=int(first), last=int(last)))
    return trimmed


def sounding_ends(recording: Recording) -> tuple[int, int]:
    """Return the samples between which a recording sounds, all if it never does."""
    sounds, part = _sounding(recording)
    parts = np.flatnonzero(sounds)
    return int(parts[0]) * part, min(recording.length, (int(parts[-1]) + 1) * part)


def _sounding(recording: Recording) -> tuple[np.ndarray, int]:
    """Return which parts of a recording sound, all if none does, and their length in samples."""
    part = max(1, round(PART_S * recording.sample_rate))
    power = powers(recording, part)
    # What sounds begins in the part before, and rings into the one after.
    sounds = binary_dilation(power > PAUSE * loud(power))
    return (sounds if sounds.any() else ~sounds), part


__all__ = ["PAUSE", "affordable_s", "sounding_ends", "telling", "without_pauses"]
