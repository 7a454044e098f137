#!/bin/sh
# Separate bundled mixtures of voices and of instruments, from nothing but Python. Arguments go to partbook demo.
set -eu
here=$(dirname "$0")
sh "$here/setup.sh"
exec "$here/../.venv/bin/partbook" demo "$@"
