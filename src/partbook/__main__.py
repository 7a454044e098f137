"""``python -m partbook`` and the command ``partbook``."""

from __future__ import annotations

import signal
import sys

from . import cli


def main() -> int:
    """Run the command line; being asked to terminate tidies up as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
