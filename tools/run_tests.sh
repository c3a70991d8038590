#!/usr/bin/env bash
# Set up what is missing, then run the tests.
#   bash tools/run_tests.sh                 all but the slow ones, in as many workers as cores and memory allow
#   bash tools/run_tests.sh --fast          the quickest files, under 90 s together (tests/durations.json)
#   bash tools/run_tests.sh --record        all, and write to tests/durations.json what each file took
#   bash tools/run_tests.sh -k scalabel     other arguments go to pytest
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/setup_env.sh
export OMP_WAIT_POLICY=PASSIVE # threads that wait leave their core to the tests' other processes
case ${1:-} in
    '' | --fast | --record)
        [ "${1:-}" = --fast ] || bash tools/setup_browser.sh
        # A worker and what it starts take up to 4 GiB; a file stays with one worker, for its fixtures.
        workers=$(.venv/bin/python -c '
import os, psutil
print(max(1, min(os.cpu_count() or 1, 4, psutil.virtual_memory().available >> 32)))')
        export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
        set -- -m 'not slow' -n "$workers" --dist loadfile --no-loadscope-reorder --durations 20 "$@"
        ;;
esac
exec .venv/bin/python -m pytest "$@"
