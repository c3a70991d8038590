"""Processes that are forked from this one, which has imported torch already, and die as they are told to."""

from __future__ import annotations

import os
import runpy
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Attempt(NamedTuple):
    """What was tried, and the promises that were not kept."""

    kind: str
    broken: list[str] = []
    number: int = 1


def fork(run: Callable[[], object], log: Path) -> int:
    """Run a function in a process of its own, its output in ``log``; gives the process id."""
    log.parent.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        for stream in (1, 2):
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        sys.stdout, sys.stderr = (os.fdopen(stream, 'w', buffering=1) for stream in (1, 2))
        run()
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def program(tool: str, *args: object, **env: object) -> Callable[[], object]:
    """A program of ``tools/`` with its arguments, as `fork` takes it."""

    def run() -> None:
        os.environ.update({key: str(value) for key, value in env.items()})
        sys.argv = [tool, *map(str, args)]
        runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')

    return run


def ranks_of(number: int) -> list[dict[str, object]]:
    """The environment of each process of a distributed run."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        place = dict(WORLD_SIZE=number, MASTER_ADDR='127.0.0.1', MASTER_PORT=free.getsockname()[1])
    return [dict(place, RANK=rank, LOCAL_RANK=rank) for rank in range(number)]


def finish(child: int, seconds: float = 300) -> str:
    """Wait for a process: how it ended, empty where well."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            return '' if not code else f'exit code {code}' if code > 0 else signal.Signals(-code).name
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return f'no end after {seconds:.0f} s'
        time.sleep(0.002)


def kill_when(child: int, moment: Callable[[], bool], seconds: float) -> bool:
    """SIGKILL at a moment, or after some seconds; False where the process ended before."""
    deadline = time.monotonic() + seconds
    while not moment() and time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def leftovers(folder: Path, but: Iterable[str] = ()) -> list[str]:
    """Hidden files and folders below a folder: parts of what was not finished."""
    return [f'{path} is left over' for path in sorted(folder.rglob('.*')) if path.name not in but]
