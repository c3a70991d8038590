"""Weights from the network: the zoo's published checkpoints by name, and ImageNet initializations.

Files go to ``$MMROAD_HOME`` (default ``~/.cache/mmroad``), below ``checkpoints`` and ``imagenet``. A file
placed there by hand is used as it is. ``$MMROAD_MIRROR`` names another host or folder: a URL or path
prefix that the file's name is appended to.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import itertools
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from ..files import replacing
from ..files.file_lock import locked
from .configs import find_model
from .file_kind import describe, kind_of, problem_of, read_head

#: ImageNet initializations: file name -> where it is published.
_TORCHVISION = 'https://download.pytorch.org/models/'
_OPENMMLAB = 'https://download.openmmlab.com/'
_THIRD_PARTY = _OPENMMLAB + 'pretrain/third_party/'
_CONVNEXT = _OPENMMLAB + 'mmclassification/v0/convnext/downstream/'
_SWIN = 'https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
_PVT = 'https://github.com/whai362/PVT/releases/download/v2/'
_CSPNEXT = _OPENMMLAB + 'mmdetection/v3.0/rtmdet/cspnext_rsb_pretrain/'
IMAGENET = {
    'resnet50-0676ba61.pth': _TORCHVISION,
    'resnet101-63fe2227.pth': _TORCHVISION,
    'resnet50_caffe-788b5fa3.pth': _THIRD_PARTY,
    'resnet101_caffe-3ad79236.pth': _THIRD_PARTY,
    'resnet50_msra-5891d200.pth': _THIRD_PARTY,
    'resnet50_v1c-2cccc1ad.pth': _THIRD_PARTY,
    'resnet101_v1c-e67eebb6.pth': _THIRD_PARTY,
    'hrnetv2_w18-00eb2006.pth': _THIRD_PARTY,
    'hrnetv2_w32-dc9eeb4f.pth': _THIRD_PARTY,
    'hrnetv2_w40-ed0b031c.pth': _THIRD_PARTY,
    'hrnetv2_w48-d2186c55.pth': _THIRD_PARTY,
    'resnet50_8xb256-rsb-a1-600e_in1k_20211228-20e21305.pth': _OPENMMLAB + 'mmclassification/v0/resnet/',
    'swin_tiny_patch4_window7_224.pth': _SWIN,
    'swin_small_patch4_window7_224.pth': _SWIN,
    'swin_base_patch4_window7_224.pth': _SWIN,
    'swin_base_patch4_window7_224_22k.pth': _SWIN,
    'swin_large_patch4_window12_384_22k.pth': _SWIN,
    'jx_vit_base_p16_224-80ecf9dd.pth': 'https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-vitjx/',
    'deit_small_patch16_224-cd65a155.pth': 'https://dl.fbaipublicfiles.com/deit/',
    'cspnext-s_imagenet_600e-ea671761.pth': _CSPNEXT,
    'cspnext-m_8xb256-rsb-a1-600e_in1k-ecb3bbd9.pth': _CSPNEXT,
    'cspnext-l_8xb256-rsb-a1-600e_in1k-6a760974.pth': _CSPNEXT,
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
HEAD = 512  # bytes that tell what a file is
LIMIT = 8 << 30  # bytes; no published file of weights here is nearly as large
IMAGENET_LIMIT = 1 << 30  # the largest of these backbones, Swin-L, has 920 MB


class DownloadError(OSError):
    """A file of weights is not available; the message says where to get it and where to put it."""


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
    model = find_model(name)
    url = model.get('Weights')
    if not url:
        raise DownloadError(
            f'{name} has no published weights. Train it (mmroad train {name}), or give the path of a checkpoint.'
        )
    return fetch(
        url,
        home() / 'checkpoints' / url.rsplit('/', 1)[1],
        md5_url=model.get('WeightsMD5'),
        limit=_largest_size((model.get('Metadata') or {}).get('Parameters')),
    )


def _largest_size(parameters: str | None) -> int:
    """The most bytes of a checkpoint of a model of so many parameters (``41.4M``): float32 weights, their average,
    two moments of an optimizer, and 64 MiB of buffers and meta data."""
    return int(float(parameters[:-1]) * 1e6 * 4 * 4) + (64 << 20) if parameters else LIMIT


def imagenet(name: str) -> Path:
    """An ImageNet initialization by its file name."""
    name = name.rsplit('/', 1)[-1]
    if name not in IMAGENET:
        raise DownloadError(f'{name} is none of the known ImageNet weights: {", ".join(IMAGENET)}')
    return fetch(
        IMAGENET[name] + name,
        home() / 'imagenet' / name,
        limit=IMAGENET_LIMIT,
        hint='To train from scratch instead: --cfg-options model.backbone.init_cfg=None',
    )


def fetch(
    url: str,
    path: Path,
    md5_url: str | None = None,
    hint: str = '',
    progress: Callable | None = None,
    limit: int = LIMIT,
) -> Path:
    """A file of weights by URL, through the cache.

    A partial download is kept beside (``.part``) and resumed. Of several processes that want one file one
    downloads it and the others wait for it. The file is checked before it gets its name: against its MD5, the
    eight hex digits at the end of its name (OpenMMLab's convention: the SHA-256), and in any case whether it is
    a file of weights at all, with the checksums that are in it.

    Args:
        url: Where the file is published. ``$MMROAD_MIRROR`` is tried first.
        path: Where the file is kept.
        md5_url: Where its MD5 is published, or None. Fetched from beside the file, a mirror's too.
        hint: A sentence for the error message.
        progress: Called with bytes done and bytes in all (or None); default shows a bar.
        limit: The most bytes that a file of this model can have.

    Raises:
        DownloadError: The file cannot be downloaded, or is not the published one.
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
            local = Path(source.removeprefix('file://')).expanduser()
            if '://' not in source or source.startswith('file://'):
                if not local.is_file():
                    raise OSError('no such file')
                _verify(local, name, source, md5_url)
                return local
            path.parent.mkdir(parents=True, exist_ok=True)
            return _fetch_once(source, path, md5_url, progress or _bar(name), limit)
        except (
            OSError,
            ValueError,
            http.client.HTTPException,
        ) as error:  # URLError and timeouts are OSErrors
            problems.append(f'  {source}: {error or type(error).__name__}')
    raise DownloadError(
        f'{name} could not be downloaded:\n'
        + '\n'.join(problems)
        + f'\nPlace the file at {path}, or set MMROAD_MIRROR to a host or folder that has it. {hint}'.rstrip()
    )


def _fetch_once(source: str, path: Path, md5_url: str | None, progress: Callable, limit: int) -> Path:
    """Download a file that no other process is downloading, or wait until one has."""
    part = path.with_name(f'{path.name}.part')
    lock = path.with_name(f'.{path.name}.lock')
    with locked(lock, _Watch(part)) as held:
        if path.is_file():  # by another process, meanwhile
            if held:  # perhaps a lock made anew, after that one had removed its own
                lock.unlink(missing_ok=True)
            return path
        if not held:  # its owner stands still, or there are no locks: a part of one's own
            with replacing(path) as own:
                _download(source, own, progress, limit)
                _verify(own, path.name, source, md5_url)
            return path
        try:
            _download(source, part, progress, limit)
            _verify(part, path.name, source, md5_url)
        except ValueError:  # not what it should be: no use in going on with it
            part.unlink(missing_ok=True)
            raise
        os.replace(part, path)  # not `replacing`, which a killed process's part would not outlive
        lock.unlink(missing_ok=True)
    return path


class _Watch:
    """Waits for a download of another process for as long as it grows."""

    def __init__(self, part: Path) -> None:
        self.part, self.size, self.since, self.told = part, -1, 0.0, False

    def __call__(self, waited: float) -> bool:
        if waited > 1 and not self.told:
            self.told = True
            print(f'waiting for another process that downloads {self.part.with_suffix("")}', flush=True)
        with contextlib.suppress(OSError):
            size = self.part.stat().st_size
            if size != self.size:
                self.size, self.since = size, waited
        return waited - self.since < RETRIES * 3 * TIMEOUT


def _download(url: str, part: Path, progress: Callable, limit: int) -> None:
    """Download to ``part``, going on where it ends.

    Raises:
        OSError: The network failed, or there is no room; ``part`` is kept.
        ValueError: The answer is no file of weights, or is longer than it may be.
    """
    for attempt in range(RETRIES):
        done = part.stat().st_size if part.is_file() else 0
        request = urllib.request.Request(url, headers={'Range': f'bytes={done}-'} if done else {})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                if done and not _goes_on(answer, done):  # the server starts anew
                    done = 0
                total = _total_of(answer, done)
                if total is not None and total > limit:
                    raise ValueError(f'it is announced with {total:,} bytes, the file has at most {limit:,}')
                _make_sure_of_room(part, (total or 0) - done)
                with open(part, 'ab' if done else 'wb') as file:
                    for block in _blocks(answer):
                        file.write(block)
                        if done < HEAD <= done + len(block):
                            file.flush()
                            _refuse_other_files(part)
                        done += len(block)
                        if done > limit:
                            raise ValueError(f'it goes on after {limit:,} bytes, the most that the file has')
                        if total is None:
                            _make_sure_of_room(part, 0)
                        progress(done, total)
            if total is None or done == total:
                return
            problem: Exception = OSError(f'the connection ended at {done} of {total} bytes')
        except urllib.error.HTTPError as error:
            if error.code == 416 and done:  # there is no more: it was whole already
                return
            raise OSError(f'HTTP {error.code} {error.reason}') from error
        except _NoRoom:
            raise
        except (OSError, http.client.HTTPException) as error:
            if getattr(error, 'errno', None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise _NoRoom(f'no room for it: {error}') from error
            problem = error
        if attempt + 1 < RETRIES:
            time.sleep(0.2 * (attempt + 1))
    raise OSError(
        f'{getattr(problem, "reason", None) or str(problem) or type(problem).__name__} ({RETRIES} tries)'
    )


class _NoRoom(OSError):
    """The disk is full, or would be."""


def _goes_on(answer: http.client.HTTPResponse, done: int) -> bool:
    """Whether an answer begins with the byte that was asked for."""
    begins = re.match(r'bytes (\d+)-', answer.headers.get('Content-Range') or '')
    return answer.status == 206 and (begins is None or int(begins[1]) == done)


def _total_of(answer: http.client.HTTPResponse, done: int) -> int | None:
    """The size of the whole file, where the server says it."""
    length = answer.headers.get('Content-Length')
    if length is None:
        return None
    if not length.strip().isdecimal():
        raise ValueError(f'the server says that it has {length!r} bytes')
    return done + int(length)


def _blocks(answer: http.client.HTTPResponse, size_of_block: int = 1 << 20) -> Iterator[bytes]:
    """The blocks of an answer, as long as a kilobyte a second or more arrives."""
    since, size = time.monotonic(), 0
    while block := answer.read1(size_of_block):
        yield block
        size += len(block)
        if (waited := time.monotonic() - since) > TIMEOUT:
            if size < 1024 * waited:
                raise TimeoutError(f'{size} bytes in {waited:.0f} s: too slow to end')
            since, size = time.monotonic(), 0


def _make_sure_of_room(part: Path, size: int) -> None:
    """Leave a tenth of the disk, or a gigabyte, free.

    Raises:
        _NoRoom: The file does not fit.
    """
    disk = shutil.disk_usage(part.parent)
    reserve = min(1 << 30, disk.total // 10)
    if size + reserve > disk.free:
        raise _NoRoom(
            f'no room for it in {part.parent}: {max(size, 0) / 2**20:.1f} MiB are to come, '
            f'{disk.free / 2**20:.1f} MiB are free, of which {reserve / 2**20:.1f} MiB stay free'
        )


def _refuse_other_files(part: Path) -> None:
    head = read_head(part)
    if kind_of(head) is None:
        raise ValueError(f'what comes is {describe(head)}')


def _verify(file: Path, name: str, source: str, md5_url: str | None) -> None:
    """Compare a file with its published checksum and with the checksums inside it.

    Raises:
        ValueError: It is another file, damaged, or no file of weights.
        OSError: Its MD5 cannot be read.
    """
    if problem := problem_of(file):
        raise ValueError(f'the file {problem}')
    want = got = None
    if md5_url:
        want, got = _published_md5(source, name, md5_url), _digest(file, 'md5')
    elif match := re.search(r'-([0-9a-f]{8})\.pth$', name):
        want, got = match[1], _digest(file, 'sha256')[:8]
    if want and got != want:
        raise ValueError(f'its checksum is {got}, published is {want}: the file is damaged or another one')


def _published_md5(source: str, name: str, md5_url: str) -> str:
    """The MD5 beside a file: the first in the text, or that in the file's line."""
    url = source.rsplit('/', 1)[0] + '/' + md5_url.rsplit('/', 1)[1]
    if '://' not in url:
        url = Path(url).absolute().as_uri()
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
        text = b''.join(itertools.islice(_blocks(answer, 4096), 16)).decode('utf-8', 'replace')
    lines = [line for line in text.splitlines() if name in line] or [text]
    found = re.search(r'(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])', '\n'.join(lines).lower())
    if found is None:
        raise ValueError(f'there is no MD5 in {url}: it is {describe(text.encode()[:4096], len(text))}')
    return found[0]


def _digest(path: Path, kind: str) -> str:
    digest = hashlib.new(kind)
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _bar(name: str) -> Callable[[int, int | None], None]:
    """A progress bar, made at the first block."""
    from ..files.progress import bar

    progress = bar('bytes')
    task = progress.add_task(name, total=None)

    def update(done: int, total: int | None) -> None:
        progress.start()
        progress.update(task, completed=done, total=total)
        if done == total:
            progress.stop()

    return update
