"""What the header of a sound file promises: libsndfile reads a file that was cut short without a word.

A chunked file (WAV, RF64, AIFF, W64, CAF) states the size of its sound; when fewer bytes follow, the rest was lost.
FLAC states its number of samples, which only decoding can confirm; that is left to the caller.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

_UNKNOWN_32 = 0xFFFFFFFF
_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"


class _Layout(NamedTuple):
    """How the chunks of a format are laid out."""

    preamble: int
    """Bytes before the first chunk."""
    id_bytes: int
    size: struct.Struct
    counts_header: bool
    """Whether a chunk's size includes its own id and size."""
    alignment: int
    sound: bytes
    """First four bytes of the id of the chunk that holds the sound."""


_LAYOUTS = {
    b"RIFF": _Layout(12, 4, struct.Struct("<I"), False, 2, b"data"),
    b"RF64": _Layout(12, 4, struct.Struct("<I"), False, 2, b"data"),
    b"BW64": _Layout(12, 4, struct.Struct("<I"), False, 2, b"data"),
    b"RIFX": _Layout(12, 4, struct.Struct(">I"), False, 2, b"data"),
    b"FORM": _Layout(12, 4, struct.Struct(">I"), False, 2, b"SSND"),
    b"caff": _Layout(8, 4, struct.Struct(">q"), False, 1, b"data"),
    b"riff": _Layout(40, 16, struct.Struct("<Q"), True, 8, b"data"),
}


def missing_bytes(path: Path) -> int:
    """Return how many bytes of sound the header promises beyond the end of the file; 0 where it makes no promise.

    Streams of unknown size (0, all ones or −1 in the header, as encoders write into a pipe) promise nothing.
    """
    with path.open("rb") as file:
        magic = file.read(4)
        layout = _LAYOUTS.get(magic)
        file.seek(0)
        if layout is None or (magic == b"riff" and file.read(16) != _W64_RIFF):
            return 0
        end = file.seek(0, 2)
        large = None
        for name, start, size in _chunks(file, layout, end):
            if name[:4] == b"ds64" and end - start >= 16:
                file.seek(start + 8)
                large = struct.unpack("<Q", file.read(8))[0]
            if name[:4] == layout.sound:
                if size == _UNKNOWN_32:
                    size = large or 0
                return max(0, start + size - end)
    return 0


def _chunks(file: BinaryIO, layout: _Layout, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the id, the first byte and the stated size of every chunk."""
    header = layout.id_bytes + layout.size.size
    position = layout.preamble
    while position + header <= end:
        file.seek(position)
        name = file.read(layout.id_bytes)
        (size,) = layout.size.unpack(file.read(layout.size.size))
        if layout.counts_header:
            size = max(0, size - header)
        yield name, position + header, size
        position += header + -(-max(0, size) // layout.alignment) * layout.alignment


__all__ = ["missing_bytes"]
