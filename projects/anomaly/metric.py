"""The metric of anomaly segmentation for mmseg's test loop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object, barrier, get_rank, get_world_size
from mmengine.logging import print_log
from mmseg.registry import METRICS, TASK_UTILS

from ..bdd100k.run_metric import RunMetric
from ..files import OutputNames
from .io import KINDS, check_kind, save_map
from .pixel import PixelMetrics


@METRICS.register_module()
class AnomalyMetric(RunMetric):
    """AP, AUROC and FPR95 of ``anomaly_map`` over all pixels, or the maps as files.

    Maps are named as their images. Every rank counts its own images; the counts are joined once. Images that
    the sampler repeats, to give every rank as many, count once.

    Args:
        format_kind: ``npz``, ``png`` or ``smiyc`` (see ``mmroad.anomaly.io``).
        collect_dir: Folder that all ranks reach, for runs on several machines.
        refine: What the maps go through first, such as ``dict(type='BoxRefinement', boxes='det.json')``.
        **kwargs: As `RunMetric`.

    Raises:
        ValueError: Two images have one name, an image has no mask to be scored, or a model computes no map.
    """

    default_prefix = 'anomaly'

    def __init__(
        self,
        format_kind: str = 'npz',
        collect_dir: str | None = None,
        refine: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.format_kind, self.collect_dir = format_kind, collect_dir
        self.refine = TASK_UTILS.build(refine) if refine else None
        if self.format_dir:
            check_kind(format_kind)
        self._start()

    def _start(self) -> None:
        self._metrics = PixelMetrics(self.collect_dir)
        self._seen = 0
        self._names = OutputNames(self.format_dir or '')
        self._written: dict[str, str] = {}  # name to image
        self._waiting: tuple[np.ndarray, np.ndarray, str] | None = None

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            self._count()
            self._seen += 1
            name = sample['img_path']
            if self.is_left_out(sample):
                continue
            if 'anomaly_map' not in sample:
                raise ValueError(
                    f'{name}: the model computes no anomaly map (RbA: anomaly_score; AbeT: test_cfg.scores)'
                )
            anomaly = sample['anomaly_map']['data'][0].cpu().numpy()
            if self.refine:
                anomaly = self.refine(name, anomaly)
            if self.format_dir:
                self._save(name, anomaly)
            if not self.format_only:
                if 'gt_sem_seg' not in sample:
                    raise ValueError(
                        f'{name}: no mask, so nothing can be scored; tools/test.py writes its map with '
                        f'--format-only --format-dir OUT'
                    )
                # The last image of a rank may be a repeated one: it waits until the number is known.
                self._waiting = anomaly, sample['gt_sem_seg']['data'][0].cpu().numpy(), name

    def _save(self, image: str, anomaly: np.ndarray) -> None:
        suffix = KINDS[self.format_kind]
        place = self._names.path(Path(image).name, suffix, source=image)
        save_map(str(place).removesuffix(suffix), anomaly, self.format_kind)
        self._written[place.name] = image

    def _check_names(self) -> None:
        """Refuse images of one name that two ranks have written."""
        joined: dict[str, str] = {}
        for written in all_gather_object(self._written):
            for name, image in written.items():
                if joined.setdefault(name, image) != image:
                    raise ValueError(
                        f'{joined[name]} and {image} were both written to {self.format_dir}/{name}: rename one'
                    )

    def _count(self) -> None:
        if self._waiting is not None:
            self._metrics.add(*self._waiting)
            self._waiting = None

    def _evaluate(self, size: int) -> dict[str, float]:
        """The scores of ``size`` images, the same on every rank."""
        own = -(-(size - get_rank()) // get_world_size())  # images of this rank without repeats
        if self._seen <= own:
            self._count()
        self._check_names()
        if self.format_only:
            self._start()
            return {}
        joined = PixelMetrics(self.collect_dir)
        for part in all_gather_object(self._metrics.part()):
            joined.merge(part)
        scores = joined.compute()
        barrier()  # runs are on every rank's disk until all have read them
        self._start()
        print_log(scores.table(), logger='current')
        return {f'{self.prefix}/{key}': value for key, value in scores.summary().items()}

    def compute_metrics(self, results: list) -> dict:
        """Not used: ``evaluate`` joins counts, not results."""
        return {}
