#!/usr/bin/env bash
# Make .venv and install everything mmroad needs: torch, mmcv built against it, the rest, mmroad itself.
#   PYTHON=python3.12 bash tools/setup_env.sh     another interpreter (3.10 to 3.12)
# Safe to run again: when the requirements have not changed it ends at once.
set -euo pipefail
cd "$(dirname "$0")/.."
log=.venv/setup.log
stamp=.venv/.requirements

die() { echo "setup: $*" >&2; exit 1; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.12 python3.11 python3.10}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    die "no Python 3.10, 3.11 or 3.12 found${PYTHON:+ at $PYTHON}; install one or name it: PYTHON=/path/to/python3.11 bash tools/setup_env.sh"
}

step() { # step "what it does" command...: the command's output goes to the log
    local what=$1 start=$SECONDS status=0 job dot=0
    shift
    printf '%s ' "$what"
    "$@" >>"$log" 2>&1 &
    job=$!
    while kill -0 "$job" 2>/dev/null; do
        sleep 1
        dot=$((dot + 1))
        if [ $((dot % 15)) = 0 ]; then printf '.'; fi
    done
    wait "$job" || status=$?
    if [ "$status" != 0 ]; then
        echo ' failed'
        tail -n 25 "$log" >&2
        if grep -qiE 'NameResolution|Could not find a version|Connection|Temporary failure' "$log"; then
            die "no package registry answered, or it lacks a package: check the network and pip's index settings; whole log: $log"
        fi
        die "the step failed; whole log: $log"
    fi
    echo " done in $((SECONDS - start)) s"
}

fingerprint() { cat requirements/*.txt setup.cfg setup.py | cksum; }

if [ -f "$stamp" ] && [ "$(fingerprint)" = "$(cat "$stamp")" ] && .venv/bin/python -c 'import mmroad' 2>/dev/null; then
    echo "setup: .venv is up to date"
    exit 0
fi

python=$(find_python)
[ -n "$python" ] || exit 1
if ! command -v "${CXX:-c++}" >/dev/null && ! command -v g++ >/dev/null; then
    die "no C++ compiler found, and mmcv must be compiled; install one (Debian, Ubuntu: apt-get install g++) or set CXX"
fi
free_kib=$(df -Pk . | awk 'NR == 2 {print $4}')
[ "$free_kib" -gt $((6 * 1024 * 1024)) ] || die "only $((free_kib / 1024)) MiB free here; set-up needs 6 GiB"

cores=$(getconf _NPROCESSORS_ONLN)
echo "setup: installing into .venv with $("$python" --version), log in $log"
echo "setup: mmcv is compiled: about $((20 / cores > 2 ? 20 / cores : 2)) minutes on $cores cores the first time (pip keeps the wheel)"
[ -x .venv/bin/python ] || "$python" -m venv .venv
: >"$log"
pip=(.venv/bin/python -m pip install --disable-pip-version-check)
export CFLAGS="${CFLAGS:--g0}" MAX_JOBS="${MAX_JOBS:-$cores}"
if command -v nvcc >/dev/null && command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; then
    export FORCE_CUDA=1
    echo "setup: a GPU and the CUDA toolkit are here: mmcv gets its CUDA operators"
fi
step 'torch and build tools' "${pip[@]}" -r requirements/build.txt
step 'mmcv' "${pip[@]}" --no-build-isolation -r requirements/mmcv.txt
step 'frameworks, formats and tests' "${pip[@]}" --no-build-isolation -r requirements/runtime.txt -r requirements/tests.txt
step 'mmroad' "${pip[@]}" --no-build-isolation --no-deps -e .
fingerprint >"$stamp"
echo "setup: done; use .venv/bin/python"
