"""Initialization weights of backbones, ImageNet-1k's and ImageNet-21k's.

detectron2's ResNets (R-50, R-101, R-103.pkl), torchvision's and timm's (among them MIIL's
``resnet50_miil_21k.pth``), Microsoft's Swin (``..._22k.pth`` too) and Meta's ConvNeXt (``convnext_tiny_22k_224.pth``).

R-103 is ResNet-101 whose 7x7 stem is three 3x3 convolutions (DeepLab's). A classifier's last norm and
head are dropped; the norms of a dense backbone's outputs, which a classifier lacks, stay as the model
initializes them.
"""

from torch import Tensor

from . import DERIVED
from ._detectron2 import RESNET, SWIN, deep_stem

PREFIX = 'backbone.'
SUPPLIED = (*DERIVED, r'^backbone\.norm[0-3]\.')
CONVNEXT = [
    (r'^(backbone\.stages\.\d+\.\d+\.)dwconv\.', r'\1depthwise_conv.'),
    (r'^(backbone\.stages\.\d+\.\d+\.)pwconv(\d)\.', r'\1pointwise_conv\2.'),
]
RULES = [(r'^backbone\.(head|norm|fc)\.', None), *SWIN, *RESNET, *CONVNEXT]


def prepare(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """ImageNet checkpoints have no prefix."""
    return deep_stem({PREFIX + k: v for k, v in state.items()})
