"""Made-up tracks, and the official evaluator on them."""

import contextlib
import io
import json
import math
import random
import warnings

import numpy as np

CATEGORIES = ['pedestrian', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle']
CATEGORIES += ['bike', 'motor', 'person', 'van', 'other person', 'other vehicle', 'trailer']


def official(gt, pred, **options):
    """The official tool's Result, or the exception it dies with.

    motmetrics 1.4.0 calls a function that NumPy 2 has removed; the tool runs with it put back."""
    patched = not hasattr(np, 'asfarray')
    if patched:
        np.asfarray = lambda a, dtype=np.float64: np.asarray(a, dtype)
    try:
        from bdd100k.eval.run import _load_frames, load_bdd100k_config
        from scalabel.eval.mot import acc_single_video_mot, evaluate_track
        from scalabel.label.io import group_and_sort

        config = load_bdd100k_config('box_track')
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                gt, pred = map(group_and_sort, _load_frames(str(gt), str(pred), config, 1))
                return evaluate_track(acc_single_video_mot, gt, pred, config.scalabel, nproc=1, **options)
    finally:
        if patched:
            del np.asfarray


def same(ours, theirs):
    """Keys and their order, types and counts are equal, ratios to 1e-9."""
    theirs = dict(theirs)
    assert list(ours) == list(theirs)
    for key, rows in ours.items():
        mine, want = ([{'': v}] if not isinstance(v, list) else v for v in (rows, theirs[key]))
        assert [list(row) for row in mine] == [list(row) for row in want]
        pairs = [(name, ours_[name], theirs_[name]) for ours_, theirs_ in zip(mine, want) for name in ours_]
        for name, a, b in pairs:
            assert type(a) is type(b), (key, name, a, b)
            close = a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) < 1e-9
            assert close, (key, name, a, b)


def made_set(seed):
    """Ground truth and predictions: a third of the sets has boxes on a grid of 10 pixels, so that many distances are
    equal; synonyms, ignored and crowd boxes, classes that are absent, videos of unequal length."""
    rng = random.Random(seed)
    grid = seed % 3 == 0
    classes = rng.sample(CATEGORIES, rng.randint(1, 6))
    loss, noise, swap = rng.uniform(0, 0.6), rng.uniform(0, 12), rng.uniform(0, 0.3)
    gt, pred = [], []
    for v in range(rng.randint(1, 3)):
        things = [
            dict(
                id=str(rng.randrange(1000) * 20 + k),
                category=rng.choice(classes),
                at=[rng.uniform(0, 150), rng.uniform(0, 100)],
                size=[rng.choice((30, 40, 60)), rng.choice((20, 40))],
                step=[rng.gauss(0, 5), rng.gauss(0, 3)],
                crowd=rng.random() < 0.1,
                seen=str(k + 1),
            )
            for k in range(rng.randint(0, 9))
        ]
        for t in range(rng.randint(1, 12)):
            labels, found = [], []
            for thing in things:
                thing['at'] = [a + s for a, s in zip(thing['at'], thing['step'])]
                if rng.random() < swap:
                    thing['seen'] = str(rng.randrange(1, 14))
                if rng.random() < 0.15:
                    continue
                box = _box(*thing['at'], *thing['size'], grid)
                labels.append(dict(id=thing['id'], category=thing['category'], box2d=box))
                if thing['crowd']:
                    labels[-1]['attributes'] = {rng.choice(['crowd', 'ignored']): True}
                if rng.random() > loss:
                    shifted = [value + rng.gauss(0, noise) for value in (*thing['at'], *thing['size'])]
                    category = thing['category'] if rng.random() < 0.9 else rng.choice(classes)
                    found.append(
                        dict(id=thing['seen'], category=category, box2d=_box(*shifted, grid), score=0.5)
                    )
            for _ in range(rng.choice((0, 0, 1, 3))):
                box = _box(rng.uniform(0, 150), rng.uniform(0, 100), 40, 30, grid)
                category = rng.choice(CATEGORIES)
                found.append(dict(id=str(rng.randrange(1, 14)), category=category, box2d=box))
            if found and rng.random() < 0.05:
                found[-1]['attributes'] = {'crowd': True}
            rng.shuffle(found)
            frame = dict(name=f'v{v}-{t + 1:07d}.jpg', videoName=f'v{v}', frameIndex=t)
            gt.append(dict(frame, labels=labels or rng.choice((None, []))))
            pred.append(dict(frame, labels=found))
    rng.shuffle(pred)
    return gt, pred


def _box(x, y, w, h, grid):
    w, h = max(w, 2), max(h, 2)
    if grid:
        x, y, w, h = (10 * round(value / 10) for value in (x, y, max(w, 10), max(h, 10)))
        return dict(x1=x, y1=y, x2=x + w - 1, y2=y + h - 1)
    return dict(x1=x, y1=y, x2=x + w, y2=y + h)


def save(folder, gt, pred):
    paths = folder / 'gt.json', folder / 'pred.json'
    for path, frames in zip(paths, (gt, pred)):
        path.write_text(json.dumps(frames))
    return paths
