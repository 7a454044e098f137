"""A folder that is replaced at once or not at all.

What is new grows in a hidden folder beside its place. When it is complete, the two are exchanged in one step where the
system can do that. A process that is killed leaves only the hidden folder, which the next run removes; a lock on it,
which ends with its process, tells whether anybody still works there.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import OutputError

try:
    import fcntl
except ImportError:  # Windows: no lock tells a dead run from a live one, so leftovers stay.
    fcntl = None

MANIFEST = "manifest.json"
"""The file that tells a folder of Partbook from others."""

_NEW, _OLD = ".partbook-new-", ".partbook-old-"


def check_target(target: Path) -> None:
    """Raise OutputError if what stands at ``target`` must not be replaced, or nothing can be written there."""
    if target.exists() or target.is_symlink():
        ours = target.is_dir() and ((target / MANIFEST).is_file() or not any(target.iterdir()))
        if not ours:
            expected = f"a folder that Partbook wrote, or none, at '{target}'"
            raise OutputError(expected, "something else", "another --name or --out")
    parent = next(folder for folder in (target.parent, *target.parent.resolve().parents) if folder.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise OutputError(f"a folder that can be written at '{target.parent}'", f"'{parent}'", "another --out")


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a hidden empty folder that takes the place of ``target`` when the block ends without an error.

    Whatever else happens, ``target`` stays as it was.

    Raises
    ------
    OutputError
        If the system refuses to write.
    """
    check_target(target)
    parent = target.parent
    made = not parent.exists()
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent)
        folder, lock = _locked_folder(parent)
    except OSError as error:
        raise _refused(target, error) from error
    try:
        yield folder
        _exchange(folder, target)
    except OSError as error:
        raise _refused(target, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)
        if made:
            with suppress(OSError):
                parent.rmdir()


def _locked_folder(parent: Path) -> tuple[Path, int | None]:
    """Make a hidden folder and lock it."""
    while True:
        folder = parent / f"{_NEW}{uuid.uuid4().hex}"
        folder.mkdir()
        if fcntl is None:
            return folder, None
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Another run may have swept it away before the lock was there.
        if folder.exists():
            return folder, lock
        os.close(lock)


def _sweep(parent: Path) -> None:
    """Remove what killed runs have left, and bring back a result that one of them had just moved away."""
    for old in parent.glob(f"{_OLD}*"):
        place = parent / old.name.removeprefix(_OLD)
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(place)
    for folder in parent.glob(f"{_NEW}*") if fcntl is not None else ():
        with suppress(OSError):
            lock = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _exchange(folder: Path, target: Path) -> None:
    """Put ``folder`` in the place of ``target``."""
    if not target.exists():
        folder.rename(target)
    elif not _exchanged_at_once(folder, target):
        old = target.with_name(_OLD + target.name)
        target.rename(old)
        try:
            folder.rename(target)
        except OSError:
            old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _exchanged_at_once(one: Path, other: Path) -> bool:
    """Exchange two folders in one step, where Linux and the file system can (renameat2)."""
    if not sys.platform.startswith("linux"):
        return False
    at_working_folder, exchange = -100, 2
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    return rename is not None and not rename(
        at_working_folder, os.fsencode(one), at_working_folder, os.fsencode(other), exchange
    )


def _refused(target: Path, error: OSError) -> OutputError:
    return OutputError(f"room and permission to write '{target}'", error.strerror or str(error), "another --out")


__all__ = ["MANIFEST", "check_target", "replacing"]
