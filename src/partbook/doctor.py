"""What an installation consists of, and whether it works."""

from __future__ import annotations

import os
import platform
import tempfile
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from .audio import LIBSNDFILE_VERSION, open_recording, open_writer, readable_formats
from .stems import Check

_PACKAGES = ("torch", "numpy", "scipy", "soundfile", "soxr", "safetensors", "cyclopts", "rich")

_EXTRAS = {"rooms": "pyroomacoustics", "eval": "mir_eval", "plots": "matplotlib"}
"""One module of every optional extra."""


def examine() -> list[Check]:
    """Look at everything that a separation needs; a check that fails says that something does not work."""
    return [
        Check("partbook", True, f"{version('partbook')} on Python {platform.python_version()}, {platform.platform()}"),
        *(_package(name) for name in _PACKAGES),
        Check("devices", True, _devices()),
        Check("threads", True, f"{torch.get_num_threads()} of {os.cpu_count()} processors"),
        Check("memory", True, _memory()),
        Check("sound formats", True, f"{', '.join(readable_formats())} (libsndfile {LIBSNDFILE_VERSION})"),
        *(_round_trip(suffix) for suffix in (".flac", ".wav")),
        *(_extra(extra, module) for extra, module in _EXTRAS.items()),
    ]


def _package(name: str) -> Check:
    try:
        return Check(name, True, version(name))
    except PackageNotFoundError:
        return Check(name, False, "not installed; try pip install --force-reinstall partbook")


def _extra(extra: str, module: str) -> Check:
    present = find_spec(module) is not None
    return Check(f"extra {extra}", True, "present" if present else f"absent; pip install 'partbook[{extra}]' adds it")


def _devices() -> str:
    names = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    return ", ".join(["cpu", *(f"cuda:{k} {name}" for k, name in enumerate(names))])


def _memory() -> str:
    try:
        pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return "unknown"
    return f"{pages * page_bytes / 1e9:.1f} GB"


def _round_trip(suffix: str) -> Check:
    """Write two channels and read them back."""
    samples = np.array([[0.5, -1.0, 0.0], [2.0**-23, 0.25, -0.75]], np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"round trip{suffix}"
        writer = open_writer(path, 48_000, *samples.shape)
        writer.write(samples)
        writer.close()
        exact = np.array_equal(open_recording(path).read(0, samples.shape[1]), samples)
    return Check(f"writing {suffix[1:]}", exact, "exact" if exact else "what is read is not what was written")


__all__ = ["examine"]
