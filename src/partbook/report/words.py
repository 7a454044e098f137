"""Numbers, notes and times as people read them."""

from __future__ import annotations

import numpy as np

_NOTES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
_COUNTS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")


def counted(count: int, noun: str) -> str:
    """Return a number of things in words.

    Examples
    --------
    >>> counted(4, "voice"), counted(1, "player")
    ('Four voices', 'One player')
    """
    number = _COUNTS[count] if count < len(_COUNTS) else str(count)
    return f"{number} {noun}{'' if count == 1 else 's'}"


def number(value: float, unit: str = "", digits: int = 1) -> str:
    """Return a number with a true minus sign; a dash for NaN, −∞ below −150.

    Examples
    --------
    >>> number(-3.14159, "dB"), number(-0.01), number(float("-inf"))
    ('−3.1 dB', '0.0', '−∞')
    """
    if value != value:
        return "–"
    text = "−∞" if value < -150 else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
    return f"{text} {unit}".strip()


def note(f0_hz: float) -> str:
    """Return the nearest note of equal temperament at 440 Hz.

    Examples
    --------
    >>> note(440), note(65.0)
    ('A4', 'C2')
    """
    midi = round(69 + 12 * np.log2(f0_hz / 440))
    return f"{_NOTES[midi % 12]}{midi // 12 - 1}"


def clock(seconds: float) -> str:
    """Return minutes and seconds.

    Examples
    --------
    >>> clock(61.26)
    '1:01.3'
    """
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"
