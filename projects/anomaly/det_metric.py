"""Out-of-distribution detection as a metric of a test run over ID and OOD images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from ..files.label_maps import read_label_map
from .ood_detection import Detections, evaluate, table


@METRICS.register_module()
class OODDetectionMetric(BaseMetric):
    """AUROC, AUPR and FPR95 between the detections of ID and of OOD images, by both protocols.

    The test set is a concatenation of an ID set with ground truth and OOD sets
    (``ConcatDataset``); images are told apart by their folders. As mmdet's own metrics,
    it takes objects in the original image's pixels: ``LoadAnnotations`` after ``Resize``.

    Args:
        ood_prefixes: Names of the OOD sets and the folders of their images;
            every other image is in-distribution.
        mask_prefixes: For OOD sets whose images also show known objects: the folders of their masks
            (1 on unknown objects), ``NAME.png`` in the subfolder that the image has in its own, or in none.
            Only detections on these count.
        min_share: A detection is on an unknown object if at least this share of its box is.
    """

    default_prefix = 'ood'

    def __init__(
        self,
        ood_prefixes: dict[str, str],
        mask_prefixes: dict[str, str] | None = None,
        min_share: float = 0.3,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.ood_prefixes = {name: Path(p) for name, p in ood_prefixes.items()}
        self.mask_prefixes, self.min_share = dict(mask_prefixes or {}), min_share
        if unknown := set(self.mask_prefixes) - set(self.ood_prefixes):
            raise ValueError(
                f'mask_prefixes of {", ".join(sorted(unknown))}, but ood_prefixes has no such set'
            )
        self._shared_masks: dict[Path, Path] = {}

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep the boxes, scores and (ID) objects of each image.

        Raises:
            KeyError, ValueError: It has no OOD scores, or some that are not finite.
            FileNotFoundError, ValueError: Its mask is missing or cannot be used.
        """
        for sample in data_samples:
            path = Path(sample['img_path'])
            ood = next((n for n, p in self.ood_prefixes.items() if path.is_relative_to(p)), None)
            pred = sample['pred_instances']
            if 'ood_scores' not in pred:
                raise KeyError(
                    f'{path}: predictions without ood_scores; use a box head of mmroad.abet.det, or SAFE'
                )
            if not torch.isfinite(torch.as_tensor(pred['ood_scores'])).all():
                raise ValueError(
                    f'{path}: an ood_score is not finite; the checkpoint is of a run that diverged'
                )
            found = _rows(str(path), pred['labels'], pred['bboxes'], pred['scores'], pred['ood_scores'])
            if ood in self.mask_prefixes:
                found = on_unknown_objects(
                    found, self._mask(ood, path), self.min_share, sample.get('ori_shape')
                )
            truth = None
            if ood is None and 'gt_instances' in sample:
                gt = sample['gt_instances']
                labels = _array(gt['labels'])
                truth = _rows(str(path), labels, _array(gt['bboxes']), labels * 0, labels * 0)
            self.results.append((ood, found, truth))

    def _mask(self, ood: str, image: Path) -> Path:
        folder = Path(self.mask_prefixes[ood])
        beside = folder / image.relative_to(self.ood_prefixes[ood]).with_suffix('.png')
        if beside.is_file():
            return beside
        flat = folder / f'{image.stem}.png'
        other = self._shared_masks.setdefault(flat, image)
        if other != image and flat.is_file():
            raise ValueError(
                f'{flat} would be the mask of {other} and of {image}: put masks into their subfolders'
            )
        if not flat.is_file():
            raise FileNotFoundError(f'{image}: no mask {" or ".join(sorted({str(beside), str(flat)}))}')
        return flat

    def compute_metrics(self, results: list) -> dict[str, float]:
        """``SET/PROTOCOL/MEASURE`` in percent.

        Raises:
            ValueError: The run had no image of a set.
        """

        def join(parts: list[Detections]) -> Detections:
            empty = _rows('', *(np.zeros((0, 4) if i == 1 else 0) for i in range(4)))
            return Detections(*(np.concatenate(x) for x in zip(empty, *parts, strict=True)))

        truth = [t for _, _, t in results if t is not None]
        sets = {name: join([d for n, d, _ in results if n == name]) for name in self.ood_prefixes}
        known = join([d for n, d, _ in results if n is None])
        measures = evaluate(known, sets, join(truth) if truth else None)
        MMLogger.get_current_instance().info('\n' + table(measures))
        run = {name for name, _, _ in results}
        if lacking := [f'{name} ({p})' for name, p in self.ood_prefixes.items() if name not in run]:
            raise ValueError(
                f'no image of the run is in {", ".join(lacking)}: ood_prefixes must be the folders of the paths'
            )
        return {
            f'{name}/{k}': 100 * row[k] for name, row in measures.items() for k in ('auroc', 'aupr', 'fpr95')
        }


def on_unknown_objects(
    found: Detections, mask: Path, min_share: float, size: tuple[int, int] | None = None
) -> Detections:
    """The detections whose boxes show an unknown object on at least ``min_share`` of their area.

    Args:
        found: Detections of one image.
        mask: A label map (H, W), 1 on unknown objects and any other value elsewhere.
        min_share: The least share, of the part of a box that lies in the image.
        size: Height and width of the image, which the mask must have.
    """
    unknown = read_label_map(mask, size=size) == 1
    integral = np.pad(unknown.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    h, w = unknown.shape
    x1, y1, x2, y2 = found.xyxy.round().astype(int).clip(0, [w, h, w, h]).T
    inside = integral[y2, x2] - integral[y1, x2] - integral[y2, x1] + integral[y1, x1]
    keep = inside >= min_share * np.maximum((x2 - x1) * (y2 - y1), 1)
    return Detections(*(column[keep] for column in found))


def _array(x) -> np.ndarray:
    x = getattr(x, 'tensor', x)
    return x.detach().cpu().numpy() if hasattr(x, 'detach') else np.asarray(x)


def _rows(path: str, label, xyxy, score, ood_score) -> Detections:
    label, xyxy = _array(label).astype(np.int64), _array(xyxy).astype(np.float64).reshape(-1, 4)
    image = np.full(len(label), path, dtype=object)
    return Detections(image, label, xyxy, _array(score).astype(float), _array(ood_score).astype(float))
