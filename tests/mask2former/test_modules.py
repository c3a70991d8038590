import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

import mmroad.rba  # noqa: F401
from mmroad.mask2former import (
    Mask2FormerOptimWrapperConstructor,
    Mask2FormerPixelDecoder,
    Mask2FormerSemSegHead,
)
from mmroad.mask2former.head import sample_labels
from mmroad.zoo.configs import configs_folder


def pixel_decoder(levels: int, **kwargs) -> Mask2FormerPixelDecoder:
    layer = dict(
        self_attn_cfg=dict(embed_dims=32, num_heads=4, num_levels=levels, num_points=2, batch_first=True),
        ffn_cfg=dict(
            embed_dims=32, feedforward_channels=32, num_fcs=2, act_cfg=dict(type='ReLU', inplace=True)
        ),
    )
    return Mask2FormerPixelDecoder(
        in_channels=[4, 8, 16, 32],
        feat_channels=32,
        out_channels=32,
        num_outs=levels,
        encoder=ConfigDict(num_layers=1, layer_cfg=layer),
        positional_encoding=dict(num_feats=16, normalize=True),
        **kwargs,
    )


@pytest.mark.parametrize('levels', [1, 2, 3, 4])
def test_pixel_decoder_for_any_number_of_levels(levels):
    torch.manual_seed(0)
    decoder = pixel_decoder(levels).eval()
    decoder.init_weights()
    feats = [torch.randn(1, c, 64 // s, 96 // s) for c, s in zip((4, 8, 16, 32), (4, 8, 16, 32), strict=True)]
    with torch.no_grad():
        mask_features, outs = decoder(feats)
    sizes = [(2, 3), (4, 6), (8, 12), (16, 24)]
    assert [tuple(o.shape[-2:]) for o in outs] == sizes[:levels]
    assert mask_features.shape == (1, 32, 16, 24)
    # each FPN level adds its own backbone feature: by hand from the encoder's last output
    x = outs[-1]
    with torch.no_grad():
        for i in reversed(range(4 - levels)):
            lateral = decoder.lateral_convs[i](feats[i])
            up = nn.functional.interpolate(x, lateral.shape[-2:], mode='bilinear', align_corners=False)
            x = decoder.output_convs[i](lateral + up)
        torch.testing.assert_close(mask_features, decoder.mask_feature(x))


def test_pixel_decoder_stays_in_float32_under_autocast():
    decoder = pixel_decoder(1).eval()
    feats = [torch.randn(1, c, 64 // s, 64 // s) for c, s in zip((4, 8, 16, 32), (4, 8, 16, 32), strict=True)]
    with torch.no_grad():
        want, _ = decoder(feats)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            got, _ = decoder(feats)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, want)


def test_outliers_and_ignored_pixels_are_no_mask_targets():
    labels = torch.tensor([[0, 0, 3, 254], [255, 3, 18, 255]])[None]
    sample = SegDataSample(gt_sem_seg=PixelData(data=labels), metainfo=dict(img_shape=(2, 4)))
    empty = SegDataSample(gt_sem_seg=PixelData(data=torch.full_like(labels, 254)))
    head = Mask2FormerSemSegHead.__new__(Mask2FormerSemSegHead)
    nn.Module.__init__(head)
    head.num_classes, head.ignore_index = 19, 255
    (instances, none), _ = head._seg_data_to_instance_data([sample, empty])
    assert instances.labels.tolist() == [0, 3, 18]
    assert instances.masks.sum((1, 2)).tolist() == [2, 2, 1]
    assert none.labels.shape == (0,) and none.masks.shape == (0, 2, 4)
    head.ignore_index = 18
    assert head._seg_data_to_instance_data([sample])[0][0].labels.tolist() == [0, 3, 18]
    head.num_classes = 18
    assert head._seg_data_to_instance_data([sample])[0][0].labels.tolist() == [0, 3]


def test_labels_outside_the_classes_and_several_channels_are_refused_by_file():
    labels = torch.tensor([[0, 19, 254, 255], [-1, 40, 3, 2]])[None]
    sample = SegDataSample(gt_sem_seg=PixelData(data=labels), metainfo=dict(seg_map_path='a/b.png'))
    with pytest.raises(ValueError, match=r'a/b\.png: labels -1, 19, 40 are no class; the head has 19'):
        sample_labels(sample, 19)
    with pytest.raises(ValueError, match=r'labels -1, 19, 40, 254, 255 are no class'):
        sample_labels(sample, 19, ())
    for shape in ((3, 2, 4), (2, 4, 3), (2, 4)):
        data = torch.zeros(shape, dtype=torch.uint8)
        sample = SegDataSample(metainfo=dict(img_path='c.jpg'))
        sample.set_data(dict(gt_sem_seg=PixelData(data=data)))
        if data.ndim == 3:  # mmseg makes (1, H, W) of two dimensions
            with pytest.raises(
                ValueError, match=r'c\.jpg: the label map is \(\d, \d, \d\), expected \(1, height'
            ):
                sample_labels(sample, 19)
    labels, classes = sample_labels(SegDataSample(gt_sem_seg=PixelData(data=labels.clamp(0, 4))), 19)
    assert labels.shape == (2, 4) and classes.tolist() == [0, 2, 3, 4]


def head_config(**changes):
    cfg = Config.fromfile(configs_folder() / 'rba/rba_small_1dl_road_scenes.py')
    init_default_scope('mmseg')
    cfg.model.decode_head.update(changes)
    return cfg.model.decode_head


def test_another_number_of_classes_alone_is_refused_when_built():
    message = (
        r'RbAHead has 5 classes, but loss_cls.class_weight has 20 entries: .* such as \[1.0\] \* 5 \+ \[0.1\]'
    )
    with pytest.raises(ValueError, match=message):
        MODELS.build(head_config(num_classes=5))


def test_predictions_that_are_not_finite_are_named(monkeypatch):
    head = MODELS.build(head_config())
    g = torch.Generator().manual_seed(0)
    logits, masks = (
        torch.randn(s, generator=g) for s in ((2, head.num_queries, 20), (2, head.num_queries, 8, 12))
    )
    labels = torch.zeros(1, 32, 48, dtype=torch.int64)
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=labels), metainfo=dict(img_path=f'{name}.png'))
        for name in 'ab'
    ]
    targets = head._seg_data_to_instance_data(samples)
    losses = head.loss_by_feat([logits] * 2, [masks] * 2, *targets)
    assert all(value.isfinite() for value in losses.values())
    hub = MessageHub.get_instance('diverged')
    hub.update_info('iter', 41)
    hub.update_scalars({})
    monkeypatch.setattr(MessageHub, 'get_current_instance', lambda: hub)
    bad = masks.clone()
    bad[1, 3] = float('nan')
    with pytest.raises(ValueError, match=r'iteration 42: the predictions for b\.png are not finite') as told:
        head.loss_by_feat([logits] * 2, [masks, bad], *targets)
    assert "the head's weights are finite" in str(told.value) and 'since step' not in str(told.value)
    for value in (2.0, float('nan'), float('nan')):
        hub.update_scalar('train/loss', value)
    head.cls_embed.weight.data[0, 0] = float('nan')
    with pytest.raises(
        ValueError, match=r'weights \(cls_embed\.weight\): .* not finite since step 2 of this'
    ) as told:
        head.loss_by_feat([logits * float('inf')], [masks], *targets)
    assert 'a.png, b.png' in str(told.value) and 'lower learning rate' in str(told.value)
    with pytest.raises(ValueError, match='another'):  # what is wrong otherwise stays as it is
        monkeypatch.setattr(
            head.assigner, 'assign', lambda **kwargs: (_ for _ in ()).throw(ValueError('another'))
        )
        head.loss_by_feat([logits], [masks], *targets)


def test_parameter_groups():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
            self.head = nn.Sequential(nn.Linear(2, 2), nn.GroupNorm(1, 2), nn.Embedding(3, 2))
            self.frozen = nn.Linear(2, 2).requires_grad_(False)

    build = Mask2FormerOptimWrapperConstructor(
        dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05)),
        dict(backbone_lr_mult=0.1),
    )
    groups = build(Model()).optimizer.param_groups
    rates = {(round(g['lr'], 9), g['weight_decay']): sum(p.numel() for p in g['params']) for g in groups}
    assert rates == {(1e-5, 0.05): 6, (1e-5, 0.0): 4, (1e-4, 0.05): 6, (1e-4, 0.0): 10}
