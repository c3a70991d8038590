"""The mixin on mmseg's, mmdet's and the video track head, small ones."""

import numpy as np
import pytest
import torch
from mmdet.models.dense_heads import Mask2FormerHead as DetHead
from mmdet.models.tracking_heads import Mask2FormerTrackHead
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from mmseg.models.decode_heads import Mask2FormerHead as SegHead
from mmseg.structures import SegDataSample

import mmroad.mask2former  # noqa: F401 (registers the pixel decoder)
from mmroad.rankseg import RankSegMixin

CLASSES, QUERIES = 6, 8


class Seg(RankSegMixin, SegHead):
    pass


class Det(RankSegMixin, DetHead):
    pass


class Track(RankSegMixin, Mask2FormerTrackHead):
    pass


def head(kind, rank_layer=1, **rank_seg):
    torch.manual_seed(0)
    attention = dict(embed_dims=16, num_heads=2, batch_first=True)
    ffn = dict(embed_dims=16, feedforward_channels=32, num_fcs=2, act_cfg=dict(type='ReLU', inplace=True))
    layer = dict(self_attn_cfg=attention, cross_attn_cfg=attention, ffn_cfg=ffn)
    deformable = dict(embed_dims=16, num_heads=2, num_levels=1, num_points=2, batch_first=True)
    if kind is Det:
        sizes = dict(num_things_classes=4, num_stuff_classes=2)
    else:
        sizes = dict(num_classes=CLASSES)
    position = dict(num_feats=8, normalize=True)
    video = dict(type='mmdet.SinePositionalEncoding3D', **position)
    if not rank_seg.get('oracle'):
        rank_seg['head'] = dict(embed_dims=16, num_heads=2, feedforward_channels=32)
    model = kind(
        **sizes,
        in_channels=[4, 8, 16, 32],
        feat_channels=16,
        out_channels=16,
        num_queries=QUERIES,
        num_transformer_feat_level=1,
        pixel_decoder=ConfigDict(
            type='mmdet.Mask2FormerPixelDecoder',
            num_outs=1,
            norm_cfg=dict(type='GN', num_groups=4),
            encoder=dict(num_layers=1, layer_cfg=dict(self_attn_cfg=deformable, ffn_cfg=ffn)),
            positional_encoding=position,
        ),
        positional_encoding=video if kind is Track else position,
        transformer_decoder=ConfigDict(return_intermediate=True, num_layers=2, layer_cfg=layer),
        loss_cls=ConfigDict(
            type='mmdet.CrossEntropyLoss', loss_weight=2.0, class_weight=[1.0] * CLASSES + [0.1]
        ),
        loss_mask=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, loss_weight=5.0),
        loss_dice=dict(
            type='mmdet.DiceLoss', use_sigmoid=True, activate=True, naive_dice=True, eps=1.0, loss_weight=5.0
        ),
        train_cfg=ConfigDict(
            num_points=64,
            assigner=dict(
                type='mmdet.HungarianAssigner',
                match_costs=[
                    dict(type='mmdet.ClassificationCost', weight=2.0),
                    dict(type='mmdet.CrossEntropyLossCost', weight=5.0, use_sigmoid=True),
                    dict(type='mmdet.DiceCost', weight=5.0, pred_act=True, eps=1.0),
                ],
            ),
            sampler=dict(type='mmdet.MaskPseudoSampler'),
        ),
        rank_seg=rank_seg,
        rank_layer=rank_layer,
    )
    model.init_weights()
    return model.eval()


def feats(batch):
    g = torch.Generator().manual_seed(1)
    return [
        torch.randn(batch, c, 64 // s, 96 // s, generator=g) for c, s in zip((4, 8, 16, 32), (4, 8, 16, 32))
    ]


def samples(batch, **meta):
    return [SegDataSample(metainfo=dict(img_shape=(64, 96), **meta)) for _ in range(batch)]


@pytest.mark.parametrize('kind', [Seg, Det, Track])
@pytest.mark.parametrize('top_k', [CLASSES, 3])
def test_logits_of_every_layer_are_reranked_by_the_queries_after_one(kind, top_k):
    model = head(kind, top_k=top_k)
    seen = []
    model.rank_seg.ml_head.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    raw = []
    model.cls_embed.register_forward_hook(lambda _, args, out: raw.append((args[0], out)))
    with torch.no_grad():
        logits, masks = model(feats(1), samples(1))
        normed = model.transformer_decoder.post_norm(seen[0])
    assert len(logits) == len(masks) == len(raw) == 3
    torch.testing.assert_close(normed, raw[1][0])  # the queries after the first layer, before their norm
    weight = model.cls_embed.weight
    for (queries, cosines), got in zip(raw, logits, strict=True):
        want = torch.nn.functional.cosine_similarity(queries[:, :, None], weight, dim=-1)
        torch.testing.assert_close(cosines, want)
        torch.testing.assert_close(got, model.rank_seg.rerank(cosines, model.rank_index))
        assert ((got == -100).sum(-1) == CLASSES - top_k).all()


def instances(labels):
    g = torch.Generator().manual_seed(len(labels))
    masks = (torch.rand(len(labels), 64, 96, generator=g) > 0.6).long()
    return InstanceData(labels=torch.tensor(labels, dtype=torch.long), masks=masks)


def losses(model, rows=slice(None), labels=((0, 2, 4), (1, 5))):
    targets = [instances(list(x)) for x in labels][rows]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        logits, masks = model([x[rows] for x in feats(2)], samples(len(targets)))
        return model.loss_by_feat(logits, masks, targets, [{} for _ in targets]), logits


def test_two_images_are_twice_one():
    model = head(Seg)
    both, logits = losses(model)
    alone = [losses(model, slice(i, i + 1)) for i in (0, 1)]
    for i, (_, got) in enumerate(alone):
        for layer in range(3):
            torch.testing.assert_close(logits[layer][i : i + 1], got[layer], atol=2e-5, rtol=1e-4)
    mean = (alone[0][0]['loss_ml'] + alone[1][0]['loss_ml']) / 2
    torch.testing.assert_close(both['loss_ml'], mean)
    # class losses are means weighted by the images' weights: matched queries 1, others 0.1
    weights = [n + 0.1 * (QUERIES - n) for n in (3, 2)]
    want = sum(w * one[0]['loss_cls'] for w, one in zip(weights, alone)) / sum(weights)
    torch.testing.assert_close(both['loss_cls'], want)


def test_targets_outside_the_best_are_dropped_and_not_counted():
    model, every = head(Seg, top_k=3), head(Seg, top_k=3)
    seen = []
    model.assigner = Recorder(model.assigner, seen)
    got, _ = losses(model)
    kept = [set(row.tolist()) for row in model.rank_index]
    wanted = [[c for c in labels if c in row] for labels, row in zip(((0, 2, 4), (1, 5)), kept)]
    assert sum(map(len, wanted)) < 5, 'the case should drop something'
    assert [gt.tolist() for gt in seen[:2]] == wanted
    # the multi-label loss still knows all classes
    torch.testing.assert_close(got['loss_ml'], losses(every)[0]['loss_ml'])
    sum(got.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert model.rank_seg.ml_norm.weight.grad.abs().sum() > 0


class Recorder:
    def __init__(self, assigner, seen):
        self.assigner, self.seen = assigner, seen

    def assign(self, pred_instances, gt_instances, **kwargs):
        self.seen.append(gt_instances.labels)
        return self.assigner.assign(pred_instances, gt_instances, **kwargs)


def test_no_target_left():
    model = head(Seg, top_k=1)
    best = losses(model)[1] and model.rank_index[:, 0].tolist()
    got, _ = losses(model, labels=[[c for c in range(CLASSES) if c != b][:2] for b in best])
    assert got['loss_mask'] == got['loss_dice'] * 0 and torch.isfinite(sum(got.values()))


@pytest.mark.parametrize('kind', [Seg, Det])
def test_oracle_needs_the_recorded_classes_in_prediction_only(kind):
    model = head(kind, oracle=True)
    assert model.cls_embed.bias is not None and not list(model.rank_seg.parameters())
    with pytest.raises(ValueError, match='RecordClasses'), torch.no_grad():
        model(feats(1), samples(1))
    with torch.no_grad():
        logits, _ = model(feats(1), samples(1, gt_classes=[1, 5]))
    absent = logits[-1][0, :, [0, 2, 3, 4]]
    assert (absent == -100).all() and (logits[-1][0, :, [1, 5, 6]] > -100).all()
    assert (logits[0] > -100).all()
    model.train()
    train_logits, masks = model(feats(1), samples(1))
    assert (train_logits[-1] > -100).all()
    found = model.loss_by_feat(train_logits, masks, [instances([1, 5])], [{}])
    assert 'loss_ml' not in found and found['loss_cls'] < 100


def test_rank_layer_must_exist():
    with pytest.raises(ValueError, match='rank_layer is 3, but the decoder has 2 layers'):
        head(Seg, rank_layer=3)


def test_mixed_precision_keeps_ranking_and_norms_in_float32():
    model = head(Seg, top_k=3)
    with torch.autocast('cpu', dtype=torch.bfloat16), torch.no_grad():
        logits, _ = model(feats(1), samples(1))
    assert model.ml_logits.dtype == torch.float32
    assert all(x.dtype == torch.float32 and torch.isfinite(x).all() for x in logits)


def test_recorded_classes_must_be_the_heads():
    """Of an image's label map or of another data set's."""
    from mmroad.rankseg import RecordClasses

    model = head(Seg)
    metas = [dict(img_path='a.jpg', gt_classes=[0, 2]), dict(img_path='b.jpg', gt_classes=[1, CLASSES, 254])]
    with pytest.raises(ValueError, match=f'b.jpg: gt_classes has {CLASSES}, 254, but the head has {CLASSES}'):
        model.target_classes([instances([0]), instances([1])], metas)
    with pytest.raises(ValueError, match=f'b.jpg: gt_classes has {CLASSES}, 254'):
        model.recorded_classes([SegDataSample(metainfo=meta) for meta in metas])
    labels = np.array([[2, 255], [0, 2]])
    assert RecordClasses()(dict(gt_seg_map=labels))['gt_classes'] == [0, 2]
    with pytest.raises(ValueError, match=r'c.png: \(2, 2, 3\), expected \(H, W\)'):
        RecordClasses()(dict(gt_seg_map=np.stack([labels] * 3, 2), seg_map_path='c.png'))
