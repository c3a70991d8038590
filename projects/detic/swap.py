"""Vocabularies that are swapped at test time, for every variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .vocabulary import load_vocabulary, parse_names, read_names

EMBEDDINGS = ('.npy', '.safetensors')


class VocabularySwap:
    """What a detector needs to be tested on other classes than its own.

    Args:
        vocabularies: Name -> file of embeddings (.npy, .safetensors), file of names of the model's own classes
            (.txt, .json), or class -> place of its embedding (see ``mmroad.detic.vocabulary.vocabulary_matrix``).
            Test images whose meta information has ``vocabulary`` are judged on that one.
        vocabulary: Name of the one for all other test images, or such a file itself, or names of own classes (a
            list or comma list); None keeps all of the model's own classes.
        class_names: Names of the model's own classes (what ``read_names`` takes), where they are known.
    """

    def init_vocabularies(
        self,
        vocabularies: dict | None,
        vocabulary: str | Sequence[str] | None,
        class_names: str | Sequence[str] | None,
    ) -> None:
        self.vocabularies = dict(vocabularies or {})
        self.class_names = class_names
        self._resolved: dict = {}
        if vocabulary is not None and not isinstance(vocabulary, str):
            vocabulary = ', '.join(parse_names(vocabulary))
        if vocabulary is not None and vocabulary not in self.vocabularies:
            if ',' in vocabulary:
                self.vocabularies[vocabulary] = {name: f'#{name}' for name in parse_names(vocabulary)}
            elif Path(vocabulary).is_file():
                self.vocabularies[vocabulary] = vocabulary
            else:
                raise ValueError(
                    f'vocabulary {vocabulary!r} is neither a file nor among {sorted(self.vocabularies)}'
                )
        self.vocabulary = vocabulary

    def own_names(self) -> tuple[str, ...] | None:
        """Names of the model's own classes, or None where nobody has named them."""
        return None if self.class_names is None else read_names(self.class_names)

    def vocabulary_of(self, batch_data_samples: list) -> str | None:
        """The vocabulary that the images of a test batch share."""
        names = {s.metainfo.get('vocabulary') or self.vocabulary for s in batch_data_samples}
        if len(names) != 1:
            raise ValueError(
                f'a test batch must share one vocabulary, this one has {sorted(map(str, names))}: '
                'use batch_size=1'
            )
        name = names.pop()
        if name is not None and name not in self.vocabularies:
            raise ValueError(f"vocabulary {name!r} is not among the config's: {sorted(self.vocabularies)}")
        return name

    def places_of(self, name: str) -> str | Mapping[str, str]:
        """A vocabulary as a file of embeddings, or as class -> place."""
        spec = self.vocabularies[name]
        if isinstance(spec, str) and not spec.endswith(EMBEDDINGS):
            return {n: f'#{n}' for n in read_names(spec)}
        return spec

    def class_names_of(self, name: str | None) -> tuple[str, ...] | None:
        """The class names of a vocabulary (None: the model's own), where they are known."""
        if name is None:
            return self.own_names()
        places = self.places_of(name)
        if isinstance(places, Mapping):
            return tuple(places)
        return load_vocabulary(places).names if places.endswith('.safetensors') else None
