"""A file appears under its name when it is whole, or not at all."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

_HOST = re.sub(r'[^A-Za-z0-9]', '', socket.gethostname())[:16] or 'host'
_PART = re.compile(r'\.part-(?P<host>[A-Za-z0-9]+)-(?P<pid>\d+)-\d+-')
_NUMBERS = itertools.count()
_tidied: set[tuple[int, Path]] = set()
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def replacing(path: str | Path, *, durable: bool = False) -> Iterator[Path]:
    """Write a file beside its place and rename it, so that ``path`` is the old file or the whole new one.

    ``with replacing(path) as part:`` gives a path in the same folder (made where it is missing) with the same
    suffix, of this process alone; several processes may write one file. When the block ends without an error
    the part takes the file's name, otherwise it is removed. Parts that killed processes of this machine left
    in the folder are removed when a process first writes there.

    Args:
        path: The file to write.
        durable: Wait until the content is on the disk before the file is renamed.

    Raises:
        OSError: There is no room; the message names the file, what was written of it and what is free.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_dead_parts(path.parent)
    part = path.with_name(own_name(path.name))
    try:
        yield part
        if durable:
            with open(part, 'rb+') as file:
                os.fsync(file.fileno())
        os.replace(part, path)
    except Exception as error:
        if not is_no_room(error):
            raise
        written = part.stat().st_size if part.exists() else 0
        free = shutil.disk_usage(path.parent).free
        raise OSError(
            getattr(error, 'errno', None) or errno.ENOSPC,
            f'no room for the whole file: {written / 2**20:.1f} MiB of it were written, {free / 2**20:.1f} MiB '
            f'are free (or a limit on the size of files or a quota is reached); nothing is left of it',
            str(path),
        ) from error
    finally:
        part.unlink(missing_ok=True)


#: How libraries report a full disk in errors of their own: torch, and those in Rust with the system's number.
_WRITERS = re.compile(
    r'inline_container|PytorchStreamWriter|unexpected pos|iostream error|'
    rf'\(os error ({"|".join(map(str, _NO_ROOM))})\)'
)


def is_no_room(error: Exception) -> bool:
    """Whether a write failed because there is no room: a full disk, a quota or a limit on the size of
    files."""
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    return _WRITERS.search(str(error)) is not None


def own_name(name: str) -> str:
    """A hidden name for a part of this process, another one each time; its ending is that of ``name``, of which a
    long one's beginning is left out: file systems take 255 bytes."""
    return f'.part-{_HOST}-{os.getpid()}-{next(_NUMBERS)}-{name[-40:]}'


def remove_dead_parts(folder: Path) -> None:
    """Remove what has an `own_name` in a folder, files and folders, and whose process has died; once a process
    and folder."""
    key = os.getpid(), folder.absolute()
    if key in _tidied:
        return
    _tidied.add(key)
    with os.scandir(folder) as entries:
        for entry in entries:
            match = _PART.match(entry.name)
            if match and match['host'] == _HOST and not _is_alive(int(match['pid'])):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    with contextlib.suppress(OSError):  # another's, in a folder that all may write to
                        os.unlink(entry.path)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_bytes(path: str | Path, data: bytes | memoryview) -> None:
    """Write a file by `replacing`."""
    with replacing(path) as part:
        part.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file (UTF-8) by `replacing`."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, content: Any, indent: int | None = None) -> None:
    """Write a JSON file of any size by `replacing`.

    Raises:
        ValueError: The content holds NaN or an infinity, which JSON has not.
    """
    write_bytes(path, _json(content, indent) + b'\n')


def _json(content: Any, indent: int | None) -> bytes:
    if indent is None:  # msgspec is several times faster, but writes NaN as null and knows fewer types
        with contextlib.suppress(TypeError, OverflowError, UnicodeEncodeError):
            data = msgspec.json.encode(content)
            if b'null' not in data:
                return data
    return json.dumps(content, indent=indent, allow_nan=False).encode()
