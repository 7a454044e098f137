#!/bin/sh
# Make .venv with Partbook and what EXTRAS name (test, dev …). Does nothing where that has been done.
#   sh scripts/setup.sh [EXTRAS]
set -eu
cd "$(dirname "$0")/.."
extras=${1:-}
python=${PYTHON:-python3}
stamp=.venv/installed${extras:+-$extras}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else return 1; fi
}

have_python() { command -v "$python" >/dev/null && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; }

install() {
    command -v apt-get >/dev/null && as_root apt-get update -qq && as_root apt-get install -y -qq --no-install-recommends "$@"
}

have_python || install python3 || true
if ! have_python; then
    echo "Partbook needs Python 3.11 or newer, and '$python' is not; PYTHON=/path/to/python names another." >&2
    exit 1
fi

if ! [ -x .venv/bin/pip ]; then
    # Debian keeps the part of Python that makes environments in a package of its own.
    rm -rf .venv
    if ! "$python" -m venv .venv 2>/dev/null; then
        rm -rf .venv
        install python3-venv >&2 || true
        "$python" -m venv .venv
    fi
fi

if ! [ -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ] || [ constraints.txt -nt "$stamp" ]; then
    echo "Installing Partbook into .venv (a few minutes the first time) …" >&2
    .venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".${extras:+[$extras]}"
    touch "$stamp"
fi
