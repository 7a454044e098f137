"""What is scored: the references, mixtures and estimates of a piece or of a corpus, found by name and checked.

A folder of sound files is one piece: the file whose name holds the word *mix* is the mixture, every other a stem. Ids
come from the names without what all of them share, and single letters mean voices (``bwv269_S`` → ``soprano``). A
folder of such folders is a corpus; :mod:`~partbook.evaluate.corpora` describes others. Estimates belong to the
reference whose id stands in their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import soxr

from ..audio import Recording, open_recording, recording_from_array
from ..ensemble import LETTERS, RANGES_HZ
from ..errors import AudioError, InputError
from .corpora import Corpus

SUFFIXES = frozenset([".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff", ".w64", ".rf64", ".caf", ".m4a"])
_IN_MEMORY_SAMPLES = 1 << 24
_MIXTURE = re.compile(r"(?<![a-z])(?:au)?mix(?:ture|ed|down)?(?![a-z])")
_RESIDUAL = re.compile(r"(?<![a-z])(?:residual|background|ambience)(?![a-z])")


@dataclass(frozen=True)
class Problem:
    """Something that could not be scored as it is.

    Attributes
    ----------
    where
        Piece, system and stem, as far as they matter.
    what
        What is wrong with it, and what was done.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True)
class Files:
    """The files of one piece, not yet opened: stems by id, mixture and F0 files by id."""

    piece: str
    stems: Mapping[str, Path]
    mixture: Path | None = None
    f0: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """Recordings that are read side by side, with silence beyond the end of the shorter ones and for missing ones.

    Attributes
    ----------
    recordings
        One per source, None for a missing one.
    sample_rate, channels, length
        Of all; ``length`` in samples.
    """

    recordings: tuple[Recording | None, ...]
    sample_rate: int
    channels: int
    length: int

    @property
    def present(self) -> np.ndarray:
        """Which recordings are there, shape (N,)."""
        return np.array([recording is not None for recording in self.recordings])

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples ``start`` to ``stop``, float32, shape (N, C, stop - start)."""
        samples = np.zeros((len(self.recordings), self.channels, stop - start), np.float32)
        for row, recording in zip(samples, self.recordings, strict=True):
            if recording is not None:
                end = min(stop, recording.length)
                if end > start:
                    row[:, : end - start] = recording.read(start, end)
        return samples

    def at_rate(self, sample_rate: int) -> Bundle:
        """Return the bundle resampled, in memory."""
        if sample_rate == self.sample_rate:
            return self
        resampled = tuple(None if each is None else _resampled(each, sample_rate) for each in self.recordings)
        return replace(
            self,
            recordings=resampled,
            sample_rate=sample_rate,
            length=-(-self.length * sample_rate // self.sample_rate),
        )


@dataclass(frozen=True)
class Piece:
    """One piece with everything that is known of it.

    Attributes
    ----------
    name
        Name of the piece.
    sources
        Ids of the references.
    references, mixture
        ``mixture`` holds a single recording; where none was given it is None and the sum of the references is meant.
    f0
        F0 file of a reference by id.
    """

    name: str
    sources: tuple[str, ...]
    references: Bundle
    mixture: Bundle | None
    f0: Mapping[str, Path]

    def at_rate(self, sample_rate: int) -> Piece:
        """Return the piece resampled, in memory."""
        mixture = None if self.mixture is None else self.mixture.at_rate(sample_rate)
        return replace(self, references=self.references.at_rate(sample_rate), mixture=mixture)

    def mixture_of(self, start: int, stop: int, references: np.ndarray) -> np.ndarray:
        """Return the mixture, shape (C, S): as recorded, or the sum of these references."""
        return references.sum(0) if self.mixture is None else self.mixture.read(start, stop)[0]


def find_pieces(folder: str | Path, corpus: Corpus | None = None) -> list[Files]:
    """Find the references of a piece or of all pieces of a corpus.

    Raises
    ------
    InputError
        If there is no such folder or it holds no stems.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("a folder of reference stems", f"'{folder}'")
    if corpus is not None:
        pieces = _corpus_pieces(folder, corpus)
    elif _sounds(folder):
        pieces = [_folder_piece(folder)]
    else:
        pieces = [_folder_piece(child) for child in sorted(folder.iterdir()) if child.is_dir() and _sounds(child)]
    pieces = [piece for piece in pieces if len(piece.stems) >= 1]
    if not pieces:
        raise InputError(
            "sound files, or folders of them, or a named corpus", f"none in '{folder}'", "--corpus musdb, or its parent"
        )
    return pieces


def find_estimates(path: str | Path, piece: Files) -> Files:
    """Find the estimates of a piece.

    Parameters
    ----------
    path
        A folder of stems; the folder that holds one folder per piece (as ``partbook separate`` writes it); or the
        beginning that the names of the files share (``published/W-Up-bcbsq``). ``{piece}`` stands for the name of the
        piece.

    Raises
    ------
    InputError
        If nothing is there.
    """
    base = Path(str(path).replace("{piece}", piece.piece))
    names = [piece.piece] + ([piece.mixture.stem] if piece.mixture else [])
    folders = [folder for folder in (*(base / name for name in names), base) if folder.is_dir() and _sounds(folder)]
    if folders:
        sounds, folder = _sounds(folders[0]), folders[0]
    else:
        folder = base.parent
        sounds = [sound for sound in _sounds(folder) if sound.name.startswith(base.name)] if folder.is_dir() else []
    if not sounds:
        raise InputError(f"estimates of '{piece.piece}'", f"no sound files at '{base}'")
    return Files(piece.piece, _matched(sounds, tuple(piece.stems)), None, _f0_files(folder, tuple(piece.stems)))


def open_piece(files: Files) -> tuple[Piece, list[Problem]]:
    """Open the references and the mixture of a piece; what cannot be used is named and left out.

    Raises
    ------
    InputError
        If no reference can be used.
    """
    opened, problems = _opened(files.stems, files.piece)
    if not opened:
        raise InputError(f"references of '{files.piece}' that can be read", "; ".join(map(str, problems)) or "none")
    mixtures, unreadable = _opened({"mixture": files.mixture} if files.mixture else {}, files.piece)
    first = mixtures.get("mixture") or next(iter(opened.values()))
    channels = len(first.microphones)
    fitting = {}
    for id, recording in opened.items():
        misfit = _misfit(recording, first.sample_rate, channels)
        if misfit:
            problems.append(Problem(f"{files.piece}, reference {id}", f"{misfit}; left out"))
        else:
            fitting[id] = recording
    if not fitting:
        raise InputError(f"references like the mixture of '{files.piece}'", "; ".join(map(str, problems)))
    length = max(recording.length for recording in fitting.values())
    for id, recording in fitting.items():
        if recording.length != length:
            what = f"{recording.length} samples, the longest {length}; the end is taken as silent"
            problems.append(Problem(f"{files.piece}, reference {id}", what))
    mixture = mixtures.get("mixture")
    if mixture is not None and mixture.length != length:
        what = f"the mixture has {mixture.length} samples, the references {length}; the end is taken as silent"
        problems.append(Problem(files.piece, what))
    references = Bundle(tuple(fitting.values()), first.sample_rate, channels, length)
    bundled = None if mixture is None else Bundle((mixture,), first.sample_rate, channels, length)
    f0 = {id: path for id, path in files.f0.items() if id in fitting}
    return Piece(files.piece, tuple(fitting), references, bundled, f0), [*problems, *unreadable]


def open_estimates(files: Files, piece: Piece, system: str) -> tuple[Bundle, list[Problem]]:
    """Open the estimates of a piece as the references are ordered; what cannot be used is named and left out."""
    where = f"{piece.name}, {system}"
    opened, problems = _opened({id: files.stems[id] for id in piece.sources if id in files.stems}, where)
    reference = piece.references
    recordings: list[Recording | None] = []
    for id in piece.sources:
        recording = opened.get(id)
        if id not in files.stems:
            problems.append(Problem(f"{where}, {id}", "no such stem; not scored"))
        elif recording is not None:
            misfit = _misfit(recording, reference.sample_rate, reference.channels)
            if misfit:
                problems.append(Problem(f"{where}, {id}", f"{misfit}; not scored"))
                recording = None
            elif recording.length != reference.length:
                what = f"{recording.length} samples, the reference {reference.length}; scored from the same start"
                problems.append(Problem(f"{where}, {id}", what))
        recordings.append(recording)
    return Bundle(tuple(recordings), reference.sample_rate, reference.channels, reference.length), problems


def _opened(paths: Mapping[str, Path], where: str) -> tuple[dict[str, Recording], list[Problem]]:
    opened, problems = {}, []
    for id, path in paths.items():
        try:
            opened[id] = _at_hand(open_recording(path))
        except AudioError as error:
            problems.append(Problem(f"{where}, {id}", f"{error}; not scored"))
    return opened, problems


def _at_hand(recording: Recording) -> Recording:
    """Return a short recording in memory: formats that are slow to seek in are read in many pieces."""
    samples = recording.length * len(recording.microphones)
    if samples > _IN_MEMORY_SAMPLES:
        return recording
    return recording_from_array(recording.read(0, recording.length), recording.sample_rate, recording.name)


def _resampled(recording: Recording, sample_rate: int) -> Recording:
    samples = soxr.resample(recording.read(0, recording.length).T, recording.sample_rate, sample_rate, "VHQ")
    return recording_from_array(np.ascontiguousarray(samples.T), sample_rate, recording.name)


def _misfit(recording: Recording, sample_rate: int, channels: int) -> str:
    if recording.sample_rate != sample_rate:
        return f"{recording.sample_rate} Hz, expected {sample_rate} Hz"
    if len(recording.microphones) != channels:
        count = len(recording.microphones)
        return f"{count} channel{'s' * (count > 1)}, expected {channels}"
    return ""


def _sounds(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in SUFFIXES)


def _folder_piece(folder: Path) -> Files:
    sounds = _sounds(folder)
    mixtures = [path for path in sounds if _MIXTURE.search(path.stem.lower())]
    stems = [path for path in sounds if path not in mixtures and not _RESIDUAL.search(path.stem.lower())]
    named = _high_to_low(dict(zip(_ids([path.stem for path in stems]), stems, strict=True)))
    return Files(folder.name, named, mixtures[0] if mixtures else None, _f0_files(folder, named))


def _corpus_pieces(folder: Path, corpus: Corpus) -> list[Files]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    stems: dict[str, dict[str, Path]] = {}
    mixtures: dict[str, Path] = {}
    for path in paths:
        name = path.relative_to(folder).as_posix()
        mixture = re.fullmatch(corpus.mixture, name) if corpus.mixture else None
        stem = re.fullmatch(corpus.stem, name)
        if mixture:
            mixtures[mixture["piece"]] = path
        elif stem:
            id = corpus.sources.get(stem["source"], stem["source"].lower())
            stems.setdefault(stem["piece"], {})[id] = path
    wanted = [piece for piece in stems if not corpus.only or piece in corpus.only]
    return [Files(piece, _high_to_low(stems[piece]), mixtures.get(piece)) for piece in wanted]


def _high_to_low(stems: Mapping[str, Path]) -> dict[str, Path]:
    """Return stems from the highest voice to the lowest, others by name after them."""
    order = list(RANGES_HZ)

    def rank(id: str) -> tuple[int, str]:
        voice = re.sub(r"[ _-]?\d*$", "", id)
        return order.index(voice) if voice in order else len(order), id

    return {id: stems[id] for id in sorted(stems, key=rank)}


def _ids(names: Sequence[str]) -> tuple[str, ...]:
    """Return ids: the names without the words that all share at their ends, letters of voices written out.

    Examples
    --------
    >>> _ids(["bwv269_S", "bwv269_A"])
    ('soprano', 'alto')
    >>> _ids(["VIOLIN1_REF", "VIOLIN2_REF"])
    ('violin1', 'violin2')
    """
    words = [re.split(r"([^A-Za-z0-9]+)", name) for name in names]
    if len(names) > 1:
        shortest = min(map(len, words))
        head = next((k for k in range(shortest) if len({each[k] for each in words}) > 1), 0)
        tail = next((k for k in range(shortest - head) if len({each[-1 - k] for each in words}) > 1), 0)
        names = ["".join(each[head : len(each) - tail]) for each in words]
    if all(name.upper() in LETTERS for name in names):
        names = [LETTERS[name.upper()] for name in names]
    return tuple(name.lower() for name in names)


def _matched(paths: Sequence[Path], ids: Iterable[str]) -> dict[str, Path]:
    """Return the file of every id that stands as a word in exactly one name, or is one without what names share."""
    paths = [path for path in paths if not _RESIDUAL.search(path.stem.lower())]
    own = dict(zip(_ids([path.stem for path in paths]), paths, strict=True)) if paths else {}
    matched = {}
    for id in ids:
        word = re.compile(rf"(?<![a-z0-9]){re.escape(id)}(?![a-z0-9])")
        named = [path for path in paths if word.search(path.stem.lower())]
        if len(named) == 1:
            matched[id] = named[0]
        elif id in own:
            matched[id] = own[id]
    return matched


def _f0_files(folder: Path, ids: Iterable[str]) -> dict[str, Path]:
    tables = [path for place in (folder, folder / "f0") if place.is_dir() for path in sorted(place.glob("*.csv"))]
    found = _matched(tables, ids)
    if not found and tables:
        stems = [re.sub(r"[ _.-]?f0$", "", path.stem, flags=re.IGNORECASE) for path in tables]
        own = dict(zip(_ids(stems), tables, strict=True))
        found = {id: own[id] for id in ids if id in own}
    return found
