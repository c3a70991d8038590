"""Which process the others wait for: said after a minute instead of half an hour of silence."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from datetime import timedelta
from types import FrameType
from typing import Any

import msgspec
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch.distributed import Store, TCPStore

PATIENCE = 60.0  # seconds without progress before something is said
_COLLECTIVES = ('distributed/distributed_c10d.py', 'distributed/rendezvous.py', 'autograd/graph.py')
_key = '/mmroad/rank/{}'.format


class Report(msgspec.Struct):
    """What a process tells about itself: when (seconds), how far it is, and where."""

    time: float
    step: int
    waits: bool
    place: str
    host: str


class RankWatch:
    """A thread of each process that tells the others where it is, and where nothing moves says whom they wait for.

    Args:
        rank, world_size: This process, and how many there are.
        store: A connection to the store of the process group, of this thread alone.
        patience: Seconds without progress before the first process says something, once a stop.
    """

    def __init__(self, rank: int, world_size: int, store: Store, patience: float = PATIENCE) -> None:
        self.rank, self.world_size, self.store, self.patience = rank, world_size, store, patience
        self.step, self._moved, self._said = 0, time.monotonic(), False
        self._main = threading.main_thread().ident
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name='mmroad-ranks', daemon=True)

    def start(self) -> RankWatch:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._end.set()

    def move(self) -> None:
        """Called by the process itself where it gets on."""
        self.step, self._moved, self._said = self.step + 1, time.monotonic(), False

    def _run(self) -> None:
        while not self._end.wait(self.patience / 6):
            try:
                self.store.set(_key(self.rank), msgspec.json.encode(self.report()))
                idle = time.monotonic() - self._moved
                if idle >= self.patience and not self._said and self.rank == self._speaker():
                    self._said = True
                    print(f'no progress for {idle:.0f} s: {self.waited_for()}', file=sys.stderr, flush=True)
            except Exception:  # the store has gone: the job is at its end
                return

    def report(self) -> Report:
        """Where this process is now."""
        frame = sys._current_frames().get(self._main)
        return Report(time.time(), self.step, _waits(frame), _place(frame), f'{socket.gethostname()}:{os.getpid()}')

    def reports(self) -> dict[int, Report]:
        """The last report of every process that has given one."""
        keys = {rank: _key(rank) for rank in range(self.world_size)}
        return {
            rank: msgspec.json.decode(self.store.get(key), type=Report)
            for rank, key in keys.items()
            if self.store.check([key])
        }

    def _speaker(self) -> int:
        """The first process that still tells of itself."""
        now = time.time()
        return min(r for r, report in self.reports().items() if now - report.time < self.patience)

    def waited_for(self) -> str:
        """A sentence that names the processes that the others wait for."""
        reports, now = self.reports(), time.time()
        missing = [r for r in range(self.world_size) if r not in reports]
        if missing:
            return f'waiting for rank {_list(missing)}, which has not come yet'
        silent = {r: v for r, v in reports.items() if now - v.time > self.patience / 2}
        busy = {r: v for r, v in reports.items() if not v.waits}
        last = min(v.step for v in reports.values())
        behind = {r: v for r, v in reports.items() if v.step == last}
        if silent:
            found, why = silent, 'not heard of since (stopped, or its machine is gone)'
        elif busy and len(busy) < self.world_size:
            found, why = busy, 'the others wait in a collective operation'
        elif len(behind) < self.world_size:
            found, why = behind, 'the others are further on'
        else:
            found, why = reports, 'all are at the same step'
        where = '; '.join(f'rank {r} ({v.host}) is at step {v.step} in {v.place}' for r, v in found.items())
        return f'waiting for rank {_list(found)}: {where}; {why}'


def _list(ranks: Any) -> str:
    return ', '.join(map(str, ranks))


def _waits(frame: FrameType | None) -> bool:
    """Whether a stack is inside a collective operation or the backward pass, which ends in one."""
    while frame is not None:
        if frame.f_code.co_filename.endswith(_COLLECTIVES):
            return True
        frame = frame.f_back
    return False


def _place(frame: FrameType | None) -> str:
    if frame is None:
        return 'an unknown place'
    return f'{frame.f_code.co_name} ({frame.f_code.co_filename}:{frame.f_lineno})'


def connect(timeout: float = 60) -> Store | None:
    """A connection of one's own to the store that the processes met at, None where there is none."""
    host, port = os.environ.get('MASTER_ADDR'), os.environ.get('MASTER_PORT')
    if not host or not port:
        return None
    return TCPStore(host, int(port), is_master=False, wait_for_workers=False, timeout=timedelta(seconds=timeout))


@HOOKS.register_module()
class RankWatchHook(Hook):
    """Tells a `RankWatch` of every iteration of training, validation and test.

    Args:
        patience: Seconds without progress before something is said.
    """

    priority = 'LOWEST'
    watch: RankWatch | None = None

    def __init__(self, watch: RankWatch | None = None) -> None:
        self.watch = watch

    def _move(self) -> None:
        if self.watch is not None:
            self.watch.move()

    def after_train_iter(self, *args, **kwargs) -> None:
        self._move()

    def after_val_iter(self, *args, **kwargs) -> None:
        self._move()

    def after_test_iter(self, *args, **kwargs) -> None:
        self._move()
