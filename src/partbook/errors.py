"""Every exception that Partbook raises on purpose.

::

    PartbookError
    ├── InputError (ValueError)      the user's mistake: expected, got, try; the command line exits with 2
    │   ├── AudioError               a sound file or array that cannot be used
    │   ├── OptionError              a flag or argument out of range, or an unknown name
    │   ├── TrackError               an F0 track that cannot be used
    │   └── OutputError              a result that cannot be written
    └── Cancelled                    the progress callback asked to stop; the command line exits with 130
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PartbookError(Exception):
    """Base of everything Partbook raises on purpose."""


class InputError(PartbookError, ValueError):
    """Something given by the user cannot be used.

    The message is one line: what was expected, what came, and what to try.

    Examples
    --------
    >>> str(InputError("2 to 8 voices", got="40", hint="--voices SATB"))
    'expected 2 to 8 voices, got 40; try --voices SATB'
    """

    def __init__(self, expected: str, got: str, hint: str = "") -> None:
        super().__init__(f"expected {expected}, got {got}" + (f"; try {hint}" if hint else ""))


class AudioError(InputError):
    """A sound file or array cannot be used."""


class OptionError(InputError):
    """A flag or argument is out of range, or names something unknown."""


class TrackError(InputError):
    """An F0 track cannot be used."""


class OutputError(InputError):
    """A result cannot be written."""


class Cancelled(PartbookError):
    """The progress callback asked to stop."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the known word nearest to ``name``, or all of them.

    Examples
    --------
    >>> nearest("sopran", ["soprano", "alto"])
    'soprano'
    >>> nearest("x", ["soprano", "alto"])
    'one of soprano, alto'
    """
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return close[0] if close else "one of " + ", ".join(known)
