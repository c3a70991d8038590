"""MM-Grounding-DINO (https://arxiv.org/abs/2401.02361): detection of what words name.

Importing this registers what its configs name.
"""

from ...bdd100k import det
from . import model, text

__all__ = ['det', 'model', 'text']
