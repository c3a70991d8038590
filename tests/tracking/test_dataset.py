"""Pairs of frames, the order of frames, and what is refused."""

import json
from collections import Counter

import numpy as np
import pytest
from mmdet.registry import DATASETS
from mmengine.dataset import ConcatDataset
from mmengine.registry import init_default_scope

from mmroad.bdd100k import track_sampler
from mmroad.bdd100k.scalabel import LabelFileError
from mmroad.bdd100k.track_columns import TRACK_CLASSES
from mmroad.bdd100k.track_dataset import BDD100KTrackDataset
from mmroad.bdd100k.track_sampler import TrackFrameSampler
from mmroad.tracking import models  # noqa: F401 (registers transforms)
from mmroad.zoo.configs import get_config

PAIRS = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadTrackAnnotations'),
            dict(type='RandomFlip', prob=0.5),
        ],
    ),
    dict(type='PackTrackInputs'),
]
FRAMES = [
    dict(type='TransformBroadcaster', transforms=[dict(type='LoadImageFromFile')]),
    dict(type='PackTrackInputs', meta_keys=('file_name', 'video_name', 'frame_index')),
]


def videos(root, split='train', pipeline=PAIRS, **options):
    init_default_scope('mmdet')
    return BDD100KTrackDataset(
        data_root=str(root),
        ann_file=f'labels/box_track_20/{split}',
        data_prefix=dict(img=f'images/track/{split}'),
        pipeline=pipeline,
        **options,
    )


def stills(root):
    init_default_scope('mmdet')
    return BDD100KTrackDataset(
        data_root=str(root),
        ann_file='labels/det_20/det_train.json',
        data_prefix=dict(img='images/100k/train'),
        load_as_video=False,
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=PAIRS,
    )


def frame_of(name):
    video, _, number = name.removesuffix('.jpg').rpartition('-')
    return video, int(number) - 1


def test_pairs_share_objects_and_are_near(drives):
    dataset = videos(drives, filter_cfg=dict(filter_empty_gt=True))
    for i in range(len(dataset)):
        data = dataset.get_data_info(i)
        (one, a), (other, b) = map(frame_of, data['file_name'])
        assert one == other and 0 < b - a <= 3  # in the order of time
        ids = [
            {x['instance_id'] for x in instances if not x['ignore_flag']} for instances in data['instances']
        ]
        assert ids[0] & ids[1] and min(ids[0] | ids[1]) >= 1
        assert sum(data['key_frame_flags']) == 1 and data['frame_id'] == [a, b]


def test_every_frame_is_a_key_frame_once(drives):
    dataset = videos(drives)
    data = [dataset.get_data_info(i) for i in range(len(dataset))]
    keys = Counter(d['file_name'][d['key_frame_flags'].index(True)] for d in data)
    assert len(dataset) == 4 * 8 and len(keys) >= 4 * 8 - 4  # few have none near with a common object


def test_a_packed_pair_is_flipped_alike(drives):
    for _ in range(6):
        sample = videos(drives)[2]
        frames = sample['data_samples'].video_data_samples
        assert sample['inputs'].shape == (2, 3, 96, 160) and len({frame.flip for frame in frames}) == 1
        assert all(len(f.gt_instances.instances_ids) == len(f.gt_instances.bboxes) for f in frames)


def test_boxes_and_ids_are_those_of_the_file(drives):
    dataset = videos(drives, 'val', FRAMES, test_mode=True)
    (name,) = {video for video, _ in dataset.frame_keys()}
    labels = json.loads((drives / f'labels/box_track_20/val/{name}.json').read_text())
    found = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [f['frame_index'] for f in found] == [[t] for t in range(8)]
    known: dict[int, str] = {}
    for data, frame in zip(found, labels):
        ours = [(x['bbox'], TRACK_CLASSES[x['bbox_label']]) for x in data['instances'][0]]
        theirs = [(list(label['box2d'].values()), label['category']) for label in frame['labels']]
        assert ours == [([x1, y1, x2 + 1, y2 + 1], c) for (x1, y1, x2, y2), c in theirs]
        for x, label in zip(data['instances'][0], frame['labels']):
            assert known.setdefault(x['instance_id'], label['id']) == label['id']
    assert len(set(known.values())) == len(known)


def test_images_are_pairs_of_themselves(drives):
    data = stills(drives).get_data_info(0)
    assert data['file_name'][0] == data['file_name'][1] and data['key_frame_flags'] == [True, False]
    assert [x['instance_id'] for x in data['instances'][0]] == list(range(1, len(data['instances'][0]) + 1))
    assert {
        x['bbox_label'] for i in range(6) for x in stills(drives).get_data_info(i)['instances'][0]
    } <= set(range(8))


def test_two_views_of_an_image_differ_and_keep_their_objects(drives):
    cfg = get_config('qdtrack-frcnn_r18_fpn_stills_road_scenes').train_dataloader.dataset
    init_default_scope('mmdet')
    dataset = DATASETS.build(dict(cfg, data_root=str(drives)))
    sizes = []
    for i in range(len(dataset)):
        item = dataset[i]
        one, two = item['data_samples'].video_data_samples
        assert item['inputs'].shape == (2, 3, 192, 320) and not item['inputs'][0].equal(item['inputs'][1])
        ids = [view.gt_instances.instances_ids.tolist() for view in (one, two)]
        assert ids[0] == ids[1] == list(range(1, len(ids[0]) + 1))
        sizes += [view.gt_instances.bboxes.max().item() for view in (one, two)]
    assert max(sizes) <= 320 and len(set(sizes)) > 6


def ranks(monkeypatch, dataset, count, **options):
    orders = []
    for rank in range(count):
        monkeypatch.setattr(track_sampler, 'get_dist_info', lambda rank=rank: (rank, count))
        orders.append(list(TrackFrameSampler(dataset, seed=1, **options)))
    return orders


def test_videos_and_images_are_mixed(drives, monkeypatch):
    mixed = ConcatDataset([videos(drives), stills(drives)])
    for order in (one := ranks(monkeypatch, mixed, 1)), (two := ranks(monkeypatch, mixed, 2)):
        assert sorted(set(sum(order, []))) == list(range(len(mixed)))
    assert len(one[0]) == len(mixed) and len({len(part) for part in two}) == 1
    sampler = TrackFrameSampler(mixed, seed=1)
    sampler.set_epoch(1)
    assert list(sampler) != one[0]
    assert mixed[len(mixed) - 1]['inputs'].shape == (2, 3, 96, 160)


def test_to_test_every_rank_has_whole_videos_in_order(drives, monkeypatch):
    dataset = videos(drives, 'train', FRAMES, test_mode=True)
    assert ranks(monkeypatch, dataset, 1)[0] == list(range(32))
    parts = ranks(monkeypatch, dataset, 3)
    assert sorted(sum(parts, [])) == list(range(32)) and sorted(map(len, parts)) == [8, 8, 16]
    for part in parts:
        names = [dataset.frame_keys()[i] for i in part]
        assert names == sorted(names)


def test_a_folder_of_videos_without_labels(drives):
    dataset = videos(drives, 'val', FRAMES, test_mode=True)
    dataset = BDD100KTrackDataset(
        data_root=str(drives),
        ann_file='',
        data_prefix=dict(img='images/track/val'),
        pipeline=FRAMES,
        test_mode=True,
    )
    assert [d.frame_index for i in range(8) for d in dataset[i]['data_samples'].video_data_samples] == list(
        range(8)
    )
    assert dataset.frame_keys()[0][0].startswith('drive-')


def test_an_image_that_cannot_be_read_is_an_empty_frame(drives, tmp_path):
    dataset = videos(drives, 'val', FRAMES, test_mode=True)
    broken = tmp_path / 'broken.jpg'
    broken.write_bytes(b'no image')
    dataset.img_path = lambda idx: str(broken)
    dataset._path = lambda row: str(broken)
    dataset.leaves_out = True
    sample = dataset[3]
    (frame,) = sample['data_samples'].video_data_samples
    assert 'broken.jpg' in frame.left_out and frame.frame_id == 3 and not np.asarray(sample['inputs']).any()


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda f: f.pop('videoName'), 'has no videoName'),
        (lambda f: f.update(frameIndex=0), 'two frames of one frameIndex'),
    ],
)
def test_refused(drives, tmp_path, change, message):
    (path,) = (drives / 'labels/box_track_20/val').iterdir()
    frames = json.loads(path.read_text())
    change(frames[2])
    (tmp_path / 'bad.json').write_text(json.dumps(frames))
    dataset = BDD100KTrackDataset(
        ann_file=str(tmp_path / 'bad.json'), data_prefix=dict(img='x'), pipeline=[], lazy_init=True
    )
    with pytest.raises(LabelFileError, match=message):
        dataset.full_init()
