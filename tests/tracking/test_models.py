"""QuasiDenseTrack: classes that train, published checkpoints, the config."""

import pytest
import torch
from mmdet.structures.bbox import bbox_overlaps
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmroad.tracking import models  # noqa: F401 (registers)
from mmroad.zoo.checkpoint import KeysError, load_checkpoint
from mmroad.zoo.configs import configs_folder, get_config

FOLDER = configs_folder() / 'box_track'
PUBLISHED = 'qdtrack-frcnn_r50_fpn_12e_mot_bdd100k'
#: The class tuple in the published file's meta data; its rows are in the official order.
TUPLE = ('pedestrian', 'rider', 'car', 'bus', 'truck', 'bicycle', 'motorcycle', 'train')


def built(name, **changes):
    from mmdet.registry import MODELS

    init_default_scope('mmdet')
    cfg = get_config(name)
    cfg.merge_from_dict(changes)
    torch.manual_seed(0)
    return MODELS.build(cfg.model)


@pytest.fixture(scope='module')
def small():
    return built('qdtrack-frcnn_r18_fpn_road_scenes')


@pytest.fixture(scope='module')
def batch():
    """Two pairs of made-up pictures, each with two squares of classes 2 and 6 that move a little."""
    from mmdet.structures import DetDataSample, TrackDataSample
    from mmengine.structures import InstanceData

    inputs, samples = [], []
    for k in range(2):
        frames, track = torch.zeros(2, 3, 96, 128, dtype=torch.uint8), TrackDataSample()
        found = []
        for t in range(2):
            boxes = torch.tensor([[10.0, 20, 50, 60], [70, 30, 110, 70]]) + 4 * t + 3 * k
            for (x1, y1, x2, y2), color in zip(boxes.int().tolist(), (200, 90)):
                frames[t, :, y1:y2, x1:x2] = color
            sample = DetDataSample(
                metainfo=dict(img_shape=(96, 128), ori_shape=(96, 128), scale_factor=(1.0, 1.0))
            )
            labels = torch.tensor([2, 6])
            sample.gt_instances = InstanceData(
                bboxes=boxes, labels=labels, instances_ids=torch.tensor([1, 2])
            )
            sample.ignored_instances = InstanceData(
                bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
            )
            found.append(sample)
        track.video_data_samples = found
        track.set_metainfo(dict(key_frames_inds=[k], ref_frames_inds=[1 - k]))
        inputs.append(frames)
        samples.append(track)
    return dict(inputs=inputs, data_samples=samples)


def losses_of(model, batch):
    data = model.data_preprocessor(batch, training=True)
    found = model(**data, mode='loss')
    return {k: v if isinstance(v, torch.Tensor) else sum(v) for k, v in found.items() if 'loss' in k}


def test_the_box_head_sees_the_classes(small, batch, monkeypatch):
    seen = []
    head = small.detector.roi_head.bbox_head
    of_head = head.loss_and_target
    monkeypatch.setattr(
        head,
        'loss_and_target',
        lambda *args, **kw: (
            seen.append(head.get_targets(kw['sampling_results'], kw['rcnn_train_cfg'])[0])
            or of_head(*args, **kw)
        ),
    )
    losses = losses_of(small, batch)
    assert set(torch.cat(seen).tolist()) == {2, 6, 8}  # 8 is none
    assert [s.gt_instances.labels.tolist() for t in batch['data_samples'] for s in t.video_data_samples] == [
        [2, 6]
    ] * 4
    assert {'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox', 'loss_track', 'loss_track_aux'} == set(
        losses
    )
    assert all(torch.isfinite(value) for value in losses.values())


def test_the_detector_learns_two_classes_and_tracks(batch):
    model = built(
        'qdtrack-frcnn_r18_fpn_road_scenes',
        **{'model.tracker.init_score_thr': 0.3, 'model.tracker.obj_score_thr': 0.2},
    )
    model.init_weights()
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    totals = []
    for _ in range(40):
        losses = losses_of(model, batch)
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(float(total))
    assert totals[-1] < 0.35 * totals[0]
    for module in model.modules():  # batch statistics, as of so short a training
        if isinstance(module, torch.nn.BatchNorm2d):
            module.track_running_stats = False
            module.running_mean = module.running_var = None
    model.eval()
    found = []
    for t in range(2):
        sample = batch['data_samples'][0].video_data_samples[t]
        sample.set_metainfo(dict(frame_id=t))
        track = type(batch['data_samples'][0])()
        track.video_data_samples = [sample]
        with torch.no_grad():
            (result,) = model.test_step(dict(inputs=[batch['inputs'][0][t : t + 1]], data_samples=[track]))
        tracks = result[0].pred_track_instances
        found.append(tracks)
    for label, row in ((2, 0), (6, 1)):
        ids = []
        for t, tracks in enumerate(found):
            own = tracks[tracks.labels == label]
            truth = batch['data_samples'][0].video_data_samples[t].gt_instances.bboxes[[row]]
            assert bbox_overlaps(own.bboxes, truth).max() > 0.5
            ids.append(set(own.instances_id.tolist()))
        assert ids[0] & ids[1]  # a track of the class in both frames


def test_a_detector_that_is_frozen_stays_as_it_is(batch):
    model = built('qdtrack-frcnn_r18_fpn_stills_road_scenes', **{'model.detector.init_cfg': None}).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    losses = losses_of(model, batch)
    assert set(losses) == {'loss_track', 'loss_track_aux'}
    sum(losses.values()).backward()
    optimizer.step()
    changed = {key for key, value in model.state_dict().items() if not value.equal(before[key])}
    assert changed and all(key.startswith('track_head.') for key in changed)


def published_style(model, path, **changes):
    """A file with the keys of SysCV/qdtrack's checkpoint."""
    state = {
        key.replace('track_head.embed_head.', 'track_head.track_head.'): value
        for key, value in model.state_dict().items()
    }
    torch.save(dict(meta=dict(CLASSES=TUPLE, epoch=12), state_dict=state | changes), path)


def test_a_published_checkpoint_loads_with_nothing_left_over(small, tmp_path):
    published_style(small, tmp_path / 'published.pth')
    other = built('qdtrack-frcnn_r18_fpn_road_scenes')
    with torch.no_grad():
        other.detector.roi_head.bbox_head.fc_cls.weight.zero_()
    classes = ['pedestrian', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle']
    meta = load_checkpoint(other, tmp_path / 'published.pth', classes=[classes])
    assert all(
        torch.equal(v, small.state_dict()[k]) for k, v in other.state_dict().items()
    )  # no row has moved
    assert 'CLASSES' not in meta
    published_style(small, tmp_path / 'more.pth', **{'track_head.another.weight': torch.zeros(1)})
    with pytest.raises(KeysError, match='1 left over: track_head.another.weight'):
        load_checkpoint(other, tmp_path / 'more.pth', classes=[classes])


def test_a_training_starts_from_a_published_checkpoint(small, tmp_path):
    published_style(small, tmp_path / 'published.pth')
    content = torch.load(tmp_path / 'published.pth', weights_only=False)
    small.adapt_checkpoint(content)
    assert content['state_dict'].keys() == small.state_dict().keys() and 'CLASSES' not in content['meta']
    before = dict(content['state_dict'])
    small.adapt_checkpoint(content)  # ours stay as they are
    assert content['state_dict'].keys() == before.keys()


def test_the_recipe_is_the_published_one():
    cfg = get_config(PUBLISHED)
    detector, head, tracker = cfg.model.detector, cfg.model.track_head, cfg.model.tracker
    assert detector.roi_head.bbox_head.num_classes == 8 and detector.rpn_head.loss_bbox.type == 'SmoothL1Loss'
    assert detector.rpn_head.loss_bbox.beta == pytest.approx(1 / 9) and detector.backbone.frozen_stages == 1
    assert detector.train_cfg.rpn_proposal.nms_pre == 2000 and detector.test_cfg.rcnn.score_thr == 0.05
    embed = head.embed_head
    assert (embed.num_convs, embed.num_fcs, embed.embed_channels) == (4, 1, 256)
    assert embed.loss_track.loss_weight == 0.25 and embed.loss_track_aux.neg_margin == 0.1
    assigner = head.train_cfg.assigner
    assert (assigner.pos_iou_thr, assigner.neg_iou_thr, assigner.min_pos_iou) == (0.7, 0.3, 0.5)
    assert (tracker.init_score_thr, tracker.obj_score_thr, tracker.match_score_thr) == (0.7, 0.3, 0.5)
    assert (tracker.memo_tracklet_frames, tracker.memo_momentum) == (10, 0.8)
    first, second = cfg.train_dataloader.dataset.datasets
    assert first.frame_range == 3 and not second.load_as_video
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (0.02, 0.9, 1e-4)
    assert 'clip_grad' not in cfg.optim_wrapper and cfg.train_cfg.max_epochs == 12
    assert cfg.param_scheduler[0].end == 1000 and cfg.param_scheduler[1].milestones == [8, 11]


@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.py')), ids=lambda p: p.stem)
def test_configs_dump_and_reload(path):
    cfg = Config.fromfile(path)
    again = Config.fromstring(cfg.pretty_text, '.py')
    assert again.model == cfg.model and cfg.model.type == 'QuasiDenseTrack'


def test_the_published_model_has_the_published_size():
    model = built(PUBLISHED, **{'model.detector.backbone.init_cfg': None})
    assert len(model.state_dict()) == 364
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(56.9e6, rel=0.001)
