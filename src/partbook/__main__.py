"""``python -m partbook`` and the command ``partbook``."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from . import cli


def main() -> int:
    """Run the command line; being asked to terminate tidies up as Ctrl-C does."""
    # Threads that wait by spinning take the processor from each other as soon as anything else runs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _keep_freed_memory()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return cli.main()


def _keep_freed_memory() -> None:
    """Let glibc keep what large arrays leave for the next: giving it back each time cost a fifth of all CPU time."""
    trim_threshold, mmap_threshold = -1, -3
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(trim_threshold, 256 << 20)
            mallopt(mmap_threshold, 128 << 20)


if __name__ == "__main__":
    sys.exit(main())
