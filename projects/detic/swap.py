"""Vocabularies that are swapped at test time, for every variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .embedding_files import SUFFIXES, read_embeddings
from .vocabulary import parse_names, plain_name, read_names


class VocabularySwap:
    """What a detector needs to be tested on other classes than its own.

    Args:
        vocabularies: Name -> file of embeddings (see ``embedding_files``), file of names of the model's own
            classes (.txt, .json), a list of such names, or class -> place of its embedding (see
            ``mmroad.detic.vocabulary.vocabulary_matrix``).
            Test images whose meta information has ``vocabulary`` are judged on that one.
        vocabulary: Name of the one for all other test images, or such a file, list or mapping itself, or a comma
            list of own classes; None keeps all of the model's own classes.
        class_names: Names of the model's own classes (what ``read_names`` takes), where they are known.
    """

    _dim = 512  # the length of an embedding
    _num_classes: int  # of the model's own

    def init_vocabularies(
        self,
        vocabularies: dict | None,
        vocabulary: str | Sequence[str] | Mapping[str, str] | None,
        class_names: str | Sequence[str] | None,
    ) -> None:
        self.vocabularies = {name: _as_places(spec) for name, spec in (vocabularies or {}).items()}
        self.class_names = class_names
        self._resolved: dict = {}
        if vocabulary is not None and not isinstance(vocabulary, str):
            places = _as_places(vocabulary)
            vocabulary = str(list(places))
            self.vocabularies[vocabulary] = places
        elif vocabulary is not None and vocabulary not in self.vocabularies:
            own = {plain_name(name) for name in self.own_names() or ()}
            if Path(vocabulary).is_file():
                self.vocabularies[vocabulary] = vocabulary
            elif ',' in vocabulary or plain_name(vocabulary) in own:
                self.vocabularies[vocabulary] = _as_places(parse_names(vocabulary))
            else:
                raise ValueError(
                    f'vocabulary {vocabulary!r} is neither a file nor among {sorted(self.vocabularies)}, nor a '
                    "class that the model's own are known to have"
                )
        self.vocabulary = vocabulary

    def own_names(self) -> tuple[str, ...] | None:
        """Names of the model's own classes, or None where nobody has named them."""
        return None if self.class_names is None else read_names(self.class_names)

    def name_own_classes(self, names: Sequence[str] | str) -> None:
        """Name the model's own classes as its checkpoint does, where the config does not and the number fits."""
        names = [names] if isinstance(names, str) else list(names)
        if self.class_names is None and len(names) == self._num_classes:
            self.class_names = names

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
        if isinstance(spec, str) and Path(spec).suffix not in SUFFIXES:
            return _as_places(read_names(spec))
        return spec

    def class_names_of(self, name: str | None) -> tuple[str, ...] | None:
        """The class names of a vocabulary (None: the model's own), where they are known."""
        if name is None:
            return self.own_names()
        places = self.places_of(name)
        return tuple(places) if isinstance(places, Mapping) else read_embeddings(places, self._dim).names

    def check_classes(
        self, classes: Sequence[str], source: str, vocabulary: str | None = None, first: bool = False
    ) -> None:
        """Compare a data set's classes with the vocabulary that its images are judged on, row by row.

        A vocabulary that is given class by class follows the data set's order: a written config sorts its keys.

        Args:
            classes: Of the data set, in the order of its labels.
            source: What has them, for the error's text.
            vocabulary: Name of the vocabulary; None for the model's own classes.
            first: The data set may have only the first of the classes (those with boxes).

        Raises:
            ValueError: Another number of classes, or another class in a row.
        """
        names = self.class_names_of(vocabulary)
        if vocabulary is not None and names is not None and self._follow(vocabulary, classes):
            return
        count = self._num_classes if vocabulary is None else self._size_of(vocabulary)
        title = "the model's own" if vocabulary is None else f'the vocabulary {vocabulary!r}'
        if len(classes) > count or (len(classes) < count and not first):
            raise ValueError(
                f'{source} has {len(classes)} classes ({_listed(classes)}), {title} {count}'
                f'{f" ({_listed(names)})" if names else ""}: labels are rows of the vocabulary. Give one of the '
                "data set's classes in their order (model.vocabulary=..., mmroad vocabulary)"
            )
        pairs = list(zip(classes, names or ()))
        wrong = [i for i, (a, b) in enumerate(pairs) if plain_name(a) != plain_name(b)]
        if wrong:
            text = ', '.join(f'row {i}: {pairs[i][0]!r} and {pairs[i][1]!r}' for i in wrong[:3])
            raise ValueError(
                f'{source} has other classes than {title}: {text}{f" ... ({len(wrong)} rows)" if wrong[3:] else ""}. '
                "Give a vocabulary of the data set's classes in their order (model.vocabulary=..., "
                'mmroad vocabulary; NAME=OTHER gives a class another name there), or the right names of '
                "the model's own (model.class_names=FILE)"
            )

    def _follow(self, name: str, classes: Sequence[str]) -> bool:
        """Whether a vocabulary of places has the same classes; it has them in that order then."""
        places = self.places_of(name)
        if not isinstance(places, Mapping):
            return False
        rows = {plain_name(n): n for n in places}
        wanted = [plain_name(n) for n in classes]
        if sorted(rows) != sorted(wanted):
            return False
        if list(rows) != wanted:
            self.vocabularies[name] = {rows[n]: places[rows[n]] for n in wanted}
            self._resolved.pop(name, None)
        return True

    def _size_of(self, name: str) -> int:
        places = self.places_of(name)
        return len(places if isinstance(places, Mapping) else read_embeddings(places, self._dim).embeddings)


def _as_places(spec: str | Mapping[str, str] | Sequence[str]) -> str | Mapping[str, str]:
    """A list of names as places in the model's own classifier; other forms as they are."""
    return spec if isinstance(spec, (str, Mapping)) else {n: f'#{n}' for n in parse_names(spec)}


def _listed(names: Sequence[str], number: int = 12) -> str:
    return ', '.join(names[:number]) + (', ...' if len(names) > number else '')
