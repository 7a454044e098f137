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
DOMINANT_DB, WINDOW_S = 10.0, 0.085
FAINT = 1e-6
"""Bins below this share of a spot's strongest are left out."""


def quintet() -> list[dict[str, object]]:
    """Return the table of ours and the earlier project's outputs."""
    spots, rate = _read("mics")
    stems = separate(FOLDER / "mics", spots=PLAYERS, main=MAIN)
    channel = [microphone.name for microphone in stems.microphones].index
    ours = torch.from_numpy(np.stack([stems[player.lower()][channel(player)] for player in PLAYERS]))
    published, _ = _read("published")
    rows = []
    for name, outputs in (("Partbook", ours), ("earlier project, published", published)):
        kept, left = levels_db(spots, outputs, rate)
        mean_db = f"{kept.mean() - left.mean():.1f}"
        rows.append([name, *(f"{k:.1f} / {r:.1f}" for k, r in zip(kept, left, strict=True)), mean_db])
    columns = ["kept / left in dB", *PLAYERS, "mean difference"]
    return [{"title": "Real quintet session, blind, at the own spots", "columns": columns, "rows": rows}]


def levels_db(spots: Tensor, outputs: Tensor, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the level of outputs (N, S) against their spots (N, S) where the player and where another dominates."""
    samples = min(spots.shape[-1], outputs.shape[-1])
    stft = Stft.lasting(WINDOW_S, sample_rate)
    x_NFT, y_NFT = (stft(signals[..., :samples].double()).abs().square() for signals in (spots, outputs))
    kept, left = [], []
    for n, (own, output) in enumerate(zip(x_NFT, y_NFT, strict=True)):
        others = torch.cat([x_NFT[:n], x_NFT[n + 1 :]]).amax(0)
        heard = own > FAINT * own.max()
        for places, ratio in ((kept, own / others), (left, others / own)):
            bins = heard & (ratio > 10 ** (DOMINANT_DB / 10))
            places.append(float(10 * torch.log10(output[bins].sum() / own[bins].sum())))
    return np.array(kept), np.array(left)


def _read(folder: str) -> tuple[Tensor, int]:
    signals = [soundfile.read(FOLDER / folder / f"{player}.flac") for player in PLAYERS]
    return torch.from_numpy(np.stack([samples for samples, _ in signals])), signals[0][1]
