"""What a network hears of every voice in a mixture, and how it answers.

A voice is heard through its own comb. Of every band the network is told how loud the present model is there, how the
mixture, gathered by the voice's comb, compares with the model of *all* voices (more above than below: somebody is too
quiet), and how much of what is there the voice claims for itself. All other voices' F0 thus arrive where they matter,
as the share of a band that they explain, and the answer does not depend on the order or the number of the voices.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

Bands = Float[Tensor, "B N C J T"]
"""Channels in J bands and T frames of N voices in B mixtures."""

KERNEL = 5
"""Frames that one layer sees at once."""


class Layer(nn.Module):
    """Mix time, bands, voices and channels, one after the other; what comes in is added to what goes out."""

    def __init__(self, channels: int, bands: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = nn.LayerNorm(channels)
        self.over_time = nn.Parameter(torch.randn(KERNEL, 1, channels) * 0.3)
        self.over_bands = nn.Linear(bands, bands, bias=False)
        self.context = nn.Linear(2 * channels, channels)
        self.gated, self.out = nn.Linear(channels, 2 * channels), nn.Linear(channels, channels)
        nn.init.eye_(self.over_bands.weight)
        # A layer begins as nothing: the untrained network is the plain iteration that it refines.
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, h: Float[Tensor, "B N T J C"]) -> Float[Tensor, "B N T J C"]:
        """Return the next layer's input."""
        z, reach = self.norm(h), self.dilation * (KERNEL // 2)
        kernel = self.over_time.permute(2, 1, 0)[..., None]
        # As a picture of frames by bands whose channels lie side by side in memory.
        picture = z.flatten(0, 1).permute(0, 3, 1, 2)
        z = conv2d(picture, kernel, padding=(reach, 0), dilation=(self.dilation, 1), groups=kernel.shape[0])
        z = z.permute(0, 2, 3, 1).unflatten(0, h.shape[:2])
        # Everybody's context in two small products: what is the same for all voices is not computed for each.
        of_always, of_others = self.context.weight.chunk(2, -1)
        of_others = of_others / max(1, z.shape[1] - 1)
        always, others = z.mean(2, keepdim=True), z.sum(1, keepdim=True)
        context = linear(always, of_always, self.context.bias) + linear(others, of_others) - linear(z, of_others)
        z = self.over_bands(z.mT).mT + context
        value, gate = self.gated(z).chunk(2, -1)
        return h + self.out(value * torch.sigmoid(gate))


class Encoder(nn.Module):
    """From what is heard of every voice to an answer per band and frame; nothing is said before training.

    Parameters
    ----------
    heard, answers
        Channels in and out.
    channels, bands
        Width, and number of bands.
    dilations
        One layer each; a layer sees two frames to both sides, so far apart.
    """

    def __init__(self, heard: int, answers: int, channels: int, bands: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.entry = nn.Linear(heard, channels)
        self.place = nn.Parameter(torch.zeros(bands, channels))
        self.layers = nn.Sequential(*(Layer(channels, bands, dilation) for dilation in dilations))
        self.answer = nn.Linear(channels, answers)
        nn.init.zeros_(self.answer.weight)
        nn.init.zeros_(self.answer.bias)

    def forward(self, heard: Bands) -> tuple[Bands, Float[Tensor, "B N T J C"]]:
        """Return the answers, and the last layer's output for further heads."""
        h = self.layers(self.entry(heard.permute(0, 1, 4, 3, 2)) + self.place)
        return self.answer(h).permute(0, 1, 4, 3, 2), h


__all__ = ["Bands", "Encoder", "Layer"]
