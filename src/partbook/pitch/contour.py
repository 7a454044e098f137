"""From salience to F0 by ways that a gradient can take back, or not.

Let ``S(b, t)`` be the salience of one voice, ``f_b`` the frequency of bin ``b``, ``b*`` the loudest bin of a frame,
``m = S(b*)``, ``tau`` a threshold, and ``F = f_{b*}`` where ``m >= tau``, else 0. Six ways are those of the joint
models of Richard, Chouteau & Torres ("A fully differentiable model for unsupervised singing voice separation", ICASSP
2024):

==================  ================================  ===================================================
name                F0                                its gradient in ``S``
==================  ================================  ===================================================
``sigmoid``         ``sigmoid(1000 (m - tau)) f_b*``  ``1000 s (1 - s) f_b*`` at ``b*``: none a hundredth
                                                      away from the threshold
``straight-through``  ``F``                           ``f_b*`` at ``b*``, voiced or not, the gradient that
                                                      comes back clipped to 1000
``amplitude``       ``(m / m) F``                     none at all
``reconstruction``  ``F``                             1 at *every* bin
``softmax``         ``sum_b S f_b``                   ``f_b``: not a frequency, unless ``S`` sums to 1
``threshold``       ``m F``                           ``F`` at ``b*``: the pitch is wrong by the factor ``m``
==================  ================================  ===================================================

None of them knows which way a *bin* would have to move: the loudest bin is chosen without a gradient. They can make a
frame voiced or unvoiced, and the last two can scale the number that comes out; they cannot follow a pitch. Two can:

- ``local``: the mean log frequency of the bins around ``b*``, weighted by their salience. Its gradient at a bin is the
  bin's distance from the mean, so a loss shifts the peak and, step by step, carries it from bin to bin;
- ``path``: the same mean under the posterior of a Markov chain through all frames, so that a frame also learns from its
  neighbours, and a peak that does not continue counts for little.

Both leave voicing to the threshold. Salience is (…, bins, frames); bins lie evenly in log frequency.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import OptionError, nearest

Salience = Float[Tensor, "*voices P T"]
Contour = Float[Tensor, "*voices T"]

STEEPNESS = 1000.0
CLIPPED = 1000.0
REACH_CENTS = 100.0
"""Half the width of the neighbourhood that ``local`` looks at."""
SHARPNESS = 4.0
"""Exponent of the salience where it is taken as a weight: the peak counts, its skirts do not."""
STEP_CENTS = 25.0
"""Standard deviation of the steps from frame to frame that ``path`` expects."""


def extracted(
    salience: Salience, bins_hz: Float[Tensor, " P"], threshold: Float[Tensor, "*voices"] | float, method: str
) -> Contour:
    """Return the F0 of every voice and frame in Hz, 0 where unvoiced, by one of the methods of this module.

    Parameters
    ----------
    salience
        From 0 to 1.
    bins_hz
        Frequencies of the bins, ascending.
    threshold
        Least salience of a voiced frame, one for all voices or one each.
    method
        A key of :data:`METHODS`.

    Raises
    ------
    OptionError
        If there is no such method.

    Examples
    --------
    >>> bins_hz = 100 * 2 ** (torch.arange(60) / 60)
    >>> salience = torch.exp(-0.5 * ((torch.arange(60.0) - 30.4) / 2) ** 2)[:, None]
    >>> [round(float(extracted(salience, bins_hz, 0.5, name)), 1) for name in ("reconstruction", "local")]
    [141.4, 142.0]
    """
    if method not in METHODS:
        raise OptionError("a way from salience to F0", repr(method), nearest(method, METHODS))
    threshold = torch.as_tensor(threshold, dtype=salience.dtype, device=salience.device)
    return METHODS[method](salience, bins_hz.to(salience), threshold[..., None])


def sigmoid(salience: Salience, bins_hz: Tensor, threshold: Tensor) -> Contour:
    """Return the loudest bin's frequency times a steep sigmoid of its salience."""
    peak, at_hz = _loudest(salience, bins_hz)
    return torch.sigmoid(STEEPNESS * (peak - threshold)) * at_hz


def straight_through(salience: Salience, bins_hz: Tensor, threshold: Tensor) -> Contour:
    """Return the hard contour; backwards, the decision counts as the salience itself."""
    peak, at_hz = _loudest(salience, bins_hz)
    return _Through.apply(peak, threshold) * at_hz


def amplitude(salience: Salience, bins_hz: Tensor, threshold: Tensor) -> Contour:
    """Return the hard contour times salience over salience, whose derivative is 0."""
    peak, at_hz = _loudest(salience, bins_hz)
    safe = torch.where(peak > 0, peak, torch.ones_like(peak))
    return (safe / safe) * at_hz * (peak.detach() >= threshold)


def reconstruction(salience: Salience, bins_hz: Tensor, threshold: Tensor) -> Contour:
    """Return the hard contour; backwards, its gradient is copied to every bin."""
    peak, at_hz = _loudest(salience, bins_hz)
    hard_hz = (at_hz * (peak >= threshold)).detach()
    copied = salience.sum(-2)
    return hard_hz + (copied - copied.detach())


def softmax(salience: Salience, bins_hz: Tensor, threshold: Tensor) -> Contour:
    """Return the sum of frequencies weighted by salience, which is not normalised."""
    return (salience * bins_hz[:, None]).sum(-2)


def thresholded(salience: Salience, bins_hz: Tensor, threshold: Tensor) -> Contour:
    """Return the hard contour times the salience of its peak."""
    peak, at_hz = _loudest(salience, bins_hz)
    return peak * at_hz * (peak.detach() >= threshold)


def local(salience: Salience, bins_hz: Tensor, threshold: Tensor) -> Contour:
    """Return the mean log frequency around the loudest bin, weighted by salience."""
    best = salience.detach().argmax(-2, keepdim=True)
    reach = max(1, round(REACH_CENTS / _step_cents(bins_hz)))
    distance = torch.arange(len(bins_hz), device=salience.device)[:, None] - best
    # A raised cosine: bins enter the neighbourhood without a jump as its centre moves on.
    window = torch.where(distance.abs() <= reach, 0.5 + 0.5 * torch.cos(torch.pi * distance / (reach + 1)), 0.0)
    return _mean_hz(window * salience.clamp_min(1e-9) ** SHARPNESS, bins_hz) * _voiced(salience, threshold)


def path(salience: Salience, bins_hz: Tensor, threshold: Tensor) -> Contour:
    """Return the mean log frequency under the posterior of a chain of bins through all frames."""
    score = SHARPNESS * salience.clamp_min(1e-6).log()
    step = STEP_CENTS / _step_cents(bins_hz)
    reach = math.ceil(3 * step)
    offsets = torch.arange(-reach, reach + 1, device=salience.device).to(salience)
    transition = -0.5 * (offsets / step) ** 2
    transition = transition - transition.logsumexp(0)
    forward, backward = _passed(score, transition), _passed(score.flip(-1), transition).flip(-1)
    posterior = (forward + backward - score).softmax(-2)
    return _mean_hz(posterior, bins_hz) * _voiced(salience, threshold)


METHODS: Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "sigmoid": sigmoid,
    "straight-through": straight_through,
    "amplitude": amplitude,
    "reconstruction": reconstruction,
    "softmax": softmax,
    "threshold": thresholded,
    "local": local,
    "path": path,
}
"""By name."""


class _Through(torch.autograd.Function):
    """A hard decision whose gradient passes straight through, clipped."""

    @staticmethod
    def forward(ctx, peak: Tensor, threshold: Tensor) -> Tensor:
        """Return 1 above the threshold, else 0."""
        return (peak > threshold).to(peak.dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        """Return the clipped gradient as that of the peak."""
        return gradient.clamp(-CLIPPED, CLIPPED), None


def _loudest(salience: Salience, bins_hz: Tensor) -> tuple[Contour, Contour]:
    peak, best = salience.max(-2)
    return peak, bins_hz[best]


def _voiced(salience: Salience, threshold: Tensor) -> Contour:
    return salience.detach().amax(-2) >= threshold


def _mean_hz(weight: Salience, bins_hz: Tensor) -> Contour:
    return ((weight * bins_hz.log()[:, None]).sum(-2) / weight.sum(-2)).exp()


def _step_cents(bins_hz: Tensor) -> float:
    return 1200 * math.log2(float(bins_hz[-1] / bins_hz[0])) / (len(bins_hz) - 1)


def _passed(score: Salience, transition: Float[Tensor, " W"]) -> Salience:
    """Return the log messages of a chain that ends in every bin of every frame, its own score included."""
    reach = len(transition) // 2
    message = score[..., 0]
    messages = [message]
    for t in range(1, score.shape[-1]):
        padded = torch.nn.functional.pad(message, (reach, reach), value=-1e9)
        message = score[..., t] + (padded.unfold(-1, len(transition), 1) + transition).logsumexp(-1)
        # Only differences between bins matter; the level would grow with time.
        message = message - message.detach().amax(-1, keepdim=True)
        messages.append(message)
    return torch.stack(messages, -1)


__all__ = ["METHODS", "extracted"]
