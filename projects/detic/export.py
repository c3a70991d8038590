"""ONNX export of CenterNet2 models with a fixed vocabulary.

mmcv's RoIAlign and NMS are written as ONNX's own ``RoiAlign`` (half pixels, adaptive sampling) and
``NonMaxSuppression``, so the file runs without custom operators (opset 16).
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from pathlib import Path

import torch
from mmcv.ops import nms, roi_align
from torch import Tensor, nn

from ..files import replacing

OPSET = 16


class _RoIAlign(torch.autograd.Function):
    """RoIAlign of the boxes (n, 4) of one image."""

    @staticmethod
    def forward(ctx, x: Tensor, boxes: Tensor, size: int, scale: float) -> Tensor:
        rois = torch.cat([boxes.new_zeros(len(boxes), 1), boxes], 1)
        return roi_align(x, rois, (size, size), scale, 0, 'avg', True)

    @staticmethod
    def symbolic(g, x, boxes, size: int, scale: float):
        count = g.op('Shape', boxes, end_i=1)
        image = g.op('ConstantOfShape', count, value_t=torch.zeros(1, dtype=torch.long))
        return g.op(
            'RoiAlign', x, boxes, image, coordinate_transformation_mode_s='half_pixel', mode_s='avg',
            output_height_i=size, output_width_i=size, sampling_ratio_i=0, spatial_scale_f=scale,
        )  # fmt: skip


class _NMS(torch.autograd.Function):
    """(m, 2) class and box of what NMS within each class keeps; boxes (n, 4), scores (C, n)."""

    @staticmethod
    def forward(ctx, boxes: Tensor, scores: Tensor, most: int, iou: float, threshold: float) -> Tensor:
        kept = []
        # While the graph is traced the values do not matter, and every step of this loop would be recorded.
        for c in range(1 if torch.jit.is_tracing() else len(scores)):
            index = (scores[c] > threshold).nonzero()[:, 0]
            if len(index):
                keep = nms(boxes[index], scores[c][index], iou)[1][:most]
                kept.append(torch.stack([torch.full_like(keep, c), index[keep]], 1))
        return torch.cat(kept) if kept else torch.zeros(0, 2, dtype=torch.long)

    @staticmethod
    def symbolic(g, boxes, scores, most: int, iou: float, threshold: float):
        axis = g.op('Constant', value_t=torch.tensor([0]))
        limits = [
            g.op('Constant', value_t=torch.tensor(v))
            for v in (torch.tensor([most]), torch.tensor([iou]), torch.tensor([threshold]))
        ]
        batch = [g.op('Unsqueeze', t, axis) for t in (boxes, scores)]
        found = g.op('NonMaxSuppression', *batch, *limits)
        first, last, axes = (g.op('Constant', value_t=torch.tensor([v])) for v in (1, 3, 1))
        return g.op('Slice', found, first, last, axes)


class ExportedC2(nn.Module):
    """A CenterNet2 model as one graph, for one image of a fixed size.

    Args:
        model: A ``Detic`` model with CenterNet proposals and a cascade, in evaluation mode; its vocabulary
            (``set_vocabulary`` first) becomes a constant matrix.
        size: Height and width of the input, multiples of 32.
        masks: Add the masks.
    """

    def __init__(self, model: nn.Module, size: tuple[int, int], masks: bool = True) -> None:
        super().__init__()
        if not hasattr(model, 'roi_head') or not model.roi_head.proposal_score:
            raise ValueError('only CenterNet2 models can be exported (not C4 and not Deformable DETR)')
        if any(side % 32 for side in size):
            raise ValueError(f'height and width must be multiples of 32, not {size}')
        self.model, self.size = model, size
        self.masks = masks and model.roi_head.with_mask
        preprocessor = model.data_preprocessor
        self.register_buffer('mean', preprocessor.mean.view(1, 3, 1, 1))
        self.register_buffer('std', preprocessor.std.view(1, 3, 1, 1))

    def forward(self, image: Tensor, valid: Tensor) -> tuple[Tensor, ...]:
        """Detections, best first.

        Args:
            image: (1, 3, H, W) BGR, 0..255, zero below and right of the picture.
            valid: (2,) height and width of the picture in it, float.

        Returns:
            boxes (n, 4) in pixels of the input, scores (n,), labels (n,) and, with masks, probabilities
            (n, 28, 28) over each box.
        """
        inside = (torch.arange(self.size[0])[:, None] < valid[0]) & (torch.arange(self.size[1]) < valid[1])
        image = (image[:, [2, 1, 0]] - self.mean) / self.std * inside
        x = self.model.neck(self.model.backbone(image))
        boxes, proposal_scores = self.proposals(x)
        boxes, scores = self.cascade(x, boxes, proposal_scores, valid)
        cfg = self.model.roi_head.test_cfg
        kept = _NMS.apply(
            boxes, scores.t(), int(cfg.max_per_img), float(cfg.nms['iou_threshold']), float(cfg.score_thr)
        )
        labels, index = kept[:, 0], kept[:, 1]
        best, order = scores[index, labels].sort(descending=True)
        best, order = best[: cfg.max_per_img], order[: cfg.max_per_img]
        boxes, labels = boxes[index[order]], labels[order]
        whole = ((boxes[:, 2:] - boxes[:, :2]).amin(1) > 0).nonzero()[:, 0]  # those without area are dropped
        boxes, best, labels = boxes[whole], best[whole], labels[whole]
        if not self.masks:
            return boxes, best, labels
        pooled = self.pool(x, boxes, self.model.roi_head.mask_roi_extractor)
        return boxes, best, labels, self.model.roi_head.mask_head(pooled)[:, 0].sigmoid()

    def proposals(self, x: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Boxes (n, 4) and scores (n,)."""
        head = self.model.rpn_head
        cfg = head.test_cfg
        boxes, scores = [], []
        heatmaps, distances = head(x)
        for heatmap, distance, grid, stride in zip(
            heatmaps, distances, head.grids(heatmaps), head.strides, strict=True
        ):
            score, index = heatmap.flatten().sigmoid().topk(min(cfg['nms_pre'], heatmap.numel()))
            ltrb = distance.flatten(1).reshape(4, -1).t()[index] * stride
            low, high = grid[index] - ltrb[:, :2], grid[index] + ltrb[:, 2:]
            boxes.append(torch.cat([low, torch.maximum(high, low + 0.01)], 1))
            scores.append(score)
        box, score = torch.cat(boxes), torch.cat(scores)
        kept = _NMS.apply(
            box, score[None], cfg['max_per_img'], float(cfg['nms']['iou_threshold']), float(cfg['score_thr'])
        )[:, 1]
        return box[kept], score[kept].sqrt()

    def cascade(
        self, x: tuple[Tensor, ...], boxes: Tensor, proposal_scores: Tensor, valid: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Last-stage boxes and fused scores (n, C)."""
        roi_head = self.model.roi_head
        total: Tensor | float = 0.0
        for head in roi_head.bbox_head:
            feature = head.features(self.pool(x, boxes, roi_head.bbox_roi_extractor))
            total = total + head.fc_cls(feature)[:, :-1].sigmoid()
            boxes = decode(boxes, head.fc_reg(feature), head.bbox_coder.stds, valid)
        return boxes, (total / roi_head.num_stages * proposal_scores[:, None]).sqrt()

    def pool(self, x: tuple[Tensor, ...], boxes: Tensor, extractor: nn.Module) -> Tensor:
        """As mmdet's ``SingleRoIExtractor``; boxes of other levels are empty, which costs nothing."""
        size = (boxes[:, 2:] - boxes[:, :2]).prod(1).sqrt()
        level = torch.floor(torch.log2(size / extractor.finest_scale + 1e-6)).clamp(
            0, extractor.num_inputs - 1
        )
        pooled: Tensor | float = 0.0
        for i, layer in enumerate(extractor.roi_layers):
            member = (level == i)[:, None]
            part = _RoIAlign.apply(x[i], boxes * member, layer.output_size[0], float(layer.spatial_scale))
            pooled = pooled + part * member[:, :, None, None]
        return pooled


def decode(boxes: Tensor, deltas: Tensor, stds: tuple[float, ...], valid: Tensor) -> Tensor:
    """Boxes moved by deltas (dx, dy, dw, dh), clipped to the picture."""
    delta = deltas * deltas.new_tensor(stds)
    size = boxes[:, 2:] - boxes[:, :2]
    center = (boxes[:, :2] + boxes[:, 2:]) / 2 + delta[:, :2] * size
    limit = abs(math.log(16 / 1000))
    half = size * torch.clamp(delta[:, 2:], -limit, limit).exp() / 2
    corner = torch.cat([center - half, center + half], 1)
    return torch.minimum(corner.clamp(min=0), valid.flip(0).repeat(2)[None])


def export_onnx(
    model: nn.Module, out: str | Path, size: tuple[int, int] = (800, 1344), masks: bool = True
) -> ExportedC2:
    """Write a model as ONNX for images of one size.

    Inputs are ``image`` and ``valid``, outputs ``boxes``, ``scores``, ``labels`` and ``masks`` (see ``ExportedC2``).

    Returns:
        The module that was written.

    Raises:
        ImportError: The package onnx is not installed.
        ValueError: The model is none that can be exported, or the size is no multiple of 32.
    """
    if importlib.util.find_spec('onnx') is None:
        raise ImportError('the export needs onnx: pip install onnx (and onnxruntime to check the file)')
    module = ExportedC2(model, size, masks).eval()
    names = ['boxes', 'scores', 'labels', 'masks'][: 4 if module.masks else 3]
    example = torch.rand(1, 3, *size) * 255, torch.tensor([float(s) for s in size])
    with replacing(out) as part, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the sizes that become constants are meant to
        torch.onnx.export(
            module, example, str(part), dynamo=False, opset_version=OPSET, input_names=['image', 'valid'],
            output_names=names, dynamic_axes={name: {0: 'detections'} for name in names},
        )  # fmt: skip
    return module


def compare(module: ExportedC2, path: str | Path, image: Tensor, valid: Tensor) -> dict[str, float]:
    """Run a written file with onnxruntime beside the module.

    Returns:
        ``detections``; the largest differences of ``boxes`` (pixels), ``scores`` and ``masks``; ``labels`` that
        differ. Detections are compared in order.

    Raises:
        ImportError: onnxruntime is not installed.
        RuntimeError: The numbers of detections differ.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError('the check needs onnxruntime: pip install onnxruntime') from error
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    got = session.run(None, dict(image=image.numpy(), valid=valid.numpy()))
    with torch.no_grad():
        want = module(image, valid)
    if len(got[0]) != len(want[0]):
        raise RuntimeError(f'{path}: {len(got[0])} detections, PyTorch has {len(want[0])}')
    report = dict(detections=float(len(got[0])))
    for name, a, b in zip(('boxes', 'scores', 'labels', 'masks'), map(torch.from_numpy, got), want):
        report[name] = (
            float((a != b).sum()) if name == 'labels' else float((a - b).abs().max()) if len(a) else 0.0
        )
    return report
