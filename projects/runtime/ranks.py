"""Names the process that the others wait for, after a minute instead of half an hour of silence."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from types import FrameType
from typing import Any

import msgspec
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch.distributed import PrefixStore, Store, TCPStore, register_rendezvous_handler, rendezvous

PATIENCE = 60.0  # seconds without progress before something is said
# a process in one of these waits for others (a backward pass ends in sums over the ranks)
_WAITING = ('distributed/distributed_c10d.py', 'distributed/rendezvous.py', 'autograd/graph.py',
            'autograd/__init__.py')  # fmt: skip


class Report(msgspec.Struct):
    """What a process tells about itself: when (seconds), how far it is, whether it waits, and where it is."""

    time: float
    step: int
    waits: bool
    place: str
    host: str


class RankWatch:
    """A thread of each process that tells the others where it is, and says whom they wait for where nothing moves.

    Args:
        rank, world_size: This process, and how many there are.
        connect: Gives a connection to a store that all reach, for this thread alone.
        patience: Seconds without progress before the first process that lives says something, once a stop.
    """

    def __init__(
        self, rank: int, world_size: int, connect: Callable[[], Store], patience: float = PATIENCE
    ) -> None:
        self.rank, self.world_size, self.connect, self.patience = rank, world_size, connect, patience
        self.step, self._moved, self._said = 0, time.monotonic(), False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name='mmroad-ranks', daemon=True)

    def start(self) -> RankWatch:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._end.set()
        self._thread.join(self.patience)

    def move(self) -> None:
        """Note that the process has made progress."""
        self.step, self._moved, self._said = self.step + 1, time.monotonic(), False

    def _run(self) -> None:
        try:
            store = self.connect()
            while not self._end.wait(self.patience / 6):
                store.set(str(self.rank), msgspec.json.encode(self.report()))
                idle = time.monotonic() - self._moved
                if idle < self.patience or self._said:
                    continue
                reports = self.reports(store)
                if self.rank == min(
                    r for r, v in reports.items() if time.time() - v.time < self.patience / 2
                ):
                    self._said = True
                    if sentence := waited_for(reports, self.world_size, self.patience / 2):
                        print(f'no progress for {idle:.0f} s: {sentence}', file=sys.stderr, flush=True)
        except (RuntimeError, ValueError, OSError):  # the store is gone with the process that held it
            return

    def report(self) -> Report:
        """Where this process is now."""
        frame = sys._current_frames().get(threading.main_thread().ident)
        host = f'{socket.gethostname()}, process {os.getpid()}'
        return Report(time.time(), self.step, _waits(frame), _place(frame), host)

    def reports(self, store: Store) -> dict[int, Report]:
        """The last report of every process that has given one."""
        given = [rank for rank in range(self.world_size) if store.check([str(rank)])]
        return {rank: msgspec.json.decode(store.get(str(rank)), type=Report) for rank in given}


def waited_for(reports: dict[int, Report], world_size: int, silence: float) -> str:
    """A sentence that names the processes that the others wait for; empty where all are at work.

    Args:
        reports: The last report of each process that has given one.
        world_size: How many there are.
        silence: Seconds after which a process that lives would have reported.
    """
    missing = [rank for rank in range(world_size) if rank not in reports]
    if missing:
        return f'waiting for rank {_list(missing)}, not started or not yet at the meeting point'
    newest, last = (max(v.time for v in reports.values()), max(v.step for v in reports.values()))
    silent = [r for r, v in reports.items() if newest - v.time > silence]
    busy = [r for r, v in reports.items() if not v.waits]
    behind = [r for r, v in reports.items() if v.step < last]
    if silent:
        found, why = silent, 'not heard of since: stopped, or its machine is gone'
    elif 0 < len(busy) < world_size:
        found, why = busy, 'the others wait in a collective operation'
    elif behind:
        found, why = behind, 'the others are further on'
    elif busy:
        return ''
    else:
        found, why = list(reports), 'each waits for the others, in operations that do not belong together'
    where = '; '.join(
        f'rank {r} ({reports[r].host}) is at step {reports[r].step}, in {reports[r].place}' for r in found
    )
    return f'waiting for rank {_list(found)}: {where} ({why})'


def _list(ranks: Iterable[int]) -> str:
    return ', '.join(map(str, ranks))


def _waits(frame: FrameType | None) -> bool:
    if frame is not None and frame.f_code.co_filename.endswith('nn/parallel/distributed.py'):
        return True  # the wrapper itself, not the model inside it
    while frame is not None:
        if frame.f_code.co_filename.endswith(_WAITING):
            return True
        frame = frame.f_back
    return False


def _place(frame: FrameType | None) -> str:
    if frame is None:
        return 'an unknown place'
    return f'{frame.f_code.co_name} ({frame.f_code.co_filename}:{frame.f_lineno})'


#: Where the processes of one start meet (``init_method`` of ``init_process_group``).
MEETING = 'mmroad://'


def _meet(url: str, **kwargs: Any) -> Iterator[tuple[Store, int, int]]:
    """torch's ``env://`` with keys of this start alone: torchrun that starts processes again (``--max-restarts``)
    keeps its store, and who reads the address of a process that has died waits for it for ever."""
    for store, rank, world_size in rendezvous('env://', **kwargs):
        yield PrefixStore(f'start-{_start()}', store), rank, world_size


def _start() -> str:
    return os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')


register_rendezvous_handler('mmroad', _meet)

_watch: RankWatch | None = None


def watch(timeout: float | None = None) -> RankWatch | None:
    """Begin to watch this job's processes, once a process; None where there is one process, or no meeting point.

    Args:
        timeout: Seconds after which the processes give up: something is said before.
    """
    global _watch
    world_size, address = int(os.environ.get('WORLD_SIZE', 1)), os.environ.get('MASTER_ADDR')
    if _watch is None and world_size > 1 and address and 'MASTER_PORT' in os.environ:
        port, patience = int(os.environ['MASTER_PORT']), min(PATIENCE, (timeout or 2 * PATIENCE) / 2)

        def connect() -> Store:
            store = TCPStore(
                address, port, is_master=False, wait_for_workers=False, timeout=timedelta(minutes=30)
            )
            return PrefixStore(f'mmroad/{_start()}', store)

        _watch = RankWatch(int(os.environ.get('RANK', 0)), world_size, connect, patience).start()
    return _watch


@HOOKS.register_module()
class RankWatchHook(Hook):
    """Tells the watch of every iteration of training, validation and test."""

    priority = 'LOWEST'

    def before_run(self, runner) -> None:
        """Where the meeting point is known only now (mmengine's launchers on GPUs)."""
        watch(((runner.cfg.get('env_cfg') or {}).get('dist_cfg') or {}).get('timeout'))

    def after_train_iter(self, *args, **kwargs) -> None:
        self._move()

    def after_val_iter(self, *args, **kwargs) -> None:
        self._move()

    def after_test_iter(self, *args, **kwargs) -> None:
        self._move()

    def _move(self) -> None:
        if _watch is not None:
            _watch.move()
