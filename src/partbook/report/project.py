"""A session as a Reaper project: every player at every microphone, placed, named and coloured.

The project refers to the stems beside it. Every player is a folder of one track per microphone, each an item that plays
one channel of the player's stem; the residual is the last folder. All at unity gain, they sum to the recording at every
microphone. The format is Reaper's own text (``RPP``, chunks in angle brackets).
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from pathlib import Path

from .result import RESIDUAL, Result, read_result

_PAN = {"left": -1.0, "l": -1.0, "right": 1.0, "r": 1.0}
_CUSTOM_COLOUR = 1 << 24


def write_project(folder: Path) -> Path | None:
    """Write ``session.rpp`` into the folder of a separated session; nothing for one recording of voices.

    Parameters
    ----------
    folder
        As :func:`partbook.stems.write` left it.

    Returns
    -------
    Path or None
        The project.
    """
    result = read_result(Path(folder))
    if all(microphone.role == "mono" for microphone in result.microphones):
        return None
    path = Path(folder) / "session.rpp"
    path.write_text("\n".join(_project(result)) + "\n", encoding="utf-8")
    return path


def _project(result: Result) -> Iterator[str]:
    """Yield the lines of the project."""
    yield '<REAPER_PROJECT 0.1 "7.0" 0'
    yield f"  SAMPLERATE {result.sample_rate} 1 0"
    for n in range(len(result.sources)):
        yield from _player(result, n)
    yield ">"


def _player(result: Result, n: int) -> Iterator[str]:
    """Yield the folder of a player and its tracks."""
    source, colour = result.sources[n], _colour(result, n)
    yield from _track(source.name, colour, bus="1 1")
    yield "  >"
    file = result.files[n].paths[0].name
    kind = "FLAC" if file.endswith(".flac") else "WAVE"
    start_s = result.manifest["input"]["start"] / result.sample_rate
    for m, microphone in enumerate(result.microphones):
        last = m == len(result.microphones) - 1
        name = f"{source.name} at {microphone.name}"
        pan = _PAN.get(microphone.name.casefold(), 0.0) if microphone.role == "main" else 0.0
        yield from _track(name, colour, bus="2 -1" if last else "0 0", pan=pan)
        yield "    <ITEM"
        yield f"      POSITION {start_s:.9f}"
        yield f"      LENGTH {result.duration_s:.9f}"
        yield "      LOOP 0"
        yield f"      NAME {_quoted(name)}"
        # 3 plays the first channel alone, 4 the second, and so on.
        yield f"      CHANMODE {3 + m if len(result.microphones) > 1 else 0}"
        yield f"      <SOURCE {kind}"
        yield f"        FILE {_quoted(file)}"
        yield "      >"
        yield "    >"
        yield "  >"


def _track(name: str, colour: int, bus: str, pan: float = 0.0) -> Iterator[str]:
    """Yield the head of a track, which is left open."""
    yield "  <TRACK"
    yield f"    NAME {_quoted(name)}"
    yield f"    PEAKCOL {colour}"
    yield f"    VOLPAN 1 {pan:g} -1 -1 1"
    yield f"    ISBUS {bus}"


def _colour(result: Result, n: int) -> int:
    """Return hues spread over the players, and grey for the residual, as Reaper counts them: blue, green, red."""
    players = len(result.sources) - 1
    saturation = 0.0 if result.sources[n].id == RESIDUAL.id else 0.6
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(n / max(1, players), saturation, 0.85))
    return _CUSTOM_COLOUR | blue << 16 | green << 8 | red


def _quoted(text: str) -> str:
    """Return a name between quotes that it does not hold itself: Reaper knows three kinds and no escapes."""
    for quote in "\"'`":
        if quote not in text:
            return f"{quote}{text}{quote}"
    return f"`{text.replace('`', chr(39))}`"


__all__ = ["write_project"]
