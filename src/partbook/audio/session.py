"""The microphones of a session: a folder of mono files, a file of many channels, or a ``session.toml``.

::

    [[microphone]]                  # one for every channel
    name = "Violin1"
    file = "Violin1.flac"           # a file beside this one; with channel = 2 one channel of it
    role = "spot"                   # spot, main or ambient
    source = "Violin 1"             # of a spot; its name if left out
    pattern = "cardioid"            # optional, as are place and direction
    position_m = [1.0, 2.0, 1.5]
    aim = [0.0, 1.0, 0.0]

    [[source]]                      # optional
    name = "Violin 1"
    position_m = [1.2, 2.4, 1.2]
    spot = false                    # of a player whom no spot microphone hears: expected, and left in the residual

    [room]                          # optional
    size_m = [12.0, 20.0, 8.0]
    rt60_s = 0.9

A ``file`` at the top serves every microphone that names only its channel.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..ensemble import source_id
from ..errors import AudioError, OptionError, nearest
from .alignment import AlignedRecording, aligned
from .recording import MAX_CHANNELS, FileRecording, Microphone, Recording, Sound, inspect, similar_name

SUFFIXES = frozenset(
    {".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".snd", ".w64", ".wav"}
)
"""File name endings taken for sound in a folder."""

ROLES = ("main", "spot", "ambient")
"""What a microphone is for, in the order of the channels."""

_TOP_KEYS = ("file", "microphone", "source", "room")
_KEYS = {
    "microphone": ("name", "file", "channel", "role", "source", "pattern", "position_m", "aim"),
    "source": ("name", "position_m", "spot"),
    "room": ("size_m", "rt60_s"),
}


class _Place(NamedTuple):
    """A microphone and where its sound lies; None as channel means the only one of a mono file."""

    name: str
    role: str
    path: Path
    channel: int | None = None
    source: str | None = None


def open_session(
    path: str | Path, *, spots: Sequence[str] = (), main: Sequence[str] = (), align: bool = False
) -> FileRecording | AlignedRecording:
    """Open the microphones of a session as one recording.

    Parameters
    ----------
    path
        A folder with one mono file per microphone, named by its stem; a file of several channels; a ``session.toml``,
        or the folder that holds one.
    spots
        Names of the microphones nearest to the players, which also name the sources; in a file of several channels
        ``NAME=CHANNEL`` with channels from 1. Not with ``session.toml``.
    main
        Names of the main microphones, likewise.
    align
        Whether files may differ in rate, start and clock: they are brought to the time of the first microphone.

    Returns
    -------
    FileRecording or AlignedRecording
        Its channels are the main microphones, then the spots, then (``session.toml`` only) the ambient ones.

    Raises
    ------
    AudioError
        If a file cannot be used, or rates or lengths differ.
    OptionError
        If a microphone is unknown, named twice, or its channel does not exist.
    """
    path = Path(path)
    if not path.exists():
        got = f"'{path}', which does not exist"
        raise AudioError("a folder of microphones, a sound file or a session.toml", got, similar_name(path))
    if path.is_dir() and not (spots or main) and (path / "session.toml").is_file():
        path = path / "session.toml"
    if path.suffix.lower() == ".toml":
        if spots or main:
            raise OptionError("microphones from session.toml or from --spots and --main", "both")
        name, places, setup = _from_toml(path)
    else:
        name = path.resolve().name if path.is_dir() else path.stem
        places, setup = (_from_folder if path.is_dir() else _from_file)(path, spots, main), {}
        named = {place.path for place in places}
        unnamed = [file.stem for file in _sound_files(path) if file not in named] if path.is_dir() else []
        if unnamed:
            setup["unnamed"] = unnamed
    if not places:
        raise OptionError("at least one microphone", "none", _spots_hint(path))
    return _gathered(name, sorted(places, key=lambda place: ROLES.index(place.role)), setup, align)


def source_names(recording: Recording) -> dict[str, str]:
    """Return the name, spelled as given, of every source id that has a spot microphone, in the order of the spots."""
    listed = recording.setup.get("source", ())
    names = {str(entry["name"]).lower(): str(entry["name"]) for entry in listed}
    spots = [microphone for microphone in recording.microphones if microphone.source is not None]
    return {
        spot.source: names.get(spot.source, spot.name if spot.name.lower() == spot.source else spot.source)
        for spot in spots
    }


def _from_folder(folder: Path, spots: Sequence[str], main: Sequence[str]) -> list[_Place]:
    """Find the file of every microphone by its stem."""
    files = _sound_files(folder)
    if not files:
        raise AudioError("a folder with a sound file per microphone", f"'{folder}', which holds none")
    places = []
    for role, names in (("main", main), ("spot", spots)):
        for name in names:
            found = [file for file in files if file.stem == name]
            if not found:
                hint = nearest(name, [file.stem for file in files])
                raise OptionError(f"microphones of the folder '{folder}' in --{_flag(role)}", f"{name!r}", hint)
            if len(found) > 1:
                raise AudioError(f"one file for {name}", " and ".join(f"'{file.name}'" for file in found))
            places.append(_Place(name, role, found[0], None, source_id(name) if role == "spot" else None))
    return places


def _from_file(path: Path, spots: Sequence[str], main: Sequence[str]) -> list[_Place]:
    """Read ``NAME=CHANNEL``."""
    places = []
    for role, entries in (("main", main), ("spot", spots)):
        for entry in entries:
            name, equals, channel = entry.rpartition("=")
            if not (name and equals and channel.strip().isdecimal()):
                raise OptionError(f"NAME=CHANNEL in --{_flag(role)} for a file", f"{entry!r}", f"{entry}=1")
            name = name.strip()
            places.append(_Place(name, role, path, int(channel), source_id(name) if role == "spot" else None))
    return places


def _from_toml(path: Path) -> tuple[str, list[_Place], dict[str, object]]:
    """Read name, microphones and setup of a ``session.toml``."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise OptionError("a session.toml", f"'{path}' ({' '.join(str(error).split())})") from error
    _check_keys("session.toml", table, _TOP_KEYS)
    microphones, sources, room = table.get("microphone", []), table.get("source", []), table.get("room", {})
    if not (isinstance(microphones, list) and isinstance(sources, list) and isinstance(room, dict)):
        raise OptionError("[[microphone]], [[source]] and [room] in session.toml", "another kind of table")
    for kind, entries in (("microphone", microphones), ("source", sources), ("room", [room])):
        for entry in entries:
            _check_entry(kind, entry)
    places = [_toml_place(path.parent, entry, table.get("file"), sources) for entry in microphones]
    setup = {key: table[key] for key in ("source", "room") if key in table}
    fixed = [{k: e[k] for k in ("name", "pattern", "position_m", "aim") if k in e} for e in microphones]
    if any(len(entry) > 1 for entry in fixed):
        setup["microphone"] = fixed
    return path.resolve().parent.name if path.stem == "session" else path.stem, places, setup


def _toml_place(folder: Path, entry: Mapping, top_file: object, sources: list[Mapping]) -> _Place:
    """Turn one ``[[microphone]]`` into a place."""
    name, role, channel = entry["name"], entry.get("role"), entry.get("channel")
    file = entry.get("file", top_file)
    if not isinstance(file, str):
        raise OptionError(f"a file for microphone {name!r} in session.toml", "none", f'file = "{name}.wav"')
    if role not in ROLES:
        raise OptionError(f"role spot, main or ambient for microphone {name!r}", f"{role!r}")
    if channel is not None and not isinstance(channel, int):
        raise OptionError(f"a channel number for microphone {name!r}", f"{channel!r}")
    source = None
    if role == "spot":
        given = entry.get("source", name)
        source = source_id(given)
        known = [each["name"] for each in sources]
        if known and source not in {each.lower() for each in known}:
            raise OptionError(f"a source of session.toml for microphone {name!r}", f"{given!r}", nearest(given, known))
    return _Place(name, role, folder / file, channel, source)


def _check_entry(kind: str, entry: object) -> None:
    """Raise OptionError unless a table of ``session.toml`` holds what it should."""
    if not isinstance(entry, dict):
        raise OptionError(f"tables as [[{kind}]] in session.toml", f"{entry!r}")
    _check_keys(f"[{kind}]", entry, _KEYS[kind])
    if kind != "room" and not (isinstance(entry.get("name"), str) and entry["name"].strip()):
        raise OptionError(f"a name for every [[{kind}]] in session.toml", f"{entry.get('name')!r}")
    for key in ("source", "pattern"):
        if key in entry and not isinstance(entry[key], str):
            raise OptionError(f"text as {key} of a {kind} in session.toml", f"{entry[key]!r}")
    if kind == "source" and not isinstance(entry.get("spot", True), bool):
        raise OptionError(f"spot = true or false of the source {entry['name']!r}", f"{entry['spot']!r}")
    for key in ("position_m", "size_m", "aim"):
        if key in entry and not (isinstance(entry[key], list) and [_is_number(x) for x in entry[key]] == [True] * 3):
            raise OptionError(f"three numbers as {key} in session.toml", f"{entry[key]!r}", f"{key} = [1.0, 2.0, 1.5]")
    if "rt60_s" in entry and not (_is_number(entry["rt60_s"]) and entry["rt60_s"] > 0):
        raise OptionError("seconds above 0 as rt60_s in session.toml", f"{entry['rt60_s']!r}", "rt60_s = 0.9")


def _check_keys(where: str, table: Mapping, known: Sequence[str]) -> None:
    for key in table:
        if key not in known:
            raise OptionError(f"keys of {where}", f"{key!r}", nearest(key, known))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _gathered(
    name: str, places: Sequence[_Place], setup: Mapping[str, object], align: bool
) -> FileRecording | AlignedRecording:
    """Open the files of all microphones and check that they fit together."""
    twice = [each for each, count in Counter(place.name for place in places).items() if count > 1]
    if twice:
        raise OptionError("every microphone once", f"{twice[0]!r} twice")
    if len(places) > MAX_CHANNELS:
        raise AudioError(f"1 to {MAX_CHANNELS} microphones", f"{len(places)}")
    sounds = {path: inspect(path) for path in dict.fromkeys(place.path for place in places)}
    first_path, first = next(iter(sounds.items()))
    for path, sound in () if align else sounds.items():
        if sound.sample_rate != first.sample_rate:
            got = f"{first.sample_rate} in '{first_path.name}' and {sound.sample_rate} in '{path.name}'"
            raise AudioError("one sample rate in a session", got, "--align for separate recorders")
        if sound.length != first.length:
            got = f"{first.length} samples in '{first_path.name}' and {sound.length} in '{path.name}'"
            raise AudioError("files of one length in a session", got, "--align for separate recorders")
    placed = [_with_channel(place, sounds[place.path]) for place in places]
    used = Counter((place.path, place.channel) for place in placed)
    shared = next((place for place in placed if used[place.path, place.channel] > 1), None)
    if shared:
        raise OptionError("every channel once", f"channel {shared.channel} of '{shared.path.name}' twice")
    microphones = tuple(Microphone(p.name, p.path.name, p.channel, p.role, p.source) for p in placed)
    paths = tuple(place.path for place in placed)
    recording = FileRecording(name, first.sample_rate, first.length, microphones, paths, first.subtype, setup=setup)
    return aligned(recording, sounds) if align else recording


def _with_channel(place: _Place, sound: Sound) -> _Place:
    """Return the place with its channel, checked against the file."""
    if place.channel is None:
        if sound.channels != 1:
            hint = "session.toml, which can name channels"
            raise AudioError(f"one channel in '{place.path.name}'", f"{sound.channels}", hint)
        return place._replace(channel=1)
    if not 1 <= place.channel <= sound.channels:
        got = f"channel {place.channel}"
        raise OptionError(f"channel 1 to {sound.channels} of '{place.path.name}' for {place.name}", got)
    return place


def _sound_files(folder: Path) -> list[Path]:
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise AudioError("a readable folder", f"'{folder}' ({error.strerror})") from error
    return [file for file in files if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")]


def _spots_hint(path: Path) -> str:
    """Return how to name spots of this input."""
    if path.is_dir():
        names = [file.stem for file in _sound_files(path)]
        return f"--spots with some of {', '.join(names)}"
    return 'role = "spot"' if path.suffix.lower() == ".toml" else "--spots Violin1=4,Violin2=5"


def _flag(role: str) -> str:
    return "spots" if role == "spot" else role


__all__ = ["ROLES", "SUFFIXES", "open_session", "source_names"]
