"""Annotation files of YouTube-VIS: what is derived, what is refused, and scores beside the official code."""

import json
import random

import numpy as np
import pytest
from mmdet.registry import DATASETS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from pycocotools import mask as coco_mask

import mmroad.rankseg.video  # noqa: F401
from mmroad.rankseg.video.annotations import read_annotations
from mmroad.rankseg.video.metrics import YTVIS_NUMBERS, YTVISMetric, ytvis_ap
from mmroad.rankseg.video.tracks import encode
from mmroad.zoo.configs import configs_folder

HALF = dict(size=[4, 6], counts=[0, 8, 16])  # two columns on the left, 4 x 2 pixels


def a_file(**changes):
    """Two videos of 3 and 2 frames; an object in each."""

    def annotation(number, video, category, length):
        return dict(
            id=number,
            video_id=video,
            category_id=category,
            iscrowd=0,
            segmentations=[HALF] * length,
            bboxes=[[0, 0, 2, 4]] * length,
            areas=[8] * length,
        )

    content = dict(
        videos=[
            dict(id=7, width=6, height=4, length=3, file_names=['a/0.jpg', 'a/1.jpg', 'a/2.jpg']),
            dict(id=8, width=6, height=4, length=2, file_names=['b/0.jpg', 'b/1.jpg']),
        ],
        categories=[dict(id=1, name='cat'), dict(id=2, name='dog')],
        annotations=[annotation(1, 7, 1, 3), annotation(2, 8, 2, 2)],
    )
    return json.loads(json.dumps(content | changes))


@pytest.fixture
def read(tmp_path):
    def reading(content):
        path = tmp_path / 'train.json'
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return read_annotations(path)

    return reading


def test_a_whole_file_is_read_as_it_is(read):
    assert read(a_file()) == a_file()
    assert read(b'\xef\xbb\xbf' + json.dumps(a_file()).encode()) == a_file()  # with a byte order mark
    compressed = dict(HALF, counts=coco_mask.frPyObjects(HALF, 4, 6)['counts'].decode())
    content = a_file()
    content['annotations'][0]['segmentations'] = [compressed, None, HALF]
    assert read(content) == content | dict(annotations=read(content)['annotations'])
    assert read(content)['annotations'][0]['segmentations'] == [compressed, None, HALF]
    assert read(a_file(annotations=None))['videos'] and 'annotations' not in read(
        {k: v for k, v in a_file().items() if k != 'annotations'}
    )


def missing_boxes(content):
    for ann in content['annotations']:
        del ann['bboxes']


def missing_areas(content):
    for ann in content['annotations']:
        ann['areas'] = None


def missing_sizes(content):
    for video in content['videos']:
        del video['height'], video['width']


def null_sizes(content):
    for video in content['videos']:
        video['height'] = video['width'] = None


def one_missing_box(content):
    content['annotations'][0]['bboxes'][1] = None


def missing_ids(content):
    for ann in content['annotations']:
        del ann['id']


def text_of(where, key):
    def change(content):
        for entry in content[where]:
            entry[key] = str(entry[key])

    change.__name__ = f'text_{where}_{key}'
    return change


@pytest.mark.parametrize(
    'change',
    [
        missing_boxes,
        missing_areas,
        missing_sizes,
        null_sizes,
        one_missing_box,
        missing_ids,
        text_of('annotations', 'video_id'),
        text_of('annotations', 'category_id'),
        text_of('annotations', 'iscrowd'),
        text_of('annotations', 'id'),
        text_of('categories', 'id'),
    ],
)
def test_what_follows_from_the_rest_is_derived(read, change):
    content = a_file()
    change(content)
    assert content != a_file()
    assert read(content) == a_file()


def test_whole_numbers_with_a_point_are_ids(read):
    content = a_file()
    for ann in content['annotations']:
        ann |= dict(video_id=float(ann['video_id']), category_id=float(ann['category_id']))
    found = [ann[key] for ann in read(content)['annotations'] for key in ('video_id', 'category_id')]
    assert found == [7, 1, 8, 2] and all(type(value) is int for value in found)


def test_ids_of_videos_stay_those_of_the_videos(read):
    content = a_file()
    text_of('videos', 'id')(content)
    content = read(content)
    assert [video['id'] for video in content['videos']] == ['7', '8']
    assert [ann['video_id'] for ann in content['annotations']] == ['7', '8']


def test_where_an_object_is_not_visible(read):
    content = a_file()
    first = content['annotations'][0]
    first['segmentations'] = [None, dict(size=[4, 6], counts=[24]), HALF]  # none, and one without a pixel
    assert read(content)['annotations'][0]['segmentations'] == [None, None, HALF]
    polygon = [[0, 0, 2, 0, 2, 4, 0, 4]]
    content['annotations'][1] |= dict(segmentations=[polygon, None], bboxes=None, areas=None)
    second = read(content)['annotations'][1]
    assert second['bboxes'] == [[0, 0, 2, 4], None] and second['areas'] == [8, None]


def _set(where, number, **values):
    return lambda content: content[where][number].update(values)


WRONG = {
    'unknown category': (_set('annotations', 1, category_id=3), 'annotation 2 .* category_id is 3'),
    'no category': (_set('annotations', 1, category_id=None), 'annotation 2 .* category_id is None'),
    'unlisted video': (_set('annotations', 0, video_id=9), 'annotation 1 .* video_id is 9'),
    'true is no id': (_set('annotations', 0, video_id=True), 'annotation 1 .* video_id is True'),
    'short masks': (
        _set('annotations', 0, segmentations=[HALF] * 2),
        'annotation 1 .* 2 segmentations, .* 3 frames',
    ),
    'long boxes': (_set('annotations', 0, bboxes=[None] * 4), 'annotation 1 .* 4 bboxes, .* 3 frames'),
    'short areas': (_set('annotations', 1, areas=[8]), 'annotation 2 .* 1 areas, .* 2 frames'),
    'no masks': (_set('annotations', 1, segmentations=None), 'annotation 2 .* no segmentations'),
    'id twice': (_set('annotations', 1, id=1), 'annotation id 1 is there twice'),
    'video twice': (_set('videos', 1, id=7), 'video id 7 is there twice'),
    'video twice as text': (_set('videos', 1, id='7'), "video id '7' is there twice"),
    'category twice': (_set('categories', 1, id='1'), "category id '1' is there twice"),
    'category in words': (_set('categories', 1, id='dog'), "category id 'dog': a whole number"),
    'no video id': (_set('videos', 1, id=None), 'video number 2 has no id'),
    'no frames': (_set('videos', 0, file_names=[]), 'video 7: file_names'),
    'other length': (_set('videos', 0, length=4), 'video 7: its length is 4, but it has 3 file_names'),
    'crowd': (_set('annotations', 0, iscrowd='maybe'), "annotation 1 .* 'maybe'"),
    'other size': (_set('videos', 0, height=6, width=4), r'annotation 1 .* frame 0 \(a/0.jpg\): .* \[4, 6\]'),
    'box': (_set('annotations', 0, bboxes=[[0, 0, 2]] * 3), 'annotation 1 .* frame 0 .* bbox is'),
    'text for an area': (_set('annotations', 1, areas=['8', 8]), "annotation 2 .* frame 0 .* area is '8'"),
    'negative area': (_set('annotations', 1, areas=[8, -1]), 'annotation 2 .* frame 1 .* area is -1'),
    'half an id': (_set('annotations', 0, video_id=7.5), 'annotation 1 .* video_id is 7.5'),
    'runs': (
        _set('annotations', 1, segmentations=[HALF, dict(size=[4, 6], counts=[5, 10])]),
        r'annotation 2 .* frame 1 \(b/1.jpg\): the runs of counts fill 15 pixels',
    ),
    'compressed runs': (
        _set('annotations', 1, segmentations=[HALF, dict(size=[4, 6], counts='')]),
        r'annotation 2 .* frame 1 \(b/1.jpg\): the runs of counts fill 0 pixels',
    ),
    'no counts': (
        _set('annotations', 0, segmentations=[dict(size=[4, 6])] * 3),
        'frame 0 .* expected size and counts',
    ),
    'no polygon': (_set('annotations', 0, segmentations=[[[0, 0, 1, 1]]] * 3), 'frame 0 .* neither'),
    'a number': (_set('annotations', 0, segmentations=[3] * 3), 'frame 0 .* neither'),
}


@pytest.mark.parametrize('name', WRONG)
def test_what_cannot_be_used_is_named(read, name):
    change, message = WRONG[name]
    content = a_file()
    change(content)
    with pytest.raises(ValueError, match='train.json: .*' + message):
        read(content)


@pytest.mark.parametrize(
    'content',
    [b'', b'[1', b'\xff\xfe{', b'["\xa2"]', b'[]', b'{}', b'{"videos": 3, "categories": []}', b'[' * 100_000],
)
def test_other_files_are_named(read, content):
    with pytest.raises(ValueError, match='train.json: (not JSON|no videos|annotations)'):
        read(content)
    with pytest.raises(FileNotFoundError, match='gone.json'):
        read_annotations('gone.json')


def test_damaged_files_are_named(read):
    """Whatever is changed in a file, it is read or refused by name."""
    whole = json.dumps(a_file())
    rng, refused = random.Random(0), 0
    for _ in range(300):
        text = list(whole)
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(text))
            text[place : place + rng.randint(0, 3)] = rng.choice(
                ['0', '-', '"', 'null', '[', '}', '', '9e9', 'x']
            )
        try:
            read(''.join(text).encode())
        except ValueError as error:
            assert 'train.json' in str(error)
            refused += 1
    assert refused > 200


def dataset(root, **changes):
    init_default_scope('mmdet')
    cfg = Config.fromfile(configs_folder() / '_base_/datasets/ytvis19.py').train_dataloader.dataset
    return DATASETS.build(
        {**cfg, 'data_root': str(root), 'metainfo': dict(classes=('cat', 'dog')), **changes}
    )


def test_the_data_set_takes_what_was_derived(tmp_path):
    content = a_file()
    missing_boxes(content), missing_sizes(content), text_of('annotations', 'video_id')(content)
    content['annotations'][0]['segmentations'][1] = None
    (tmp_path / 'train.json').write_text(json.dumps(content))
    data = dataset(tmp_path)
    first, second = data.get_data_info(0)['images'], data.get_data_info(1)['images']
    assert [len(image['instances']) for image in (*first, *second)] == [1, 0, 1, 1, 1]
    assert first[0]['instances'][0]['bbox'] == [0, 0, 2, 4] and second[0]['instances'][0]['bbox_label'] == 1
    assert first[0]['height'] == 4
    del content['annotations']
    (tmp_path / 'train.json').write_text(json.dumps(content))  # nothing says the size, nothing needs it
    assert 'height' not in dataset(tmp_path).get_data_info(0)['images'][0]
    content = a_file()
    content['annotations'][0]['bboxes'][1], content['annotations'][1]['segmentations'][1] = None, None
    (tmp_path / 'train.json').write_text(json.dumps(content))
    data = dataset(tmp_path)
    seen = [[len(image['instances']) for image in data.get_data_info(i)['images']] for i in (0, 1)]
    assert seen == [[1, 1, 1], [1, 0]]  # a box without a mask is not visible, a mask without a box is


# scores


def problem(seed):
    """Videos with objects, crowds among them, and tracks near some."""
    rng = np.random.default_rng(seed)
    content = a_file(videos=[], annotations=[])
    tracks, size = [], (60, 80)

    def mask(box):
        out = np.zeros(size, np.uint8)
        out[box[1] : box[3], box[0] : box[2]] = 1
        return out

    for video in range(1, rng.integers(2, 4)):
        length = int(rng.integers(1, 4))
        names = [f'{video}/{t}.jpg' for t in range(length)]
        content['videos'].append(dict(id=video, height=60, width=80, length=length, file_names=names))
        for _ in range(rng.integers(0, 4)):
            xy, side = rng.integers(0, 40, 2), rng.integers(2, 40, 2)
            boxes = [[*(xy + t), *np.minimum(xy + t + side, (80, 60))] for t in range(length)]
            masks = [encode(mask(box)) if rng.random() < 0.8 else None for box in boxes]
            category = int(rng.integers(1, 3))
            content['annotations'].append(
                dict(
                    id=len(content['annotations']) + 1,
                    video_id=video,
                    category_id=category,
                    iscrowd=int(rng.random() < 0.1),
                    segmentations=masks,
                    bboxes=[m and coco_mask.toBbox(m).tolist() for m in masks],
                    areas=[m and float(coco_mask.area(m)) for m in masks],
                )
            )
            for _ in range(rng.integers(0, 3)):
                moved = [np.clip(np.add(box, rng.integers(-3, 4, 4)), 0, 80) for box in boxes]
                tracks.append(
                    dict(
                        video_id=video,
                        category_id=category if rng.random() < 0.8 else int(rng.integers(1, 3)),
                        score=round(float(rng.random()), 1),
                        segmentations=[encode(mask(box)) for box in moved],
                    )
                )
    return content, tracks


def official(content, tracks):
    import contextlib
    import io

    from mmdet.evaluation.functional import YTVIS, YTVISeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = YTVIS(json.loads(json.dumps(content)))
        evaluation = YTVISeval(truth, truth.loadRes(json.loads(json.dumps(tracks))), 'segm')
        evaluation.params.vidIds = sorted(truth.getVidIds())
        evaluation.evaluate(), evaluation.accumulate(), evaluation.summarize()
    return evaluation.stats


@pytest.mark.parametrize('seed', range(12))
def test_scores_are_the_official_ones(read, seed):
    content, tracks = problem(seed)
    while not tracks:
        seed += 1000
        content, tracks = problem(seed)
    want = official(content, tracks)
    changed = json.loads(json.dumps(content))
    missing_boxes(changed), missing_areas(changed), text_of('annotations', 'video_id')(changed)
    for ann in changed['annotations']:
        ann['id'] -= 1  # a match with id 0 must count
    values, table = ytvis_ap(read(changed), tracks)
    assert list(values) == list(YTVIS_NUMBERS) and len(want) == 12 and table.count('Average') == 12
    for got, official_one in zip(values.values(), want, strict=True):
        assert np.isnan(got) if official_one == -1 else got == pytest.approx(100 * official_one, abs=1e-9)


def sample(video, tracks):
    return dict(video_data_samples=[DetDataSample(metainfo=dict(video_id=video))], pred_tracks=tracks)


def metric_of(tmp_path, content):
    (tmp_path / 'gt.json').write_text(json.dumps(content))
    metric = YTVISMetric(str(tmp_path / 'gt.json'), format_dir=str(tmp_path / 'out'))
    metric.dataset_meta = {}
    return metric


WHOLE = dict(
    score=0.9, label=0, segmentations=[encode(coco_mask.decode(coco_mask.frPyObjects(HALF, 4, 6)))] * 3
)


def test_a_run_without_a_track_scores_0(tmp_path):
    metric = metric_of(tmp_path, a_file())
    metric.process({}, [sample(7, []), sample(8, [])])
    scores = metric.evaluate(2)
    assert scores['ytvis/AP'] == scores['ytvis/AP50'] == scores['ytvis/AR100'] == scores['ytvis/AR_s'] == 0
    assert np.isnan(scores['ytvis/AP_l'])  # no object of this size
    assert json.loads((tmp_path / 'out/results.json').read_text()) == []


def test_videos_that_were_not_run_are_not_missed(tmp_path):
    metric = metric_of(tmp_path, a_file())
    metric.process({}, [sample(7, [WHOLE])])
    assert metric.evaluate(1)['ytvis/AP'] == pytest.approx(100)
    metric.process({}, [sample(7, [WHOLE]), sample(8, [])])
    assert metric.evaluate(2)['ytvis/AP'] == pytest.approx(50)
    metric.process({}, [sample(7, [WHOLE]), sample(9, [])])
    with pytest.raises(ValueError, match='gt.json lacks 1 of the 2 videos that were run, such as 9'):
        metric.evaluate(2)


def test_scores_that_are_no_numbers_are_told(tmp_path):
    metric = metric_of(tmp_path, a_file())
    with pytest.raises(ValueError, match='video 7: 1 tracks have a score of nan'):
        metric.process({}, [sample(7, [dict(WHOLE, score=float('nan'))])])
