#!/usr/bin/env bash
# Set up what is missing, then run the tests. Arguments go to pytest: bash tools/run_tests.sh -k scalabel
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/setup_env.sh
if [ "$#" = 0 ]; then set -- -m 'not slow'; fi
exec .venv/bin/python -m pytest "$@"
