"""The class-agnostic CenterNet proposal head of CenterNet2 (probabilistic two-stage detection).

Source: Zhou, Koltun, Kraehenbuehl, "Probabilistic two-stage detection" (arXiv:2103.07461).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule, Scale
from mmcv.ops import nms
from mmdet.registry import MODELS
from mmdet.utils import InstanceList, reduce_mean
from mmengine.model import BaseModule, bias_init_with_prob, constant_init, normal_init
from mmengine.structures import InstanceData
from torch import Tensor, nn

from .centernet_targets import centernet_targets


@MODELS.register_module()
class CenterNetRPNHead(BaseModule):
    """One shared tower, a class-agnostic heat map and box distances on every level.

    Args:
        num_classes: Ignored beyond the check that it is 1 (mmdet's detectors set it).
        in_channels: Channels of every level.
        stacked_convs: 3x3 convolutions of the tower.
        strides: Pixels per cell, one a level.
        size_ranges: Half box diagonals, in pixels, that a level is responsible for.
        hm_min_overlap, min_radius: Size of the Gaussian of an object:
            radius^2 = max(2 delta^2 area, min_radius^2), delta = (1 - o) / (1 + o).
        alpha, beta, gamma: Focal weights of positives and of near-positives, focal exponent.
        ignore_high_fp: Negatives with a higher probability than this are left out.
        test_cfg: ``nms_pre``, ``nms`` (an IoU), ``max_per_img``, ``score_thr``.
    """

    def __init__(
        self,
        num_classes: int = 1,
        in_channels: int = 256,
        stacked_convs: int = 4,
        strides: tuple[int, ...] = (8, 16, 32, 64, 128),
        size_ranges: tuple[tuple[float, float], ...] = (
            (0, 80),
            (64, 160),
            (128, 320),
            (256, 640),
            (512, 1e7),
        ),
        hm_min_overlap: float = 0.8,
        min_radius: float = 4,
        alpha: float = 0.25,
        beta: float = 4,
        gamma: float = 2,
        ignore_high_fp: float = 0.85,
        loss_hm_weight: float = 0.5,
        loss_bbox_weight: float = 1.0,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_classes != 1:
            raise ValueError(f'CenterNetRPNHead is class-agnostic: num_classes must be 1, not {num_classes}')
        if len(strides) != len(size_ranges):
            raise ValueError(
                f'{len(strides)} strides but {len(size_ranges)} size_ranges: one of each a level'
            )
        self.strides, self.size_ranges = tuple(strides), tuple(tuple(r) for r in size_ranges)
        delta = (1 - hm_min_overlap) / (1 + hm_min_overlap)
        self.radius_factor, self.min_radius = 2 * delta**2, min_radius
        self.alpha, self.beta, self.gamma, self.ignore_high_fp = alpha, beta, gamma, ignore_high_fp
        self.loss_hm_weight, self.loss_bbox_weight = loss_hm_weight, loss_bbox_weight
        self.train_cfg, self.test_cfg = train_cfg, test_cfg
        self.reg_convs = nn.ModuleList(
            ConvModule(
                in_channels, in_channels, 3, padding=1, bias=True, norm_cfg=dict(type='GN', num_groups=32)
            )
            for _ in range(stacked_convs)
        )
        self.conv_cls = nn.Conv2d(in_channels, 1, 3, padding=1)
        self.conv_reg = nn.Conv2d(in_channels, 4, 3, padding=1)
        self.scales = nn.ModuleList(Scale(1.0) for _ in strides)

    def init_weights(self) -> None:
        super().init_weights()
        for module in self.reg_convs:
            normal_init(module.conv, std=0.01)
            constant_init(module.gn, 1)
        normal_init(self.conv_cls, std=0.01, bias=bias_init_with_prob(0.01))
        normal_init(self.conv_reg, std=0.01, bias=8.0)

    def forward(self, x: tuple[Tensor, ...]) -> tuple[list[Tensor], list[Tensor]]:
        """Heat-map logits (N, 1, H, W) and distances left, top, right, bottom (N, 4, H, W)
        in stride units, one of each a level."""
        heatmaps, distances = [], []
        for feature, scale in zip(x, self.scales, strict=True):
            for conv in self.reg_convs:
                feature = conv(feature)
            heatmaps.append(self.conv_cls(feature))
            distances.append(F.relu(scale(self.conv_reg(feature))))
        return heatmaps, distances

    def grids(self, heatmaps: list[Tensor]) -> list[Tensor]:
        """The pixel of every cell, x and y, (H * W, 2) a level: index * stride + stride // 2."""
        grids = []
        for heatmap, stride in zip(heatmaps, self.strides, strict=True):
            h, w = heatmap.shape[-2:]
            y, x = torch.meshgrid(
                torch.arange(h, device=heatmap.device), torch.arange(w, device=heatmap.device), indexing='ij'
            )
            grids.append((torch.stack([x, y], -1).reshape(-1, 2) * stride + stride // 2).float())
        return grids

    # ---------------------------------------------------------------- training

    def loss(self, x: tuple[Tensor, ...], batch_data_samples: list) -> dict[str, Tensor]:
        return self.loss_and_predict(x, batch_data_samples)[0]

    def loss_and_predict(
        self, x: tuple[Tensor, ...], batch_data_samples: list, proposal_cfg: dict | None = None
    ) -> tuple[dict[str, Tensor], InstanceList]:
        heatmaps, distances = self(x)
        losses = self.loss_by_feat(heatmaps, distances, [s.gt_instances for s in batch_data_samples])
        metas = [s.metainfo for s in batch_data_samples]
        return losses, self.predict_by_feat(heatmaps, distances, metas, proposal_cfg)

    def loss_by_feat(
        self, heatmaps: list[Tensor], distances: list[Tensor], batch_gt_instances: InstanceList
    ) -> dict[str, Tensor]:
        """Focal loss of the heat map at the centers and elsewhere, GIoU loss of the distances."""
        grids = self.grids(heatmaps)
        cells = torch.cat([g.new_full((len(g),), s) for g, s in zip(grids, self.strides, strict=True)])
        targets = [
            centernet_targets(
                gt.bboxes, grids, self.strides, self.size_ranges, self.radius_factor, self.min_radius
            )
            for gt in batch_gt_instances
        ]
        logits = torch.cat([h.flatten(1) for h in heatmaps], 1).float()
        boxes = torch.cat([d.flatten(2) for d in distances], 2).transpose(1, 2).float()
        positives = [logits[i][t.centers] for i, t in enumerate(targets)]
        pos_loss, neg_loss = self.heatmap_loss(
            torch.cat(positives), logits, torch.stack([t.heatmap for t in targets])
        )
        num_pos = reduce_mean(logits.new_tensor(float(sum(len(p) for p in positives)))).clamp(min=1)

        wanted = torch.stack([t.distances for t in targets]) / cells[:, None]
        regress = wanted.amin(-1) >= 0
        num_reg = reduce_mean(regress.sum().float()).clamp(min=1)
        loss_bbox = giou_loss(boxes[regress], wanted[regress]).sum() / num_reg
        return dict(
            loss_rpn_hm_pos=self.loss_hm_weight * pos_loss / num_pos,
            loss_rpn_hm_neg=self.loss_hm_weight * neg_loss / num_pos,
            loss_rpn_bbox=self.loss_bbox_weight * loss_bbox,
        )

    @staticmethod
    def join_reductions(like: Tensor) -> None:
        """Take part, with no positives, in the two means over ranks of ``loss_by_feat``: a rank whose batch
        has no boxes would leave the others waiting."""
        for _ in range(2):
            reduce_mean(like.new_zeros((), dtype=torch.float32))

    def heatmap_loss(self, positive: Tensor, logits: Tensor, heatmap: Tensor) -> tuple[Tensor, Tensor]:
        """Sums of -alpha (1-p)^g log p over the centers (with repeats) and of
        -(1-alpha) p^g (1-heatmap)^beta log(1-p) over all cells."""
        p = positive.sigmoid().clamp(1e-4, 1 - 1e-4)
        pos_loss = -self.alpha * (p.log() * (1 - p) ** self.gamma).sum()
        q = logits.sigmoid().clamp(1e-4, 1 - 1e-4)
        neg = (1 - q).log() * q**self.gamma * (1 - heatmap) ** self.beta
        if self.ignore_high_fp > 0:
            neg = neg * (q < self.ignore_high_fp)
        return pos_loss, -(1 - self.alpha) * neg.sum()

    # --------------------------------------------------------------- inference

    def predict(self, x: tuple[Tensor, ...], batch_data_samples: list, rescale: bool = False) -> InstanceList:
        return self.predict_by_feat(*self(x), [s.metainfo for s in batch_data_samples])

    def predict_by_feat(
        self, heatmaps: list[Tensor], distances: list[Tensor], batch_img_metas: list[dict], cfg=None, **_
    ) -> InstanceList:
        """Proposals of each image, best first: ``bboxes`` xyxy pixels of the network's input,
        not clipped to the image; ``scores`` the square root of the heat map's probability."""
        cfg = cfg or self.test_cfg
        grids = self.grids(heatmaps)
        results = []
        for i in range(len(batch_img_metas)):
            levels = [
                self._level_proposals(h[i, 0].detach(), d[i].detach(), grid, stride, cfg)
                for h, d, grid, stride in zip(heatmaps, distances, grids, self.strides, strict=True)
            ]
            bboxes, scores = (torch.cat(part) for part in zip(*levels, strict=True))
            if len(bboxes):
                dets, keep = nms(bboxes, scores, float(cfg['nms']['iou_threshold']))
                keep = keep[: cfg['max_per_img']]
                bboxes, scores = bboxes[keep], scores[keep]
            labels = scores.new_zeros(len(scores), dtype=torch.long)
            results.append(InstanceData(bboxes=bboxes, scores=scores, labels=labels))
        return results

    @staticmethod
    def _level_proposals(
        heatmap: Tensor, distance: Tensor, grid: Tensor, stride: int, cfg
    ) -> tuple[Tensor, Tensor]:
        scores = heatmap.flatten().float().sigmoid()
        index = (scores > cfg['score_thr']).nonzero()[:, 0]
        scores = scores[index]
        if len(index) > cfg['nms_pre']:
            scores, order = scores.topk(cfg['nms_pre'], sorted=False)
            index = index[order]
        distance = distance.flatten(1).t()[index].float() * stride
        boxes = torch.cat([grid[index] - distance[:, :2], grid[index] + distance[:, 2:]], 1)
        # An empty box would leave RoIAlign and the box coder without a size.
        boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 0.01)
        return boxes, scores.sqrt()


def giou_loss(pred: Tensor, target: Tensor) -> Tensor:
    """1 - GIoU of boxes given as distances (n, 4) left, top, right, bottom from one point.

    The IoU is (I + 1) / (U + 1); the enclosing term has no 1 (CenterNet2's IOULoss).
    """
    area = (pred[:, 0] + pred[:, 2]) * (pred[:, 1] + pred[:, 3])
    target_area = (target[:, 0] + target[:, 2]) * (target[:, 1] + target[:, 3])
    inner, outer = torch.minimum(pred, target), torch.maximum(pred, target)
    intersection = (inner[:, 0] + inner[:, 2]) * (inner[:, 1] + inner[:, 3])
    enclosing = (outer[:, 0] + outer[:, 2]) * (outer[:, 1] + outer[:, 3])
    union = area + target_area - intersection
    return 1 - ((intersection + 1) / (union + 1) - (enclosing - union) / enclosing)
