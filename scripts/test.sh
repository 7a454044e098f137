#!/bin/sh
# Pass all tests, from nothing but Python. Arguments go to pytest.
set -eu
here=$(dirname "$0")
# Recorded voices are built from sources; without a compiler their tests are skipped.
sh "$here/setup.sh" test,recorded || { echo "Without recorded voices, then." >&2 && sh "$here/setup.sh" test; }
# One test looks at the report in a browser; without one it is skipped.
if ! command -v chromium >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver; } >/dev/null 2>&1 ||
        echo "No chromium: the tests that need a browser are skipped." >&2
fi
cd "$here/.."
# Threads that wait must not take time from those that work: on a busy machine they would take nearly all of it.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"
exec .venv/bin/python -m pytest "$@"
