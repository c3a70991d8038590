#!/usr/bin/env bash
# Change the package in small ways and see whether the tests notice; CONTRIBUTING.md says when.
#   bash tools/mutation.sh [--count 250] [--seed 0] [module ...]     such as: bdd100k/eval anomaly/pixel.py
#   bash tools/mutation.sh --list FILE.json                          the changes that a file lists
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/setup_env.sh
.venv/bin/python -c 'import cosmic_ray, coverage' 2>/dev/null || .venv/bin/python -m pip install -q -r requirements/mutation.txt
exec .venv/bin/python tests/mutation.py "$@"
