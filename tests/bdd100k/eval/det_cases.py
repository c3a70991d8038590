"""Made-up boxes, and the official evaluator on them."""

import contextlib
import io
import json
import math
import random

from mmroad.bdd100k.scalabel import DET_CLASSES

CATEGORIES = [
    *DET_CLASSES,
    'bike',
    'motor',
    'person',
    'van',
    'caravan',
    'other person',
    'other vehicle',
    'trailer',
]


def official(gt, pred):
    """The official tool's Result, or the exception it dies with."""
    from bdd100k.eval.run import _load_frames, evaluate_det, load_bdd100k_config

    config = load_bdd100k_config('det')
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        frames = _load_frames(str(gt), str(pred), config, 1)
        return evaluate_det(*frames, config.scalabel, nproc=1)


def same(ours, theirs):
    theirs = {key: value for key, value in theirs}
    assert ours.keys() == theirs.keys()
    for key, rows in ours.items():
        for mine, want in zip(rows, theirs[key], strict=True):
            assert list(mine) == list(want)
            for name, value in mine.items():
                both_nan = math.isnan(value) and math.isnan(want[name])
                assert both_nan or abs(value - want[name]) < 1e-9, (key, name, value, want[name])


def box(rng, size=1.0):
    x, y = rng.uniform(0, 1100), rng.uniform(0, 600)
    w, h = size * rng.uniform(2, 180), size * rng.uniform(2, 120)
    return dict(x1=x, y1=y, x2=x + w, y2=y + h)


def made_set(seed, frames=12, per_frame=12, tiny=False, many=False, crowds=False, ties=False):
    rng = random.Random(seed)
    gts, preds = [], []
    for i in range(frames):
        labels, found = [], []
        for k in range(rng.randrange(0, per_frame)):
            label = dict(id=f'{i}-{k}', category=rng.choice(CATEGORIES), box2d=box(rng, 0.02 if tiny else 1))
            if crowds and rng.random() < 0.4:
                label['attributes'] = {rng.choice(['crowd', 'ignored']): True}
            labels.append(label)
            for _ in range(rng.randrange(0, 16 if many else 3)):
                near = {key: value + rng.gauss(0, 4) for key, value in label['box2d'].items()}
                near['x2'], near['y2'] = max(near['x2'], near['x1']), max(near['y2'], near['y1'])
                category = label['category'] if rng.random() < 0.8 else rng.choice(CATEGORIES)
                score = rng.choice([0.1, 0.5, 0.9]) if ties else rng.random()
                found.append(dict(id=str(len(found)), category=category, box2d=near, score=score))
        for _ in range(rng.randrange(0, 4)):
            found.append(
                dict(id=str(len(found)), category=rng.choice(CATEGORIES), box2d=box(rng), score=rng.random())
            )
        gts.append(dict(name=f'{(i * 7) % frames:03d}.jpg', labels=labels))
        preds.append(dict(name=f'{(i * 7) % frames:03d}.jpg', labels=found))
    return gts, preds


def save(folder, gts, preds):
    gt, pred = folder / 'gt.json', folder / 'pred.json'
    gt.write_text(json.dumps(gts))
    pred.write_text(json.dumps(preds))
    return gt, pred
