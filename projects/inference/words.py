"""Detection by words, in images, folders, globs and videos.

import mmroad

name = 'mm-grounding-dino_swin-t_zero_shot_bdd100k'
detect = mmroad.inferencer(name, 'published', vocabulary=['car', 'traffic cone'])
result = detect('street.jpg')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..detic.vocabulary import Vocabulary
from .base import Inferencer
from .detection import DetInferencer

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn


class WordsInferencer(DetInferencer):
    """Runs Grounding DINO on images as they come; see `DetInferencer`.

    Args:
        model, options: See `Inferencer`.
        threshold: Scores from which a detection is drawn; the result holds all.
        vocabulary: The classes to detect: names, by name other words for them, or a vocabulary file's content, whose
            names alone count. None keeps the config's.
    """

    kind = 'words'

    def __init__(
        self,
        model: nn.Module | Config | str,
        threshold: float = 0.3,
        vocabulary: Vocabulary | Sequence[str] | Mapping[str, str | Sequence[str]] | None = None,
        **options: Any,
    ) -> None:
        Inferencer.__init__(self, model, **options)
        if vocabulary is not None:
            self.model.set_words(vocabulary.names if isinstance(vocabulary, Vocabulary) else vocabulary)
        self.model.dataset_meta = {**(self.model.dataset_meta or {}), 'classes': self.model.class_names}
        super().__init__(self.model, threshold)
