"""Video models built from the shipped configs: losses, training steps, predictions."""

import pytest
import torch
import torch.nn.functional as F
from mmdet.models.tracking_heads import Mask2FormerTrackHead
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

import mmroad.rankseg.video  # noqa: F401
from mmroad.rankseg.video.tracks import resize_masks
from mmroad.zoo.configs import configs_folder
from mmroad.zoo.models import without_initial_weights

CONFIGS = configs_folder() / 'rankseg'
SMALL = ['mask2former_small_road_scenes_video', 'rankseg_small_road_scenes_video']


def build(name, **changes):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    cfg.merge_from_dict(changes)
    init_default_scope('mmdet')
    torch.manual_seed(0)
    return MODELS.build(without_initial_weights(cfg.model)), cfg


def clip(size=(64, 96), frames=2, seed=0, objects=((0, 3), (2, 1)), **meta):
    """Noise with squares: (track, label) pairs; the last one is in the last frame only."""
    g = torch.Generator().manual_seed(seed)
    sample = TrackDataSample()
    samples = []
    for t in range(frames):
        here = objects if t == frames - 1 else objects[:-1]
        masks = torch.zeros(len(here), *size, dtype=torch.uint8)
        for mask, (track, _) in zip(masks, here):
            mask[8 * track + 4 : 8 * track + 24, 10 + 4 * t : 40] = 1
        gt = InstanceData(
            masks=BitmapMasks(masks.numpy(), *size),
            labels=torch.tensor([label for _, label in here], dtype=torch.int64),
            instances_ids=torch.tensor([track for track, _ in here], dtype=torch.int64),
        )
        metas = dict(ori_shape=size, img_shape=size, img_path=f'{t}.jpg', frame_id=t, video_id=1)
        samples.append(DetDataSample(gt_instances=gt, metainfo={**metas, **meta}))
    sample.video_data_samples = samples
    images = torch.randint(0, 256, (frames, 3, *size), generator=g, dtype=torch.uint8)
    return images, sample


def batch(*clips):
    images, samples = zip(*clips)
    return dict(inputs=list(images), data_samples=list(samples))


def losses_of(model, data, seed=0):
    torch.manual_seed(seed)  # the points that masks are compared at
    return model.loss(**model.data_preprocessor(data, True))


def test_mask_loss_is_the_published_one():
    """mmdet's, divided by the number of frames; checked against the published formula too."""
    model, _ = build(SMALL[0])
    head = model.track_head
    ours = losses_of(model, batch(clip()))
    torch.manual_seed(0)
    single = Mask2FormerTrackHead._loss_by_feat_single
    g = torch.Generator().manual_seed(1)
    cls = torch.randn(1, 40, 20, generator=g)
    masks = torch.randn(1, 40, 2, 16, 24, generator=g)
    truth = torch.zeros(2, 2, 16, 24).long()
    truth[0, :, 2:9, 3:12], truth[1, 1, 8:14, 10:20] = 1, 1
    instances = [InstanceData(labels=torch.tensor([3, 1]), masks=truth)]
    got, stock = [], []
    for function, out in ((type(head)._loss_by_feat_single, got), (single, stock)):
        torch.manual_seed(2)
        out += function(head, cls, masks, instances, [{}])
    assert got[0] == stock[0] and got[2] == stock[2]
    assert got[1].item() == pytest.approx(stock[1].item() / 2)
    # constant logits: every point's cross entropy is the same, whichever points are drawn
    flat = torch.zeros_like(masks)
    torch.manual_seed(2)
    mask_loss = head._loss_by_feat_single(cls, flat, instances, [{}])[1]
    per_point = F.binary_cross_entropy_with_logits(torch.zeros(1), torch.ones(1))
    # (2 masks x 2 frames) means over points, by 2 masks, times the weight 5
    assert mask_loss.item() == pytest.approx(5 * 4 * per_point.item() / 2, rel=1e-5)
    assert {name.split('.')[-1] for name in ours} == {'loss_cls', 'loss_mask', 'loss_dice'}
    assert len(ours) == 3 * 4 and all(value.isfinite() for value in ours.values())


def test_batch_of_two_is_two_batches():
    """Matching and points depend on random numbers, so forward passes are compared."""
    model, _ = build(SMALL[1])
    model.eval()
    model.track_head.training = True  # a batch is told from a long video by this
    data = model.data_preprocessor(batch(clip(seed=1), clip(seed=2)), False)
    with torch.no_grad():
        logits, masks = model.track_head(model.backbone(data['inputs'].flatten(0, 1)), data['data_samples'])
        ml_logits = model.track_head.ml_logits
        for b in range(2):
            one = model.track_head(model.backbone(data['inputs'][b]), data['data_samples'][b : b + 1])
            for whole, part in zip((*logits, *masks), (*one[0], *one[1]), strict=True):
                torch.testing.assert_close(whole[b : b + 1], part, atol=2e-4, rtol=1e-4)
            torch.testing.assert_close(ml_logits[b : b + 1], model.track_head.ml_logits, atol=1e-4, rtol=1e-4)


def test_ranking_targets_are_the_classes_of_all_sampled_frames():
    model, _ = build(SMALL[1])
    seen = []
    model.track_head.rank_seg.loss = lambda logits, present: seen.append(present) or logits.sum() * 0
    losses_of(model, batch(clip(), clip(objects=((0, 5), (1, 7)))))
    assert [row.nonzero().flatten().tolist() for row in seen[0]] == [[1, 3], [5, 7]]


def test_clip_without_any_object_trains():
    for name in SMALL:
        model, _ = build(name)
        images, sample = clip()
        for frame in sample.video_data_samples:
            frame.gt_instances = frame.gt_instances[torch.zeros(len(frame.gt_instances), dtype=torch.bool)]
        total, _ = model.parse_losses(losses_of(model, batch((images, sample))))
        total.backward()
        assert total.isfinite()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize('name', SMALL)
def test_losses_under_autocast_are_finite_and_near(name):
    model, _ = build(name)
    totals = []
    for enabled in (False, True):
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=enabled):
            totals.append(model.parse_losses(losses_of(model, batch(clip())))[0])
    totals[1].backward()
    assert totals[1].dtype == torch.float32
    assert totals[1].item() == pytest.approx(totals[0].item(), rel=0.05)
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_few_classes_kept_leave_out_the_others():
    model, _ = build(SMALL[1], **{'model.track_head.rank_seg.top_k': 2})
    head = model.track_head
    kept = []
    stock = Mask2FormerTrackHead.loss_by_feat
    try:
        Mask2FormerTrackHead.loss_by_feat = lambda self, a, b, gts, m: (
            kept.append(gts) or stock(self, a, b, gts, m)
        )
        losses_of(model, batch(clip()))
    finally:
        Mask2FormerTrackHead.loss_by_feat = stock
    selected = set(head.rank_index[0].tolist())
    assert set(kept[0][0].labels.tolist()) == {1, 3} & selected
    assert kept[0][0].masks.shape[1:] == (2, 64, 96)


def oracle(**changes):
    rank_seg = dict(_delete_=True, oracle=True)
    model, _ = build(SMALL[1], **{'model.track_head.rank_seg': rank_seg}, **changes)
    return model


def test_oracle_needs_and_uses_the_classes_of_the_clip():
    model = oracle()
    losses = losses_of(model, batch(clip()))
    assert 'loss_ml' not in losses
    model.eval()
    images, sample = clip(frames=3)
    with pytest.raises(ValueError, match='gt_classes'), torch.no_grad():
        model.test_step(batch((images, sample)))
    for t, frame in enumerate(sample.video_data_samples):
        frame.set_metainfo(dict(gt_classes=[[4], [4, 9], []][t]))
    with torch.no_grad():
        (result,) = model.test_step(batch((images, sample)))
    classes = {int(c) for frame in result.video_data_samples for c in frame.pred_sem_seg.data.unique()}
    assert classes <= {4, 9}
    assert result.rankings == []


@pytest.mark.parametrize('name', SMALL)
def test_semantic_prediction(name):
    model, _ = build(name, **{'model.clip_length': 3})
    model.eval()
    data = batch(clip((60, 90), 5, ori_shape=(75, 111)))
    with torch.no_grad():
        (result,) = model.test_step(data)
        inputs = model.data_preprocessor(data, False)
        frames = inputs['data_samples'][0].video_data_samples
        logits, masks = model.clip_queries(inputs['inputs'][0][:3], frames[:3])
    scores = logits.softmax(-1)[:, :-1]
    for t in range(3):
        full = resize_masks(masks[:, t], frames[t].metainfo).sigmoid()
        want = torch.einsum('qc,qhw->chw', scores, full).argmax(0)
        got = result[t].pred_sem_seg.data
        assert got.shape == (1, 75, 111) and got.dtype == torch.uint8
        assert (got[0] == want).float().mean() > 0.999
    clips = [] if name == SMALL[0] else [(0, 3), (3, 5)]
    assert [(c.start, c.stop) for c, _ in result.rankings] == clips
    assert all(sorted(ranking) == list(range(19)) for _, ranking in result.rankings)


def test_backbone_in_parts_changes_nothing():
    model, _ = build(SMALL[1])
    model.eval()
    images = torch.randn(5, 3, 64, 96)
    frames = clip(frames=5)[1].video_data_samples
    with torch.no_grad():
        whole = model.clip_queries(images, frames)
        model.backbone_frames = 2
        parts = model.clip_queries(images, frames)
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_tracks_of_one_pass_and_of_clips():
    changes = {'model.task': 'instance', 'model.clip_length': None}
    model, _ = build(SMALL[1], **changes)
    model.eval()
    with torch.no_grad():
        (one,) = model.test_step(batch(clip(frames=6)))
        model.clip_length, model.overlap = 6, 2
        (same,) = model.test_step(batch(clip(frames=6)))
        model.clip_length = 4
        (stitched,) = model.test_step(batch(clip(frames=6)))
    assert one.pred_tracks == same.pred_tracks and len(one.pred_tracks) == 10
    scores = [track['score'] for track in one.pred_tracks]
    assert scores == sorted(scores, reverse=True)
    for track in (*one.pred_tracks, *stitched.pred_tracks):
        assert len(track['segmentations']) == 6 and 0 <= track['label'] < 19
        assert all(code['size'] == [64, 96] for code in track['segmentations'])


@pytest.mark.parametrize('task', ['semantic', 'instance'])
def test_predictions_that_are_no_numbers_are_told(task):
    model, _ = build(SMALL[1], **{'model.task': task})
    with torch.no_grad():
        model.eval().track_head.mask_embed[-1].bias[0] = float('nan')
        with pytest.raises(ValueError, match='0.jpg and the 1 frames after it: predictions are not finite'):
            model.test_step(batch(clip()))


def test_wrong_options():
    with pytest.raises(ValueError, match='task is'):
        build(SMALL[0], **{'model.task': 'panoptic'})
    with pytest.raises(ValueError, match='do not overlap'):
        build(SMALL[0], **{'model.overlap': 2})


def test_parameter_groups():
    model, cfg = build('video_maskformer2_R101_bs16_8ep-rankseg_vspw')
    cfg.optim_wrapper.type = 'OptimWrapper'  # AMP needs a GPU
    optim = build_optim_wrapper(model, cfg.optim_wrapper)
    rates = {}
    names = {id(p): name for name, p in model.named_parameters()}
    for group in optim.param_groups:
        for p in group['params']:
            if id(p) in names:  # mmengine adds a placeholder
                rates[names[id(p)]] = (group['lr'], group['weight_decay'])
    assert rates['backbone.layer1.0.conv1.weight'] == (pytest.approx(1e-5), 0.05)
    assert rates['track_head.rank_seg.ml_head.proj_dec.weight'] == (pytest.approx(2e-4), 0.05)
    assert rates['track_head.rank_seg.ml_head.cls_emb'][1] == 0
    assert rates['track_head.query_feat.weight'] == (pytest.approx(1e-4), 0)
    assert not any('bn' in name for name in rates)


@pytest.mark.parametrize(
    'name',
    [
        name if 'small' in name else pytest.param(name, marks=pytest.mark.slow)
        for name in sorted(path.stem for path in CONFIGS.glob('*video*.py'))
    ],
)
def test_one_step_and_one_prediction(name):
    model, cfg = build(name)
    cfg.optim_wrapper.type = 'OptimWrapper'  # AMP needs a GPU
    optim = build_optim_wrapper(model, cfg.optim_wrapper)
    trained = {k: v.clone() for k, v in model.named_parameters() if v.requires_grad}
    logs = model.train().train_step(batch(clip()), optim)
    assert logs['loss'].isfinite()
    changed = {
        k.split('.')[0] for k, v in model.named_parameters() if k in trained and not v.equal(trained[k])
    }
    assert changed == {'backbone', 'track_head'}
    with torch.no_grad():
        (result,) = model.eval().test_step(batch(clip((60, 90), 3, gt_classes=[0, 2], ori_shape=(70, 100))))
    if model.task == 'semantic':
        assert all(frame.pred_sem_seg.shape == (70, 100) for frame in result.video_data_samples)
        if 'gt_' in name:
            classes = torch.stack([f.pred_sem_seg.data for f in result.video_data_samples]).unique()
            assert set(classes.tolist()) <= {0, 2}
    else:
        assert len(result.pred_tracks) == 10
