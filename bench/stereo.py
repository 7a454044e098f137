"""Real voices on two channels: in a stereo mix, and before a pair of microphones in a simulated room.

No stereo recording of voices has a truth. So real stems are placed: panned to the left and right, or sung in a room
before a pair of microphones (image method), and separated blindly. The truth is every voice in both channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from partbook.audio import recording_from_array
from partbook.config import Options, VoicesConfig
from partbook.engine.voices import separate_voices
from partbook.ensemble import high_to_low, named_singers
from partbook.evaluate.floors import ideal_ratio_mask
from partbook.evaluate.material import find_pieces
from partbook.evaluate.separation import is_silent, si_sdr
from partbook.room.plan import Capsule, Hall
from partbook.room.simulate import images, impulse_responses
from partbook.stems import collect

from .material import MATERIAL, prepared, voices_of
from .singer import stretch

MATERIALS = ("quartet-excerpts", "duet-excerpts", "quartet-song", "sinsy-chorale", "violin-duet")
STAND_M = (6.0, 4.0, 1.7)
"""Where microphones stand in the hall, and how high; the voices stand before them in an arc of 100°."""


@dataclass(frozen=True)
class InHall:
    """Microphones, how far the voices are, and how reverberant the hall of 12 × 16 × 6 m is."""

    microphones: tuple[Capsule, ...]
    distance_m: float
    rt60_s: float

    def placed(self, stems_NS: np.ndarray, rate: int) -> np.ndarray:
        """Return the voices (N, M, S) as the microphones hear them."""
        angles = np.radians(np.linspace(-50, 50, len(stems_NS)))
        x, y, _ = STAND_M
        places = [(x + self.distance_m * np.sin(a), y + self.distance_m * np.cos(a), 1.6) for a in angles]
        return images(stems_NS, impulse_responses(Hall(rt60_s=self.rt60_s), places, self.microphones, rate))


@dataclass(frozen=True)
class Panned:
    """A mix of constant power, the outer voices at a share of the way to the sides."""

    width: float

    def placed(self, stems_NS: np.ndarray, rate: int) -> np.ndarray:
        """Return the voices (N, 2, S) in both channels."""
        angles = (1 + np.linspace(-self.width, self.width, len(stems_NS))) * np.pi / 4
        return np.stack([np.cos(angles), np.sin(angles)], 1)[..., None] * stems_NS[:, None]


def _crossed() -> tuple[Capsule, Capsule]:
    aims = [(np.sin(a), np.cos(a), 0.0) for a in np.radians([-45, 45])]
    return Capsule(STAND_M, aims[0]), Capsule(STAND_M, aims[1])


def _spaced() -> tuple[Capsule, Capsule]:
    x, y, z = STAND_M
    return Capsule((x - 0.3, y, z), pattern="omni"), Capsule((x + 0.3, y, z), pattern="omni")


SETUPS: Mapping[str, Panned | InHall] = {
    "in the middle": Panned(0.0),
    "panned by 5 %": Panned(0.05),
    "panned by 40 %": Panned(0.4),
    "panned by 90 %": Panned(0.9),
    "crossed cardioids, 1.6 m, RT60 0.5 s": InHall(_crossed(), 1.6, 0.5),
    "crossed cardioids, 2.5 m, RT60 1.2 s": InHall(_crossed(), 2.5, 1.2),
    "omnis 60 cm apart, 1.6 m, RT60 0.5 s": InHall(_spaced(), 1.6, 0.5),
    "omnis 60 cm apart, 2.5 m, RT60 1.2 s": InHall(_spaced(), 2.5, 1.2),
}


def stereo() -> list[dict[str, object]]:
    """Return a table per material, with one mask for both channels beside Partbook."""
    return with_and_without("On two channels", SETUPS, "one mask", VoicesConfig(places=False))


def with_and_without(
    title: str, setups: Mapping[str, Panned | InHall], lacking: str, config: VoicesConfig
) -> list[dict[str, object]]:
    """Return a table per material, a row per setup: do nothing, Partbook lacking something, Partbook, ideal masks."""
    torch.set_num_threads(1)
    columns = ["voices, blind, at most 24 s", "do nothing", lacking, "Partbook", "ideal ratio masks"]
    tables = []
    for material in (each for each in MATERIAL if each.name in MATERIALS):
        rows = []
        for name, setup in setups.items():
            scores = []
            for files in find_pieces(prepared(material)):
                voices = voices_of(material, files)
                _, stems_NS, rate, _, _ = stretch(files, voices)
                scores.append(_scores(setup.placed(stems_NS, rate), rate, voices, config, VoicesConfig()))
            rows.append([name, *(f"{score:.2f}".replace("-", "−") for score in np.mean(scores, 0))])
        tables.append({"title": f"{title}: {material.title}", "columns": columns, "rows": rows})
    return tables


def _scores(truth_NMS: np.ndarray, rate: int, voices: Sequence[str], *configs: VoicesConfig) -> list[float]:
    """Return the mean SI-SDR of all voices in all channels: do nothing, as configured, ideal ratio masks."""
    mixture = truth_NMS.sum(0)
    singers = high_to_low(named_singers(voices))
    found = [np.repeat(mixture[None], len(truth_NMS), 0)]
    for config in configs:
        recording = recording_from_array(mixture.astype(np.float32), rate)
        stems = collect(separate_voices(recording, singers, f0={}, options=Options(), config=config))
        found.append(np.stack([np.asarray(stems[voice]) for voice in voices]))
    ideal = ideal_ratio_mask(torch.from_numpy(truth_NMS).float(), torch.from_numpy(mixture).float(), rate)
    found.append(ideal.numpy())
    return [_si_sdr(truth_NMS, images_NMS) for images_NMS in found]


def _si_sdr(truth_NMS: np.ndarray, images_NMS: np.ndarray) -> float:
    pairs = zip(truth_NMS.reshape(-1, truth_NMS.shape[-1]), images_NMS.reshape(-1, truth_NMS.shape[-1]), strict=True)
    return float(np.mean([si_sdr(truth, image) for truth, image in pairs if not is_silent(truth)]))
