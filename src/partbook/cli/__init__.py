"""The command line: one function per verb.

Results go to standard output, everything for people to standard error. Exit codes: 0 fine, 1 a check failed, 2 the
user's mistake (one line, nothing written), 3 part of a batch failed, 130 cancelled.
"""

from __future__ import annotations

from collections.abc import Sequence

from cyclopts import CycloptsError

from ..errors import Cancelled, InputError
from . import calibration, checking, evaluation, pitch, separation, training
from .base import CANCELLED, FINE, MISTAKE, app, complain


def main(tokens: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    try:
        return app(tokens, exit_on_error=False, print_error=False, result_action="return_value") or FINE
    except (CycloptsError, InputError) as error:
        complain(error)
        return MISTAKE
    except (KeyboardInterrupt, Cancelled):
        complain("cancelled")
        return CANCELLED


__all__ = ["app", "calibration", "checking", "evaluation", "main", "pitch", "separation", "training"]
