"""Images that cannot be read: a training names them, a test goes on without them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from mmengine.evaluator import DumpResults

from .images import ImageError, image_size, read_image


class LeavesOutImages:
    """A data set whose tests leave out images that cannot be read; mixed in before one of MMEngine's.

    Raises:
        ImageError: An image cannot be read, and this is no test or `let_leave_out` has not allowed it; names it. It
            is a ``ValueError``.
        FileNotFoundError: An image is missing.
    """

    test_mode: bool
    pipeline: Any
    get_data_info: Any
    #: (width, height) of every image where that is known.
    image_size: tuple[int, int] | None = None
    #: Whether the metrics of the run know images that are left out (`let_leave_out`).
    leaves_out = False

    def prepare_data(self, idx: int) -> Any:
        """A sample after the pipeline. Where that fails and the image cannot be read, the error names it; with
        ``leaves_out`` in test mode a black image takes its place, whose ``left_out`` in the meta data says why, for
        the metric to leave it out."""
        try:
            return super().prepare_data(idx)  # type: ignore[misc]
        except Exception as error:
            try:
                read_image(self.img_path(idx))
            except (ImageError, FileNotFoundError) as unreadable:
                if self.test_mode and self.leaves_out and isinstance(unreadable, ImageError):
                    return self._left_out(idx, unreadable)
                raise unreadable from error
            raise

    def img_path(self, idx: int) -> str:
        """Where the image of a sample is."""
        return self.get_data_info(idx)['img_path']

    def _without_image(self, idx: int) -> dict:
        """What the pipeline gets of a sample, found without reading its image."""
        return self.get_data_info(idx)

    def _left_out(self, idx: int, reason: ImageError) -> dict:
        data = self._without_image(idx)
        mask = data.get('seg_map_path')  # of the same size
        width, height = self.image_size or (image_size(mask) if mask else (64, 64))
        data |= dict(
            img=np.zeros((height, width, 3), np.uint8), img_shape=(height, width), ori_shape=(height, width)
        )
        for transform in self.pipeline.transforms[1:]:  # the first loads the image
            data = transform(data)
        samples = data['data_samples']
        for sample in samples if isinstance(samples, list) else [samples]:
            sample.set_metainfo(dict(left_out=str(reason)))
        return data


def let_leave_out(loop: Any) -> None:
    """Let the data of a test or validation leave images out if every metric knows that: a ``RunMetric`` does, and in
    dumped results they are marked. Other metrics would score the black image."""
    metrics = getattr(getattr(loop, 'evaluator', None), 'metrics', ())
    known = all(getattr(m, 'LEFT_OUT', None) or isinstance(m, DumpResults) for m in metrics)
    for dataset in leaves(loop.dataloader.dataset):
        if isinstance(dataset, LeavesOutImages):
            dataset.leaves_out = known


def leaves(dataset: Any) -> Iterator:
    """The data sets inside wrappers."""
    inner = [getattr(dataset, 'dataset', None), getattr(dataset, 'boost', None)]
    inner = [part for part in (*inner, *getattr(dataset, 'datasets', ())) if part is not None]
    if not inner and not hasattr(dataset, 'datasets'):
        yield dataset
    for part in inner:
        yield from leaves(part)
