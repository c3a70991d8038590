"""Initial weights of ImageNet-21k, named classes in converted checkpoints, the ViLD-style baseline."""

import re

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

import mmroad.converters.detic
import mmroad.detic  # noqa: F401 (registers)
from mmroad.converters import convert, convert_file
from mmroad.detic.make_vocabulary import make_vocabulary
from mmroad.detic.vocabulary import classifier_matrix, read_names
from mmroad.zoo.configs import get_config
from mmroad.zoo.models import build_model, uninitialized


def published(backbone, rules):
    """A backbone's own state dict under published names."""
    out = {}
    for key, value in backbone.state_dict().items():
        for regex, new in rules:
            key = re.sub(regex, new, key)
        out[key] = torch.full(value.shape, float(len(out) % 7)) if value.is_floating_point() else value
    return out


CONVNEXT = [(r'depthwise_conv', 'dwconv'), (r'pointwise_conv', 'pwconv')]
SWIN = [
    (r'^stages', 'layers'),
    (r'attn\.w_msa', 'attn'),
    (r'ffn\.layers\.0\.0', 'mlp.fc1'),
    (r'ffn\.layers\.1', 'mlp.fc2'),
    (r'patch_embed\.projection', 'patch_embed.proj'),
    (r'^norm\d\..*', 'gone'),
]


@pytest.mark.parametrize(
    ('config', 'rules', 'head'),
    [
        ('BoxSup-C2_L_CLIP_R5021k_640b64_4x', [], ['fc.weight', 'fc.bias']),
        ('BoxSup-C2_LCOCO_CLIP_CXT21k_640b32_4x', CONVNEXT, ['norm.weight', 'norm.bias', 'head.weight']),
        ('BoxSup-C2_L_CLIP_SwinB_896b32_4x', SWIN, ['norm.weight', 'norm.bias', 'head.weight']),
    ],
)
def test_imagenet_21k_weights_fit_with_nothing_left_over(config, rules, head):
    if 'CXT' in config:
        pytest.importorskip('mmpretrain')
    with uninitialized():
        model = build_model(get_config(config))
    state = published(model.backbone, rules)
    state.pop('gone', None)
    report = convert({**state, **{k: torch.ones(3) for k in head}}, 'imagenet', model)
    assert report.ok, str(report)
    assert sorted(report.dropped) == sorted(f'backbone.{k}' for k in head)
    assert all(k.startswith('backbone.') for k in report.state_dict)


def test_converted_checkpoints_name_their_classes(tmp_path, monkeypatch):
    config = get_config('BoxSup_OVCOCO_CLIP_R50_1x')
    config.model.roi_head.bbox_head.num_classes = 80
    model = build_model(config)
    matrix = classifier_matrix(torch.randn(80, 512))
    model.roi_head.set_classifier(matrix)
    torch.save(model.state_dict(), tmp_path / 'in.pth')
    monkeypatch.setattr(mmroad.converters.detic, 'RULES', [])  # the keys are ours already
    convert_file('detic', tmp_path / 'in.pth', tmp_path / 'out.pth', 'BoxSup_OVCOCO_CLIP_R50_1x')
    meta = torch.load(tmp_path / 'out.pth', weights_only=True)['meta']
    assert meta['dataset_meta']['classes'] == read_names('coco')
    made, _ = make_vocabulary('pedestrian=person,zebra', [str(tmp_path / 'out.pth')])
    zebra = read_names('coco').index('zebra')
    assert made.embeddings.allclose(matrix[:, [0, zebra]].t(), atol=1e-6)
    (tmp_path / 'names.txt').write_text('\n'.join(f'c{i}' for i in range(79)))
    with pytest.raises(ValueError, match='79 class names for a classifier of 80'):
        convert_file(
            'detic',
            tmp_path / 'in.pth',
            tmp_path / 'out.pth',
            'BoxSup_OVCOCO_CLIP_R50_1x',
            tmp_path / 'names.txt',
        )


def test_vild_style_baseline_trains(tmp_path):
    np.save(tmp_path / 'e.npy', np.random.default_rng(0).normal(size=(4, 512)))
    cfg = get_config('BoxSup_ViLD_200e')
    cfg.merge_from_dict(
        {
            'model.backbone.depth': 18,
            'model.neck.in_channels': [64, 128, 256, 512],
            'model.roi_head.bbox_head.num_classes': 4,
            'model.roi_head.bbox_head.fc_out_channels': 16,
            'model.roi_head.bbox_head.classifier.embeddings': str(tmp_path / 'e.npy'),
            'model.roi_head.bbox_head.image_counts': None,
            'model.train_cfg.rcnn.num': 16,
        }
    )
    text = cfg.model.to_dict()
    cfg.model = Config(_plain(text))._cfg_dict
    init_default_scope('mmdet')
    model = build_model(cfg)
    model.init_weights()
    model.train()
    sample = DetDataSample(
        metainfo=dict(img_shape=(64, 96), ori_shape=(64, 96), pad_shape=(64, 96), batch_input_shape=(64, 96))
    )
    masks = np.zeros((1, 64, 96), np.uint8)
    masks[0, 8:40, 8:56] = 1
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor([[8.0, 8, 56, 40]]), labels=torch.tensor([2]), masks=BitmapMasks(masks, 64, 96)
    )
    loss, logged = model.parse_losses(model(torch.randn(1, 3, 64, 96), [sample], mode='loss'))
    assert {'s0.loss_cls', 'loss_mask', 'loss_rpn_cls'} <= set(logged) and torch.isfinite(loss)
    loss.backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def _plain(node):
    if isinstance(node, dict):
        return {k: 'BN' if (k, v) == ('type', 'SyncBN') else _plain(v) for k, v in node.items()}
    return [_plain(v) for v in node] if isinstance(node, list) else node
