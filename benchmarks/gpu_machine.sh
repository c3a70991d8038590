#!/usr/bin/env bash
# The tests marked gpu and benchmarks/gpu.py on a bare machine with a GPU, Python and torch, and no network:
#   bash benchmarks/gpu_machine.sh WHEELS OUT [seconds for the benchmark]
# WHEELS is a folder with wheels of what requirements/ names (mmcv with its CUDA operators: built beforehand with
# FORCE_CUDA=1 TORCH_CUDA_ARCH_LIST=9.0 by tools/build_mmcv.py, which needs the CUDA toolkit and no GPU).
set -uo pipefail
cd "$(dirname "$0")/.."
wheels=$1 out=$2 seconds=${3:-240} site=/tmp/mmroad_site
mkdir -p "$site" "$out"
python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$site" "$wheels"/*.whl || exit 1
ln -sfn "$PWD/projects" "$site/mmroad"
# mmpretrain, which mmdet imports, breaks with transformers 5; nothing here needs that.
echo 'raise ImportError("hidden by benchmarks/gpu_machine.sh")' >"$site/transformers.py"
export PYTHONPATH=$site PYTHONDONTWRITEBYTECODE=1
python3 -c 'import torch; from mmcv.ops import nms, roi_align; print("torch", torch.__version__, torch.cuda.get_device_name())' || exit 1
status=0
workers=()
if python3 -c 'import xdist' 2>/dev/null; then workers=(-n 6); fi
timeout -s INT -k 20 240 python3 -m pytest -v --tb=short -m gpu tests/gpu "${workers[@]}" -rfEs -p no:cacheprovider --durations 8 2>&1 | tee "$out/pytest.txt" | tail -n 60
status=${PIPESTATUS[0]}
python3 benchmarks/gpu.py --deadline "$seconds" --out "$out/gpu.json" 2>&1 | tee "$out/gpu.txt" || status=1
exit "$status"
