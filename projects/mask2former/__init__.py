"""Mask2Former for semantic segmentation: what the methods that build on it share.

Importing this registers the pixel decoder (mmdet), the decode head (mmseg) and the optimizer constructor.
"""

from .head import Mask2FormerSemSegHead
from .optim import Mask2FormerOptimWrapperConstructor
from .pixel_decoder import Mask2FormerPixelDecoder
from .semantic import mask_bands, semantic_map, sum_queries, upsample_rows

__all__ = [
    'Mask2FormerOptimWrapperConstructor',
    'Mask2FormerPixelDecoder',
    'Mask2FormerSemSegHead',
    'mask_bands',
    'semantic_map',
    'sum_queries',
    'upsample_rows',
]
