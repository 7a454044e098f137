"""Greyscale pictures as PNG files, with nothing but zlib."""

from __future__ import annotations

import struct
import zlib

import numpy as np


def png(pixels: np.ndarray) -> bytes:
    """Return an 8-bit greyscale PNG of an array of shape (height, width), dtype uint8.

    Rows are stored as differences from the row above (filter 2) where that packs better (PNG specification, 3rd
    edition, section 9).

    Examples
    --------
    >>> png(np.zeros((2, 3), np.uint8))[:8]
    b'\\x89PNG\\r\\n\\x1a\\n'
    """
    height, width = pixels.shape
    above = np.vstack([np.zeros((1, width), np.uint8), pixels[:-1]])
    plain = zlib.compress(_filtered(pixels, 0), 6)
    up = zlib.compress(_filtered(pixels - above, 2), 6)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", min(plain, up, key=len)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _filtered(rows: np.ndarray, kind: int) -> bytes:
    return np.hstack([np.full((len(rows), 1), kind, np.uint8), rows]).tobytes()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
