"""A finished result folder, read piece by piece."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..audio.recording import FileRecording, Microphone
from ..errors import InputError
from ..pitch.tracks import Track, read_f0
from ..stems import Source

RESIDUAL = Source("residual", "Residual", float("nan"))
"""What belongs to no source: noise of the room, an audience, rounding. The last image of every block."""

_BLOCK_BYTES = 64_000_000


@dataclass(frozen=True)
class Result:
    """What :func:`partbook.stems.write` left in a folder.

    Attributes
    ----------
    folder, name
        The folder and the name of the track.
    sample_rate, length
        Hz and samples of every file.
    microphones
        The channels of every file, in order.
    sources
        The N sources, then the residual.
    files
        One sound file per entry of ``sources``.
    f0
        F0 track per source id, where there is one.
    manifest
        All that the manifest says.
    """

    folder: Path
    name: str
    sample_rate: int
    length: int
    microphones: tuple[Microphone, ...]
    sources: tuple[Source, ...]
    files: tuple[FileRecording, ...]
    f0: Mapping[str, Track]
    manifest: Mapping[str, object]

    @property
    def duration_s(self) -> float:
        """Seconds from start to end."""
        return self.length / self.sample_rate

    def blocks(self, start: int, stop: int, multiple: int = 1) -> Iterator[np.ndarray]:
        """Read samples ``start`` to ``stop`` of all files together, in blocks of bounded size.

        Parameters
        ----------
        start, stop
            Samples.
        multiple
            Every block but the last holds a multiple of so many samples.

        Yields
        ------
        array
            float32, shape (N + 1, M, S): every source, then the residual; their sum is the recording.
        """
        at_once = _BLOCK_BYTES // (4 * len(self.files) * len(self.microphones))
        step = max(1, min(at_once, 10 * self.sample_rate) // multiple) * multiple
        for at in range(start, stop, step):
            end = min(stop, at + step)
            yield np.stack([file.read(at, end) for file in self.files])


def read_result(folder: Path) -> Result:
    """Open a result folder.

    Raises
    ------
    InputError
        If the folder has no manifest or one of its sound files is missing.
    """
    if not (folder / "manifest.json").is_file():
        raise InputError("a folder with a manifest.json", got=f"'{folder}'", hint="the folder that separate wrote")
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    rate, length = manifest["input"]["rate"], manifest["input"]["length"]
    microphones = tuple(Microphone(**one) for one in manifest["microphones"])
    sources = [Source(one["id"], one["name"], _confidence(one["confidence"])) for one in manifest["sources"]]
    sources = (*sources, RESIDUAL)
    paths = [folder / one["file"] for one in (*manifest["sources"], manifest["residual"])]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise InputError(f"'{missing[0]}' in '{folder}'", got="no such file", hint="separating the recording again")
    columns = tuple(replace(mic, channel=m + 1) for m, mic in enumerate(microphones))
    files = (FileRecording(path.stem, rate, length, columns, (path,) * len(columns), "") for path in paths)
    start_s = manifest["input"]["start"] / rate
    f0_files = {source.id: folder / "f0" / f"{source.id}.csv" for source in sources}
    return Result(
        folder=folder,
        name=paths[-1].stem.removesuffix(f"_{RESIDUAL.id}"),
        sample_rate=rate,
        length=length,
        microphones=microphones,
        sources=sources,
        files=tuple(files),
        f0={
            id_: read_f0(path).between(start_s, start_s + length / rate)
            for id_, path in f0_files.items()
            if path.is_file()
        },
        manifest=manifest,
    )


def _confidence(value: float | None) -> float:
    """Return a confidence, NaN where a method has none."""
    return float("nan") if value is None else float(value)
