"""AbeT's training augmentation (that of NVIDIA's semantic segmentation code) as mmcv transforms."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmseg.registry import TRANSFORMS
from PIL import Image, ImageEnhance


@TRANSFORMS.register_module()
class RandomRescale(BaseTransform):
    """Scale the image by a random factor of its own size: bicubic, masks nearest.

    mmcv's ``RandomResize`` scales to a given size; here images may have any size.

    Args:
        ratio_range: Smallest and largest factor.

    Required keys: ``img``; optional ``gt_seg_map``, ``centroid``. Modified: those, ``img_shape``.
    """

    def __init__(self, ratio_range: tuple[float, float] = (0.5, 2.0)) -> None:
        self.ratio_range = ratio_range

    @cache_randomness
    def _ratio(self) -> float:
        return float(np.random.uniform(*self.ratio_range))

    def transform(self, results: dict) -> dict:
        ratio = self._ratio()
        h, w = results['img'].shape[:2]
        size = (max(1, int(w * ratio)), max(1, int(h * ratio)))
        results['img'] = cv2.resize(results['img'], size, interpolation=cv2.INTER_CUBIC)
        results['img_shape'] = results['img'].shape[:2]
        for key in results.get('seg_fields', ()):
            results[key] = cv2.resize(results[key], size, interpolation=cv2.INTER_NEAREST)
        if results.get('centroid') is not None:
            results['centroid'] = tuple(int(c * ratio) for c in results['centroid'])
        return results


@TRANSFORMS.register_module()
class CentroidCrop(BaseTransform):
    """Pad to the crop's size, then crop around ``centroid`` where there is one, else anywhere.

    Args:
        size: Height and width of the crop.
        seg_pad_val: Label of the padding; the ignored one. The image is padded with 0.

    Required keys: ``img``; optional ``gt_seg_map``, ``centroid`` (x, y) in pixels (see
    ``ClassUniformDataset``). Modified: those, ``img_shape``.
    """

    def __init__(self, size: tuple[int, int], seg_pad_val: int = 255) -> None:
        self.size, self.seg_pad_val = tuple(size), seg_pad_val

    @cache_randomness
    def _start(self, length: int, crop: int, center: int | None) -> int:
        """First pixel of a crop that lies in the image and holds ``center``."""
        low, high = 0, length - crop
        if center is not None:
            low, high = max(low, min(center - crop + 1, high)), min(high, max(center, low))
        return int(np.random.randint(low, high + 1))

    def transform(self, results: dict) -> dict:
        height, width = self.size
        h, w = results['img'].shape[:2]
        down, right = max(height - h, 0), max(width - w, 0)
        x, y = results.get('centroid') or (None, None)
        left, top = (right + 1) // 2, (down + 1) // 2
        y0 = self._start(h + down, height, None if y is None else y + top)
        x0 = self._start(w + right, width, None if x is None else x + left)
        for key in ('img', *results.get('seg_fields', ())):
            value = 0 if key == 'img' else self.seg_pad_val
            # a border takes one value per channel
            value = (value,) * 4
            padded = cv2.copyMakeBorder(
                results[key], top, down - top, left, right - left, cv2.BORDER_CONSTANT, value=value
            )
            results[key] = np.ascontiguousarray(padded[y0 : y0 + height, x0 : x0 + width])
        results['img_shape'] = self.size
        return results


@TRANSFORMS.register_module()
class RandomColorJitter(BaseTransform):
    """Brightness, contrast, saturation and hue by random amounts in random order (torchvision's definitions).

    Args:
        brightness, contrast, saturation: The factor is 1 plus or minus up to this.
        hue: The shift is up to this part of the circle, 0 to 0.5.

    Required key: ``img``, uint8 BGR. Modified: ``img``.
    """

    def __init__(
        self,
        brightness: float = 0.25,
        contrast: float = 0.25,
        saturation: float = 0.25,
        hue: float = 0.25,
    ) -> None:
        self.amounts = dict(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)

    @cache_randomness
    def _draw(self) -> Sequence[tuple[str, float]]:
        names = list(np.random.permutation(list(self.amounts)))
        factors = [np.random.uniform(-self.amounts[name], self.amounts[name]) for name in names]
        return list(zip(names, factors, strict=True))

    def transform(self, results: dict) -> dict:
        image = Image.fromarray(results['img'][..., ::-1])
        enhance = dict(
            brightness=ImageEnhance.Brightness, contrast=ImageEnhance.Contrast, saturation=ImageEnhance.Color
        )
        for name, amount in self._draw():
            if name == 'hue':
                hsv = np.array(image.convert('HSV'))
                hsv[..., 0] += np.uint8(int(amount * 255) % 256)  # uint8 wraps around the circle
                image = Image.fromarray(hsv, 'HSV').convert('RGB')
            else:
                image = enhance[name](image).enhance(1 + amount)
        results['img'] = np.ascontiguousarray(np.asarray(image)[..., ::-1])
        return results


@TRANSFORMS.register_module()
class RandomGaussianBlur(BaseTransform):
    """Gaussian blur with a random sigma, always applied.

    Args:
        sigma: Smallest and largest sigma in pixels.

    Required key: ``img``. Modified: ``img``.
    """

    def __init__(self, sigma: tuple[float, float] = (0.15, 1.30)) -> None:
        self.sigma = sigma

    @cache_randomness
    def _sigma(self) -> float:
        return float(np.random.uniform(*self.sigma))

    def transform(self, results: dict) -> dict:
        sigma = self._sigma()
        width = 2 * int(4 * sigma + 0.5) + 1  # the kernel ends at four sigma
        results['img'] = cv2.GaussianBlur(
            results['img'], (width, width), sigma, borderType=cv2.BORDER_REPLICATE
        )
        return results
