"""Long signals piece by piece: what looks only so far needs no more than that beside what it is to answer for.

The result is the same. Tensors that fit into a processor's cache are passed on twice as fast as those that do not.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def in_pieces(answer: Callable[[Tensor], Tensor], x: Tensor, reach: int, length: int) -> Tensor:
    """Return ``answer(x)``, a frame of answer for a frame of ``x`` along the last axis, made from pieces of ``x``.

    Parameters
    ----------
    answer
        What gives a frame from frames no farther than ``reach`` on either side; beyond the ends there is nothing.
    x
        Shape (..., T).
    reach, length
        Frames; both even, if frames are to be paired as in the whole.

    Examples
    --------
    >>> kernel = torch.tensor([[[1.0, 2.0, 3.0]]])
    >>> convolved = lambda x: torch.nn.functional.conv1d(x, kernel, padding=1)
    >>> x = torch.arange(10.0)[None]
    >>> torch.equal(in_pieces(convolved, x, 1, 4), convolved(x))
    True
    """
    frames = x.shape[-1]
    answers = []
    for first in range(0, max(frames, 1), length):
        begin, last = max(0, first - reach), min(frames, first + length)
        answers.append(answer(x[..., begin : last + reach])[..., first - begin : last - begin])
    return torch.cat(answers, -1)


__all__ = ["in_pieces"]
