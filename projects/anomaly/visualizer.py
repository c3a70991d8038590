"""Pictures of anomaly maps (tools/test.py --show-dir) and of training samples (browse_dataset.py) for mmseg."""

from __future__ import annotations

import numpy as np
from mmengine.visualization import LocalVisBackend
from mmseg.registry import VISUALIZERS
from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer

from ..files import write_image
from .datasets import AnomalyDataset
from .pictures import anomaly_picture, truth_picture


@VISUALIZERS.register_module()
class AnomalyVisualizer(SegLocalVisualizer):
    """Draws the image, its anomaly map on the score's fixed scale and the truth (`anomaly_picture`); a sample
    without prediction under its classes and pasted outliers (`truth_picture`)."""

    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: SegDataSample,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        step: int = 0,
        **kwargs,
    ) -> None:
        """Draw a prediction with ``anomaly_map`` over an image (H, W, 3) RGB uint8; see mmseg's visualizer."""
        image, gt = np.ascontiguousarray(image[..., ::-1]), None
        if draw_gt and 'gt_sem_seg' in data_sample:
            gt = data_sample.gt_sem_seg.data[0].cpu().numpy()
        if not draw_pred:
            palette = (self.dataset_meta or {}).get('palette') or ()
            picture = image if gt is None else truth_picture(image, gt, palette)
        elif 'anomaly_map' not in data_sample:
            raise ValueError('this model computes no anomaly score to draw: name one (test_cfg.scores)')
        else:
            anomaly = data_sample.anomaly_map.data[0].cpu().numpy()
            gt = gt if self._knows_outliers() else None
            picture = anomaly_picture(image, anomaly, data_sample.anomaly_scale, gt=gt)
        self.set_image(np.ascontiguousarray(picture[..., ::-1]))
        if show:
            self.show(picture[..., ::-1], win_name=name, wait_time=wait_time)
        if out_file is None:
            self.add_image(name, picture[..., ::-1], step)
            return
        write_image(out_file, picture)
        for backend in self._vis_backends.values():  # trackers see what is drawn; its own folder has the file
            if not isinstance(backend, LocalVisBackend):
                backend.add_image(name, picture[..., ::-1], step)

    def _knows_outliers(self) -> bool:
        """Whether the data set's labels are inlier and outlier (and not classes)."""
        return (self.dataset_meta or {}).get('classes') == AnomalyDataset.METAINFO['classes']
