"""Each part of an ensemble recording as if it had been recorded alone.

>>> import partbook
>>> stems = partbook.separate("quartet.wav", voices="SATB")     # doctest: +SKIP
>>> stems["alto"], stems.residual, stems.f0["alto"]             # doctest: +SKIP
>>> stems.save("separated")                                     # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module

# The functions, not the modules of the same names; the modules are light, and what they need is imported when they run.
from .separate import separate, separate_into
from .track import track, track_into

_HOMES = {
    "AudioError": "errors",
    "Cancelled": "errors",
    "InputError": "errors",
    "Microphone": "audio",
    "OptionError": "errors",
    "Options": "config",
    "OutputError": "errors",
    "PartbookError": "errors",
    "ProgressEvent": "progress",
    "SessionOptions": "config",
    "Source": "stems",
    "Stems": "stems",
    "Track": "pitch.tracks",
    "Tracks": "pitch.tracking",
    "TrackError": "errors",
    "Voice": "ensemble",
    "read_f0": "pitch.tracks",
    "verify": "stems",
    "write_f0": "pitch.tracks",
}

__all__ = [*_HOMES, "separate", "separate_into", "track", "track_into"]


def __getattr__(name: str) -> object:
    """Import a public name from its module when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'partbook' has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
