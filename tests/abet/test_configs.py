"""Every config of configs/abet: one real training step and one prediction on its own pipeline's output."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.utils import import_modules_from_strings
from PIL import Image

FOLDER = Path(__file__).parents[2] / 'configs/abet'
NAMES = sorted(p.stem for p in FOLDER.glob('*.py'))
HEAVY = [n for n in NAMES if 'road_scenes' not in n]


def load(name):
    cfg = Config.fromfile(FOLDER / f'{name}.py')
    import_modules_from_strings(**cfg.custom_imports)
    init_default_scope(cfg.default_scope)
    return cfg


def pipeline_of(dataset):
    while 'pipeline' not in dataset:
        dataset = dataset.get('dataset') or dataset['datasets'][0]
    return dataset['pipeline']


def packed(cfg, pipeline, tmp_path, size, n):
    """``n`` samples of random images through a pipeline, as a collated batch."""
    from mmengine.dataset import Compose, pseudo_collate

    is_det = cfg.default_scope == 'mmdet'
    rng = np.random.default_rng(0)
    run, items = Compose(pipeline), []
    for i in range(n):
        image, mask = tmp_path / f'{i}.jpg', tmp_path / f'{i}.png'
        Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)).save(image)
        of_outliers = any(t['type'] == 'LoadAnomalyMask' for t in pipeline)
        Image.fromarray(rng.integers(0, 2 if of_outliers else 10, size, dtype=np.uint8)).save(mask)
        info = dict(img_path=str(image), img_id=i, height=size[0], width=size[1], file_name=image.name)
        if is_det:
            h, w = size
            boxes = [[w * 0.1, h * 0.1, w * 0.5, h * 0.6], [w * 0.4, h * 0.3, w * 0.9, h * 0.9]]
            info['instances'] = [dict(bbox=box, bbox_label=k, ignore_flag=0) for k, box in enumerate(boxes)]
        else:
            info |= dict(seg_map_path=str(mask), seg_fields=[], label_map=None, reduce_zero_label=False)
            info['layout'] = 'masks'
        items.append(run(info))
    return pseudo_collate(items)


def shrink(pipeline, crop):
    """The pipeline with small crops and images."""
    out = []
    for t in pipeline:
        t = dict(t)
        if t['type'] == 'CentroidCrop':
            t['size'] = crop
        if t['type'] == 'RandomChoiceResize':
            t['scales'] = [(160, 96), (160, 128)]
        if t['type'] == 'Resize':
            t['scale'] = (160, 96)
        out.append(t)
    return out


def step_and_predict(name, tmp_path):
    cfg = load(name)
    if cfg.default_scope == 'mmdet':
        from mmdet.registry import MODELS
    else:
        from mmseg.registry import MODELS
    if 'init_cfg' in cfg.model.backbone:
        cfg.model.backbone.init_cfg = None
    model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(MODELS.build(cfg.model))
    from mmengine.model import revert_sync_batchnorm

    model = revert_sync_batchnorm(model)
    model.init_weights()
    torch.manual_seed(0)
    optim = dict(cfg.optim_wrapper, type='OptimWrapper')
    optim.pop('loss_scale', None)
    wrapper = build_optim_wrapper(model, optim)
    assert isinstance(wrapper, OptimWrapper)
    before = {k: v.clone() for k, v in model.named_parameters() if v.requires_grad and 'head' in k}
    train = shrink(pipeline_of(cfg.train_dataloader.dataset), (64, 64))
    losses = model.train().train_step(packed(cfg, train, tmp_path, (96, 160), 2), wrapper)
    assert all(torch.isfinite(v).all() for v in losses.values())
    assert any(not torch.equal(v, before[k]) for k, v in model.named_parameters() if k in before)
    test = shrink(pipeline_of(cfg.test_dataloader.dataset), None)
    with torch.no_grad():
        sample = model.eval().test_step(packed(cfg, test, tmp_path, (96, 160), 1))[0]
    if cfg.default_scope == 'mmdet':
        found = sample.pred_instances
        assert len(found.ood_scores) == len(found.scores) == len(found.bboxes)
        assert found.ood_scores.isfinite().all()
        temperature = [m for m in model.modules() if type(m).__name__ == 'LearnedTemperatureLinear']
    else:
        assert sample.pred_sem_seg.data.shape == sample.anomaly_map.data.shape == (1, 96, 160)
        assert sample.anomaly_map.data.isfinite().all()
        assert sample.pred_sem_seg.data.max() < cfg.model.decode_head.num_classes
        assert ('abet' in sample.anomaly_map) == name.startswith('abet')
        temperature = [m for m in model.modules() if type(m).__name__ == 'LearnedTemperature']
    assert bool(temperature) == name.startswith('abet')


@pytest.mark.parametrize('name', [n for n in NAMES if n not in HEAVY])
def test_small_configs_train_and_predict(name, tmp_path):
    step_and_predict(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('name', HEAVY)
def test_configs_train_and_predict(name, tmp_path):
    step_and_predict(name, tmp_path)


@pytest.mark.parametrize('name', [n for n in NAMES if n.startswith('abet_')])
def test_twins_differ_in_the_temperature_only(name):
    twin = FOLDER / f'{name.removeprefix("abet_")}.py'
    if not twin.is_file():
        pytest.skip('it has no baseline')
    ours, plain = load(name), load(twin.stem)
    keys = ['train_dataloader', 'val_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg']
    assert all(ours[k] == plain[k] for k in keys)
    if ours.default_scope == 'mmseg':
        head = dict(ours.model.decode_head)
        assert head.pop('temperature') == dict(type='LearnedTemperature') and head == plain.model.decode_head
    else:
        head = dict(ours.model.roi_head.bbox_head)
        assert head.pop('temperature') == dict(type='LearnedTemperatureLinear')
        assert head == plain.model.roi_head.bbox_head


def test_detectron2s_detector_fits_the_shipped_config():
    from mmroad.converters import abet_det, build, convert

    model = build(FOLDER / 'abet_faster-rcnn_r50_fpn_voc.py')
    source = detectron2_keys(model.state_dict())
    report = convert(source, abet_det, model)
    assert report.ok, str(report)
    for ours, theirs in (
        ('neck.lateral_convs.3.conv.weight', 'backbone.fpn_lateral5.weight'),
        ('backbone.layer2.0.downsample.1.bias', 'backbone.bottom_up.res3.0.shortcut.norm.bias'),
        ('rpn_head.rpn_reg.weight', 'proposal_generator.rpn_head.anchor_deltas.weight'),
        ('roi_head.bbox_head.fc_cls.cosine.weight', 'roi_heads.box_predictor.h.h.weight'),
    ):
        assert torch.equal(report.state_dict[ours], source[theirs])


def detectron2_keys(state):
    """The keys of detectron2's R50-FPN (as its own model lists them) with this model's shapes."""
    shapes = {k: v.shape for k, v in state.items()}
    names = {'backbone.conv1.weight': 'stem.conv1.weight'}
    for key in [k for k in shapes if k.startswith('backbone.') and 'num_batches' not in k]:
        part = key.split('.')
        if part[1] == 'bn1':
            names[key] = f'stem.conv1.norm.{part[2]}'
        elif part[1].startswith('layer'):
            stage, block = f'res{int(part[1][-1]) + 1}', part[2]
            if part[3] == 'downsample':
                names[key] = f'{stage}.{block}.shortcut.{"norm." if part[4] == "1" else ""}{part[5]}'
            else:
                names[key] = (
                    f'{stage}.{block}.conv{part[3][-1]}.{"norm." if part[3][:2] == "bn" else ""}{part[4]}'
                )
    keys = {ours: f'backbone.bottom_up.{theirs}' for ours, theirs in names.items()}
    for i in range(4):
        for leaf in ('weight', 'bias'):
            keys[f'neck.lateral_convs.{i}.conv.{leaf}'] = f'backbone.fpn_lateral{i + 2}.{leaf}'
            keys[f'neck.fpn_convs.{i}.conv.{leaf}'] = f'backbone.fpn_output{i + 2}.{leaf}'
    heads = dict(
        rpn_conv='proposal_generator.rpn_head.conv',
        rpn_cls='proposal_generator.rpn_head.objectness_logits',
        rpn_reg='proposal_generator.rpn_head.anchor_deltas',
    )
    for leaf in ('weight', 'bias'):
        keys |= {f'rpn_head.{ours}.{leaf}': f'{theirs}.{leaf}' for ours, theirs in heads.items()}
        for i in (0, 1):
            keys[f'roi_head.bbox_head.shared_fcs.{i}.{leaf}'] = f'roi_heads.box_head.fc{i + 1}.{leaf}'
        keys[f'roi_head.bbox_head.fc_reg.{leaf}'] = f'roi_heads.box_predictor.bbox_pred.{leaf}'
        keys[f'roi_head.bbox_head.fc_cls.linear.{leaf}'] = f'roi_heads.box_predictor.temperature.0.{leaf}'
    for leaf in ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'):
        keys[f'roi_head.bbox_head.fc_cls.bn.{leaf}'] = f'roi_heads.box_predictor.temperature.1.{leaf}'
    keys['roi_head.bbox_head.fc_cls.cosine.weight'] = 'roi_heads.box_predictor.h.h.weight'
    source = {theirs: torch.randn(shapes[ours]) for ours, theirs in keys.items()}
    classes = source['roi_heads.box_predictor.h.h.weight']
    source |= {
        'roi_heads.box_predictor.h.h.bias': torch.zeros(len(classes)),
        'roi_heads.box_predictor.cls_score.weight': classes,
        'roi_heads.box_predictor.cls_score.bias': torch.zeros(len(classes)),
        'pixel_mean': torch.zeros(3, 1, 1),
        'proposal_generator.anchor_generator.cell_anchors.0': torch.zeros(3, 4),
    }
    return source


def test_imagenet_trunk_fits_the_first_stage():
    from mmseg.registry import MODELS

    from mmroad.converters import convert, wrn38

    init_default_scope('mmseg')
    model = torch.nn.Module()
    model.backbone = MODELS.build(dict(type='WideResNet38', width=0.0625))
    source = {}
    for key, value in model.state_dict().items():
        if key == 'backbone.stem.weight':
            source['module.mod1.conv1.weight'] = value
            continue
        _, stage, block, layer, *leaf = key.split('.')
        name = f'module.mod{stage[-1]}.block{int(block) + 1}.'
        if layer == 'norm1':
            name += 'bn1.0.'
        elif layer.startswith('norm'):
            name += f'convs.bn{layer[-1]}.0.'
        else:
            name += 'proj_conv.' if layer == 'downsample' else f'convs.{layer}.'
        source[name + leaf[0]] = value
    source |= {'module.bn_out.0.weight': torch.zeros(1), 'module.classifier.fc.weight': torch.zeros(1)}
    report = convert(source, wrn38, model)
    assert report.ok and sorted(report.dropped) == ['module.bn_out.0.weight', 'module.classifier.fc.weight']
    assert not report.supplied
