"""Grounding DINO with a vocabulary of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmdet.models.detectors import GroundingDINO
from mmdet.registry import MODELS
from torch import Tensor, nn

#: Words of one caption; more are looked for in several.
CHUNK = 40


def _published_encoding(head: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    """Encodings of boxes (..., 512) as the published model has them; onedl-mmdetection 3.5.1 makes them of twice as
    many sines and cosines, of which these are every other pair."""
    (encoding,) = inputs
    width = head.layers[0].in_features
    if encoding.shape[-1] == 2 * width:
        pairs = encoding.unflatten(-1, (4, width // 4, 2))
        encoding = pairs[..., ::2, :].flatten(-3)
    return (encoding,)


@MODELS.register_module()
class WordsGroundingDINO(GroundingDINO):
    """mmdet's Grounding DINO that looks for the classes of a vocabulary in every image.

    Args:
        words: Names of classes, or by name the word or the words (synonyms) that are looked for.
    """

    kind = 'words'

    def __init__(self, *args, words: Sequence[str] | Mapping[str, str | Sequence[str]], **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.set_words(words)

    def _init_layers(self) -> None:
        super()._init_layers()
        self.decoder.ref_point_head.register_forward_pre_hook(_published_encoding)

    def set_words(self, words: Sequence[str] | Mapping[str, str | Sequence[str]]) -> None:
        """Look for other classes.

        Raises:
            ValueError: No class, or an empty word.
        """
        table = dict(words) if isinstance(words, Mapping) else {name: name for name in words}
        table = {name: [w] if isinstance(w, str) else list(w) for name, w in table.items()}
        prompts = [(word.strip(), i) for i, found in enumerate(table.values()) for word in found]
        if not prompts or not all(word for word, _ in prompts) or not all(table.values()):
            raise ValueError(f'a vocabulary of words needs a word for each class, not {dict(table)}')
        self.class_names = tuple(table)
        self._prompts = [word for word, _ in prompts]
        self._class_of = torch.tensor([i for _, i in prompts])
        self.test_cfg['chunked_size'] = CHUNK if len(prompts) > CHUNK else -1

    def predict(self, batch_inputs: Tensor, batch_data_samples: list, rescale: bool = True) -> list:
        """Samples with ``pred_instances``, whose labels are classes of the vocabulary."""
        results = []
        for image, sample in zip(
            batch_inputs, batch_data_samples
        ):  # mmdet takes several captions for one image alone
            sample.set_metainfo(dict(text=tuple(self._prompts), custom_entities=True))
            results += super().predict(image[None], [sample], rescale)
        for sample in results:
            found = sample.pred_instances
            found.pop('label_names', None)
            found.labels = self._class_of.to(found.labels.device)[found.labels]
        return results
