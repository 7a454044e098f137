"""How far a separation is, told to whoever asks, and the only way to stop it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from .errors import Cancelled


@dataclass(frozen=True)
class ProgressEvent:
    """One report of progress.

    Attributes
    ----------
    stage
        What is being done: ``"pitch"``, ``"fit"``, ``"write"`` …
    done, total
        Units of work of this stage, ``0 <= done <= total``.
    eta_s
        Estimated seconds until this stage ends; NaN before the first unit is done.
    message
        One line for people, possibly empty.
    """

    stage: str
    done: int
    total: int
    eta_s: float
    message: str = ""


OnProgress = Callable[[ProgressEvent], object]
"""Called with every event; return ``False`` to cancel (anything else goes on)."""


def _ignore(event: ProgressEvent) -> None:
    pass


class Progress:
    """Turn "one more unit is done" into typed events with an estimate of the time left.

    Parameters
    ----------
    stage
        Name of the stage.
    total
        Units of work it has.
    on_progress
        Callback, or None.

    Raises
    ------
    Cancelled
        From :meth:`step`, when the callback returns ``False``.
    """

    def __init__(self, stage: str, total: int, on_progress: OnProgress | None = None) -> None:
        self._stage, self._total, self._done = stage, total, 0
        self._report = on_progress or _ignore
        self._start = time.monotonic()
        self._tell(float("nan"), "")

    def step(self, message: str = "", units: int = 1) -> None:
        """Report that one more unit, or several, are done."""
        self._done = min(self._done + units, self._total)
        elapsed = time.monotonic() - self._start
        self._tell(elapsed / self._done * (self._total - self._done), message)

    def _tell(self, eta_s: float, message: str) -> None:
        if self._report(ProgressEvent(self._stage, self._done, self._total, eta_s, message)) is False:
            raise Cancelled(f"cancelled during {self._stage}")


class Messages:
    """Pass events on, and keep what they say.

    Parameters
    ----------
    on_progress
        Who else listens, or None.
    """

    def __init__(self, on_progress: OnProgress | None = None) -> None:
        self._report = on_progress or _ignore
        self.lines: list[str] = []

    def __call__(self, event: ProgressEvent) -> object:
        """Keep the message of an event, if it has one."""
        if event.message:
            self.lines.append(event.message)
        return self._report(event)


class Stopwatch:
    """Pass events on, and remember how long every stage took.

    Parameters
    ----------
    on_progress
        Who else listens, or None.
    """

    def __init__(self, on_progress: OnProgress | None = None) -> None:
        self._report = on_progress or _ignore
        self._start = self._last = time.monotonic()
        self._seconds: dict[str, float] = {}

    def __call__(self, event: ProgressEvent) -> object:
        """Take the time since the last event as spent on the stage of this one."""
        now = time.monotonic()
        self._seconds[event.stage] = self._seconds.get(event.stage, 0.0) + now - self._last
        self._last = now
        return self._report(event)

    def times(self) -> dict[str, object]:
        """Return the seconds spent on every stage and in total."""
        stages = {stage: round(seconds, 3) for stage, seconds in self._seconds.items()}
        return {"seconds": {**stages, "total": round(time.monotonic() - self._start, 3)}}
