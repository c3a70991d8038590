"""Our segmentation scores beside the official evaluator's, on made-up masks and awkward inputs."""

import contextlib
import io
import json
import math
import time
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
    'an ignored and a crowd prediction beside': (
        [dict(name='a.jpg', labels=[L, FAR])],
        [
            dict(
                name='a.jpg',
                labels=[{**FAR, 'attributes': {'crowd': 1}}, {**L, 'attributes': {'ignored': 'no'}}],
            )
        ],
    ),
    **{
        f'{key} {value!r}': ([dict(name='a.jpg', labels=[{**L, 'attributes': {key: value}}, FAR])], [G])
        for key, values in dict(
            crowd=('false', 'FALSE', 'yes', '0', 0, '1', 1, 2), ignored=('No', 'off', 'n', 'on', 'T', True)
        ).items()
        for value in values
    },
    'full mask': ([G], [dict(name='a.jpg', labels=[{**L, 'rle': rle(np.ones(SIZE))}])]),
    'other size': ([G], [dict(name='a.jpg', labels=[{**L, 'rle': rle(np.ones((5, 6)))}])]),
    'two sizes in a frame': (
        [G],
        [dict(name='a.jpg', labels=[L, {**FAR, 'rle': rle(np.ones((5, 6)))}])],
    ),
    'two sizes in a true frame': (
        [dict(name='a.jpg', labels=[L, {**FAR, 'rle': rle(np.ones((5, 6)))}])],
        [G],
    ),
    'a video of some predictions alone': (
        [{**G, 'videoName': 'v'}, {**G, 'name': 'b.jpg', 'videoName': 'w'}],
        [{**G, 'videoName': 'v'}, {**EMPTY, 'videoName': 'w'}, {**G, 'name': 'b.jpg'}],
    ),
    'videos of the predictions alone': (
        [G, {**G, 'name': 'b.jpg'}],
        [{**G, 'videoName': 'v'}, {**EMPTY, 'videoName': 'w'}, {**G, 'name': 'b.jpg', 'videoName': 'w'}],
    ),
    'size of text': ([G], [dict(name='a.jpg', labels=[{**L, 'rle': dict(counts='11', size='x')}])]),
    'uncompressed counts': ([G], [dict(name='a.jpg', labels=[{**L, 'rle': dict(counts=[1, 2], size=SIZE)}])]),
    'polygon': ([G], [dict(name='a.jpg', labels=[{**L, 'rle': None, 'poly2d': []}])]),
    'COCO file': ([G], dict(images=[], annotations=[])),
}
#: The official tool dies, though the scores are plain: nothing is found, and nothing was to be.
NOTHING = {('pan_seg', 'no true labels')}
#: The official tool scores nothing (NaN) or compares masks of two sizes; ours says so.
REFUSED = {
    ('sem_seg', 'no true frames'),
    ('ins_seg', 'no true frames'),
    *(
        (task, name)
        for task in TASKS
        for name in ('other size', 'two sizes in a frame', 'two sizes in a true frame')
    ),
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
    if (task, name) in NOTHING:
        assert isinstance(theirs, BaseException)
        assert {value for rows in mine.values() for row in rows for value in row.values()} == {0}
    elif isinstance(theirs, BaseException) or (task, name) in REFUSED:
        assert isinstance(mine, LabelFileError), (theirs, mine)
        assert 'two sizes' not in name or 'masks of several sizes' in str(mine)
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


@pytest.mark.parametrize('attribute', [0, 1, 2, 3])
def test_crowd_instances_alone_are_found_twice(tmp_path, attribute):
    """Both halves overlap the instance by exactly half; only of a crowd can the second be one too."""
    instances(tmp_path, 'gt/0.png', [(0, 0, 20, 40), (30, 0, 40, 10)], attributes=[attribute])
    instances(tmp_path, 'pred/0.png', [(0, 0, 20, 20), (0, 20, 20, 40), (30, 0, 40, 10)])
    paths = scored(tmp_path, 3)
    mine = ours('ins_seg', *paths)
    same(mine, official('ins_seg', *paths))
    assert (mine['AP50'][1]['OVERALL'] == pytest.approx(100)) == (attribute >= 2)


@pytest.mark.parametrize('side', [31, 32, 33])
def test_an_instance_of_1024_pixels_is_small_and_medium(tmp_path, side):
    instances(tmp_path, 'gt/0.png', [(0, 0, side, side)])
    instances(tmp_path, 'pred/0.png', [(0, 0, side, side)])
    paths = scored(tmp_path, 1)
    mine = ours('ins_seg', *paths)
    same(mine, official('ins_seg', *paths))
    found = [not math.isnan(mine[key][1]['OVERALL']) for key in ('APs', 'APm')]
    assert found == [side <= 32, side >= 32]


@pytest.mark.parametrize('count', [pan_seg.MAX_SEGMENTS, pan_seg.MAX_SEGMENTS + 1])
def test_as_many_predicted_segments_as_the_official_tool_takes(tmp_path, count):
    boxes = [(4 * (k // 20), 4 * (k % 20), 4 * (k // 20) + 3, 4 * (k % 20) + 3) for k in range(count)]
    for name in ('gt', 'pred'):
        instances(tmp_path, f'{name}/0.png', boxes, category=35)
    if count > pan_seg.MAX_SEGMENTS:
        with pytest.raises(LabelFileError, match=f'pred/0.png: {count} segments; .* at most 100'):
            ours('pan_seg', tmp_path / 'gt', tmp_path / 'pred')
    else:
        mine = ours('pan_seg', tmp_path / 'gt', tmp_path / 'pred')
        same(mine, official('pan_seg', tmp_path / 'gt', tmp_path / 'pred'))
        assert mine['PQ'][2]['OVERALL'] == 100


@pytest.mark.parametrize('valid', [0, 1, 2])
def test_truth_that_an_ignored_segment_covers_is_missed(tmp_path, valid):
    instances(tmp_path, 'gt/0.png', [(0, 0, 20, 40)], category=35)
    instances(tmp_path, 'pred/0.png', [(0, 0, 20, 38)], category=35, attributes=[valid])
    mine = ours('pan_seg', tmp_path / 'gt', tmp_path / 'pred')
    same(mine, official('pan_seg', tmp_path / 'gt', tmp_path / 'pred'))
    assert mine['RQ'][0][CLASSES['pan_seg'][34]] == (0 if valid else 100)


@pytest.mark.parametrize('count', [2, 255, 256, 257, 300, 512])
@pytest.mark.parametrize('task', ['ins_seg', 'pan_seg'])
def test_very_many_masks_in_a_frame(tmp_path, task, count):
    """Of stuff, wholly overlapping ones are added up in eight bits by the official tool."""
    road, apart = np.zeros(SIZE), np.zeros(SIZE)
    road[5:20, 5:30], apart[30:, 40:] = 1, 1
    many = dict(category='road' if task == 'pan_seg' else 'bus', rle=rle(road), score=0.5)
    labels = [{**many, 'id': str(k)} for k in range(count)] + [
        {**L, 'id': 'x' if 0 else '9999', 'rle': rle(apart)}
    ]
    paths = save(tmp_path, [dict(name='a.jpg', labels=labels)], [dict(name='a.jpg', labels=labels[-2:])])
    same(ours(task, *paths), official(task, *paths))
    paths = save(tmp_path, [dict(name='a.jpg', labels=labels[-2:])], [dict(name='a.jpg', labels=labels)])
    same(ours(task, *paths), official(task, *paths))


BROKEN = dict(
    cut=dict(counts='j023000', size=[5, 10]),
    empty=dict(counts='', size=[5, 10]),
    other_size=dict(counts=rle(np.eye(*SIZE))['counts'], size=[SIZE[0], SIZE[1] + 1]),
    listed=dict(counts=[3, 4], size=SIZE),
    no_size=dict(counts='0', size=[]),
    negative=dict(counts=[-1, 51], size=[5, 10]),
    no_code=dict(counts='mask', size=[5, 10]),
)


@pytest.mark.parametrize('broken', BROKEN)
@pytest.mark.parametrize('side', ['gt', 'pred'])
@pytest.mark.parametrize('task', TASKS)
def test_codes_that_do_not_fill_their_size_are_named(tmp_path, task, side, broken):
    label = dict(L, category='direct') if task == 'drivable' else L
    frames = [
        dict(name='a.jpg', labels=[label]),
        dict(name='b.jpg', labels=[label, {**label, 'rle': BROKEN[broken]}]),
    ]
    good = [dict(name=name, labels=[label]) for name in ('a.jpg', 'b.jpg')]
    paths = save(tmp_path, *((frames, good) if side == 'gt' else (good, frames)))
    start = time.perf_counter()
    with pytest.raises(
        LabelFileError, match=rf"{side}.json: frame 'b.jpg': labels\[1\].rle: (size|counts|the runs)"
    ):
        ours(task, *paths)
    assert time.perf_counter() - start < 1


def test_codes_as_lists_of_runs_score_like_compressed_ones(tmp_path):
    whole = save(tmp_path, [G], [G])
    want = {task: ours(task, *whole) for task in ('sem_seg', 'ins_seg', 'pan_seg')}
    flat = np.asfortranarray(coco_mask.decode(L['rle'])).ravel(order='F')
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]) + 1, flat.size)
    runs = ([0] if flat[0] else []) + np.diff(ends, prepend=0).tolist()
    paths = save(tmp_path, [dict(name='a.jpg', labels=[{**L, 'rle': dict(counts=runs, size=SIZE)}])], [G])
    for task, scores in want.items():
        same(ours(task, *paths), scores)


def test_crowd_that_is_no_truth_value_is_named(tmp_path):
    for key, value in dict(crowd='maybe', ignored='nein').items():
        paths = save(tmp_path, [dict(name='a.jpg', labels=[{**L, 'attributes': {key: value}}])], [G])
        with pytest.raises(
            LabelFileError, match=rf"gt.json: frame 'a.jpg': labels\[0\].attributes.{key} is '{value}'"
        ):
            ours('pan_seg', *paths)


@pytest.mark.parametrize('task', TASKS)
def test_masks_of_one_name_belong_to_the_folder_they_lie_in(tmp_path, task):
    """Of the official tool the last of a name counts for all; what it says of names of their own is the measure."""
    gt, pred, scores = made_masks(tmp_path / 'own', task, 3)
    want = official(task, gt, pred, scores)
    frames = json.loads(scores.read_text())
    for i in range(4):
        for side in ('gt', 'pred'):
            path = tmp_path / f'same/{side}/drive{i}/0001.png'
            path.parent.mkdir(parents=True)
            path.write_bytes((tmp_path / f'own/{side}/{i}.png').read_bytes())
        if frames:
            frames[i]['name'] = f'drive{i}/0001.jpg'
    (tmp_path / 'same/scores.json').write_text(json.dumps(frames))
    same(ours(task, *(tmp_path / 'same' / x for x in ('gt', 'pred', 'scores.json'))), want)


@pytest.mark.parametrize('task', TASKS)
def test_a_name_that_several_masks_share_is_no_pairing(tmp_path, task):
    gt, pred, scores = made_masks(tmp_path, task, 3)
    want = ours(task, gt, pred, scores)
    (pred / 'old').mkdir()
    (pred / 'old/1.png').write_bytes((pred / '0.png').read_bytes())
    with pytest.warns(UserWarning, match="predicted masks are of no image of the ground truth: '1.png'"):
        same(ours(task, gt, pred, scores), want)  # pred/1.png is gt/1.png, whatever old/1.png is
    (gt / 'val').mkdir()
    (gt / '1.png').rename(gt / 'val/1.png')
    with pytest.raises(
        LabelFileError, match="pred: 1 and old/1 share the name '1'.* belongs to 'val/1' of .*gt"
    ):
        ours(task, gt, pred, scores)
    (pred / 'old/1.png').unlink()
    if task != 'ins_seg':  # whose equal scores come in the order of the files
        same(ours(task, gt, pred, scores), want)
    (gt / 'test').mkdir()
    (gt / 'test/1.png').write_bytes((gt / '0.png').read_bytes())
    with pytest.raises(LabelFileError, match="gt: test/1 and val/1 share the name '1'"):
        ours(task, gt, pred, scores)


def test_masks_in_other_folders_are_paired_by_their_names(tmp_path):
    gt, pred, scores = made_masks(tmp_path, 'sem_seg', 3)
    want = ours('sem_seg', gt, pred)
    (gt / 'val').mkdir()
    (gt / '1.png').rename(gt / 'val/1.png')
    same(ours('sem_seg', gt, pred), want)


@pytest.mark.parametrize('task', TASKS)
def test_hidden_files_are_no_masks(tmp_path, task):
    gt, pred, scores = made_masks(tmp_path, task, 3)
    want = ours(task, gt, pred, scores)
    for folder in (gt, pred):
        (folder / '.ipynb_checkpoints').mkdir()
        for name in ('.ipynb_checkpoints/1.png', '.ipynb_checkpoints/7.json', '._1.png', '.DS_Store'):
            (folder / name).write_bytes(b'no picture')
    same(ours(task, gt, pred, scores), want)


@pytest.mark.parametrize('task', TASKS)
def test_label_folders_are_read_as_the_official_tool_reads_them(tmp_path, task):
    paths = made_codes(tmp_path, task, 5)
    want = ours(task, *paths)
    for path in paths:
        folder = path.with_suffix('')
        for name in ('b.json', '.ipynb_checkpoints/b-checkpoint.json', 'old/a.json', '._b.json'):
            (folder / name).parent.mkdir(exist_ok=True, parents=True)
            (folder / name).write_bytes(
                b'junk' if name[0] == '.' else path.read_bytes() if name[0] == 'b' else b'[]'
            )
    folders = [path.with_suffix('') for path in paths]
    for name in ('gt', 'pred'):
        for hidden in (
            tmp_path / name / '._b.json',
            tmp_path / name / '.ipynb_checkpoints/b-checkpoint.json',
        ):
            assert hidden.exists()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        same(ours(task, *folders), want)


def test_what_is_left_out_or_repeated_is_told(tmp_path, capsys):
    frames = [G, {**G, 'name': 'b.jpg'}]
    save(tmp_path, frames, [G])
    for side, name, content in (
        ('g', 'one.json', frames),
        ('g', 'two.json', [G]),
        ('p', 'one.json', [G, {**G, 'name': 'z.jpg'}]),
        ('p', 'two.json', [EMPTY]),
    ):
        (tmp_path / side).mkdir(exist_ok=True)
        (tmp_path / side / name).write_text(json.dumps(content))
    main(['-t', 'pan_seg', '-g', str(tmp_path / 'g'), '-r', str(tmp_path / 'p')])
    err = capsys.readouterr().err
    both = f'a.jpg ({tmp_path}/g/one.json, {tmp_path}/g/two.json)'
    assert f'1 names are carried by several frames of the ground truth, each of which counts: {both!r}' in err
    assert "several predicted frames: the last of each counts: 'a.jpg (" in err
    assert "1 images have no predicted frame and count as missed: 'b.jpg'" in err
    assert "1 predicted frames are of no image of the ground truth: 'z.jpg'" in err
    gt, pred, _ = made_masks(tmp_path / 'png', 'sem_seg', 1)
    (pred / '2.png').rename(pred / 'other.png')
    main(['-t', 'sem_seg', '-g', str(gt), '-r', str(pred)])
    err = capsys.readouterr().err
    assert "have no predicted mask and count as missed: '2.png'" in err
    assert "predicted masks are of no image of the ground truth: 'other.png'" in err
    main(['-q', '-t', 'sem_seg', '-g', str(gt), '-r', str(pred)])
    assert capsys.readouterr().err == ''


def test_label_maps_of_every_kind_or_their_name(tmp_path):
    gt, pred, _ = made_masks(tmp_path, 'drivable', 1)
    want = ours('drivable', gt, pred)
    values = np.array(Image.open(gt / '1.png'))
    palette = Image.fromarray(values, 'P')
    palette.putpalette(list(range(256)) * 3)
    palette.save(gt / '1.png')
    same(ours('drivable', gt, pred), want)
    Image.fromarray(values.astype(np.uint16)).save(gt / '1.png')
    same(ours('drivable', gt, pred), want)
    Image.fromarray(values.astype(np.uint16) * 256).save(gt / '1.png')
    with pytest.raises(LabelFileError, match='gt/1.png: pixel values up to'):
        ours('drivable', gt, pred)
    colours = np.stack([values, values // 2, values], -1)
    Image.fromarray(colours).save(gt / '1.png')
    with pytest.raises(LabelFileError, match='gt/1.png: a colour image'):
        ours('drivable', gt, pred)
    (gt / '1.png').write_bytes((gt / '2.png').read_bytes()[:40])
    with pytest.raises(LabelFileError, match='gt/1.png'):
        ours('drivable', gt, pred)


def test_values_and_categories_that_are_no_class_are_told(tmp_path):
    gt, pred, _ = made_masks(tmp_path / 'sem', 'sem_seg', 1)
    edited(pred / '1.png', lambda x: np.where(np.arange(SIZE[1]) < 9, 33, x))
    with pytest.warns(UserWarning, match='2 predicted pixel values are no class and count as wrong: 33, 200'):
        same(ours('sem_seg', gt, pred), official('sem_seg', gt, pred))
    for task, number in (('ins_seg', 8), ('pan_seg', 40)):
        folder = tmp_path / task
        instances(folder, 'gt/0.png', [(0, 0, 20, 40), (30, 0, 40, 10)], category=number)
        instances(folder, 'pred/0.png', [(0, 0, 20, 40), (30, 0, 40, 10)], category=number + 1)
        paths = scored(folder, 2)
        with pytest.warns(UserWarning, match=f'none of 1 to {number} and are left out: {str(number + 1)!r}'):
            same(ours(task, *paths), official(task, *paths))


@pytest.mark.parametrize('kind', ['masks', 'codes'])
def test_the_folder_that_the_metric_wrote_is_a_result(tmp_path, kind):
    gt, pred, _ = made_masks(tmp_path / 'png', 'sem_seg', 1)
    (tmp_path / 'json').mkdir()
    codes = made_codes(tmp_path / 'json', 'sem_seg', 2)
    out = tmp_path / 'out'
    out.mkdir()
    pred.rename(out / 'masks')
    codes[1].rename(out / 'sem_seg.json')
    truth, result = (gt, out / 'masks') if kind == 'masks' else (codes[0], out / 'sem_seg.json')
    same(ours('sem_seg', truth, out), official('sem_seg', truth, result))
