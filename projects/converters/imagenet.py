"""Initialisation weights: detectron2's ImageNet ResNets (R-50, R-101, R-103.pkl) and Microsoft's Swin.

R-103 is ResNet-101 whose 7x7 stem is three 3x3 convolutions (DeepLab's). A classifier's last norm and
head are dropped; the norms of a dense backbone's outputs, which a classifier lacks, stay as the model
initialises them.
"""

from torch import Tensor

from . import DERIVED
from ._detectron2 import RESNET, SWIN, deep_stem

PREFIX = 'backbone.'
SUPPLIED = (*DERIVED, r'^backbone\.norm[0-3]\.')
RULES = [(r'^backbone\.(head|norm)\.', None), *SWIN, *RESNET]


def prepare(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """ImageNet checkpoints have no prefix."""
    return deep_stem({PREFIX + k: v for k, v in state.items()})
