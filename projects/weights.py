"""Weights from the network: the zoo's published checkpoints by name, and ImageNet initialisations.

Files go to ``$MMROAD_HOME`` (default ``~/.cache/mmroad``), below ``checkpoints`` and ``imagenet``. A file
placed there by hand is used as it is. ``$MMROAD_MIRROR`` names another host or folder: a URL or path
prefix that the file's name is appended to.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

#: ImageNet initialisations: file name -> where it is published.
_TORCHVISION = 'https://download.pytorch.org/models/'
_OPENMMLAB = 'https://download.openmmlab.com/'
_THIRD_PARTY = _OPENMMLAB + 'pretrain/third_party/'
_CONVNEXT = _OPENMMLAB + 'mmclassification/v0/convnext/downstream/'
_SWIN = 'https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
_PVT = 'https://github.com/whai362/PVT/releases/download/v2/'
IMAGENET = {
    'resnet50-0676ba61.pth': _TORCHVISION,
    'resnet101-63fe2227.pth': _TORCHVISION,
    'resnet50_caffe-788b5fa3.pth': _THIRD_PARTY,
    'resnet101_caffe-3ad79236.pth': _THIRD_PARTY,
    'resnet50_msra-5891d200.pth': _THIRD_PARTY,
    'hrnetv2_w18-00eb2006.pth': _THIRD_PARTY,
    'hrnetv2_w32-dc9eeb4f.pth': _THIRD_PARTY,
    'resnet50_8xb256-rsb-a1-600e_in1k_20211228-20e21305.pth': _OPENMMLAB + 'mmclassification/v0/resnet/',
    'swin_tiny_patch4_window7_224.pth': _SWIN,
    'swin_small_patch4_window7_224.pth': _SWIN,
    'swin_base_patch4_window7_224.pth': _SWIN,
    'swin_base_patch4_window7_224_22k.pth': _SWIN,
    'pvt_tiny.pth': _PVT,
    'pvt_small.pth': _PVT,
    'pvt_v2_b0.pth': _PVT,
    'pvt_v2_b1.pth': _PVT,
    'pvt_v2_b2.pth': _PVT,
    'convnext-tiny_3rdparty_32xb128-noema_in1k_20220301-795e9634.pth': _CONVNEXT,
    'convnext-small_3rdparty_32xb128-noema_in1k_20220301-303e75e3.pth': _CONVNEXT,
    'convnext-base_3rdparty_32xb128-noema_in1k_20220301-2a0ee547.pth': _CONVNEXT,
    'convnext-base_in21k-pre-3rdparty_32xb128_in1k_20220124-eb2d6ada.pth': _OPENMMLAB
    + 'mmclassification/v0/convnext/',
}
TIMEOUT = 20  # seconds without an answer
RETRIES = 3


class DownloadError(OSError):
    """A file could not be had; the message says where to get it and where to put it."""


def home() -> Path:
    """The cache folder."""
    return Path(os.environ.get('MMROAD_HOME', Path.home() / '.cache/mmroad'))


def published(name: str) -> Path:
    """The published checkpoint of a model of the zoo, downloaded where it is not in the cache.

    Args:
        name: A model name (``mmroad.list_models()``).

    Raises:
        DownloadError: No host answered, or the file does not have its MD5.
    """
    from .zoo import find_model

    model = find_model(name)
    url = model.get('Weights')
    if not url:
        raise DownloadError(
            f'{name} has no published weights. Train it with tools/train.py, or give the path of a checkpoint.'
        )
    return fetch(url, home() / 'checkpoints' / url.rsplit('/', 1)[1], md5_url=model.get('WeightsMD5'))


def imagenet(name: str) -> Path:
    """An ImageNet initialisation by its file name."""
    name = name.rsplit('/', 1)[-1]
    if name not in IMAGENET:
        raise DownloadError(f'{name} is none of the known ImageNet weights: {", ".join(IMAGENET)}')
    return fetch(
        IMAGENET[name] + name,
        home() / 'imagenet' / name,
        hint='To train from scratch instead: --cfg-options model.backbone.init_cfg=None',
    )


def fetch(
    url: str, path: Path, md5_url: str | None = None, hint: str = '', progress: Callable | None = None
) -> Path:
    """A file by URL, through the cache.

    A partial download is kept beside (``.part``) and resumed. The file is checked against ``md5_url``
    (its first word), and against the eight hex digits at the end of its name (OpenMMLab's convention:
    the SHA-256), before it gets its name.

    Args:
        url: Where the file is published. ``$MMROAD_MIRROR`` is tried first.
        path: Where it is to be.
        md5_url: Where its MD5 is published, or None.
        hint: A sentence for the error message.
        progress: Called with bytes done and bytes in all (or None); default shows a bar.

    Raises:
        DownloadError: As above.
    """
    if path.is_file():
        return path
    mirror = os.environ.get('MMROAD_MIRROR')
    name = path.name
    sources = [f'{mirror.rstrip("/")}/{name}'] if mirror else []
    sources.append(url)
    problems = []
    for source in sources:
        try:
            local = Path(source.removeprefix('file://'))
            if '://' not in source or source.startswith('file://'):
                if local.is_file():
                    return local
                raise OSError('no such file')
            part = path.with_name(f'{name}.part')
            path.parent.mkdir(parents=True, exist_ok=True)
            _download(source, part, progress or _bar(name))
            _verify(part, name, source, md5_url)
            os.replace(part, path)
            return path
        except (OSError, ValueError) as error:  # URLError and timeouts are OSErrors
            problems.append(f'  {source}: {error}')
    raise DownloadError(
        f'{name} could not be downloaded:\n'
        + '\n'.join(problems)
        + f'\nPlace the file at {path}, or set MMROAD_MIRROR to a host or folder that has it. {hint}'.rstrip()
    )


def _download(url: str, part: Path, progress: Callable) -> None:
    for attempt in range(RETRIES):
        done = part.stat().st_size if part.is_file() else 0
        request = urllib.request.Request(url, headers={'Range': f'bytes={done}-'} if done else {})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                if done and answer.status != 206:  # the server starts anew
                    done = 0
                length = answer.headers.get('Content-Length')
                total = done + int(length) if length else None
                with open(part, 'ab' if done else 'wb') as file:
                    while block := answer.read(1 << 20):
                        file.write(block)
                        done += len(block)
                        progress(done, total)
            if total is None or done == total:
                return
            problem: Exception = OSError(f'the connection ended at {done} of {total} bytes')
        except urllib.error.HTTPError as error:
            if error.code == 416 and done:  # there is no more: it was whole already
                return
            raise OSError(f'HTTP {error.code} {error.reason}') from error
        except (OSError, TimeoutError) as error:
            problem = error
        if attempt + 1 < RETRIES:
            time.sleep(0.2 * (attempt + 1))
    raise OSError(f'{getattr(problem, "reason", problem)} ({RETRIES} tries)')


def _verify(part: Path, name: str, source: str, md5_url: str | None) -> None:
    want = None
    if md5_url:
        url = source.rsplit('/', 1)[0] + '/' + md5_url.rsplit('/', 1)[1]
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            want = answer.read().decode().split()[0].lower()
        got = _digest(part, 'md5')
    elif match := re.search(r'-([0-9a-f]{8})\.pth$', name):
        want, got = match[1], _digest(part, 'sha256')[:8]
    if want and got != want:
        part.unlink()
        raise ValueError(f'its checksum is {got}, published is {want}: the file is damaged or another one')


def _digest(path: Path, kind: str) -> str:
    digest = hashlib.new(kind)
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _bar(name: str) -> Callable[[int, int | None], None]:
    """A progress bar of rich, made at the first block."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    bar = Progress(TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    task = bar.add_task(name, total=None)

    def update(done: int, total: int | None) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)
        if done == total:
            bar.stop()

    return update


def register_imagenet_scheme() -> None:
    """Let ``init_cfg`` name ImageNet weights as ``imagenet://FILE`` (mmengine's checkpoint loader)."""
    from mmengine.runner.checkpoint import CheckpointLoader

    from .checkpoint import load_state_file

    @CheckpointLoader.register_scheme(prefixes='imagenet://', force=True)
    def load(filename: str, map_location: str = 'cpu') -> dict:
        return load_state_file(imagenet(filename.removeprefix('imagenet://')))


def load_weights_safely() -> None:
    """Let mmengine's loader (``load_from``) read local files by ``load_state_file``.

    On its own it unpickles anything once weights-only reading fails, which runs what a file holds.
    Not for resuming: that needs the log of the training, which is more than weights.
    """
    from mmengine.runner.checkpoint import CheckpointLoader

    from .checkpoint import load_state_file

    @CheckpointLoader.register_scheme(prefixes='', force=True)
    def load(filename: str, map_location: str = 'cpu') -> dict:
        return load_state_file(Path(filename).expanduser())
