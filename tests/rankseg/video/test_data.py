"""VSPW's and YouTube-VIS's datasets, clip sampling, transforms and scores, on small made data."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData

import mmroad.rankseg.video  # noqa: F401
from mmroad.bdd100k.sem_seg import confusion
from mmroad.rankseg.video.metrics import VideoSemSegMetric, YTVISMetric, mean_iou_of_mmseg, sem_seg_scores
from mmroad.rankseg.video.tracks import encode
from mmroad.rankseg.video.vspw import VSPWDataset
from mmroad.zoo.configs import configs_folder

SIZE = (30, 40)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


def dataset(base, split='train', **changes):
    cfg = Config.fromfile(configs_folder() / f'_base_/datasets/{base}.py')[f'{split}_dataloader'].dataset
    return DATASETS.build({**cfg, **changes})


@pytest.fixture(scope='module')
def vspw(tmp_path_factory):
    """Two videos of 50 and 3 frames; frame t has the raw labels t % 3 (0: no label), 124, 125 and 255."""
    root = tmp_path_factory.mktemp('VSPW_480p')
    for name, frames in (('a', 50), ('b', 3)):
        for t in range(frames):
            for kind in ('origin', 'mask'):
                (root / f'data/{name}/{kind}').mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / f'data/{name}/origin/{t:08d}.jpg'), np.full((*SIZE, 3), 4 * t, np.uint8))
            mask = np.full(SIZE, t % 3, np.uint8)
            mask[:, 10:20], mask[:, 20:30], mask[:, 30:] = 124, 125, 255
            cv2.imwrite(str(root / f'data/{name}/mask/{t:08d}.png'), mask)
    (root / 'train.txt').write_text('a\nb\n')
    (root / 'val.txt').write_text('b\n')
    return root


def test_vspw_classes():
    classes, palette = VSPWDataset.METAINFO['classes'], VSPWDataset.METAINFO['palette']
    assert len(classes) == len(set(classes)) == len(palette) == len(set(palette)) == 124
    assert (classes[0], classes[18], classes[60], classes[123]) == ('wall', 'road', 'person', 'train')
    assert palette[:3] == [(128, 0, 0), (0, 128, 0), (128, 128, 0)]  # PASCAL VOC's


def test_vspw_labels(vspw):
    data = dataset('vspw', 'test', data_root=str(vspw))[0]
    frames = data['data_samples'].video_data_samples
    assert len(frames) == 3 and data['inputs'].shape == (3, 3, 480, 640)
    assert [frame.img_id for frame in frames] == [f'b/{t:08d}' for t in range(3)]
    for t, frame in enumerate(frames):
        labels = frame.gt_sem_seg.data[0]
        assert labels.shape == SIZE == frame.ori_shape and labels.dtype == torch.uint8
        assert [int(labels[0, x]) for x in (0, 10, 20, 30)] == [[255, 0, 1][t], 123, 255, 255]
        assert frame.gt_classes == [[123], [0, 123], [1, 123]][t]


def test_clips_are_two_frames_within_20_of_each_other(vspw):
    videos = dataset('vspw', data_root=str(vspw))
    assert len(videos) == 2
    distances = []
    for _ in range(60):
        clip = videos[0]
        first, second = (frame.frame_id for frame in clip['data_samples'].video_data_samples)
        assert clip['inputs'].shape == (2, 3, 480, 640)
        distances.append(second - first)
    assert min(distances) >= 1 and 10 < max(distances) <= 20


def test_flips_and_sizes_are_shared_by_a_clip(tmp_path, write_ytvis):
    """YouTube-VIS's pipeline on a video whose frames are bright on the left."""
    frame = np.zeros((*SIZE, 3), np.uint8)
    frame[:, :20] = 255
    write_ytvis(tmp_path, [frame] * 4)
    videos = dataset('ytvis19', data_root=str(tmp_path))
    flips, heights = set(), set()
    for _ in range(25):
        clip = videos[0]
        left = clip['inputs'][:, 0, :, 3].float().mean(-1) > 128
        assert left[0] == left[1]
        for sample, lit in zip(clip['data_samples'].video_data_samples, left, strict=True):
            (mask,) = sample.gt_instances.masks.to_ndarray()
            height, width = clip['inputs'].shape[-2:]
            assert mask.shape == (height, width)
            assert bool(mask[0, 3]) == bool(lit)  # the instance is the bright half
            assert sample.gt_instances.labels.tolist() == [25]
        flips.add(bool(left[0]))
        heights.add(height)
    assert flips == {True, False} and heights == {360, 480}


def test_ytvis_reads_the_published_form(tmp_path, write_ytvis):
    content = write_ytvis(tmp_path, [np.zeros((*SIZE, 3), np.uint8)] * 3)
    info = dataset('ytvis19', data_root=str(tmp_path)).get_data_info(0)
    assert (info['video_id'], info['video_length'], len(info['images'])) == (3, 3, 3)
    instance, crowd = info['images'][0]['instances']
    assert info['images'][0]['height'] == 30 and info['images'][0]['width'] == 40
    assert instance['bbox'] == [0, 0, 20, 30] and instance['bbox_label'] == 25
    assert instance['instance_id'] == 7 and (instance['ignore_flag'], crowd['ignore_flag']) == (0, 1)
    for key in ('bboxes', 'segmentations'):
        content['annotations'][0][key][1] = None  # not visible
    (tmp_path / 'train.json').write_text(json.dumps(content))
    info = dataset('ytvis19', data_root=str(tmp_path)).get_data_info(0)
    assert [len(image['instances']) for image in info['images']] == [2, 0, 2]  # the crowd shares its lists
    content['categories'].pop()
    (tmp_path / 'train.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match='39 categories'):
        dataset('ytvis19', data_root=str(tmp_path))
    own = [c['name'] for c in content['categories']]
    assert len(dataset('ytvis19', data_root=str(tmp_path), metainfo=dict(classes=own))) == 1
    with pytest.raises(FileNotFoundError, match='valid.json'):
        dataset('ytvis19', 'test', data_root=str(tmp_path))


def test_videos_without_masks(vspw, tmp_path):
    (tmp_path / 'data/b').mkdir(parents=True)
    (tmp_path / 'data/b/origin').symlink_to(vspw / 'data/b/origin')
    (tmp_path / 'test.txt').write_text('b')
    frames = dataset('vspw', 'test', data_root=str(tmp_path), ann_file='test.txt')[0]['data_samples']
    assert all('gt_sem_seg' not in frame and 'gt_classes' not in frame for frame in frames.video_data_samples)
    for frame in frames.video_data_samples:
        frame.pred_sem_seg = PixelData(data=torch.full((1, *SIZE), 7, dtype=torch.uint8))
    for options in (dict(format_only=True, format_dir=str(tmp_path / 'out')), {}):
        metric = VideoSemSegMetric(**options)
        metric.dataset_meta = VSPWDataset.METAINFO
        if options:
            metric.process({}, [frames.to_dict()])
            assert metric.evaluate(1) == {}
        else:
            with pytest.raises(ValueError, match='format-only'):
                metric.process({}, [frames.to_dict()])
    assert (cv2.imread(str(tmp_path / 'out/b/00000002.png'), cv2.IMREAD_UNCHANGED) == 7).all()


def test_vspw_errors(vspw, tmp_path):
    with pytest.raises(FileNotFoundError, match='train.txt: no such list'):
        dataset('vspw', data_root=str(tmp_path))
    (tmp_path / 'train.txt').write_text('gone')
    with pytest.raises(FileNotFoundError, match='gone/origin'):
        dataset('vspw', data_root=str(tmp_path))
    for kind in ('origin/0.jpg', 'origin/1.jpg', 'mask/1.png'):
        (tmp_path / 'data/gone' / kind).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'data/gone' / kind).touch()
    with pytest.warns(UserWarning, match='2 frames and 1 masks; the 1 that have both'):
        videos = dataset('vspw', data_root=str(tmp_path))
    for name in ('0.png', '2.png'):
        (tmp_path / 'data/gone/mask' / name).touch()
    with pytest.warns(UserWarning, match='2 frames and 3 masks; the 2 that have both'):
        dataset('vspw', data_root=str(tmp_path))
    with pytest.raises(ValueError, match='origin/1.jpg: .* no image'):
        videos[0]


def test_classes_without_ground_truth_are_left_out():
    gt = np.array([0, 0, 0, 1, 1, 255])
    pred = np.array([0, 0, 2, 1, 0, 2])
    scores = sem_seg_scores(confusion(gt, pred, 4))
    # class 0: 2 of 4, class 1: 1 of 2, class 2 is predicted only (mmseg: IoU 0), class 3 nowhere
    assert scores['mIoU'] == pytest.approx(100 * (2 / 4 + 1 / 2) / 2)
    mmseg = mean_iou_of_mmseg(confusion(gt, pred, 4))
    assert mmseg == pytest.approx(100 * (2 / 4 + 1 / 2 + 0) / 3)


def video_sample(gts, preds, **meta):
    frames = []
    for t, (gt, pred) in enumerate(zip(gts, preds, strict=True)):
        frame = DetDataSample(metainfo=dict(img_id=f'clip/{t:08d}', img_path=f'{t}.jpg', video_id=1))
        frame.gt_sem_seg = PixelData(data=torch.from_numpy(gt)[None])
        frame.pred_sem_seg = PixelData(data=torch.from_numpy(pred)[None])
        frames.append(frame)
    return dict(video_data_samples=frames, **meta)


def test_video_metric(tmp_path):
    rng = np.random.default_rng(0)
    gts = rng.integers(0, 3, (4, 6, 5)).astype(np.uint8)
    preds = gts.copy()
    preds[2] = 0
    assert VideoSemSegMetric().windows == [8, 16]  # as published
    metric = VideoSemSegMetric(windows=(2,), top_k=(1, 2), format_dir=str(tmp_path))
    metric.dataset_meta = dict(classes=('a', 'b', 'c', 'd'))
    rankings = [(slice(0, 2), [0, 3, 1, 2]), (slice(2, 4), [3, 0, 1, 2])]
    metric.process({}, [video_sample(gts, preds, rankings=rankings)])
    scores = metric.evaluate(1)
    counts = sum(confusion(gt, pred, 4) for gt, pred in zip(gts, preds))
    assert scores['mIoU'] == pytest.approx(sem_seg_scores(counts)['mIoU'])
    steady = [gts[t] == gts[t + 1] for t in (0, 1)]
    moved = [preds[t] == preds[t + 1] for t in (0, 1)]
    want = np.mean([(s & m).sum() / s.sum() for s, m in zip(steady, moved)])
    assert scores['VC2'] == pytest.approx(100 * want)
    assert scores['ranking/recall@1'] == pytest.approx(100 * (1 / 3 + 0) / 2)
    assert scores['ranking/recall@2'] == pytest.approx(100 / 3) and scores[
        'ranking/precision@2'
    ] == pytest.approx(50)
    for t in range(4):
        png = cv2.imread(str(tmp_path / f'clip/{t:08d}.png'), cv2.IMREAD_UNCHANGED)
        assert png.dtype == np.uint8 and np.array_equal(png, preds[t])


def test_rankings_count_clips_that_show_a_class():
    """A label outside of the classes is none, and a clip without a class has no recall."""
    gts = np.full((4, 6, 5), 255, np.uint8)
    gts[0, 0, 0], gts[1, 0, 0] = 2, 4
    metric = VideoSemSegMetric(top_k=(1,))
    metric.dataset_meta = dict(classes=('a', 'b', 'c', 'd'))
    rankings = [(slice(0, 2), [2, 0, 3, 1]), (slice(2, 4), [3, 0, 1, 2])]
    metric.process({}, [video_sample(gts, gts, rankings=rankings)])
    scores = metric.evaluate(1)
    assert scores['ranking/recall@1'] == scores['ranking/AP'] == scores['ranking/precision@1'] == 100
    assert np.isnan(scores['VC8'])


def test_ap_of_a_holdout(tmp_path, write_ytvis):
    """The whole truth scores 100; half of its pixels 50 at IoU 0.5 only; the wrong class 0."""
    content = write_ytvis(tmp_path, [np.zeros((*SIZE, 3), np.uint8)] * 3)
    content['annotations'].pop()
    (tmp_path / 'train.json').write_text(json.dumps(content))
    whole, part = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    whole[:, :20], part[:, :12] = 1, 1  # IoU 0.6
    for mask, label, ap, ap50 in ((whole, 25, 100, 100), (part, 25, 30, 100), (whole, 3, 0, 0)):
        track = dict(score=0.9, label=label, segmentations=[encode(mask)] * 3)
        frames = [DetDataSample(metainfo=dict(video_id=3))]
        metric = YTVISMetric(str(tmp_path / 'train.json'), format_dir=str(tmp_path / 'out'))
        metric.dataset_meta = {}
        metric.process({}, [dict(video_data_samples=frames, pred_tracks=[track])])
        scores = metric.evaluate(1)
        assert scores['ytvis/AP'] == pytest.approx(ap) and scores['ytvis/AP50'] == pytest.approx(ap50)
    assert (tmp_path / 'out/results.zip').is_file()
    del content['annotations']
    (tmp_path / 'train.json').write_text(json.dumps(content))
    metric.process({}, [dict(video_data_samples=frames, pred_tracks=[track])])
    with pytest.raises(ValueError, match='mmroad data split-ytvis'):
        metric.evaluate(1)
    # and before a run
    with pytest.raises(ValueError, match='train.json has no annotations .*split-ytvis'):
        YTVISMetric(str(tmp_path / 'train.json'))
    with pytest.raises(FileNotFoundError, match='gone.json'):
        YTVISMetric(str(tmp_path / 'gone.json'))
    YTVISMetric(str(tmp_path / 'gone.json'), format_only=True, format_dir=str(tmp_path / 'out'))
