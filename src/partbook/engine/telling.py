"""Which sections of a session tell its room: those that sound, without their pauses.

To a likelihood that knows no scale every frame counts alike, whatever its level: a room learned from a pause is that of
the noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..audio import Recording
from ..audio.conditioning import sounding
from ..config import Options, SessionConfig
from .analysis import Analysis, Section


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
    sounds, part = sounding(recording)
    trimmed = []
    for section in sections:
        parts = np.flatnonzero(sounds[section.first // part : -(-section.last // part)]) + section.first // part
        ends = (parts[0] * part, (parts[-1] + 1) * part) if len(parts) else (section.first, section.first)
        first, last = np.clip(ends, section.first, section.last)
        trimmed.append(replace(section, first=int(first), last=int(last)))
    return trimmed


__all__ = ["affordable_s", "telling", "without_pauses"]
