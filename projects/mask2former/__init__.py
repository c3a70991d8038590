"""Mask2Former for semantic and panoptic segmentation: what the methods that build on it share.

Importing this registers the loading of label maps, the pixel decoder, the heads, segmentors, metrics and the
optimizer constructor.
"""

from ..files import transforms  # noqa: F401
from .head import Mask2FormerSemSegHead
from .metric import PublishedIoUMetric
from .optim import Mask2FormerOptimWrapperConstructor
from .panoptic import Mask2FormerFusionHead, Mask2FormerPanoptic, Mask2FormerPanopticHead
from .pixel_decoder import Mask2FormerPixelDecoder
from .segmentor import Mask2FormerSegmentor
from .semantic import mask_bands, semantic_map, sum_queries, upsample_rows
from .tta import SemSegMeanTTAModel

__all__ = [
    'Mask2FormerFusionHead',
    'Mask2FormerOptimWrapperConstructor',
    'Mask2FormerPanoptic',
    'Mask2FormerPanopticHead',
    'Mask2FormerPixelDecoder',
    'Mask2FormerSegmentor',
    'Mask2FormerSemSegHead',
    'PublishedIoUMetric',
    'SemSegMeanTTAModel',
    'mask_bands',
    'semantic_map',
    'sum_queries',
    'upsample_rows',
]
