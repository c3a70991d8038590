"""Made-up masks, and both evaluators on them."""

import contextlib
import io
import json
import math
import warnings

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from mmroad.bdd100k.eval import ins_seg, pan_seg, seg

SIZE = (48, 80)
TASKS = ('sem_seg', 'drivable', 'ins_seg', 'pan_seg')
CLASSES = dict(
    sem_seg=seg.CLASSES['sem_seg'],
    drivable=seg.CLASSES['drivable'],
    ins_seg=ins_seg.CLASSES,
    pan_seg=pan_seg.CLASSES,
)


def official(task, gt, pred, score_file=None):
    """The official tool's Result for pictures of any size."""
    from bdd100k.common.utils import list_files, load_bdd100k_config
    from bdd100k.eval.run import _load_frames, run_bitmask, run_rle

    config = load_bdd100k_config(task)
    config.scalabel.imageSize.height, config.scalabel.imageSize.width = SIZE
    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with quiet[0], quiet[1], warnings.catch_warnings():
        warnings.simplefilter('ignore')
        if pred.is_dir() and any(pred.glob('*.png')):
            paths = (list_files(str(path), '.png', with_prefix=True) for path in (gt, pred))
            return run_bitmask(config, task, *paths, score_file, nproc=1, quiet=True)
        return run_rle(config, task, *_load_frames(str(gt), str(pred), config, 1), nproc=1)


def ours(task, gt, pred, score_file=None):
    if task == 'ins_seg':
        return ins_seg.evaluate_ins_seg(gt, pred, score_file)[0]
    if task == 'pan_seg':
        return pan_seg.evaluate_pan_seg(gt, pred)[0]
    return seg.evaluate_seg(gt, pred, task)


def same(mine, theirs):
    theirs = dict(theirs)
    assert mine.keys() == theirs.keys()
    for key, rows in mine.items():
        pairs = (
            zip(rows, theirs[key], strict=True) if isinstance(rows, list) else [({0: rows}, {0: theirs[key]})]
        )
        for got, want in pairs:
            assert list(got) == list(want), key
            for name, value in got.items():
                both_nan = math.isnan(value) and math.isnan(want[name])
                assert both_nan or abs(value - want[name]) < 1e-9, (key, name, value, want[name])


def regions(rng, count):
    """A map of ids 0..count with blobs, and the same a little moved and with ids exchanged."""
    grid = np.zeros(SIZE, np.int64)
    for k in range(1, count + 1):
        y, x = rng.integers(0, SIZE[0]), rng.integers(0, SIZE[1])
        h, w = rng.integers(1, 24), rng.integers(1, 40)
        grid[y : y + h, x : x + w] = k
    moved = np.roll(grid, (int(rng.integers(-2, 3)), int(rng.integers(-2, 3))), (0, 1))
    return grid, moved


def classes_of(rng, task, count):
    return np.concatenate([[0], rng.integers(1, len(CLASSES[task]) + 1, count)])


def write_png(path, pixels):
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def bitmask(ids, classes, attributes):
    return np.stack([classes[ids], attributes[ids], ids >> 8, ids & 255], -1)


def made_masks(folder, task, seed, images=4, count=12):
    """Folders gt and pred of masks (and scores.json)."""
    rng = np.random.default_rng(seed)
    frames = []
    for i in range(images):
        grid, moved = regions(rng, count)
        if task in ('sem_seg', 'drivable'):
            none = 255 if task == 'sem_seg' else 2
            values = np.append(none, rng.integers(0, len(CLASSES[task]), count))
            gt, pred = values[grid], values[moved]
            gt[:3], pred[-2:] = 255, 200
        else:
            ids, classes = np.append(0, rng.permutation(600)[:count] + 1), classes_of(rng, task, count)
            table, attributes = np.zeros(601, np.int64), np.zeros(601, np.int64)
            table[ids], attributes[ids] = classes, rng.choice([0, 0, 0, 1, 2, 3], count + 1)
            gt, pred_table = bitmask(ids[grid], table, attributes), table.copy()
            pred_table[ids[1 + rng.integers(0, count, 2)]] = 3
            attributes[ids] = rng.choice([0, 0, 0, 1, 2, 3], count + 1)  # of their own, not the truth's
            pred = bitmask(ids[moved], pred_table, attributes)
            if task == 'ins_seg':  # which reads none of them, not even where they vary within an instance
                pred[..., 1] = rng.integers(0, 4, SIZE)
            labels = [
                dict(index=int(k), score=float(rng.choice([0.2, 0.5, rng.random()]))) for k in ids[1:-1]
            ]
            frames.append(dict(name=f'{i}.jpg', labels=labels))
        write_png(folder / f'gt/{i}.png', gt)
        write_png(folder / f'pred/{i}.png', pred)
    (folder / 'scores.json').write_text(json.dumps(frames))
    return folder / 'gt', folder / 'pred', folder / 'scores.json'


def rle(mask):
    code = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return dict(counts=code['counts'].decode(), size=list(code['size']))


def made_codes(folder, task, seed, images=4, count=12, overlap=False):
    rng = np.random.default_rng(seed)
    gts, preds = [], []
    for i in range(images):
        grid, moved = regions(rng, count)
        classes = classes_of(rng, task, count)
        labels, found = [], []
        for k in range(1, count + 1):
            category = CLASSES[task][classes[k] - 1]
            if task == 'ins_seg' and rng.random() < 0.2:
                category = str(rng.choice(['person', 'trailer', 'other vehicle']))
            label = dict(id=str(k), category=category, rle=rle((grid == k) | (overlap & (grid == k + 1))))
            if rng.random() < 0.3:
                label['attributes'] = {str(rng.choice(['crowd', 'ignored'])): True}
            labels.append(label)
            if rng.random() < 0.8:
                mask = (moved == k) | (overlap & (i == 1) & (moved == k + 1))
                found.append({**label, 'rle': rle(mask), 'score': float(rng.choice([0.5, rng.random()]))})
        gts.append(dict(name=f'{(i * 3) % images}.jpg', labels=labels))
        preds.append(dict(name=f'{(i * 3) % images}.jpg', labels=found))
    return save(folder, gts, preds)


def save(folder, gts, preds):
    (folder / 'gt.json').write_text(json.dumps(gts))
    (folder / 'pred.json').write_text(json.dumps(preds))
    return folder / 'gt.json', folder / 'pred.json'


L = dict(id='1', category='car', score=0.5, rle=rle(np.eye(*SIZE) + np.eye(*SIZE, 1)))
G = dict(name='a.jpg', labels=[L])
EMPTY = dict(name='a.jpg', labels=[])
FAR = {**L, 'id': '2', 'rle': rle(np.eye(*SIZE, 9))}


def edited(path, change):
    pixels = np.array(Image.open(path))
    write_png(path, change(pixels))


def instances(folder, name, boxes, category=5, attributes=(), first=1):
    """A bitmask of boxes (y1, x1, y2, x2), one instance each."""
    pixels = np.zeros((*SIZE, 4), np.uint8)
    for k, (y1, x1, y2, x2) in enumerate(boxes):
        pixels[y1:y2, x1:x2] = (category, attributes[k] if k < len(attributes) else 0, 0, k + first)
    write_png(folder / name, pixels)


def scored(folder, count):
    labels = [dict(index=k + 1, score=0.9 - 0.01 * k) for k in range(count)]
    (folder / 'scores.json').write_text(json.dumps([dict(name='0.jpg', labels=labels)]))
    return folder / 'gt', folder / 'pred', folder / 'scores.json'
