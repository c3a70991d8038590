"""Images that cannot be read: a training names them, a test goes on without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..files.images import ImageError, read_image


class LeavesOutImages:
    """A data set whose tests leave out images that cannot be read; mixed in before one of MMEngine's.

    Raises:
        ImageError: An image cannot be read and this is no test; names it. It is a ``ValueError``.
        FileNotFoundError: An image is missing.
    """

    test_mode: bool
    pipeline: Any
    get_data_info: Any
    #: (width, height) of every image where that is known.
    image_size: tuple[int, int] | None = None

    def prepare_data(self, idx: int) -> Any:
        """A sample after the pipeline. Where that fails and the image cannot be read, the error names it; in test mode
        a black image takes its place, whose ``left_out`` in the meta data says why, for `RunMetric` to leave it out."""
        try:
            return super().prepare_data(idx)  # type: ignore[misc]
        except Exception as error:
            try:
                read_image(self._image_of(idx))
            except (ImageError, FileNotFoundError) as unreadable:
                if self.test_mode and isinstance(unreadable, ImageError):
                    return self._left_out(idx, unreadable)
                raise unreadable from error
            raise

    def _image_of(self, idx: int) -> str | Path:
        """Where the image of a sample is."""
        return self.get_data_info(idx)['img_path']

    def _without_image(self, idx: int) -> dict:
        """What the pipeline gets of a sample, found without reading its image."""
        return self.get_data_info(idx)

    def _left_out(self, idx: int, reason: ImageError) -> dict:
        width, height = self.image_size or (64, 64)
        data = self._without_image(idx)
        data |= dict(
            img=np.zeros((height, width, 3), np.uint8), img_shape=(height, width), ori_shape=(height, width)
        )
        for transform in self.pipeline.transforms[1:]:  # the first loads the image
            data = transform(data)
        samples = data['data_samples']
        for sample in samples if isinstance(samples, list) else [samples]:
            sample.set_metainfo(dict(left_out=str(reason)))
        return data
