"""AbeT for detection: box heads with a learned temperature and an out-of-distribution score per box."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmdet.models.layers import multiclass_nms
from mmdet.models.roi_heads.bbox_heads import ConvFCBBoxHead, Shared2FCBBoxHead, Shared4Conv1FCBBoxHead
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ..runtime import frameworks  # noqa: F401
from .temperature import EPS, MIN_TEMPERATURE, cosine_weight


@MODELS.register_module()
class LearnedTemperatureLinear(BaseModule):
    """AbeT's classifier of vectors: cosine logits over a learned temperature.

    T = sigmoid(BN(linear(x))) + 1e-12, z_c = <x / (|x| + 1e-4), w_c / (|w_c| + 1e-4)> / T,
    in float32 whatever the autocast state. A drop-in for a box head's linear layer:
    ``cls_predictor_cfg=dict(type='LearnedTemperatureLinear')``.

    Args:
        in_features: Length of the vectors.
        out_features: Classes, the background included.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.cosine = nn.Linear(in_features, out_features, bias=False)
        self.linear = nn.Linear(in_features, 1)
        self.bn = nn.BatchNorm1d(1)
        self.init_weights()

    def init_weights(self) -> None:
        """Published initialization (a box head's own for ``fc_cls`` would shrink the normalization too)."""
        nn.init.normal_(self.cosine.weight, std=0.01)
        self.linear.reset_parameters()
        self.bn.reset_parameters()

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine logits g (R, C) and temperatures T (R, 1) of vectors (R, D)."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            # batch statistics of a single vector are undefined: use the running ones
            single = self.bn.training and len(x) < 2
            temperature = self.bn.train(self.bn.training and not single)(self.linear(x)).sigmoid()
            temperature = temperature + MIN_TEMPERATURE
            self.bn.train(self.bn.training or single)  # frozen statistics stay frozen
            g = F.linear(x / (x.norm(dim=1, keepdim=True) + EPS), cosine_weight(self.cosine.weight))
            return g, temperature

    def forward(self, x: Tensor) -> Tensor:
        """Logits z = g / T: (R, D) to (R, C)."""
        g, temperature = self.parts(x)
        return g / temperature


def ood_score(logits: Tensor, kind: str = 'energy') -> Tensor:
    """Out-of-distribution score of boxes, higher = more likely of no known class.

    Args:
        logits: (R, K + 1), background last.
        kind: ``energy``: -log sum_k exp z_k over the K foreground classes, which is
            AbeT's score where the logits carry a learned temperature; ``msp``: 1 - the
            largest foreground probability.

    Returns:
        (R,) float32.
    """
    if kind == 'energy':
        return -logits[:, :-1].float().logsumexp(1)
    if kind == 'msp':
        return 1 - logits.float().softmax(1)[:, :-1].amax(1)
    raise ValueError(f'unknown out-of-distribution score {kind!r}: energy or msp')


class OODBoxHeadMixin:
    """A ConvFC box head with an optional learned temperature, and ``ood_scores`` in its predictions.

    Args:
        temperature: Classifier of the boxes, ``dict(type='LearnedTemperatureLinear')``;
            ``None`` leaves the linear one (the baseline).
        ood_score: See :func:`ood_score`.
        args, kwargs: Those of the head.

    In a cascade the last stage scores the logits averaged over stages, those that its
    class probabilities come from.
    """

    def __init__(self, *args, temperature: dict | None = None, ood_score: str = 'energy', **kwargs) -> None:
        if temperature is not None:
            kwargs['cls_predictor_cfg'] = temperature
        super().__init__(*args, **kwargs)
        if self.custom_cls_channels:
            raise ValueError(f'{type(self).__name__} needs a softmax over the classes and the background')
        self.ood_score = ood_score

    def _predict_by_feat_single(
        self,
        roi: Tensor,
        cls_score: Tensor,
        bbox_pred: Tensor,
        img_meta: dict,
        rescale: bool = False,
        rcnn_test_cfg: dict | None = None,
    ) -> InstanceData:
        """mmdet's, with ``ood_scores`` (float32, one per kept box) beside ``scores``."""
        parent = super()._predict_by_feat_single
        if rcnn_test_cfg is None or len(roi) == 0:
            results = parent(roi, cls_score, bbox_pred, img_meta, rescale, rcnn_test_cfg)
            if len(roi) == 0:
                results.ood_scores = roi.new_zeros(0)
            return results
        dense = parent(roi, cls_score, bbox_pred, img_meta, rescale, None)
        bboxes, labels, index = multiclass_nms(
            dense.bboxes,
            dense.scores,
            rcnn_test_cfg.score_thr,
            rcnn_test_cfg.nms,
            rcnn_test_cfg.max_per_img,
            return_inds=True,
        )
        results = InstanceData(bboxes=bboxes[:, :4], scores=bboxes[:, 4], labels=labels)
        # the index counts (box, class) pairs
        results.ood_scores = ood_score(cls_score, self.ood_score)[index // self.num_classes]
        return results


@MODELS.register_module()
class AbeTConvFCBBoxHead(OODBoxHeadMixin, ConvFCBBoxHead):
    """mmdet's ``ConvFCBBoxHead`` with ``temperature`` and ``ood_score``."""


@MODELS.register_module()
class AbeTShared2FCBBoxHead(OODBoxHeadMixin, Shared2FCBBoxHead):
    """mmdet's ``Shared2FCBBoxHead`` with ``temperature`` and ``ood_score``."""


@MODELS.register_module()
class AbeTShared4Conv1FCBBoxHead(OODBoxHeadMixin, Shared4Conv1FCBBoxHead):
    """mmdet's ``Shared4Conv1FCBBoxHead`` with ``temperature`` and ``ood_score``."""
