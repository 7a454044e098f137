"""``python -m partbook`` and the command ``partbook``."""

from __future__ import annotations

import os
import signal
import sys

from . import cli


def main() -> int:
    """Run the command line; being asked to terminate tidies up as Ctrl-C does."""
    # Threads that wait by spinning take the processor from each other as soon as anything else runs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
