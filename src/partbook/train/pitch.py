"""Training the salience network on synthetic ensembles: pieces rendered once, worn anew at every step."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, max_pool2d

from ..data.choirs import RECORDED, piece
from ..data.wear import transposed, worn
from ..errors import OptionError
from ..pitch.network import NetworkConfig, SalienceNetwork, spectral_features
from .weights import seeded

HELD_OUT = 1_000_000
"""Pieces from this seed on are for validation."""

SPREAD_ROWS = 1.0
"""Standard deviation of the target around an F0."""


@dataclass(frozen=True)
class PitchConfig:
    """What is trained on.

    Attributes
    ----------
    network
        What the network is.
    pieces, recorded, held_out
        How many are rendered to train on, how many of them with recorded voices, and how many for validation.
    excerpts, seconds
        Of a batch.
    transpose_semitones
        Excerpts are played faster or slower by up to this much, half of them.
    """

    network: NetworkConfig = field(default_factory=NetworkConfig)
    pieces: int = 400
    recorded: int = 0
    held_out: int = 24
    excerpts: int = 3
    seconds: float = 3.0
    transpose_semitones: float = 3.0

    def __post_init__(self) -> None:
        for name in ("pieces", "held_out", "excerpts"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} from 1 up", f"{getattr(self, name)}")
        if not 0 < self.seconds <= 20:
            raise OptionError("seconds above 0 and up to 20", f"{self.seconds}")


@dataclass
class PitchTask:
    """See :class:`partbook.train.loop.Task`; rendered pieces are kept in a folder."""

    config: PitchConfig
    renders: Path
    seed: int = 0

    @cached_property
    def model(self) -> SalienceNetwork:
        """The network, its first weights drawn from the seed."""
        network = seeded(lambda: SalienceNetwork(self.config.network), self.seed)
        return network.to(memory_format=torch.channels_last)

    def batch(self, seed: int, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return samples (B, S), the levels of their recordings (B,), and F0 (B, N, T), 0 where nobody sounds."""
        rng, config = np.random.default_rng([seed, step]), self.config
        return stacked(
            [
                excerpt(self.renders, some_seed(config.pieces, config.recorded, rng), config, rng)
                for _ in range(config.excerpts)
            ]
        )

    def loss(self, batch: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Mapping[str, float]]:
        """Return the cross entropy of the salience, summed over candidates as one choice per voice would be."""
        x, level, f0_BNT = batch
        network = self.config.network
        with torch.autocast(x.device.type, enabled=False):
            features = spectral_features(x[:, None], level, network)
        logits = self.model(features.contiguous(memory_format=torch.channels_last))
        target = targets(rows_of(f0_BNT, network), network.rows)
        return binary_cross_entropy_with_logits(logits.float(), target, reduction="none").sum(1).mean(), {}

    def check(self) -> Mapping[str, float]:
        """Return :func:`scores` on held-out pieces."""
        rng, config = np.random.default_rng(HELD_OUT), self.config
        x, level, f0_BNT = stacked(
            [excerpt(self.renders, HELD_OUT + number, config, rng) for number in range(config.held_out)]
        )
        logits = self.model(spectral_features(x[:, None], level, config.network))
        return scores(logits, rows_of(f0_BNT, config.network))


Excerpt = tuple[np.ndarray, float, np.ndarray]
"""Samples (S,), the level of the recording that they are from, and F0 (N, T), 0 where unvoiced."""


def excerpt(folder: Path, seed: int, config: PitchConfig, rng: np.random.Generator) -> Excerpt:
    """Draw an excerpt of a piece, and what a recording did to it."""
    transform = config.network.transform
    rate, hop = transform.sample_rate, transform.hop_samples
    samples = round(config.seconds * rate)
    ratio = 2 ** (rng.uniform(-1, 1) * config.transpose_semitones / 12) if rng.random() < 0.5 else 1.0
    # About a second before is heard too: the reverberation of what was sung there is part of the excerpt.
    first = rate // hop
    wanted = int((samples + rate) * ratio) + 2 * hop
    parts_NS, f0_NT = _stretch(rendered(folder, seed, rate, hop), wanted, hop, rng)
    if len(parts_NS) > 2 and rng.random() < 0.2:
        keep = rng.permutation(len(parts_NS))[: rng.integers(1, len(parts_NS))]
        parts_NS, f0_NT = parts_NS[keep], f0_NT[keep]
    if ratio != 1.0:
        parts_NS, f0_NT = transposed(parts_NS, f0_NT, ratio)
    mixture_S = worn(parts_NS, rate, rng)
    # The level of a whole recording is not quite that of an excerpt.
    level = (np.sqrt((mixture_S**2).mean()) + 1e-9) * 10 ** (rng.uniform(-3, 14) / 20)
    return mixture_S[first * hop :][:samples], level, f0_NT[:, first:][:, : transform.frames(samples)]


def some_seed(pieces: int, recorded: int, rng: np.random.Generator) -> int:
    """Draw the seed of one of so many pieces, so many of them with recorded voices."""
    if not 0 <= recorded <= pieces:
        raise OptionError(f"recorded from 0 to {pieces}, the pieces", f"{recorded}")
    number = int(rng.integers(pieces))
    return number if number < pieces - recorded else RECORDED + number - (pieces - recorded)


def rendered(folder: Path, seed: int, sample_rate: int, hop: int) -> Path:
    """Return the file of a piece's dry parts and F0, rendered if it is not there yet or cannot be read."""
    path = folder / f"{sample_rate}-{hop}" / f"{seed}.safetensors"
    if not _readable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        performance = piece(seed, sample_rate)
        parts_NS = performance.parts[:, 0]
        times_s = np.arange(parts_NS.shape[1] // hop + 1) * hop / sample_rate
        f0_NT = np.stack([track.at(times_s).f0_hz for track in performance.tracks]).astype(np.float32)
        # Named after the process: two runs may share the folder.
        draft = path.with_suffix(f".{os.getpid()}.draft")
        # Parts may be louder than their sum, which is below full scale.
        save_file({"parts": np.round(parts_NS.clip(-1, 1) * 32767).astype(np.int16), "f0": f0_NT}, draft)
        draft.replace(path)
    return path


def _readable(path: Path) -> bool:
    try:
        with safe_open(path, "np") as file:
            return {"parts", "f0"} <= set(file.keys())
    except (OSError, SafetensorError):
        return False


def _stretch(path: Path, samples: int, hop: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Read a random stretch of a piece, on whole frames; short pieces end in silence."""
    with safe_open(path, "np") as file:
        parts, f0 = file.get_slice("parts"), file.get_slice("f0")
        whole = parts.get_shape()[1]
        first = hop * int(rng.integers(max(1, (whole - samples) // hop + 1)))
        parts_NS = parts[:, first : first + samples] / 32767.0
        f0_NT = f0[:, first // hop : (first + samples) // hop + 1]
    missing = max(0, samples - parts_NS.shape[1])
    missing_frames = max(0, samples // hop + 1 - f0_NT.shape[1])
    return np.pad(parts_NS, ((0, 0), (0, missing))), np.pad(f0_NT, ((0, 0), (0, missing_frames)))


def stacked(drawn: Sequence[Excerpt]) -> tuple[Tensor, Tensor, Tensor]:
    """Return excerpts as one batch; those with fewer voices get silent ones."""
    x, level, f0 = zip(*drawn, strict=True)
    most = max(map(len, f0))
    f0_BNT = [np.pad(each, ((0, most - len(each)), (0, 0))) for each in f0]
    return tuple(torch.from_numpy(np.stack(each)).float() for each in (x, level, f0_BNT))


def rows_of(f0: Tensor, config: NetworkConfig) -> Tensor:
    """Return the (fractional) row of every F0; far below all rows where unvoiced."""
    rows = config.transform.per_octave * torch.log2(f0.clamp_min(1.0) / config.transform.low_hz)
    return torch.where(f0 > 0, rows, torch.tensor(-1e3))


def targets(position: Tensor, rows: int) -> Tensor:
    """Return what salience (B, G, T) should be: a bump around every F0 of rows (B, N, T)."""
    away = torch.arange(rows, device=position.device)[:, None] - position[:, :, None]
    return torch.exp(-0.5 * (away / SPREAD_ROWS) ** 2).amax(1)


def scores(logits: Tensor, position: Tensor) -> dict[str, float]:
    """Return precision, recall and F of the peaks above one half, within about two rows, of salience (B, G, T)."""
    target = targets(position, logits.shape[1])
    found = (logits > 0) & (logits == _highest(logits, 1))
    right = found & (_highest(target, 1) > 0.5)
    # Rows on which an F0 stands.
    wanted = target > 0.88
    heard = wanted & (_highest(found.float(), 2) > 0)
    precision = float(right.sum() / found.sum().clamp_min(1))
    recall = float(heard.sum() / wanted.sum().clamp_min(1))
    return {"precision": precision, "recall": recall, "f": 2 * precision * recall / max(precision + recall, 1e-9)}


def _highest(x: Tensor, rows: int) -> Tensor:
    """Return the highest value within so many rows."""
    return max_pool2d(x[:, None], (2 * rows + 1, 1), 1, (rows, 0))[:, 0]


__all__ = ["HELD_OUT", "PitchConfig", "PitchTask", "excerpt", "rendered", "rows_of", "scores", "stacked", "targets"]
