"""Weights for models that nobody trained, so that outputs spread as a trained model's do: for tests and benchmarks."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

#: Last layers by the end of their names, and the mean and deviation that their outputs get.
SPREAD = (
    (('rpn_cls',), -2.0, 2.0),
    (('fc_cls', 'retina_cls', 'atss_cls', 'conv_cls', 'centernet_cls'), -4.0, 2.0),
    (('rpn_reg', 'fc_reg', 'retina_reg', 'atss_reg', 'conv_reg'), 0.0, 0.5),
    (('conv_centerness', 'atss_centerness'), 0.0, 1.0),
)


def make_up_weights(model: nn.Module, images: Tensor, seed: int = 0) -> nn.Module:
    """Initialise a model in place, give its normalisations the statistics of what passes them, and its last layers such
    weights that scores and boxes differ from place to place, as they do where something was learned.

    Args:
        images: Normalised images (B, 3, H, W), of which the statistics are.
        seed: Of the weights.
    """
    torch.manual_seed(seed)
    logging.disable(logging.WARNING)  # it would name every parameter
    try:
        model.init_weights()
    finally:
        logging.disable(logging.NOTSET)
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
    return model.eval()


def _spread(mean: float, deviation: float):
    done = []

    def hook(module: nn.Module, args: tuple, out: Tensor) -> Tensor | None:
        if done or out.numel() < 2:
            return None
        done.append(True)
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
