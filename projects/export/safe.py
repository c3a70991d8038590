"""SAFE's scores of a detector's boxes, as part of its graph."""

from __future__ import annotations

import torch
from mmcv.ops import RoIAlign
from torch import nn

from .boxes import by_image, image_of
from .detectors import Found
from .image import Prepared
from .operators import roi_align


class Safe(nn.Module):
    """A detector with SAFE's ``ood_scores`` (`mmroad.anomaly.safe`).

    Args:
        model: With the classifier, as ``model.safe``.
        detector: Its graph.
    """

    def __init__(self, model: nn.Module, detector: nn.Module) -> None:
        super().__init__()
        self.model, self.detector = model, detector

    def forward(self, image: Prepared) -> Found:
        with self.model.watching() as maps:
            result = self.detector(image)
        boxes = result.boxes / image.factor
        flat, of, parts = boxes.reshape(-1, 4), image_of(boxes), []
        for place in range(len(self.model.safe_layers)):
            scale = int(maps[place].shape[2]) / int(image.inputs.shape[2])
            layer = RoIAlign((1, 1), scale, 0, 'avg', aligned=False)
            parts.append(roi_align(maps[place], flat, of, layer)[..., 0, 0])
        scores = by_image(-self.model.safe(torch.cat(parts, 1)), boxes)
        return result._replace(extras=result.extras | dict(ood_scores=scores * (result.labels >= 0)))
