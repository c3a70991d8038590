"""Files that were changed at random: read as they were, read as something else that is whole, or refused by name."""

from __future__ import annotations

import io
import json
import pickle
import signal
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from children import Attempt, finish, fork
from PIL import Image

from mmroad.anomaly.io import load_map, save_map
from mmroad.bdd100k.columns import read_columns
from mmroad.bdd100k.eval.masks import read_png
from mmroad.bdd100k.index import indexed_columns
from mmroad.bdd100k.scalabel import load_frames
from mmroad.commands.eval import main as evaluate
from mmroad.detic.lvis_style import read_lvis_style
from mmroad.detic.vocabulary import load_embeddings, read_names
from mmroad.files.images import read_image
from mmroad.files.label_maps import read_label_map
from mmroad.zoo.checkpoint import load_state_file

SECONDS = 20  # for a file of some kilobytes, on a machine with other work
BATCH = 50
_JUNK = (
    b'{',
    b']',
    b'"',
    b',',
    b'\0',
    b'\xff',
    b'NaN',
    b'1e999',
    b'null',
    b'-1',
    b'[' * 20000,
    b'\\ud800',
    b'\xed\xa0\x80',
)


def mutated(content: bytes, rng: Random) -> bytes:
    """A file with one to four places flipped, left out, doubled, overwritten, or the rest cut off."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        start = rng.randrange(len(changed) or 1)
        end = min(len(changed), start + rng.choice((1, 3, 30, 600)))
        kind = rng.randrange(6)
        if kind == 0:
            del changed[start:]
        elif kind == 1 and changed:
            changed[start] ^= 1 << rng.randrange(8)
        else:
            other = (b'', changed[start:end] * 2, rng.randbytes(end - start), rng.choice(_JUNK))[kind - 2]
            changed[start:end] = other
    return bytes(changed)


class Form(NamedTuple):
    """A file, its reader, and whether the format has a checksum: then other values than the file's are refused."""

    name: str
    content: bytes
    read: Callable[[Path], Any]
    checksum: bool = False


def _saved(write: Callable, *args: Any, **kwargs: Any) -> bytes:
    file = io.BytesIO()
    write(*args, file, **kwargs)
    return file.getvalue()


def _labels() -> Iterator[Form]:
    box = dict(x1=1.0, y1=2.0, x2=30.5, y2=40.0)
    labels = [
        dict(id=str(i), category=c, box2d=box, score=0.5) for i, c in enumerate(('car', 'bus', 'rider'))
    ]
    frames = [
        dict(name=f'{i}.jpg', attributes=dict(weather='clear'), labels=labels[: i % 4]) for i in range(8)
    ]
    flat = [dict(name=f'{i % 5}.jpg', category='car', bbox=[1, 2, 30, 40], score=0.3) for i in range(12)]
    old = [
        dict(
            name='a.jpg',
            attributes={},
            frames=[dict(timestamp=1, objects=[dict(id=1, category='car', box2d=box)])],
        )
    ]
    for name, content in dict(frames=frames, dict=dict(frames=frames), flat=flat, old=old).items():
        for read in (read_columns, load_frames) if 'f' in name and name != 'flat' else (read_columns,):
            yield Form(f'{name}.json', json.dumps(content).encode(), read)
    lvis = dict(
        images=[dict(id=1, height=40, width=50, file_name='1.jpg')],
        annotations=[dict(id=1, image_id=1, category_id=1, bbox=[1, 2, 3, 4], area=12.0)],
        categories=[dict(id=1, name='car')],
    )
    yield Form('lvis.json', json.dumps(lvis).encode(), read_lvis_style)


def _masks() -> Iterator[Form]:
    values = np.random.default_rng(0).integers(0, 19, (30, 40)).astype(np.uint8).repeat(3, 0)
    yield Form('gray.png', _saved(lambda f: Image.fromarray(values).save(f, 'PNG')), read_label_map, True)
    yield Form('gray.tif', _saved(lambda f: Image.fromarray(values).save(f, 'TIFF')), read_label_map)
    colored = Image.fromarray(np.stack([values] * 4, -1))
    yield Form('bits.png', _saved(lambda f: colored.save(f, 'PNG')), lambda path: read_png(path, 4), True)


def _images() -> Iterator[Form]:
    picture = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 255, (60, 80, 3)).astype(np.uint8), (0, 0), 3
    )
    for suffix, checksum in {'.png': True, '.jpg': False, '.webp': False, '.bmp': False}.items():
        yield Form(f'a{suffix}', cv2.imencode(suffix, picture)[1].tobytes(), read_image, checksum)


def _checkpoints() -> Iterator[Form]:
    state = dict(w=torch.arange(300.0), b=torch.ones(8))
    content = dict(state_dict=state, meta=dict(epoch=3, classes=['car', 'bus']))
    yield Form('zip.pth', _saved(torch.save, content), load_state_file, True)
    old = _saved(lambda f: torch.save(content, f, _use_new_zipfile_serialization=False))
    yield Form('old.pth', old, load_state_file)
    arrays = dict(model=dict(w=np.arange(64.0), b=np.ones(8)))
    yield Form('arrays.pkl', pickle.dumps(arrays), load_state_file)
    from safetensors.torch import save

    yield Form('w.safetensors', save(state), load_state_file)


def _maps(folder: Path) -> Iterator[Form]:
    values = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    kinds = ('npz', 'png', 'smiyc') if __import__('importlib.util').util.find_spec('h5py') else ('npz', 'png')
    for kind in kinds:
        path = save_map(folder / 'whole', values, kind)
        yield Form(f'map{path.suffix}', path.read_bytes(), load_map, kind != 'smiyc')
    yield Form('map.npy', _saved(lambda f: np.save(f, values)), load_map)


def _vocabularies() -> Iterator[Form]:
    vectors, names = np.random.default_rng(0).random((5, 512)).astype(np.float32), list('abcde')
    words = [f'class {i}' for i in range(60)]
    yield Form('v.npz', _saved(lambda f: np.savez(f, embeddings=vectors, names=names)), load_embeddings, True)
    yield Form('v.npy', _saved(lambda f: np.save(f, vectors)), load_embeddings)
    yield Form('v.pth', _saved(torch.save, dict(embeddings=torch.from_numpy(vectors))), load_embeddings, True)
    yield Form('names.json', json.dumps(words).encode(), read_names)
    yield Form('names.txt', '\n'.join(words).encode(), lambda path: read_names(path))


def _plain(value: Any) -> Any:
    """A value that `==` compares."""
    if isinstance(value, (np.ndarray, torch.Tensor)):
        array = np.asarray(value)
        return str(array.dtype), array.shape, array.tobytes()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _try(form: Form, path: Path, want: Any) -> str:
    """What is broken of one changed file."""
    try:
        got = form.read(path)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        return '' if path.name in str(error) else f'an error without the name: {error!r:.200}'
    except Exception as error:
        return f'{error!r:.200}'
    return 'other values, though it has a checksum' if form.checksum and _plain(got) != want else ''


def _batch(forms: list[Form], number: int, seed: float, report: Path) -> None:
    """Changes a batch; a line for each in ``report``: the file before it is read, what is broken after."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    rng = Random(seed)
    with open(report, 'w', buffering=1) as lines:
        for i in range(number):
            form = forms[i % len(forms)]
            path = report.parent / f'{report.name}-{i}-{form.name}'
            path.write_bytes(form.content)
            want = _plain(form.read(path)) if form.checksum else None
            path.write_bytes(mutated(form.content, rng))
            lines.write(f'{path}: ')
            signal.alarm(SECONDS)
            broken = _try(form, path, want)
            signal.alarm(0)
            lines.write(f'{broken}\n'.replace('\n', ' ').strip() + '\n')
            if not broken:
                path.unlink()


def mutants(kind: str, folder: Path, rng: Random) -> Iterator[Attempt]:
    """Batches of changed files of a kind, each in a process that may crash or hang."""
    make = dict(
        labels=_labels, masks=_masks, images=_images, checkpoints=_checkpoints, vocabularies=_vocabularies,
        maps=lambda: _maps(folder))[kind]  # fmt: skip
    forms, batch = list(make()), 0
    while batch := batch + 1:
        report = folder / f'{kind}-{batch}'
        run = partial(_batch, forms, BATCH, rng.random(), report)
        end = finish(fork(run, folder / 'log'), 600)
        lines = report.read_text().split('\n')
        broken = [line for line in lines if not line.rstrip().endswith(':') and line.strip()]
        if end:
            how = 'hangs' if end == 'SIGALRM' else end
            broken.append(f'{lines[-1]} {how} {(folder / "log").read_text()[-500:]}')
        yield Attempt(kind, broken, BATCH)


def caches(folder: Path, rng: Random) -> Iterator[Attempt]:
    """A flipped bit or another change of the index cache: it is made again and never other boxes."""
    labels = folder / 'labels.json'
    labels.write_bytes(next(_labels()).content)
    want, cache = indexed_columns(labels).xyxy.tobytes(), folder / '.labels.json.index'
    content = cache.read_bytes()
    while True:
        cache.write_bytes(mutated(content, rng))
        got = indexed_columns(labels)
        same = got.xyxy.tobytes() == want and list(got.names) == [f'{i}.jpg' for i in range(8)]
        yield Attempt('index caches', [] if same else ['other boxes from a damaged cache'])


CODES = ('j023000', '', '0', 'mask', 'o', 'PPP', 'é', '1' * 5000)


def codes(folder: Path, rng: Random) -> Iterator[Attempt]:
    """Run-length codes that do not fill their size, and changed ones: refused by file and frame in a second."""
    from pycocotools import mask as coco_mask

    square = np.zeros((48, 80), np.uint8, order='F')
    square[10:30, 20:50] = 1
    whole = coco_mask.encode(square)['counts'].decode()

    def label(counts: Any, size: Any = (48, 80), score: float = 0.5) -> dict:
        return dict(id='1', category='person', score=score, rle=dict(counts=counts, size=size))

    def save(path: Path, labels: list) -> Path:
        path.write_text(
            json.dumps([dict(name='a.jpg', labels=[label(whole)]), dict(name='b.jpg', labels=labels)])
        )
        return path

    def score(task: str, gt: Path, pred: Path) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        start = time.process_time()
        try:
            evaluate(['-t', task, '-g', str(gt), '-r', str(pred), '-q'])
        except SystemExit as end:
            assert 'wrong.json' in str(end.code) and "'b.jpg'" in str(end.code), end.code
            print(end.code)
        assert time.process_time() - start < 1, 'it took more than a second'

    turn = 0
    while True:
        task, turn = ('ins_seg', 'pan_seg', 'sem_seg')[turn % 3], turn + 1
        if turn <= 3 * len(CODES):
            counts: Any = CODES[(turn - 1) // 3]
            size = [5, 10]
        else:
            listed = [10, rng.randrange(-9, 99), rng.randrange(5000)]
            counts = rng.choice((listed, mutated(whole.encode(), rng).decode('latin1')))
            size = [48, 80]
        good = save(folder / 'good.json', [label(whole)])
        wrong = save(folder / 'wrong.json', [label(whole), label(counts, size)])
        pair = (good, wrong) if rng.random() < 0.5 else (wrong, good)
        log = folder / f'log-{turn}'
        end = finish(fork(lambda t=task, p=pair: score(t, *p), log), 60)
        broken = [f'{task} {counts!r:.80} of {size}: {end} {log.read_text()[-500:]}'] if end else []
        if turn <= 3 * len(CODES) and not end and 'wrong.json' not in log.read_text():
            broken.append(f'{task} takes {counts!r:.80} of {size}')
        yield Attempt(task, broken)


def odd_pictures() -> dict[str, bytes]:
    """Images that hurt: thin, claimed to be huge, empty, of zeros, of another kind."""

    def png(width: int, height: int) -> bytes:
        head = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
        parts = ((b'IHDR', head), (b'IDAT', zlib.compress(bytes(100))), (b'IEND', b''))
        pieces = (struct.pack('>I', len(p)) + k + p + struct.pack('>I', zlib.crc32(k + p)) for k, p in parts)
        return b'\x89PNG\r\n\x1a\n' + b''.join(pieces)

    def picture(height: int, width: int) -> bytes:
        return cv2.imencode('.png', np.zeros((height, width, 3), np.uint8))[1].tobytes()

    return {
        'flat.png': picture(1, 5000), 'thin.png': picture(60000, 1), 'pixel.png': picture(1, 1),
        'huge.png': png(40000, 40000), 'none.png': png(0, 0), 'empty.jpg': b'', 'zeros.jpg': bytes(5000),
        'page.jpg': b'<!DOCTYPE html><html></html>'}  # fmt: skip
