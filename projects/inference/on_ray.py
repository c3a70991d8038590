"""Shards of a run on the machines of a Ray cluster, or on this one."""

from __future__ import annotations

import os
import warnings
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from ..files.progress import bar
from .shards import Shard, run_shard

#: So often is a shard tried whose worker dies.
TRIES = 3


class ShardWorker:
    """Holds a model and runs it over one shard after the other.

    Args:
        model: The arguments of ``mmroad.inferencer``.
        batch_size: Images in the network together.
        threads: torch's.
    """

    def __init__(self, model: dict[str, Any], batch_size: int, threads: int) -> None:
        import torch

        from .build import inferencer

        torch.set_num_threads(threads)
        self.inferencer, self.batch_size = inferencer(**model), batch_size

    def run(self, shard: Shard) -> int:
        """Do a shard; see `run_shard`."""
        from ..files.sources import LeftOut

        with warnings.catch_warnings():
            warnings.simplefilter('ignore', LeftOut)
            return run_shard(self.inferencer, shard, self.batch_size)

    def process(self) -> int:
        """The number of its process."""
        return os.getpid()


def run_on_ray(
    shards: Sequence[Shard],
    model: dict[str, Any],
    *,
    workers: int | None = None,
    batch_size: int = 1,
    address: str | None = None,
    progress: bool = True,
) -> list[Shard]:
    """Do the shards that are not done, by workers that each hold the model. The shard of a worker that dies is done by
    another one.

    Args:
        shards: The run's. Their files and images are on paths that all machines share.
        model: The arguments of ``mmroad.inferencer``, that all workers can follow.
        workers: How many (default: one a GPU, or where there is none one for every two CPUs of the cluster).
        batch_size: Images in the network together.
        address: The cluster's; None starts one on this machine.
        progress: Show a progress bar.

    Returns:
        The shards whose workers died `TRIES` times.

    Raises:
        ImportError: Ray is not installed, or not one that works here.
        ValueError: Fewer than one worker, or workers that cannot load the model; says why.
    """
    try:
        os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
        import ray
        from ray.exceptions import RayActorError
    except ImportError as error:
        reason = 'which is not installed' if error.name == 'ray' else f'which cannot be used here ({error})'
        raise ImportError(f"--engine ray needs Ray, {reason}: pip install 'mmroad[ray]'") from error
    left = deque(shard for shard in shards if not shard.done)
    if workers is not None and workers < 1:
        raise ValueError(f'{workers} workers do nothing: give at least 1')
    if not left:
        return []
    own = not ray.is_initialized()
    if own:
        here = dict(num_cpus=max(workers or 1, os.cpu_count() or 1)) if address is None else {}
        ray.init(address, include_dashboard=False, log_to_driver=False, logging_level='ERROR', **here)
    resources = ray.cluster_resources()
    gpus, cpus = int(resources.get('GPU', 0)), int(resources.get('CPU', 1))
    count = min(workers or gpus or max(1, cpus // 2), len(left))
    each = dict(num_gpus=1) if gpus >= count else dict(num_cpus=max(1, cpus // count))
    remote: Any = ray.remote
    worker = remote(**each)(ShardWorker)

    def start() -> Any:
        return worker.remote(model, batch_size, max(1, cpus // count))

    died: Counter[int] = Counter()
    lost: list[Shard] = []
    busy: dict[Any, tuple[Any, Shard]] = {}
    idle = [start() for _ in range(count)]
    try:
        with bar(shown=progress) as shown:
            total = sum(len(shard.items) for shard in shards)
            task = shown.add_task('images', total=total, completed=total - sum(len(s.items) for s in left))
            while left or busy:
                while left and idle:
                    one, shard = idle.pop(), left.popleft()
                    busy[one.run.remote(shard)] = one, shard
                (ref,), _ = ray.wait(list(busy))
                one, shard = busy.pop(ref)
                try:
                    ray.get(ref)
                except RayActorError as error:
                    if error.actor_init_failed:
                        reason = str(error).strip().splitlines()[-1]
                        raise ValueError(f'a worker of Ray could not begin: {reason}') from error
                    died[shard.number] += 1
                    again = died[shard.number] < TRIES
                    warnings.warn(
                        f'a worker died at shard {shard.number}, which is '
                        f'{"done again" if again else "given up"}', stacklevel=2)  # fmt: skip
                    (left if again else lost).append(shard)
                    idle.append(start())
                    continue
                idle.append(one)
                shown.advance(task, len(shard.items))
    finally:
        for one in [*idle, *(one for one, _ in busy.values())]:
            ray.kill(one)
        if own:
            ray.shutdown()
    return lost
