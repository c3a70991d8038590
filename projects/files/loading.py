"""Images in every pipeline of mmdet and mmseg: errors name the file, our decoder reads them, and no resize goes below
one pixel.

Importing this wraps functions of mmcv, mmdet and mmseg. Every loader of a pipeline, also of a user's own config, is
mmcv's ``LoadImageFromFile`` or inherits it, and every resize that keeps the ratio asks these functions for the size.
"""

from __future__ import annotations

import functools
from typing import Any

import cv2
import mmcv
import mmcv.image.geometric
import mmcv.image.io
import mmcv.transforms.processing
import mmdet.datasets.transforms.transforms
from mmcv.transforms import LoadImageFromFile
from mmseg.datasets.transforms import ResizeShortestEdge

from .decode import decode_bgr
from .images import ImageError


def _name_the_file(transform: Any) -> Any:
    @functools.wraps(transform)
    def named(self: LoadImageFromFile, results: dict) -> dict | None:
        try:
            return transform(self, results)
        except ImageError:
            raise
        except Exception as error:  # OpenCV, Pillow, file systems and network clients raise what they like
            path = str(results.get('img_path'))
            if isinstance(error, OSError) and path in str(error):
                raise
            reason = ' '.join(str(error).split()) or type(error).__name__
            raise ImageError(
                f'{path}: not an image that can be read: empty, damaged, cut, or of another format ({reason[-200:]})'
            ) from error

    return named


def _decode(imfrombytes: Any) -> Any:
    """mmcv's ``imfrombytes``, color images by `decode_bgr` where OpenCV would decode them, which gives the same."""

    @functools.wraps(imfrombytes)
    def decoded(content: bytes, flag: Any = 'color', channel_order: str = 'bgr', backend: str | None = None):
        opencv = (backend or mmcv.image.io.imread_backend) == 'cv2'
        if opencv and flag in ('color', cv2.IMREAD_COLOR) and channel_order == 'bgr':
            return decode_bgr(content)
        return imfrombytes(content, flag, channel_order, backend)

    return decoded


def _at_least_a_pixel(scale_size: Any) -> Any:
    @functools.wraps(scale_size)
    def scaled(*args: Any, **kwargs: Any) -> tuple[int, int]:
        width, height = scale_size(*args, **kwargs)
        return max(width, 1), max(height, 1)

    return scaled


def _wrap(owner: Any, name: str, wrapper: Any) -> None:
    """Wrap a function of a module or class once; other versions of mmcv may not have it."""
    function = getattr(owner, name, None)
    if function is not None and not hasattr(function, '__wrapped__'):
        setattr(owner, name, wrapper(function))


_wrap(LoadImageFromFile, 'transform', _name_the_file)
_wrap(mmcv, 'imfrombytes', _decode)
_wrap(mmcv.image.geometric, '_scale_size', _at_least_a_pixel)
_wrap(mmcv.transforms.processing, '_scale_size', _at_least_a_pixel)
_wrap(mmdet.datasets.transforms.transforms, '_scale_size', _at_least_a_pixel)
_wrap(mmdet.datasets.transforms.transforms, '_fixed_scale_size', _at_least_a_pixel)
_wrap(ResizeShortestEdge, '_get_output_shape', _at_least_a_pixel)
