"""Parameters and multiply-adds of a config's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .models import build_model

if TYPE_CHECKING:
    from mmengine.config import Config


class Counted(NamedTuple):
    parameters: int
    multiply_adds: int  #: of one image; of detectors the network only (no proposals' selection, NMS)
    height: int
    width: int  #: of the padded input


def count(cfg: Config, shape: tuple[int, int]) -> Counted:
    """Count a model at one image of ``shape`` (rows, columns), padded as its preprocessor pads.

    Multiply-adds are torch's own count (``FlopCounterMode``: convolutions, matrix products, attention)
    of the network on random weights, halved: torch counts a multiply-add as two. mmcv's deformable
    convolutions are added as convolutions, without their sampling.
    """
    import torch
    from mmcv.ops import DeformConv2d, ModulatedDeformConv2d
    from mmengine.structures import InstanceData
    from torch.utils.flop_counter import FlopCounterMode

    model = build_model(cfg).eval()
    model.init_weights()  # learned proposals must be boxes
    divisor = getattr(model.data_preprocessor, 'pad_size_divisor', 1)
    height, width = (-(-n // divisor) * divisor for n in shape)
    inputs = torch.zeros(1, 3, height, width)
    meta = dict(
        img_shape=shape, ori_shape=shape, pad_shape=(height, width), batch_input_shape=(height, width)
    )
    if cfg.get('default_scope', 'mmdet') == 'mmdet':
        from mmdet.structures import DetDataSample as Sample

        mode = 'tensor'
    else:  # heads of queries make their map in ``predict`` alone
        from mmseg.structures import SegDataSample as Sample

        mode = 'predict'
    sample = Sample(metainfo=dict(meta, scale_factor=(1.0, 1.0), img_id=0))
    if mode == 'tensor':  # some detectors look at it even so
        sample.gt_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    deformable = []
    for module in model.modules():
        if isinstance(module, (DeformConv2d, ModulatedDeformConv2d)):
            module.register_forward_hook(
                lambda conv, _, out: deformable.append(conv.weight[0].numel() * out.numel())
            )
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(inputs, [sample], mode=mode)
    parameters = sum(p.numel() for p in model.parameters())
    return Counted(parameters, counter.get_total_flops() // 2 + sum(deformable), height, width)
