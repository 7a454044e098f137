"""A small convolutional network that hears F0: how likely every pitch is sung or played at every moment.

It looks at the harmonics of every candidate F0 (and at two of its subharmonics, where a lower voice would betray
itself) in log-frequency
transforms with longer and shorter windows. Between its layers, every candidate hears from those that lie an octave, a
twelfth, two octaves or a major seventeenth away, above and below: what one F0 explains, another need not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d, relu, relu_
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..dsp.hcqt import LogTransform, harmonic_rows, harmonics_of, shifted

COMPETING = (2.0, 3.0, 4.0, 5.0)
"""Frequency ratios at which candidates compete for the same partials."""


@dataclass(frozen=True)
class NetworkConfig:
    """What the network is.

    Attributes
    ----------
    transform
        What it looks at first.
    shorter
        Windows of a second look, relative to those of the first: fast glides need them.
    rows
        Candidates: the lowest rows of the transform.
    harmonics
        Multiples of a candidate's frequency at which it looks.
    channels, exchanged
        Width of its layers, and of what competing candidates tell one another.
    reach
        One layer each: how far apart, in rows and in frames of twice the transform's hop, the three places by three are
        at which it looks.
    """

    transform: LogTransform = field(default_factory=LogTransform)
    shorter: float = 0.45
    rows: int = 339
    harmonics: tuple[float, ...] = (1 / 3, 0.5, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12)
    channels: int = 32
    exchanged: int = 8
    reach: tuple[tuple[int, int], ...] = ((1, 1), (2, 2), (1, 4), (3, 8), (1, 1))

    @property
    def transforms(self) -> tuple[LogTransform, LogTransform]:
        """Both looks."""
        long = self.transform
        window_s, longest_s = (self.shorter * seconds for seconds in (long.window_s, long.longest_s))
        return long, replace(long, window_s=window_s, longest_s=longest_s)

    def to_json(self) -> str:
        """Return the settings as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> NetworkConfig:
        """Return the settings that :meth:`to_json` wrote."""
        told = json.loads(text)
        told |= {
            "transform": LogTransform(**told["transform"]),
            "harmonics": tuple(told["harmonics"]),
            "reach": tuple(map(tuple, told["reach"])),
        }
        return cls(**told)


class Layer(nn.Module):
    """Exchange between competing candidates, then a look around in pitch and time; both add to what was there."""

    def __init__(self, config: NetworkConfig, reach: tuple[int, int]) -> None:
        super().__init__()
        channels, exchanged = config.channels, config.exchanged
        steps = [harmonic_rows(ratio, config.transform.per_octave) for ratio in COMPETING]
        self.steps = [sign * step for step in steps for sign in (1, -1)]
        self.tell = nn.Conv2d(channels, exchanged, 1)
        self.told = nn.Conv2d(exchanged * len(self.steps), channels, 1, bias=False)
        self.told_scale = nn.BatchNorm2d(channels)
        self.around = nn.Conv2d(channels, channels, 3, padding=reach, dilation=reach, bias=False)
        self.around_scale = nn.BatchNorm2d(channels)
        self.conclude = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Float[Tensor, "B C G T"]) -> Float[Tensor, "B C G T"]:
        """Return the layer's output."""
        told = self.tell(x)
        told = torch.cat([shifted(told, step, x.shape[-2]) for step in self.steps], 1)
        x = x + relu_(self.told_scale(self.told(told)))
        return x + self.conclude(relu_(self.around_scale(self.around(x))))


class SalienceNetwork(nn.Module):
    """The network; see the module.

    Examples
    --------
    >>> network = SalienceNetwork(NetworkConfig(channels=4, exchanged=1, reach=((1, 1),)))
    >>> network(spectral_features(torch.randn(2, 1, 1280), torch.ones(2), network.config)).shape
    torch.Size([2, 339, 11])
    """

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or NetworkConfig()
        self.look = nn.Conv2d(4 * len(config.harmonics), config.channels, (1, 4), stride=(1, 2))
        self.layers = nn.ModuleList([Layer(config, reach) for reach in config.reach])
        self.judge = nn.Conv2d(config.channels, 2, (3, 1), padding=(1, 0))
        # Few candidates are sung at any time: begin by saying so.
        nn.init.constant_(self.judge.bias, -4.0)

    @property
    def reach_frames(self) -> int:
        """So many frames on either side have a say, a pair of them to be sure at the ends."""
        return 2 * (sum(frames for _, frames in self.config.reach) + 1)

    def forward(self, features: Float[Tensor, "B C F T"]) -> Float[Tensor, "B G T"]:
        """Return the logits of every candidate being sounded, from what :func:`spectral_features` returns."""
        config, frames = self.config, features.shape[-1]
        x = harmonics_of(features, config.harmonics, config.transform.per_octave, config.rows)
        # A pair of frames sees one more on either side; an odd last frame is paired with silence.
        x = relu(self.look(nn.functional.pad(x, (1, 1 + frames % 2))))
        for layer in self.layers:
            x = layer(x)
        return self.judge(x).permute(0, 2, 3, 1).flatten(-2)[..., :frames]


def network_of(tensors: Mapping[str, Tensor], settings: str) -> SalienceNetwork:
    """Return the trained network of these weights and settings, ready to judge."""
    network = SalienceNetwork(NetworkConfig.from_json(settings))
    network.load_state_dict(tensors)
    network.eval()
    for layer in network.layers:
        # What normalises a trained layer is fixed: it goes into the weights before it.
        layer.told, layer.told_scale = fuse_conv_bn_eval(layer.told, layer.told_scale), nn.Identity()
        layer.around, layer.around_scale = fuse_conv_bn_eval(layer.around, layer.around_scale), nn.Identity()
    return network.to(memory_format=torch.channels_last).requires_grad_(False)


def spectral_features(
    x: Float[Tensor, "B M S"], level: Float[Tensor, " B"], config: NetworkConfig
) -> Float[Tensor, "B C F T"]:
    """Return what the network sees, all microphones together.

    Parameters
    ----------
    x
        Samples at the transforms' rate.
    level
        RMS of the recording where it sounds, its power summed over microphones (not of the excerpt, nor of the batch).
    config
        Of the network.
    """
    scale = level.clamp_min(1e-9).square()[:, None, None]
    powers = [transform(x).abs().square().sum(1) / scale for transform in config.transforms]
    return torch.cat([contrasted(power, config.transform.per_octave) for power in powers], 1)


def contrasted(power: Float[Tensor, "B F T"], per_octave: int) -> Float[Tensor, "B 2 F T"]:
    """Return power in bels above 10⁻⁷, and how far it stands out of the two octaves and quarter of a second around."""
    bels = torch.log10(power + 1e-7) + 7
    around = avg_pool1d(_mean_around(bels, per_octave), 31, 1, 15, count_include_pad=False)
    return torch.stack([0.4 * bels - 1, bels - around], 1)


def _mean_around(x: Float[Tensor, "B F T"], reach: int) -> Float[Tensor, "B F T"]:
    """Return the mean of so many rows above and below and of that between."""
    rows = torch.arange(x.shape[1], device=x.device)
    above, below = (rows + reach + 1).clamp_max(len(rows)), (rows - reach).clamp_min(0)
    total = nn.functional.pad(x.cumsum(1), (0, 0, 1, 0))
    return (total[:, above] - total[:, below]) / (above - below)[:, None]


__all__ = ["COMPETING", "Layer", "NetworkConfig", "SalienceNetwork", "contrasted", "network_of", "spectral_features"]
