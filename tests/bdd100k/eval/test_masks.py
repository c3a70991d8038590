"""Our segmentation scores beside the official evaluator's, on made-up masks and awkward inputs."""

import contextlib
import io
import json
import math
import warnings

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mmroad.bdd100k.eval import ins_seg, pan_seg, seg
from mmroad.bdd100k.eval.__main__ import main
from mmroad.bdd100k.scalabel import LabelFileError

pytestmark = pytest.mark.filterwarnings('ignore:__array__ implementation:DeprecationWarning')
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
            pred = bitmask(ids[moved], pred_table, attributes * (task == 'pan_seg'))
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


@pytest.mark.parametrize('task', TASKS)
def test_bitmasks_score_the_same(tmp_path, task):
    for seed in range(3):
        paths = made_masks(tmp_path, task, seed)
        same(ours(task, *paths), official(task, *paths))


@pytest.mark.parametrize('overlap', [False, True])
@pytest.mark.parametrize('task', TASKS)
def test_codes_score_the_same(tmp_path, task, overlap):
    for seed in range(3):
        paths = made_codes(tmp_path, task, seed, overlap=overlap)
        same(ours(task, *paths), official(task, *paths))


@pytest.mark.parametrize('task', ['sem_seg', 'pan_seg'])
def test_an_image_without_prediction_and_one_too_many(tmp_path, task):
    gt, pred, _ = made_masks(tmp_path, task, 7)
    (pred / '2.png').rename(pred / 'other.png')
    same(ours(task, gt, pred), official(task, gt, pred))
    frames = made_codes(tmp_path, task, 7)
    saved = json.loads(frames[1].read_text())
    frames[1].write_text(json.dumps({'frames': [*saved[1:], {**saved[0], 'name': 'other.jpg'}]}))
    same(ours(task, *frames), official(task, *frames))


@pytest.mark.parametrize('task', TASKS)
def test_table_and_json_are_the_official_ones(tmp_path, task, capsys):
    gt, pred, scores = made_masks(tmp_path, task, 1)
    theirs = official(task, gt, pred, scores)
    main(
        ['-t', task, '-g', str(gt), '-r', str(pred), '--score-file', str(scores)]
        + ['--out-file', str(tmp_path / 'out.json')]
    )
    assert capsys.readouterr().out == str(theirs) + '\n'
    want = json.loads(json.dumps(dict(theirs)))
    saved = json.loads((tmp_path / 'out.json').read_text())
    assert [*saved] == [*want]
    same(saved, want)


L = dict(id='1', category='car', score=0.5, rle=rle(np.eye(*SIZE) + np.eye(*SIZE, 1)))
G = dict(name='a.jpg', labels=[L])
EMPTY = dict(name='a.jpg', labels=[])
FAR = {**L, 'id': '2', 'rle': rle(np.eye(*SIZE, 9))}
AWKWARD = {
    'plain': ([G], [G]),
    'no frames predicted': ([G], []),
    'no labels predicted': ([G], [EMPTY]),
    'null labels': ([G], [{**EMPTY, 'labels': None}]),
    'no labels key': ([G], [dict(name='a.jpg')]),
    'no true labels': ([EMPTY], [G]),
    'no true frames': ([], [G]),
    'extra frame': ([G], [G, {**G, 'name': 'b.jpg'}]),
    'duplicate predicted frame': ([G], [G, EMPTY]),
    'duplicate true frame': ([G, G], [G]),
    'videos': (
        [{**G, 'videoName': 'v'}, {**EMPTY, 'videoName': 'w'}, {**G, 'name': 'b.jpg', 'videoName': 'w'}],
        [{**EMPTY, 'videoName': 'w'}, {**G, 'videoName': 'v'}],
    ),
    'label without a mask': ([G], [dict(name='a.jpg', labels=[L, {**L, 'rle': None}])]),
    'unknown category': ([G], [dict(name='a.jpg', labels=[{**L, 'category': 'dog'}])]),
    'null category': ([G], [dict(name='a.jpg', labels=[{**L, 'category': None}])]),
    'missing score': ([G], [dict(name='a.jpg', labels=[{**L, 'score': None}])]),
    'crowd': ([dict(name='a.jpg', labels=[{**L, 'attributes': {'crowd': True}}, FAR])], [G]),
    'ignored prediction': ([G], [dict(name='a.jpg', labels=[{**L, 'attributes': {'ignored': True}}, FAR])]),
    'two masks': ([dict(name='a.jpg', labels=[L, FAR])], [dict(name='a.jpg', labels=[FAR, L])]),
    'the same mask twice': ([G], [dict(name='a.jpg', labels=[L, {**L, 'category': 'bus'}])]),
    'empty mask': ([G], [dict(name='a.jpg', labels=[{**L, 'rle': rle(np.zeros(SIZE))}])]),
    'full mask': ([G], [dict(name='a.jpg', labels=[{**L, 'rle': rle(np.ones(SIZE))}])]),
    'other size': ([G], [dict(name='a.jpg', labels=[{**L, 'rle': rle(np.ones((5, 6)))}])]),
    'size of text': ([G], [dict(name='a.jpg', labels=[{**L, 'rle': dict(counts='11', size='x')}])]),
    'uncompressed counts': ([G], [dict(name='a.jpg', labels=[{**L, 'rle': dict(counts=[1, 2], size=SIZE)}])]),
    'polygon': ([G], [dict(name='a.jpg', labels=[{**L, 'rle': None, 'poly2d': []}])]),
    'COCO file': ([G], dict(images=[], annotations=[])),
}
#: The official tool dies, though the scores are plain.
MORE = {('pan_seg', 'no true labels')}
#: The official tool scores nothing (NaN) or compares masks of two sizes; ours says so.
REFUSED = {
    ('sem_seg', 'no true frames'),
    ('ins_seg', 'no true frames'),
    ('ins_seg', 'other size'),
    ('pan_seg', 'other size'),
}


@pytest.mark.parametrize('task', ['sem_seg', 'ins_seg', 'pan_seg'])
@pytest.mark.parametrize('name', AWKWARD)
def test_awkward_codes_score_the_same_or_fail_clearly(tmp_path, name, task):
    paths = save(tmp_path, *AWKWARD[name])
    try:
        theirs = official(task, *paths)
    except (Exception, SystemExit) as error:
        theirs = error
    try:
        mine = ours(task, *paths)
    except LabelFileError as error:
        mine = error
    if isinstance(theirs, BaseException) or (task, name) in REFUSED:
        assert isinstance(mine, LabelFileError) or (task, name) in MORE, (theirs, mine)
    else:
        same(mine, theirs)


def edited(path, change):
    pixels = np.array(Image.open(path))
    write_png(path, change(pixels))


def two_categories(pixels):
    pixels[0, 0] = [1, 0, 0, 9]
    pixels[0, 1] = [2, 0, 0, 9]
    return pixels


PICTURES = {
    'another size': ('pred/1.png', lambda x: x[:-1]),
    'other channels': ('pred/1.png', lambda x: x[..., :3] if x.ndim == 3 else np.stack([x] * 4, -1)),
    'not a picture': ('pred/1.png', None),
    'unknown class': ('gt/1.png', lambda x: x + 60 if x.ndim == 2 else two_categories(x)),
    'two categories': ('pred/1.png', two_categories),
}


@pytest.mark.parametrize(
    ('name', 'task'),
    [
        (n, t)
        for n in PICTURES
        for t in ('sem_seg', 'ins_seg', 'pan_seg')
        if (n, t) != ('two categories', 'sem_seg')
    ],
)
def test_awkward_pictures_fail_clearly(tmp_path, name, task):
    gt, pred, scores = made_masks(tmp_path, task, 2)
    file, change = PICTURES[name]
    if change is None:
        (tmp_path / file).write_bytes(b'text')
    else:
        edited(tmp_path / file, change)
    if name == 'two categories':
        frames = json.loads(scores.read_text())
        frames[1]['labels'].append(dict(index=9, score=1.0))
        scores.write_text(json.dumps(frames))
    with pytest.raises(Exception):  # noqa: B017 (the official tool dies in its own ways)
        official(task, gt, pred, scores)
    with pytest.raises(LabelFileError, match=file):
        ours(task, gt, pred, scores)


def test_only_bitmasks_that_are_complete_have_instance_scores(tmp_path):
    gt, pred, scores = made_masks(tmp_path, 'ins_seg', 2)
    with pytest.raises(LabelFileError, match='--score-file'):
        ours('ins_seg', gt, pred)
    with pytest.raises(LabelFileError, match='no such score file'):
        ours('ins_seg', gt, pred, tmp_path / 'none.json')
    (pred / '2.png').unlink()
    with pytest.raises(LabelFileError, match='no bitmask 2.png'):
        ours('ins_seg', gt, pred, scores)


def test_inputs_that_are_no_masks_are_named(tmp_path, capsys):
    gt, pred, _ = made_masks(tmp_path, 'sem_seg', 2)
    for result, message in (
        ('none', 'no such'),
        ('scores.json', 'give two of a kind'),
        ('.', 'expected only'),
    ):
        with pytest.raises(SystemExit, match=message):
            main(['-t', 'sem_seg', '-g', str(gt), '-r', str(tmp_path / result)])
    with pytest.raises(SystemExit):
        main(['-t', 'sem_seg', '-g', str(gt), '-r', str(pred), '--by-attribute'])
    assert '--by-attribute: only for -t det' in capsys.readouterr().err


def test_overlapping_predictions_are_said_to_count_as_empty(tmp_path, capsys):
    gt, pred = save(tmp_path, [G], [dict(name='a.jpg', labels=[L, {**L, 'category': 'bus'}])])
    main(['-t', 'pan_seg', '-g', str(gt), '-r', str(pred)])
    assert "count as empty because their masks overlap: 'a.jpg'" in capsys.readouterr().err
