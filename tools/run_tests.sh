#!/usr/bin/env bash
# Set up what is missing, then run the tests. Arguments go to pytest: bash tools/run_tests.sh -k scalabel
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/setup_env.sh
export OMP_WAIT_POLICY=PASSIVE # threads that wait leave their core to the tests' other processes
if [ "$#" = 0 ]; then set -- -m 'not slow'; fi
exec .venv/bin/python -m pytest "$@"
