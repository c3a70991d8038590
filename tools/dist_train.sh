#!/usr/bin/env bash
# bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
# Several machines: NNODES, NODE_RANK, MASTER_ADDR and PORT, the same but NODE_RANK on each.
# MAX_RESTARTS=3: so many times, where a process dies, all are started again and go on from the last checkpoint.
set -euo pipefail
config=${1:?usage: dist_train.sh CONFIG GPUS [options]}
gpus=${2:?usage: dist_train.sh CONFIG GPUS [options]}
shift 2
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-$here/../.venv/bin/python}
[ -x "$(command -v "$python")" ] || python=python
MMROAD_STARTED=$(date +%s) # checkpoints older than this are not of this job
export MMROAD_STARTED
exec "$python" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" --max_restarts="${MAX_RESTARTS:-0}" \
    "$here/train.py" "$config" --launcher pytorch "$@"
