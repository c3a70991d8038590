"""Rules for detectron2's and Microsoft's keys, with state dicts made from the models' own."""

import re

import pytest
import torch
from mmdet.models.backbones import ResNet, SwinTransformer
from mmdet.models.backbones.swin import swin_converter
from torch import nn

from mmroad.converters import convert, mask2former


def model(backbone) -> nn.Module:
    holder = nn.Module()
    holder.backbone = backbone
    holder.other = nn.Linear(1, 1)
    return holder


def random_like(module: nn.Module) -> dict:
    g = torch.Generator().manual_seed(0)
    return {
        k: torch.randn(v.shape, generator=g) if v.is_floating_point() else v
        for k, v in module.state_dict().items()
    }


def detectron2_resnet(state: dict) -> dict:
    """mmdet's ResNet keys as detectron2 writes them, frozen BN's counters left out."""
    rules = [
        (r'^conv1\.', 'stem.conv1.'),
        (r'^bn1\.', 'stem.conv1.norm.'),
        *[(rf'^stem\.{3 * i - 3}\.', f'stem.conv{i}.') for i in (1, 2, 3)],
        *[(rf'^stem\.{3 * i - 2}\.', f'stem.conv{i}.norm.') for i in (1, 2, 3)],
        (r'^layer(\d)', lambda m: f'res{int(m[1]) + 1}'),
        (r'\.bn(\d)\.', r'.conv\1.norm.'),
        (r'downsample\.0\.', 'shortcut.'),
        (r'downsample\.1\.', 'shortcut.norm.'),
    ]
    out = {}
    for key, value in state.items():
        for regex, new in rules:
            key = re.sub(regex, new, key)
        if not key.endswith('num_batches_tracked'):
            out[key] = value
    return out


@pytest.mark.parametrize('kwargs', [dict(depth=50), dict(depth=101, deep_stem=True, stem_channels=128)])
def test_imagenet_resnet(kwargs):
    target = model(ResNet(**kwargs))
    state = random_like(target.backbone)
    published = detectron2_resnet(state)
    assert 'stem.conv1.norm.running_mean' in published and 'res2.0.shortcut.norm.weight' in published
    published |= {'stem.fc.weight': torch.ones(2), 'stem.fc.bias': torch.ones(2)}
    report = convert(published, 'imagenet', target)
    assert report.ok, report
    assert sorted(report.dropped) == ['backbone.stem.fc.bias', 'backbone.stem.fc.weight']
    assert all(k.endswith('num_batches_tracked') for k in report.supplied)
    for key, value in state.items():
        if not key.endswith('num_batches_tracked'):
            assert torch.equal(report.state_dict[f'backbone.{key}'], value), key


def test_imagenet_swin_is_as_mmdet_converts_it():
    target = model(SwinTransformer(embed_dims=8, depths=(1, 1, 2, 1), num_heads=(1, 2, 4, 8)))
    names = [
        (r'^stages\.', 'layers.'),
        (r'w_msa\.', ''),
        (r'ffn\.layers\.0\.0\.', 'mlp.fc1.'),
        (r'ffn\.layers\.1\.', 'mlp.fc2.'),
        (r'projection', 'proj'),
    ]
    published = {}
    for key, value in random_like(target.backbone).items():
        for regex, new in names:
            key = re.sub(regex, new, key)
        if not re.match(r'norm\d', key):
            published[key] = value
    published |= {'head.weight': torch.ones(1), 'norm.weight': torch.ones(1)}
    published |= {'layers.0.blocks.0.attn_mask': torch.ones(1)}
    report = convert(published, 'imagenet', target)
    assert report.ok, report
    assert sorted(report.supplied) == [f'backbone.norm{i}.{k}' for i in range(4) for k in ('bias', 'weight')]
    want = swin_converter({k: v for k, v in published.items() if k != 'layers.0.blocks.0.attn_mask'})
    for key in set(want) - {'backbone.norm.weight'}:
        assert torch.equal(report.state_dict[key], want[key]), key


def test_old_and_new_mask2former_keys_agree():
    new = {
        'sem_seg_head.pixel_decoder.adapter_1.weight': 'decode_head.pixel_decoder.lateral_convs.0.conv.weight',
        'sem_seg_head.pixel_decoder.layer_3.norm.bias': 'decode_head.pixel_decoder.output_convs.2.gn.bias',
        'sem_seg_head.pixel_decoder.mask_features.bias': 'decode_head.pixel_decoder.mask_feature.bias',
        'sem_seg_head.predictor.query_feat.weight': 'decode_head.query_feat.weight',
        'sem_seg_head.predictor.mask_embed.layers.2.bias': 'decode_head.mask_embed.4.bias',
    }
    values = {k: torch.tensor([float(i)]) for i, k in enumerate(new)}
    old = {
        k.replace('.pixel_decoder', '').replace('query_feat', 'static_query'): v for k, v in values.items()
    } | {'criterion.empty_weight': torch.ones(1)}
    for state in (values, old):
        assert convert(state, mask2former).state_dict == {new[k]: v for k, v in values.items()}
