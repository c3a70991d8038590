"""Weights for models that nobody trained, so that outputs spread as a trained model's do: for tests and benchmarks."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

#: Last layers by the end of their names, and the mean and deviation that their outputs get. Regions are moved little:
#: what six stages move by much depends on the last digit of the first.
SPREAD = (
    (('rpn_cls',), -2.0, 2.0),
    (('fc_cls',), 0.0, 0.5),  # features of regions are alike: spread further, their rounding is
    (('retina_cls', 'atss_cls', 'conv_cls', 'centernet_cls'), -4.0, 2.0),
    (('rpn_reg', 'retina_reg', 'atss_reg'), 0.0, 0.5),
    (('conv_reg',), 2.0, 0.5),  # distances from a point to the sides
    (('fc_reg',), 0.0, 0.05),
    (('conv_centerness', 'atss_centerness'), 0.0, 1.0),
    (('conv_logits',), 0.0, 1.0),  # of masks
    (('conv_offset', 'spatial_conv_offset'), 0.0, 0.2),  # of deformable convolutions, which start from 0
)


def make_up_weights(model: nn.Module, images: Tensor, seed: int = 0) -> nn.Module:
    """Initialize a model in place, give its normalizations the statistics of what passes them, and its last layers such
    weights that scores and boxes differ from place to place, as they do where something was learned.

    Args:
        images: Normalized images (B, 3, H, W), of which the statistics are.
        seed: Of the weights.
    """
    torch.manual_seed(seed)
    logging.disable(logging.WARNING)  # it would name every parameter
    try:
        model.init_weights()
    finally:
        logging.disable(logging.NOTSET)
    # Blocks change little, as trained ones do: else a hundred of them amplify rounding.
    for module in model.modules():
        if type(module).__name__ in ('BasicBlock', 'Bottleneck'):
            last = module.norm3 if hasattr(module, 'norm3_name') else module.norm2
            nn.init.constant_(last.weight, 0.3)
        elif type(module).__name__ == 'PreActBlock':
            getattr(module, f'conv{module.num_convs}').weight.data *= 0.3
        elif type(module).__name__ == 'ContextBlock':
            nn.init.normal_(module.conv_mask.weight, std=0.01)  # else it looks at one pixel alone
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    for norm in norms:
        nn.Module.train(norm)
        norm.momentum = 1.0
    hooks = [
        module.register_forward_hook(_spread(mean, deviation))
        for names, mean, deviation in SPREAD
        for name, module in model.named_modules()
        if name.rpartition('.')[2] in names and hasattr(module, 'weight')
    ]
    try:
        with torch.no_grad():
            _run(model, images)
    finally:
        for hook in hooks:
            hook.remove()
        for norm in norms:
            norm.momentum = 0.1
            # of pooled maps two images are two numbers, which may be next to equal
            norm.running_var = torch.maximum(norm.running_var, norm.running_mean**2 / 100)
    for module in model.modules():
        if type(module).__name__ == 'LearnedTemperatureLinear':
            # about 0.05; an empty region's would be next to 0
            module.bn.weight.data.fill_(0.1)
            module.bn.bias.data.fill_(-3.0)
    return model.eval()


def _spread(mean: float, deviation: float):
    done = []

    def hook(module: nn.Module, args: tuple, out: Tensor) -> Tensor | None:
        if done or out.numel() < 2:
            return None
        done.append(True)
        if not module.weight.any():
            nn.init.normal_(module.weight, std=0.01)
            out = module(*args)
        axes = [0, 2, 3] if out.ndim == 4 else list(range(out.ndim - 1))
        factor = deviation / out.std(axes).clamp(min=1e-6)
        module.weight.data *= factor.view(-1, *[1] * (module.weight.ndim - 1))
        if module.bias is not None:
            module.bias.data = (module.bias.data - out.mean(axes)) * factor + mean
        return module(*args)

    return hook


def _run(model: nn.Module, images: Tensor) -> None:
    from mmdet.structures import DetDataSample
    from mmseg.structures import SegDataSample

    meta = dict(
        ori_shape=tuple(images.shape[2:]), img_shape=tuple(images.shape[2:]), scale_factor=(1.0, 1.0),
        batch_input_shape=tuple(images.shape[2:]), pad_shape=tuple(images.shape[2:]),
    )  # fmt: skip
    sample = SegDataSample if hasattr(model, 'decode_head') else DetDataSample
    model.predict(images, [sample(metainfo=dict(meta)) for _ in images])


def small_twin(cfg: Any, scale: tuple[int, int] = (160, 96)) -> Any:
    """A model's config with the same parts in small, for images of about ``scale`` (longest and shortest side): a
    backbone of few blocks and channels, narrow fully connected layers, no initial weights and no files of other data
    sets. Changes the config."""
    from ..zoo.models import single_dataset

    for step in single_dataset(cfg)['pipeline']:
        if step['type'].rpartition('.')[2] == 'Resize' and 'scale' in step:
            step['scale'] = scale
        elif step['type'].endswith('ResizeShortestEdge'):
            step.update(scale=min(scale), max_size=max(scale))
    without_files(cfg)
    model = cfg.model  # a config keeps a copy
    backbone, widths = model.get('backbone') or {}, None
    kind = backbone.get('type', '').rpartition('.')[2]
    if kind == 'ResNet' and backbone.get('num_stages', 4) == 4 and backbone['depth'] > 18:
        basic = not (backbone.get('dcn') or backbone.get('plugins'))  # these are parts of bottlenecks
        backbone.update(depth=18 if basic else 50, base_channels=16, frozen_stages=-1)
        widths = [16, 32, 64, 128] if basic else [64, 128, 256, 512]
    elif 'Swin' in kind:
        backbone.update(embed_dims=32, depths=[2, 2, 2, 2], num_heads=[2, 2, 4, 4])
        widths = [32, 64, 128, 256]
    elif 'ConvNeXt' in kind:
        widths = [16, 32, 64, 128]
        backbone['arch'] = dict(depths=[2, 2, 2, 2], channels=widths)
    elif kind == 'HRNet':
        widths = [8, 16, 32, 64]
        for i in (2, 3, 4):
            backbone['extra'][f'stage{i}'].update(num_modules=1, num_channels=widths[:i])
    elif kind.startswith('PyramidVision'):
        backbone['num_layers'] = [1, 1, 1, 1]
    elif kind == 'WideResNet38':
        backbone['width'] = 0.125
        model['decode_head']['in_channels'] = [16, 512]
    if widths is not None:
        for part in _parts(model):
            channels = part.get('in_channels')
            if part is not backbone and isinstance(channels, (list, tuple)) and len(channels) in (3, 4):
                part['in_channels'] = widths[-len(channels) :]
    for part in _parts(model):
        if part.get('type', '').endswith('MaskHead'):
            part.update(num_convs=1, conv_out_channels=32)
        if 'fc_out_channels' in part:
            part['fc_out_channels'] = 64
        if part.get('type') == 'DyHead':
            part['num_blocks'] = 2
        if part.get('type') == 'DynamicConv':
            part['feat_channels'] = 16
        if part.get('type') == 'DeticBBoxHead':
            part.update(num_classes=6, fc_out_channels=64 if part.get('num_shared_fcs', 2) else 1024)
        if part.get('type') == 'DeticDETRHead':
            part['num_classes'] = part['loss_cls']['num_classes'] = 6
    if 'num_queries' in model:
        model.num_queries = 100  # a small image has few places to take them from
    rpn = (model.get('test_cfg') or {}).get('rpn')
    if rpn is not None:  # a C4 has a whole stage of its backbone for each
        rpn.update(nms_pre=300, max_per_img=32 if model.roi_head.get('shared_head') else 200)
    if model['type'] == 'Detic':  # its classifier is not spread
        model.pop('dynamic_classifier', None)
        model.test_cfg.rcnn.score_thr = 1e-3
    return cfg


def without_files(cfg: Any) -> None:
    """A model's config without initial weights and vocabularies, which are files that may not be at hand."""
    from ..zoo.models import without_initial_weights

    cfg.model = without_initial_weights(cfg.model)
    for part in _parts(cfg.model):
        for key in ('image_counts', 'embeddings', 'vocabularies', 'class_names', 'vocabulary'):
            if isinstance(part.get(key), (str, dict)):
                part[key] = None


def _parts(node: Any) -> Iterator[dict]:
    if isinstance(node, Mapping):
        yield node
        for value in list(node.values()):
            yield from _parts(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _parts(value)


def made_up_model(cfg: Any, size: tuple[int, int], seed: int = 0) -> nn.Module:
    """A config's model with made-up weights (`make_up_weights`), for images of (height, width); an open vocabulary has
    six made-up classes."""
    from ..zoo.models import init_model
    from .write import example_images

    torch.manual_seed(seed)  # some weights are drawn when a part is built, and never again
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # it is untrained
        model = init_model(cfg, None, 'cpu')
    if hasattr(model, 'set_vocabulary'):
        from ..detic.vocabulary import Vocabulary

        torch.manual_seed(seed)
        width = model.roi_head.bbox_head[0].fc_cls.linear.out_features
        model.set_vocabulary(Vocabulary(tuple(f'class {i}' for i in range(6)), torch.randn(6, width)))
    elif not model.dataset_meta.get('classes'):
        model.dataset_meta = dict(classes=tuple(f'class {i}' for i in range(6)))
    images = torch.stack([torch.from_numpy(image) for image in example_images(size)])
    mean, std = model.data_preprocessor.mean, model.data_preprocessor.std
    return make_up_weights(model, (images.permute(0, 3, 1, 2) - mean) / std, seed)
