"""One stage's box head: shared layers, the zero-shot classifier, the class-agnostic regressor."""

from __future__ import annotations

from pathlib import Path

import msgspec
import torch
from mmcv.cnn import ConvModule
from mmdet.registry import MODELS, TASK_UTILS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..files.json_files import read_json
from .losses import federated_classes, sigmoid_classification_loss


class _Count(msgspec.Struct):
    id: int
    image_count: float


def load_image_counts(path: str | Path, most: int | None = None, least: int | None = None) -> Tensor:
    """Images of each class (C,), in the order of the category ids, from a JSON list of
    ``{"id": ..., "image_count": ...}`` (LVIS's ``lvis_v1_train_cat_info.json``).

    Args:
        path: The file.
        most, least: Number of classes that it may count (``least``: as many as ``most``; None: any number).

    Raises:
        FileNotFoundError: No such file.
        ValueError: Another form, a class twice, a negative count, or another number of classes.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"class counts {path} not found: place Detic's datasets/metadata file there")
    counts = sorted(read_json(path, list[_Count], 'a list of class counts'), key=lambda c: c.id)
    if len({c.id for c in counts}) < len(counts) or any(c.image_count < 0 for c in counts):
        raise ValueError(f'{path}: a class is counted twice, or less than 0 times')
    if most is not None and not (most if least is None else least) <= len(counts) <= most:
        raise ValueError(f'{path} counts {len(counts)} classes, the head has {most}')
    return torch.tensor([c.image_count for c in counts])


@MODELS.register_module()
class DeticBBoxHead(BaseModule):
    """The box head of one stage: shared layers, a zero-shot classifier and a class-agnostic box regressor.

    Args:
        num_classes: C.
        in_channels: Channels of the pooled feature.
        roi_feat_size: Its side in cells.
        num_shared_convs, norm_cfg: 3x3 convolutions before the shared layers, with their norm.
        num_shared_fcs, fc_out_channels: The shared layers; 0 for C4, whose feature is averaged.
        bbox_coder: Box coder of this stage.
        classifier: Arguments of ``ZeroShotClassifier``.
        freq_weight: Keep a buffer ``freq_weight`` (C,) for the federated loss or ``ignore_zero_cats``.
        image_counts: File of class counts that fills it, read when weights are initialized.
        federated: Classes a batch is judged on (50), or 0 for all.
        ignore_zero_cats: Leave classes without any training box out of the loss.
        prop_score: Add the region stream of ``wsddn``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 256,
        roi_feat_size: int = 7,
        num_shared_convs: int = 0,
        norm_cfg: dict | None = None,
        num_shared_fcs: int = 2,
        fc_out_channels: int = 1024,
        bbox_coder: dict | None = None,
        classifier: dict | None = None,
        freq_weight: bool = False,
        image_counts: str | None = None,
        federated: int = 0,
        ignore_zero_cats: bool = False,
        prop_score: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.bbox_coder = TASK_UTILS.build(bbox_coder)
        width = in_channels * roi_feat_size**2 if num_shared_fcs else in_channels
        self.shared_convs = nn.Sequential(
            *(
                ConvModule(in_channels, in_channels, 3, padding=1, norm_cfg=norm_cfg)
                for _ in range(num_shared_convs)
            )
        )
        self.shared_fcs = nn.ModuleList()
        for _ in range(num_shared_fcs):
            self.shared_fcs.append(nn.Linear(width, fc_out_channels))
            width = fc_out_channels
        classifier = dict(type='ZeroShotClassifier') | dict(classifier or {})
        self.fc_cls = MODELS.build(dict(classifier, in_features=width, out_features=num_classes + 1))
        self.fc_reg = MODELS.build(dict(type='BoxMLP', in_features=width))
        self.prop_score = None
        if prop_score:
            self.prop_score = nn.Sequential(
                nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, num_classes + 1)
            )
        self.federated, self.ignore_zero_cats = federated, ignore_zero_cats
        self.image_counts = image_counts
        if freq_weight or federated or ignore_zero_cats:
            self.register_buffer('freq_weight', torch.ones(num_classes))

    def init_weights(self) -> None:
        """Initialize the shared layers and read the class counts; mmengine calls this before training."""
        super().init_weights()
        if self.image_counts is not None and hasattr(self, 'freq_weight'):
            counts = load_image_counts(self.image_counts, self.num_classes)
            self.freq_weight = counts.sqrt().to(self.freq_weight)
        for fc in self.shared_fcs:
            nn.init.kaiming_uniform_(fc.weight, a=1)
            nn.init.zeros_(fc.bias)

    def features(self, pooled: Tensor) -> Tensor:
        """Region features (n, width) of pooled features (n, channels, h, w)."""
        pooled = self.shared_convs(pooled)
        if not self.shared_fcs:
            return pooled.mean((2, 3))
        x = pooled.flatten(1)
        for fc in self.shared_fcs:
            x = fc(x).relu()
        return x

    def forward(
        self, pooled: Tensor, classifier: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Logits (n, C + 1), box deltas (n, 4) and ``wsddn``'s region scores (n, C + 1) or None."""
        x = self.features(pooled)
        prop_score = None if self.prop_score is None else self.prop_score(x)
        return self.fc_cls(x, classifier), self.fc_reg(x), prop_score

    def loss(
        self, logits: Tensor, deltas: Tensor, boxes: Tensor, labels: Tensor, targets: Tensor
    ) -> dict[str, Tensor]:
        """Losses over all sampled regions of a batch.

        Args:
            logits, deltas: Outputs of ``forward``.
            boxes: (n, 4) the regions.
            labels: (n,) in 0..C, C the background.
            targets: (n, 4) the ground-truth boxes that foreground regions are matched to.
        """
        foreground = labels < logits.shape[1] - 1
        wanted = self.bbox_coder.encode(boxes[foreground], targets[foreground])
        loss_bbox = (deltas[foreground] - wanted).abs().sum() / max(len(labels), 1)
        return dict(
            loss_cls=sigmoid_classification_loss(logits, labels, self.class_weight(labels, logits)),
            loss_bbox=loss_bbox,
        )

    def class_weight(self, labels: Tensor, logits: Tensor) -> Tensor | None:
        """(C,) factors of the classes in the loss, drawn anew at each call; None for all ones."""
        if logits.shape[1] - 1 != self.num_classes:  # the dynamic classifier has drawn already
            return None
        weight = None
        if self.federated:
            weight = federated_classes(labels, self.freq_weight, self.federated)
        if self.ignore_zero_cats:
            seen = (self.freq_weight > 1e-4).to(logits)
            weight = seen if weight is None else weight * seen
        return weight
