"""One process at a time, over all processes and users of a folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(path: Path, wait: Callable[[float], bool]) -> Iterator[bool]:
    """Hold the lock of a file (an advisory lock on ``path``, made where it is missing).

    The lock of a process that dies is free at once.

    Args:
        path: The lock's file. It may be removed by its holder once nobody needs the lock any more.
        wait: Called with the seconds waited so far, several times a second, while another process holds the
            lock; False gives up.

    Yields:
        Whether the lock is held; False where waiting was given up or the file system has no locks.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:  # another user's; shared reading is enough for a lock
        descriptor = os.open(path, os.O_RDONLY)
    try:
        start = time.monotonic()
        held = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = True
                break
            except BlockingIOError:
                if not wait(time.monotonic() - start):
                    break
                time.sleep(0.1)
            except OSError:  # a file system without locks
                break
        yield held
    finally:
        os.close(descriptor)  # frees the lock
