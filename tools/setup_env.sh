#!/usr/bin/env bash
# Make .venv and install everything mmroad needs: torch, mmcv that fits it, the rest, mmroad itself.
#   bash tools/setup_env.sh                           safe to run again: ends at once when nothing has changed
#   bash tools/setup_env.sh --here                    into the environment of `python`, whose torch, mmcv and
#                                                     OpenMMLab packages are used as they are (no .venv, no tests)
#   PYTHON=python3.12 bash tools/setup_env.sh         another interpreter (3.10 to 3.13)
#   MMROAD_TORCH=2.12.0 bash tools/setup_env.sh       another torch (2.4 to 2.14)
# Where mmcv's operators come from, and MMROAD_MMCV_WHEELS: python tools/build_mmcv.py --help
set -euo pipefail
cd "$(dirname "$0")/.."
here='' folder=.venv
case ${1:-} in
    '') ;;
    --here) here=1 folder=build ;;
    -h | --help) sed -n '2,/^set /{s/^# \{0,1\}//;/^set /!p}' "$0"; exit ;;
    *) echo "setup: unknown option $1 (--help lists them)" >&2; exit 2 ;;
esac
log=$folder/setup.log stamp=$folder/.requirements began=$SECONDS

die() { echo "setup: $*" >&2; exit 1; }

supported() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-$([ -n "$here" ] && echo python || echo python3 python3.13 python3.12 python3.11 python3.10)}; do
        if supported "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    die "no Python 3.10 to 3.13 found${PYTHON:+ at $PYTHON}; install one or name it: PYTHON=/path/to/python3.11 bash tools/setup_env.sh"
}

await() { # await PID: dots until it ends; its exit status
    local dot=0 start=$SECONDS status=0
    while kill -0 "$1" 2>/dev/null; do
        sleep 0.2
        dot=$((dot + 1))
        if [ $((dot % 75)) = 0 ]; then printf '.'; fi
    done
    wait "$1" || status=$?
    if [ "$status" = 0 ]; then echo " done in $((SECONDS - start)) s"; else echo ' failed'; fi
    return "$status"
}

step() { # step "what it does" command...: the command's output goes to the log
    printf '%s ' "$1"
    shift
    local before
    before=$(wc -l <"$log")
    "$@" >>"$log" 2>&1 &
    if ! await $!; then
        tail -n 25 "$log" >&2
        if tail -n +"$((before + 1))" "$log" | grep -qiE 'NameResolution|Could not find a version|Connection|Temporary failure'; then
            die "no package registry answered, or it lacks a package: check the network and pip's index settings; whole log: $log"
        fi
        die "the step failed; whole log: $log"
    fi
}

byte_code() { # Python's own, of what is imported: with PYTHONDONTWRITEBYTECODE each start would compile it anew
    env -u PYTHONDONTWRITEBYTECODE "$1" - <<'END'
import contextlib, importlib, pkgutil
import mmroad

names = [module.name for module in pkgutil.walk_packages(mmroad.__path__, 'mmroad.')]
for name in [*names, 'mmdet.apis', 'mmseg.apis', 'pytest', 'sklearn.mixture', 'onnx', 'onnxruntime', 'tensorboard']:
    with contextlib.suppress(Exception):  # what an extra lacks is said when it is used
        importlib.import_module(name)
END
}

fingerprint() { cat requirements/*.txt setup.cfg setup.py | cksum; }

if [ -z "$here" ] && [ -f "$stamp" ] && [ "$(fingerprint)" = "$(cat "$stamp")" ] && .venv/bin/python -c 'import mmroad' 2>/dev/null; then
    echo "setup: .venv is up to date (source .venv/bin/activate)"
    exit 0
fi

python=$(find_python)
[ -n "$python" ] || exit 1
free_kib=$(df -Pk . | awk 'NR == 2 {print $4}')
[ -n "$here" ] || [ "$free_kib" -gt $((6 * 1024 * 1024)) ] || die "only $((free_kib / 1024)) MiB free here; set-up needs 6 GiB"
mkdir -p "$folder"
if [ -z "$here" ]; then
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    python=.venv/bin/python
    supported "$python" || die ".venv has $("$python" --version 2>&1): delete it, and this script makes a new one"
fi
: >"$log"
echo "setup: installing into $([ -n "$here" ] && echo "the environment of $python" || echo .venv) with $("$python" --version), log in $log"
command -v "${CXX:-c++}" >/dev/null || command -v g++ >/dev/null ||
    echo "setup: no C++ compiler is here: mmcv needs a ready wheel, or a compiler (Debian, Ubuntu: apt-get install g++)"
pip=("$python" -m pip install --disable-pip-version-check)
[ -n "$here" ] || pip+=(--no-compile) # most modules are never imported: see byte_code
mmcv=("$python" tools/build_mmcv.py --log "$folder/mmcv.log")
: >"$folder/mmcv.log"

torch=${MMROAD_TORCH:-$("$python" -c 'from importlib.metadata import version; print(version("torch").split("+")[0])' 2>/dev/null || true)}
if [ -n "$here" ]; then
    "$python" -c 'import torch' 2>>"$log" || die "$python has no torch that imports: install one there, or leave out --here"
    "$python" tools/check_env.py --pins >"$folder/pins.txt"
    "$python" tools/check_env.py --missing >"$folder/missing.txt"
    echo "setup: kept as they are: $(tr '\n' ' ' <"$folder/pins.txt")"
    step 'build tools, frameworks and formats that are missing' "${pip[@]}" -c "$folder/pins.txt" -r requirements/build.txt -r "$folder/missing.txt"
    "${mmcv[@]}" --any-version
else
    if [ -z "$torch" ]; then
        "${mmcv[@]}" --choose-torch .venv/torch.txt
        torch=$(cat .venv/torch.txt)
    fi
    step "torch $torch and build tools" "${pip[@]}" "torch==$torch" -r requirements/build.txt
    set -m # a process group of its own, to be ended as one
    "${mmcv[@]}" --prepare >.venv/mmcv.txt 2>&1 &
    prepare=$!
    set +m
    trap 'kill -- -$prepare 2>/dev/null || true' EXIT
    step 'frameworks, formats and tests; mmcv beside them' "${pip[@]}" --no-build-isolation -r requirements/runtime.txt -r requirements/official.txt -r requirements/tests.txt
    printf 'mmcv, what was left of it'
    await "$prepare" || true
    trap - EXIT
    cat .venv/mmcv.txt
    "${mmcv[@]}"
fi
step 'mmroad' "${pip[@]}" --no-build-isolation --no-deps -e .
[ -n "$here" ] || [ -z "${PYTHONDONTWRITEBYTECODE:-}" ] || step 'byte code' byte_code "$python"
if [ -n "$here" ]; then
    echo "setup: done in $((SECONDS - began)) s; mmroad check says what this environment has"
else
    fingerprint >"$stamp"
    echo "setup: done in $((SECONDS - began)) s; now: source .venv/bin/activate  (or .venv/bin/mmroad ...)"
fi
