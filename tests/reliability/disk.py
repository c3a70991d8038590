"""Full disks: what is written is whole or not there, the error names file and room, and with room all goes well."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import torch
from children import Attempt, finish, fork, leftovers

from mmroad.anomaly.io import save_map
from mmroad.bdd100k.format import Prediction, write_predictions
from mmroad.detic.vocabulary import Vocabulary, save_vocabulary
from mmroad.files import replacing, write_json
from mmroad.files.images import write_image

SIZE = 4 << 20  # bytes of the small disk


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A folder on a disk of its own where this user may mount one; whether it is."""
    folder.mkdir(parents=True)
    mount = ['mount', '-t', 'tmpfs', '-o', f'size={SIZE}', 'tmpfs', str(folder)]
    mounted = os.geteuid() == 0 and not subprocess.run(mount, capture_output=True).returncode
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(['umount', '-l', str(folder)], check=True)


def _checkpoint(path: Path) -> None:
    with replacing(path, durable=True) as part, open(part, 'wb') as file:
        torch.save(dict(state_dict=dict(w=torch.arange(200_000.0))), file)


def _writers() -> dict[str, Callable[[Path], object]]:
    """File name -> what writes it; each file has some hundred kilobytes."""
    rng = np.random.default_rng(0)
    noise, vectors = (
        rng.random((300, 400)).astype(np.float32),
        torch.from_numpy(rng.random((200, 512), np.float32)),
    )
    boxes = [Prediction(i, f'{i}.jpg', [[1.0, 2.0, 3.0, 4.0]] * 40, [0.5] * 40, [1] * 40) for i in range(50)]
    return {
        'a.pth': _checkpoint,
        'det.json': lambda path: write_predictions(boxes, path.parent, len(boxes)),
        'map.npz': lambda path: save_map(path.with_suffix(''), noise, 'npz'),
        'map.png': lambda path: save_map(path.with_suffix(''), noise, 'png'),
        'map.hdf5': lambda path: save_map(path.with_suffix(''), noise, 'smiyc'),
        'a.png': lambda path: write_image(path, (noise * 255).astype(np.uint8)),
        'list.json': lambda path: write_json(path, noise.tolist()),
        'words.safetensors': lambda path: save_vocabulary(
            Vocabulary(tuple(map(str, range(200))), vectors), path
        ),
    }


def _write(write: Callable[[Path], object], path: Path, limit: int | None) -> None:
    if limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        write(path)
    except OSError as error:
        if (
            error.errno not in (errno.ENOSPC, errno.EFBIG)
            or path.stem not in str(error)
            or 'free' not in str(error)
        ):
            raise
        raise SystemExit(28) from error


def full_disk(folder: Path, rng: Random) -> Iterator[Attempt]:
    """Each writer with less room than it needs, on a full disk and under a limit on the size of files, with and
    without an older file."""
    writers, whole = _writers(), {}
    for name, write in writers.items():
        (folder / 'whole').mkdir(exist_ok=True)
        write(folder / 'whole' / name)
        whole[name] = (folder / 'whole' / name).read_bytes()
    with small_disk(folder / 'disk') as mounted:
        while True:
            name = rng.choice(list(writers))
            work, log = folder / 'disk/out', folder / 'log'
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            path, run, old = work / name, partial(_write, writers[name], work / name), rng.random() < 0.5
            room = rng.randrange(len(whole[name]) * 9 // 10)
            if old:
                path.write_bytes(b'old')
            limited = not mounted or rng.random() < 0.5
            filler = folder / 'disk/filler'
            if not limited:
                free = shutil.disk_usage(work).free
                filler.write_bytes(bytes(max(0, free - room)))
            end = finish(fork(partial(run, room if limited else None), log))
            filler.unlink(missing_ok=True)
            broken = leftovers(work)
            if end != 'exit code 28':
                broken.append(f'{name} with {room:,} bytes: {end or "no error"} {log.read_text()[-800:]}')
            if (path.read_bytes() if path.exists() else b'') != b'old' * old:
                broken.append(f'{name} with {room:,} bytes: the file is half, or the old one is gone')
            if again := finish(fork(partial(run, None), log)):
                broken.append(f'{name} with room: {again} {log.read_text()[-800:]}')
            elif path.read_bytes() != whole[name]:
                broken.append(f'{name} with room: other content')
            yield Attempt('limit on files' if limited else 'full disk', broken)
