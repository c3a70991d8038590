"""Our segmentation scores beside the official evaluator's, on made-up masks and awkward inputs."""

import json
import math

import numpy as np
import pytest
from mask_cases import (
    CLASSES,
    EMPTY,
    FAR,
    SIZE,
    TASKS,
    G,
    L,
    edited,
    instances,
    made_codes,
    made_masks,
    official,
    ours,
    rle,
    same,
    save,
    scored,
)

from mmroad.bdd100k.eval import pan_seg
from mmroad.bdd100k.scalabel import LabelFileError
from mmroad.commands.eval import main

pytestmark = pytest.mark.filterwarnings('ignore:__array__ implementation:DeprecationWarning')


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


@pytest.mark.parametrize('attribute', [0, 1, 2, 3])
def test_crowd_instances_alone_are_found_twice(tmp_path, attribute):
    """Both halves overlap the instance by exactly half; only of a crowd can the second be one too."""
    instances(tmp_path, 'gt/0.png', [(0, 0, 20, 40), (30, 0, 40, 10)], attributes=[attribute])
    instances(tmp_path, 'pred/0.png', [(0, 0, 20, 20), (0, 20, 20, 40), (30, 0, 40, 10)])
    paths = scored(tmp_path, 3)
    mine = ours('ins_seg', *paths)
    same(mine, official('ins_seg', *paths))
    assert (mine['AP50'][1]['OVERALL'] == pytest.approx(100)) == (attribute >= 2)


def test_what_is_found_of_another_size_costs_no_score(tmp_path):
    """A prediction without partner counts in its own range of sizes alone, below it and above it."""
    instances(tmp_path, 'gt/0.png', [(0, 0, 10, 10), (0, 20, 40, 48)])
    instances(tmp_path, 'gt/1.png', [])
    instances(tmp_path, 'pred/0.png', [(0, 0, 10, 10), (0, 20, 40, 48)])
    instances(tmp_path, 'pred/1.png', [(0, 0, 40, 30), (0, 40, 10, 50)])
    for scores, ranges in (((0.5, 0.5, 0.9, 0.1), (100, 50)), ((0.5, 0.5, 0.1, 0.9), (50, 100))):
        frames = [
            dict(name=f'{i}.jpg', labels=[dict(index=k + 1, score=scores[2 * i + k]) for k in range(2)])
            for i in range(2)
        ]
        (tmp_path / 'scores.json').write_text(json.dumps(frames))
        paths = tmp_path / 'gt', tmp_path / 'pred', tmp_path / 'scores.json'
        mine = ours('ins_seg', *paths)
        same(mine, official('ins_seg', *paths))
        found = tuple(mine[key][1]['OVERALL'] for key in ('APs', 'APm'))
        assert found == pytest.approx(ranges, abs=1)


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
