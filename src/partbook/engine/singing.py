"""The powers of voices as the trained network says them, in the place of a fit or before one.

What is left for a fit after the network is how much a recording has of each voice's harmonics, of what surrounds them
and of its noise: three levels per voice (:mod:`partbook.sources.levels`). Anything freer loses again what the network
knows, for the likelihood keeps rising while a voice takes what is another's.
"""

from __future__ import annotations

import json
from functools import lru_cache

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from ..axes import Power_FT, Power_NFT
from ..fit import fit
from ..room.single import Single
from ..singer.model import Singer, SingerConfig
from ..sources import levels
from ..zoo import load

MODEL = "singer"
"""Name of the weights in the zoo."""


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
    rounds: int = 8,
    beta: float = 0.25,
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
    rounds, beta
        Of the fit of levels, and its divergence; 0 rounds leave the network's word as it is.
    singer
        Another network than the one that comes with Partbook.
    """
    level = power_FT.mean().clamp_min(1e-12)
    comb_NFT = combs_NRFT.sum(1).abs().square()
    said = (singer or trained())((power_FT / level)[None], comb_NFT[None], f0_hz[None], bins_hz)[-1]
    lines_NFT, voiced_NFT, whole_NFT = (each[0] for each in (said.lines(), said.voiced(), said.power()))
    patterns_KNFT = torch.stack([lines_NFT, voiced_NFT - lines_NFT, whole_NFT - voiced_NFT])
    known = levels.start(patterns_KNFT, said.background()[0].expand_as(power_FT).contiguous())
    known, _ = fit(power_FT / level, known, Single(), iterations=rounds, beta=beta, fixed_room=True)
    return level * known.power()


__all__ = ["MODEL", "sung_power", "trained"]
