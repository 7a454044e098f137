"""The powers of voices as the trained network says them, by themselves or beside those of a fit.

A fit that begins with what the network says loses it again: the likelihood keeps rising while a voice takes what is
another's, even where there is nothing to fit but three levels per voice. Two opinions of the same recording, each come
to by itself, do better: a fit knows what lasts through a stretch, the network what voices are like.
"""

from __future__ import annotations

import json
from functools import lru_cache

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from ..axes import Power_FT, Power_NFT
from ..singer.model import Singer, SingerConfig
from ..zoo import load

MODEL = "singer"
"""Name of the weights in the zoo."""

NOISE_SHARE, BACKGROUND_SHARE = 0.2, 0.1
"""Of what the network says of the noise of voices, and of the background, so much is believed: the singers that it
learned from breathe harder than those of recordings."""


@lru_cache(maxsize=1)
def trained() -> Singer:
    """Return the network that comes with Partbook."""
    weights, settings = load(MODEL)
    told = json.loads(settings)
    singer = Singer(SingerConfig(**{key: tuple(v) if isinstance(v, list) else v for key, v in told.items()}))
    singer.load_state_dict(weights)
    return singer.eval().requires_grad_(False)


@torch.no_grad()
def sung_power(
    power_FT: Power_FT,
    combs_NRFT: Complex[Tensor, "N R F T"],
    f0_hz: Float[Tensor, "N T"],
    bins_hz: Float[Tensor, " F"],
    *,
    singer: Singer | None = None,
) -> Power_NFT:
    """Return the power of every voice, and of the background last, as :mod:`partbook.sources.source_filter` does.

    Parameters
    ----------
    power_FT
        Power of the recording.
    combs_NRFT
        Transforms of the voices' interleaved unit combs.
    f0_hz
        F0 in the frames, 0 where unvoiced.
    bins_hz
        Frequencies of the bins.
    singer
        Another network than the one that comes with Partbook.
    """
    level = power_FT.mean().clamp_min(1e-12)
    comb_NFT = combs_NRFT.sum(1).abs().square()
    said = (singer or trained())((power_FT / level)[None], comb_NFT[None], f0_hz[None], bins_hz)[-1]
    voiced_NFT, background_FT = said.voiced()[0], said.background()[0].expand_as(power_FT)
    voices_NFT = voiced_NFT + NOISE_SHARE * (said.power()[0] - voiced_NFT)
    return level * torch.cat([voices_NFT, BACKGROUND_SHARE * background_FT[None]])


def blended(one_NFT: Power_NFT, other_NFT: Power_NFT, weight: float) -> Power_NFT:
    """Return the geometric mean of two opinions of the same powers, the first with a weight from 0 to 1."""
    return one_NFT**weight * other_NFT ** (1 - weight)


__all__ = ["BACKGROUND_SHARE", "MODEL", "NOISE_SHARE", "blended", "sung_power", "trained"]
