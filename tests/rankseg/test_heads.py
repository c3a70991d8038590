"""Per-pixel heads, and a training step and a prediction of every image config."""

from pathlib import Path

import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmseg.models.decode_heads import FCNHead
from mmseg.structures import SegDataSample

from mmroad.rankseg import RankSegPixelMixin, RankSegSegmenterHead
from mmroad.zoo.models import build_model, uninitialized

CONFIGS = Path(__file__).parents[2] / 'configs/rankseg'
CLASSES, TOP = 6, 3
RANK_SEG = dict(top_k=TOP, head=dict(embed_dims=16, num_heads=2, feedforward_channels=32))


class RankedFCN(RankSegPixelMixin, FCNHead):
    pass


def fcn(pool=4):
    torch.manual_seed(0)
    return RankedFCN(
        in_channels=8,
        channels=8,
        num_convs=1,
        num_classes=CLASSES,
        dropout_ratio=0,
        rank_seg=RANK_SEG,
        pool=pool,
    )


def segmenter():
    torch.manual_seed(0)
    head = RankSegSegmenterHead(
        in_channels=8,
        channels=8,
        num_classes=CLASSES,
        num_layers=1,
        num_heads=2,
        embed_dims=8,
        dropout_ratio=0.0,
        rank_seg=RANK_SEG,
    )
    head.init_weights()
    return head


def pixel_samples(*labels):
    return [
        SegDataSample(metainfo=dict(img_shape=(24, 32)), gt_sem_seg=PixelData(data=x[None])) for x in labels
    ]


@pytest.mark.parametrize('make', [fcn, segmenter])
def test_pixels_are_classified_among_the_best(make):
    head = make().eval()
    feats = (torch.randn(2, 8, 12, 16),)
    raw = []
    head.rank_seg.ml_norm.register_forward_hook(lambda _, args, out: raw.append((args[0], out)))
    with torch.no_grad():
        logits = head(feats)
    assert logits.shape == (2, CLASSES, 12, 16) and head.ranking.shape == (2, CLASSES)
    kept = head.rank_seg.selected(head.rank_index)
    ((gathered, normed),) = raw
    for b in range(2):
        assert (logits[b, ~kept[b]] == -100).all() and (logits[b, kept[b]] > -50).all()
        best = logits[b, head.rank_index[b]].flatten(1).T
        torch.testing.assert_close(best, normed[b])
        torch.testing.assert_close(
            best, torch.nn.functional.layer_norm(gathered[b], (TOP,), *head.rank_seg.ml_norm.parameters())
        )
    alone = torch.cat([head((feats[0][b : b + 1],)) for b in range(2)])
    torch.testing.assert_close(logits, alone, atol=1e-5, rtol=1e-4)


def test_pixels_of_other_classes_are_ignored_in_training():
    head = fcn(pool=None)
    feats = (torch.randn(2, 8, 12, 16, generator=torch.Generator().manual_seed(1)),)
    logits = head(feats)
    labels = torch.randint(0, CLASSES, (2, 24, 32), generator=torch.Generator().manual_seed(2))
    labels[:, 0] = 255
    losses = head.loss_by_feat(logits, pixel_samples(*labels))
    kept = head.rank_seg.selected(head.rank_index)
    target = labels.clone()
    for b in range(2):
        for c in range(CLASSES):
            if not kept[b, c]:
                target[b][labels[b] == c] = 255
    up = torch.nn.functional.interpolate(logits, (24, 32), mode='bilinear', align_corners=False)
    want = torch.nn.functional.cross_entropy(up, target, ignore_index=255, reduction='sum') / target.numel()
    torch.testing.assert_close(losses['loss_ce'], want)  # mmseg divides by all pixels
    present = torch.ones(2, CLASSES, dtype=torch.bool)
    torch.testing.assert_close(losses['loss_ml'], head.rank_seg.loss(head.ml_logits, present))
    (losses['loss_ce'] + losses['loss_ml']).backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters() if p.grad is not None)
    with pytest.raises(ValueError, match='top_k is 7'):
        RankedFCN(in_channels=8, channels=8, num_convs=1, num_classes=CLASSES, rank_seg=dict(top_k=7))
    with pytest.raises(ValueError, match='oracle mode is for heads that classify masks'):
        RankedFCN(in_channels=8, channels=8, num_convs=1, num_classes=CLASSES, rank_seg=dict(oracle=True))


def test_the_segmenter_keeps_the_rankings_own_initialization():
    head = segmenter()
    assert head.rank_seg.ml_head.fc.W.abs().max() <= 16**-0.5
    assert head.rank_seg.ml_head.proj_dec.bias.abs().max() > 0 and isinstance(
        head.mask_norm, torch.nn.Identity
    )


IMAGE_CONFIGS = sorted(path.stem for path in CONFIGS.glob('*.py') if 'video' not in path.stem)
LIGHT = [name for name in IMAGE_CONFIGS if 'small' in name]


def test_color_masks_and_unknown_labels_are_refused_by_the_pixel_heads():
    head = fcn(pool=None)
    logits = head((torch.randn(1, 8, 12, 16),))
    (sample,) = pixel_samples(torch.zeros(24, 32, dtype=torch.int64))
    head.loss_by_feat(logits, [sample])
    for labels, message in (
        (torch.zeros(24, 32, 3, dtype=torch.int64), r'a\.png: the label map is \(24, 32, 3\)'),
        (torch.full((1, 24, 32), CLASSES), rf'a\.png: labels {CLASSES} are no class; the head has {CLASSES}'),
    ):
        bad = SegDataSample(
            metainfo=dict(sample.metainfo, seg_map_path='a.png'), gt_sem_seg=PixelData(data=labels)
        )
        with pytest.raises(ValueError, match=message):
            head.loss_by_feat(logits, [bad])


def labels_of(size):
    labels = torch.zeros(1, *size, dtype=torch.int64)
    labels[:, size[0] // 2 :] = 13
    labels[:, :, size[1] // 2 :] = 2
    labels[:, 0] = 255
    return labels


def batch(panoptic, size=(96, 96), images=2):
    g = torch.Generator().manual_seed(0)
    inputs = [torch.randint(0, 256, (3, *size), generator=g, dtype=torch.uint8) for _ in range(images)]
    meta = dict(ori_shape=(60, 80), img_shape=size, img_path='x.png', gt_classes=[0, 2, 13])
    samples = []
    for _ in range(images):
        labels = labels_of(size)
        if not panoptic:
            samples.append(SegDataSample(gt_sem_seg=PixelData(data=labels), metainfo=meta))
            continue
        sample = DetDataSample(gt_sem_seg=PixelData(sem_seg=labels + 100), metainfo=meta)
        masks = BitmapMasks((labels == 2).numpy().astype('uint8'), *size)
        boxes = torch.tensor([[size[1] / 2, 1, size[1], size[0]]])
        sample.gt_instances = InstanceData(labels=torch.tensor([2]), masks=masks, bboxes=boxes)
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


@pytest.mark.parametrize(
    'name', [n if n in LIGHT else pytest.param(n, marks=pytest.mark.slow) for n in IMAGE_CONFIGS]
)
def test_a_training_step_and_a_prediction_of_every_config(name):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    panoptic = 'panoptic' in name
    init_default_scope('mmdet' if panoptic else 'mmseg')
    torch.manual_seed(0)
    head = cfg.model.panoptic_head if panoptic else cfg.model.decode_head
    (cfg.model if panoptic else head).train_cfg.num_points = 256
    cfg.model.data_preprocessor.pop('size', None)
    if not panoptic:
        cfg.model.data_preprocessor.size_divisor = 32
    model = build_model(cfg)
    model.train()
    optim = dict(cfg.optim_wrapper, type='OptimWrapper')
    wrapper = build_optim_wrapper(model, optim)
    before = {
        k: v.clone() for k, v in model.state_dict().items() if 'cls_embed.weight' in k or 'ml_norm' in k
    }
    logs = model.train_step(batch(panoptic), wrapper)
    ranks = 'rankseg' in name
    assert torch.isfinite(logs['loss']) and any(k.endswith('loss_ml') for k in logs) == ranks
    after = model.state_dict()
    assert all(not torch.equal(after[k], v) for k, v in before.items())
    model.eval()
    with torch.no_grad():
        (sample,) = model.test_step(batch(panoptic, images=1))
    pred = sample.pred_sem_seg.sem_seg if panoptic else sample.pred_sem_seg.data
    assert pred.shape == (1, 60, 80)
    if ranks:
        assert sorted(sample.ranking.tolist()) == list(range(len(sample.ranking)))
    if '-gt' in name:
        assert set(pred.unique().tolist()) <= {0, 2, 13}


def test_the_ranking_head_learns_at_its_own_rate():
    name = 'maskformer2_swin_base_IN21k_384_bs16_160k_res640-rankseg_ade20k_sem'
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    init_default_scope('mmseg')
    with uninitialized():
        model = build_model(cfg)
    groups = build_optim_wrapper(model, dict(cfg.optim_wrapper, type='OptimWrapper')).param_groups
    rates = {id(p): (g['lr'], g['weight_decay']) for g in groups for p in g['params']}
    names = {id(p): n for n, p in model.named_parameters()}
    of = {name: rates[i] for i, name in names.items()}
    head = 'decode_head.rank_seg.ml_head.'
    assert of[head + 'block.mlp.fc1.weight'] == pytest.approx((1e-5, 0.05))
    assert of[head + 'cls_emb'] == of[head + 'norm.weight'] == pytest.approx((1e-5, 0.0))
    assert of['decode_head.rank_seg.ml_norm.weight'] == of['decode_head.query_feat.weight'] == (1e-4, 0.0)
    assert of['decode_head.cls_embed.weight'] == (1e-4, 0.05)
    assert of['backbone.patch_embed.projection.weight'] == pytest.approx((1e-5, 0.05))
