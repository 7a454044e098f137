"""The real session, whose truth nobody knows: how much of each player is kept, and how much of the others is gone.

In the bins of a player's own spot microphone where it is 10 dB above every other spot, nearly everything is the player:
the output there should have the level of the microphone. Where another spot is 10 dB above, nearly nothing is: there
the output should be low.
"""

from __future__ import annotations

import numpy as np
import soundfile
import torch
from torch import Tensor

from partbook.dsp.stft import Stft
from partbook.separate import separate

from .material import SHARED

FOLDER = SHARED / "ensembles/quintet_session"
PLAYERS, MAIN = ("Violin1", "Violin2", "Flute", "Clarinet", "Cello"), ("Left", "Center", "Right")
DOMINANT_DB, WINDOW_S, STRETCH_S, DRAWS = 10.0, 0.085, 1.0, 1000
FAINT = 1e-6
"""Bins below this share of a spot's strongest are left out."""


def quintet() -> list[dict[str, object]]:
    """Return the table of ours and the earlier project's outputs."""
    spots, rate = _read("mics")
    stems = separate(FOLDER / "mics", spots=PLAYERS, main=MAIN)
    channel = [microphone.name for microphone in stems.microphones].index
    ours = torch.from_numpy(np.stack([stems[player.lower()][channel(player)] for player in PLAYERS]))
    published, _ = _read("published")
    energies = {
        name: stretch_energies(spots, outputs, rate)
        for name, outputs in (("Partbook", ours), ("earlier project, published", published))
    }
    stretches = min(energy.shape[-1] for energy in energies.values())
    weights = np.random.default_rng(0).multinomial(stretches, np.full(stretches, 1 / stretches), size=DRAWS)
    weights = np.vstack([np.ones(stretches, int), weights])
    rows, first = [], None
    for name, energy in energies.items():
        kept, left = levels_db(energy[..., :stretches], weights)
        contrast = (kept - left).mean(1)
        first = contrast if first is None else first
        lead = "" if first is contrast else _with_interval(first - contrast)
        by_player = (f"{k:.1f} / {r:.1f}".replace("-", "−") for k, r in zip(kept[0], left[0], strict=True))
        rows.append([name, *by_player, _with_interval(contrast), lead])
    columns = ["kept / left in dB", *PLAYERS, "mean difference", "better by"]
    return [{"title": "Real quintet session, blind, at the own spots", "columns": columns, "rows": rows}]


def stretch_energies(spots: Tensor, outputs: Tensor, sample_rate: int) -> np.ndarray:
    """Return energies in every stretch, shape (2, 2, N, stretches).

    First axis: where the player dominates, and where another does. Second: of the output, and of the spot. Both
    ``spots`` and ``outputs`` have the shape (N, S).
    """
    samples = min(spots.shape[-1], outputs.shape[-1])
    stft = Stft.lasting(WINDOW_S, sample_rate)
    x_NFT, y_NFT = (stft(signals[..., :samples].double()).abs().square() for signals in (spots, outputs))
    frames = round(STRETCH_S * sample_rate / stft.hop_samples)
    found = []
    for n, (own, output) in enumerate(zip(x_NFT, y_NFT, strict=True)):
        others = torch.cat([x_NFT[:n], x_NFT[n + 1 :]]).amax(0)
        heard = own > FAINT * own.max()
        for ratio in (own / others, others / own):
            bins = heard & (ratio > 10 ** (DOMINANT_DB / 10))
            found += [(bins * energy).sum(0) for energy in (output, own)]
    by_frame = torch.stack(found).unflatten(0, (-1, 2, 2)).movedim(0, 2)
    whole = torch.nn.functional.pad(by_frame, (0, -by_frame.shape[-1] % frames))
    return whole.unflatten(-1, (-1, frames)).sum(-1).numpy()


def levels_db(energies: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the level of outputs against spots where the player dominates and where not, shapes (draws, N).

    ``weights`` says how often every stretch counts in every draw, shape (draws, stretches).
    """
    totals = energies @ weights.T
    kept, left = 10 * np.log10(totals[:, 0] / totals[:, 1])
    return kept.T, left.T


def _with_interval(draws: np.ndarray) -> str:
    low, high = np.percentile(draws[1:], [2.5, 97.5])
    return f"{draws[0]:.1f} [{low:.1f}, {high:.1f}]".replace("-", "−")


def _read(folder: str) -> tuple[Tensor, int]:
    signals = [soundfile.read(FOLDER / folder / f"{player}.flac") for player in PLAYERS]
    return torch.from_numpy(np.stack([samples for samples, _ in signals])), signals[0][1]
