"""What is made small in training; which of these losses can tell a pitch where to go.

Of a sound and a copy of it (``x`` and ``y``, spectra or samples):

- :func:`multi_resolution`: distances of magnitudes and of their logarithms in several windows (Engel et al., "DDSP:
  differentiable digital signal processing", ICLR 2020). Between a partial and one that does not overlap with it there
  is no slope: the distance does not depend on how far apart they are. Good for levels, blind to pitch;
- :func:`transport`: how far energy would have to be carried along the frequency axis (Torres, Peeters & Richard,
  "Unsupervised harmonic parameter estimation using differentiable DSP and spectral optimal transport", ICASSP 2024).
  The slope in pitch has the right sign at any distance;
- :func:`damped`: sinusoids whose frequency is the angle of a complex number that may also shrink (Hayes, Saitis &
  Fazekas, "Sinusoidal frequency estimation by gradient descent", ICASSP 2023). A wrong frequency first fades, which
  widens its spectrum until it overlaps the right one, and then comes back there.

Of the mixture under a model of power: :func:`likelihood`, the beta divergence that a fit makes small, and
:func:`masked_error`, what a Wiener filter with these powers leaves of a group of voices. Of the salience of voices, as
in joint models of pitch and voice (Richard, Chouteau & Torres, ICASSP 2024): :func:`salience_sum`,
:func:`outside_range`, :func:`commitment`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn.functional import mse_loss

from ..dsp.stft import Stft
from ..singer.judging import likelihood, masked_error

SIZES = (2048, 1024, 512, 256, 128, 64)
"""Windows of :func:`multi_resolution`, in samples at 16 kHz."""

_TINY = 1e-10


def multi_resolution(
    x: Float[Tensor, "*axes S"], y: Float[Tensor, "*axes S"], sizes: Sequence[int] = SIZES
) -> Float[Tensor, ""]:
    """Return the sum over windows of the mean distances of magnitudes and of log magnitudes."""
    total = x.new_zeros(())
    for size in sizes:
        stft = Stft(size, size // 4)
        of_x, of_y = ((stft(each).abs().square() + _TINY).sqrt() for each in (x, y))
        total = total + (of_x - of_y).abs().mean() + (of_x.log() - of_y.log()).abs().mean()
    return total


def transport(
    x: Float[Tensor, "*axes F"], y: Float[Tensor, "*axes F"], frequency: Float[Tensor, " F"], exponent: float = 2.0
) -> Float[Tensor, "*axes"]:
    """Return the Wasserstein distance of two spectra along frequency, to the power of ``exponent``.

    Both are taken as distributions of unit mass. The distance is that of their quantile functions,
    ``int_0^1 |X^-1(u) - Y^-1(u)|^exponent du``, exact for spectra on a grid; differentiable in both.

    Parameters
    ----------
    x, y
        Non-negative spectra, neither of them silent.
    frequency
        Of the bins, ascending: Hz, or their logarithm for a distance in octaves.
    exponent
        At least 1.

    Examples
    --------
    >>> low, high = torch.eye(5)[1], torch.eye(5)[4]
    >>> float(transport(low, high, torch.arange(5.0)))
    9.0
    """
    risen = [(each / each.sum(-1, keepdim=True)).cumsum(-1) for each in torch.broadcast_tensors(x, y)]
    levels, order = torch.cat(risen, -1).sort(dim=-1, stable=True)
    width = levels.diff(dim=-1, prepend=torch.zeros_like(levels[..., :1]))
    # Both quantile functions are constant between two levels; the bin follows from how many levels lie below. Counting,
    # not searching, keeps the slope where levels of both coincide, as those of a shifted copy do.
    from_x = order < len(frequency)
    at_x, at_y = (
        frequency[(mine.cumsum(-1) - mine.long()).clamp_max(len(frequency) - 1)] for mine in (from_x, ~from_x)
    )
    return (width * (at_x - at_y).abs() ** exponent).sum(-1)


def damped(z: Complex[Tensor, "*axes"], samples: int) -> Float[Tensor, "*axes S"]:
    """Return ``Re(z^s)``: a sinusoid of ``angle(z)`` radians per sample that decays with ``|z|``, which is cut at 1."""
    size = z.abs()
    z = z * (size.clamp_max(1) / size.clamp_min(_TINY))
    at = torch.arange(samples, device=z.device)
    # Powers of the polar form: exact for long signals, and smooth in z.
    return (z.abs().clamp_min(_TINY)[..., None] ** at) * torch.cos(z.angle()[..., None] * at)


def salience_sum(voices_NFT: Float[Tensor, "*axes N F T"], mixture_FT: Float[Tensor, "*axes F T"]) -> Float[Tensor, ""]:
    """Return how far the voices' saliences are from adding up to that of the mixture, which stands still."""
    return mse_loss(voices_NFT.sum(-3), mixture_FT.detach())


def outside_range(
    voices_NFT: Float[Tensor, "*axes N F T"], bins_hz: Float[Tensor, " F"], ranges_hz: Float[Tensor, "N 2"]
) -> Float[Tensor, ""]:
    """Return how much salience the voices have outside their ranges."""
    inside = (bins_hz >= ranges_hz[:, :1]) & (bins_hz <= ranges_hz[:, 1:])
    return (voices_NFT * ~inside[..., None]).square().mean()


def commitment(
    voices_NFT: Float[Tensor, "*axes N F T"], bins_hz: Float[Tensor, " F"], f0_hz: Float[Tensor, "*axes N T"]
) -> Float[Tensor, ""]:
    """Return how far the saliences are from 1 at the contours and 0 elsewhere; the contours stand still."""
    f0_hz = f0_hz.detach()[..., None, :]
    nearest = (bins_hz[:, None] / f0_hz.clamp_min(_TINY)).log().abs().argmin(-2, keepdim=True)
    there = torch.zeros_like(voices_NFT).scatter(-2, nearest, 1.0) * (f0_hz > 0)
    return mse_loss(voices_NFT, there)


__all__ = [
    "SIZES",
    "commitment",
    "damped",
    "likelihood",
    "masked_error",
    "multi_resolution",
    "outside_range",
    "salience_sum",
    "transport",
]
