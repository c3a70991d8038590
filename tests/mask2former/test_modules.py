import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from mmroad.mask2former import (
    Mask2FormerOptimWrapperConstructor,
    Mask2FormerPixelDecoder,
    Mask2FormerSemSegHead,
)


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
    labels = torch.tensor([[0, 0, 3, 254], [255, 3, 18, 19]])[None]
    sample = SegDataSample(gt_sem_seg=PixelData(data=labels), metainfo=dict(img_shape=(2, 4)))
    empty = SegDataSample(gt_sem_seg=PixelData(data=torch.full_like(labels, 254)))
    head = Mask2FormerSemSegHead.__new__(Mask2FormerSemSegHead)
    nn.Module.__init__(head)
    head.num_classes = 19
    (instances, none), _ = head._seg_data_to_instance_data([sample, empty])
    assert instances.labels.tolist() == [0, 3, 18]
    assert instances.masks.sum((1, 2)).tolist() == [2, 2, 1]
    assert none.labels.shape == (0,) and none.masks.shape == (0, 2, 4)


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
