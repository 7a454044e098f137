"""What is said about single bins after everything has been said about bands.

Bands say how loud a voice is around a frequency; how its partials look there follows from its F0. Where the F0 is a
little off, a partial wavers, a room still rings or the recording was coded, the bins themselves show it: there is more
than the model here and less beside it. A small network looks at that, a few bins and frames around, and says a gain for
every bin of every voice. It begins as no gain at all.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad, relu, relu_

from ..dsp.pieces import in_pieces

SEEN = 10
"""Channels that are seen of a voice."""

RINGING_FRAMES = (2.0, 8.0)
"""Frames in which the tails that are seen fall by a factor e."""


MOST = 6.0
"""Largest log gain of a bin, up and down."""

AT_ONCE = 1 << 22
"""Values of a layer that are computed at once where nothing is learned."""


class Around(nn.Module):
    """Look at the neighbouring bins and frames; what comes in is added to what goes out."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.around = nn.Conv2d(channels, channels, 3, padding=(1, dilation), dilation=(1, dilation))
        self.out = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, h: Float[Tensor, "K C F T"]) -> Float[Tensor, "K C F T"]:
        """Return the next layer's input."""
        return h + self.out(relu_(self.around(relu(h))))


class Gains(nn.Module):
    """From what is seen of every voice to log gains; it begins as no gain at all.

    Parameters
    ----------
    seen, channels, dilations
        Channels that are seen, width, and steps in frames of every layer.
    most
        Largest log gain, up and down.
    """

    def __init__(self, seen: int, channels: int, dilations: tuple[int, ...], most: float) -> None:
        super().__init__()
        self.most = most
        self.reach_frames = 1 + sum(1 + dilation for dilation in dilations)
        self.entry = nn.Conv2d(seen, channels, 3, padding=1)
        self.layers = nn.Sequential(*(Around(channels, dilation) for dilation in dilations))
        self.answer = nn.Conv2d(channels, 1, 1)
        nn.init.zeros_(self.answer.weight)
        nn.init.zeros_(self.answer.bias)

    def forward(self, seen_BNCFT: Float[Tensor, "B N C F T"], low_precision: bool = False) -> Float[Tensor, "B N F T"]:
        """Return the log gains from what is seen: bins by frames, or partials by frames.

        Unlike powers they bear the convolutions to be computed in bfloat16.
        """
        if torch.is_grad_enabled():
            return self._said(seen_BNCFT, low_precision)
        batch, voices, _, rows, _ = seen_BNCFT.shape
        length = max(4 * self.reach_frames, AT_ONCE // (batch * voices * rows * self.entry.out_channels))
        return in_pieces(lambda seen: self._said(seen, low_precision), seen_BNCFT, self.reach_frames, length)

    def _said(self, seen_BNCFT: Tensor, low_precision: bool) -> Tensor:
        flat = seen_BNCFT.flatten(0, 1).to(memory_format=torch.channels_last)
        with torch.autocast(flat.device.type, torch.bfloat16, enabled=low_precision):
            logs = self.answer(relu(self.layers(self.entry(flat)))).to(flat.dtype)
        return logs.unflatten(0, seen_BNCFT.shape[:2])[:, :, 0].clamp(-self.most, self.most)


def seen_of(power_BFT: Tensor, model_BNFT: Tensor, lines_BNFT: Tensor, rest_BFT: Tensor) -> Float[Tensor, "B N C F T"]:
    """Return what the network sees of every voice: logarithms of powers relative to each other."""
    y = (model_BNFT.sum(1) + rest_BFT + 1e-8)[:, None]
    off = ((power_BFT[:, None] + 1e-6) / (y + 1e-6)).log().clamp(-8, 8)
    share = (model_BNFT / y).clamp_min(1e-7)
    others = (1 - share).clamp_min(1e-7)
    of_lines = ((lines_BNFT + 1e-7) / (model_BNFT + 1e-7)).log()
    level = (y + 1e-6).log().expand_as(share)
    height = torch.linspace(-1, 1, y.shape[-2]).to(y)[:, None].expand_as(share)
    tails = [((ringing(model_BNFT, frames) + 1e-7) / (model_BNFT + 1e-7)).log() for frames in RINGING_FRAMES]
    sharpest = ((lines_BNFT + 1e-7) / (lines_BNFT.amax(-2, keepdim=True) + 1e-7)).log()
    heard = ((share * power_BFT[:, None]) + 1e-6).log()
    whole = (off.expand_as(share) / 2, share.log() / 3, others.log() / 3, of_lines / 4, level / 4, height)
    return torch.stack([*whole, *(tail / 3 for tail in tails), sharpest / 5, heard / 4], 2)


def ringing(x: Float[Tensor, "... T"], frames: float, reach: int = 12) -> Float[Tensor, "... T"]:
    """Return the sum of a power's past, falling by a factor e in so many frames; the present is left out."""
    weights = torch.exp(-torch.arange(reach, 0, -1) / frames).to(x)
    past = pad(x, (reach, 0))
    return sum(weight * past[..., k : k + x.shape[-1]] for k, weight in enumerate(weights)) / weights.sum()


__all__ = ["MOST", "SEEN", "Around", "Gains", "ringing", "seen_of"]
