#!/usr/bin/env bash
# Kill, fill up, damage and crowd the package for some minutes; docs/reliability.md says what must hold.
#   bash tools/soak.sh [MINUTES] [--seed N] [--only R7 R12] [--folder DIR]
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
[ -x "$(command -v "$python")" ] || { bash tools/setup_env.sh; python=.venv/bin/python; }
OMP_NUM_THREADS=1 exec "$python" -W ignore tests/reliability/soak.py "$@"
