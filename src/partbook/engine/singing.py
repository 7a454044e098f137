"""The powers of voices as the trained network says them, by themselves or beside those of fits.

The network hears a few frames at a time. What lasts through a recording, the few shapes that the spectrum of a voice
has there, it does not know. A fit to the *recording* does, but loses what the network says even where it begins with
it: the likelihood keeps rising while a voice takes what is another's. So a model of few shapes is fitted to every voice
by itself, to its share of the recording as the network says it. A fit that has not heard the network is a third
opinion of little weight: it keeps what the network takes for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from ..axes import Power_FT, Power_NFT
from ..dsp.bases import smooth_basis
from ..dsp.divergence import EPS
from ..dsp.precision import low_precision_pays
from ..fit import fit
from ..room.single import Apart
from ..singer.model import Singer, SingerConfig
from ..sources import source_filter
from ..wiener import masks
from ..zoo import load

MODEL, CHOIR = "singer", "singer-choir"
"""Names of the weights in the zoo: of voices that are steady, and, trained on from these, of those that waver."""

WAVERING, STEADY = 0.1, 0.4
"""Steadiness up to which the one, and from which on the other is right; between them lie means of their weights."""

NOISE_SHARE, BACKGROUND_SHARE = 0.2, 0.1
"""Of what the network says of the noise of voices, and of the background, so much is believed: the singers that it
learned from breathe harder than those of recordings."""

SHAPES, ITERATIONS, BETA = 3, 12, 0.25
"""Of what lasts: shapes per voice, rounds of its fit and their divergence."""

OUTLINES = 36
"""Bands of the outlines that are taken off a spectrum to leave its fine structure."""


def wavering(steadiness: float) -> float:
    """Return how much voices that are so steady waver, from 0 to 1."""
    return min(1.0, max(0.0, (STEADY - steadiness) / (STEADY - WAVERING)))


@lru_cache(maxsize=4)
def trained(steadiness: float = 1.0) -> Singer:
    """Return the network that comes with Partbook, for voices that are so steady.

    Parameters
    ----------
    steadiness
        As :func:`partbook.coherent.steadiness` measures it.
    """
    weights, settings = load(MODEL)
    waver = wavering(steadiness)
    if waver:
        of_choirs, _ = load(CHOIR)
        weights = {name: weight.lerp(of_choirs[name], waver) for name, weight in weights.items()}
    singer = Singer(SingerConfig.from_json(settings))
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
    heard = (power_FT / level)[None], comb_NFT[None], f0_hz[None], bins_hz
    said = (singer or trained())(*heard, low_precision=low_precision_pays())[-1]
    background_FT = said.background()[0].expand_as(power_FT)
    return level * torch.cat([said.power(NOISE_SHARE)[0], BACKGROUND_SHARE * background_FT[None]])


def lasting(
    power_FT: Power_FT,
    said_NFT: Power_NFT,
    combs_NRFT: Complex[Tensor, "N R F T"],
    bins_hz: Float[Tensor, " F"],
    generator: torch.Generator,
) -> Power_NFT:
    """Return source-filter models of few shapes fitted to every voice by itself, as said by the network.

    Partials look half as the comb has them and half, in dB, as the network does, which knows where F0 is wrong.

    Parameters
    ----------
    power_FT, combs_NRFT, bins_hz
        As for :func:`sung_power`; the power has a mean of 1.
    said_NFT
        Powers of the voices, and of the background last.
    generator
        Source of the small random differences that the fit begins with.
    """
    outlines_FJ = smooth_basis(bins_hz, OUTLINES).to(said_NFT)
    outline_NFT = outlines_FJ @ ((outlines_FJ.T @ said_NFT[:-1]) / (outlines_FJ.sum(0)[:, None] + 1e-6))
    fine_NFT = said_NFT[:-1] / (outline_NFT + 1e-6 * outline_NFT.amax()).clamp_min(EPS)
    comb_NFT = (combs_NRFT.sum(1).abs().square() * fine_NFT).sqrt()
    sources = source_filter.start(comb_NFT, bins_hz, generator, vowels=SHAPES)
    heard_NFT = masks(said_NFT) * power_FT
    # As good with one pull a round for all of a model, and four times as fast.
    fitted, _ = fit(heard_NFT, sources, Apart(), iterations=ITERATIONS, beta=BETA, fixed_room=True, together=True)
    return fitted.power()


def blended(opinions: Sequence[Power_NFT], weights: Sequence[float]) -> Power_NFT:
    """Return the geometric mean of opinions of the same powers, softened where their weights sum to less than 1."""
    return math.prod(opinion**weight for opinion, weight in zip(opinions, weights, strict=True))


__all__ = [
    "BACKGROUND_SHARE",
    "CHOIR",
    "MODEL",
    "NOISE_SHARE",
    "WAVERING",
    "blended",
    "lasting",
    "sung_power",
    "trained",
    "wavering",
]
