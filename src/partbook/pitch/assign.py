"""A small network that shares the salience of a mixture out among its voices.

A voice is known by its register, the F0 around which it mostly sings, and by its place among the others, high to low.
Of every candidate the network is told how likely it is sounded, how far it lies from the register, how much nearer that
register is than the others', and how many voices are sounded above it; all voices hear what the others make of it. Any
number of voices goes: all are judged by the same weights.

Before training the answer is a rule: the salience, less the likelier the candidate belongs to another register. (The
published joint models have a network of fixed voices in this place: Cuesta & Gómez, "Voice assignment in vocal quartets
using deep learning models based on pitch salience", TISMIR 2022.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d, relu

CLUES = 6
"""Channels that the network is given of every candidate."""

BUMP_ROWS = 2.5
"""Sum over rows of the salience of one sounded F0."""

STRIDE = 2
"""Frames that are judged together."""


@dataclass(frozen=True)
class AssignerConfig:
    """What the network is.

    Attributes
    ----------
    channels
        Width of its layers.
    reach
        One layer each: how far apart, in rows and pairs of frames, the three places by three are at which it looks.
    register_octaves
        Standard deviation of a voice's F0 around its register.
    """

    channels: int = 8
    reach: tuple[tuple[int, int], ...] = ((2, 2), (4, 8), (1, 24))
    register_octaves: float = 0.45


class Assigner(nn.Module):
    """The network; see the module.

    Examples
    --------
    >>> assigner = Assigner()
    >>> logit_BGT, octaves_BN = torch.full((1, 120, 10), -4.0), torch.tensor([[1.5, 0.5]])
    >>> logit_BGT[:, 90] = 1.0
    >>> assigner(logit_BGT, octaves_BN, 60)[0, :, 90, 0] > 0
    tensor([ True, False])
    """

    def __init__(self, config: AssignerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or AssignerConfig()
        self.entry = nn.Conv2d(CLUES, config.channels, 1)
        self.around = nn.ModuleList(
            nn.Conv2d(2 * config.channels, config.channels, 3, padding=reach, dilation=reach) for reach in config.reach
        )
        self.answer = nn.Conv2d(config.channels, 1, 1)
        # Nothing is said before training but the rule.
        nn.init.zeros_(self.answer.weight)
        nn.init.zeros_(self.answer.bias)

    def forward(
        self, logit_BGT: Float[Tensor, "B G T"], octaves_BN: Float[Tensor, "B N"], per_octave: int
    ) -> Float[Tensor, "B N G T"]:
        """Return, for every voice, the logits of every candidate being sounded by it.

        Parameters
        ----------
        logit_BGT
            Of every candidate being sounded by anybody.
        octaves_BN
            Registers of the voices, high to low, in octaves above the lowest candidate.
        per_octave
            Candidates per octave.
        """
        frames = logit_BGT.shape[-1]
        clues, share = self._clues(_paired(logit_BGT), octaves_BN, per_octave)
        batch, voices = octaves_BN.shape
        h = relu(self.entry(clues.flatten(0, 1)))
        for layer in self.around:
            each = h.unflatten(0, (batch, voices))
            others = (each.sum(1, keepdim=True) - each) / max(1, voices - 1)
            h = h + relu(layer(torch.cat([h, others.flatten(0, 1)], 1)))
        said = self.answer(h)[:, 0].unflatten(0, (batch, voices)) + share
        return logit_BGT[:, None] + said.repeat_interleave(STRIDE, -1)[..., :frames]

    def _clues(self, logit_BGT: Tensor, octaves_BN: Tensor, per_octave: int) -> tuple[Tensor, Tensor]:
        """Return what the network is given of every candidate, and the logarithm of each voice's share of it."""
        candidate_G = torch.arange(logit_BGT.shape[1]).to(octaves_BN) / per_octave
        away_BNG = candidate_G - octaves_BN[..., None]
        # Candidates far from every register belong to nobody in particular.
        near_BNG = -0.5 * (away_BNG / self.config.register_octaves) ** 2
        nobody = torch.full_like(near_BNG[:, :1], -4.0)
        share_BNG = torch.cat([near_BNG, nobody], 1).log_softmax(1)[:, :-1]
        salience_BGT = torch.sigmoid(logit_BGT)
        above_BGT = salience_BGT.flip(1).cumsum(1).flip(1) / BUMP_ROWS - 0.5
        shape = (*octaves_BN.shape, *logit_BGT.shape[1:])
        place_N = torch.arange(octaves_BN.shape[1]).to(octaves_BN)[:, None, None]
        clues = (
            salience_BGT[:, None].expand(shape),
            (logit_BGT / 8)[:, None].expand(shape),
            away_BNG.clamp(-2, 2)[..., None].expand(shape),
            share_BNG.exp()[..., None].expand(shape),
            (above_BGT[:, None] - place_N).clamp(-2, 2) / 2,
            salience_BGT[:, None] * share_BNG.exp()[..., None],
        )
        return torch.stack(clues, 2), share_BNG[..., None]


def _paired(logit_BGT: Float[Tensor, "B G T"]) -> Float[Tensor, "B G T2"]:
    """Return the mean of every pair of frames; an odd last frame stands alone."""
    return avg_pool1d(logit_BGT, STRIDE, ceil_mode=True)


__all__ = ["Assigner", "AssignerConfig"]
