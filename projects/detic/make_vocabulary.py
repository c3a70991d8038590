"""Vocabularies put together from files, checkpoints and a text encoder, by class name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..zoo.checkpoint import load_state_file, state_dict_of
from .text_encoder import PROMPT, from_names
from .vocabulary import (
    Vocabulary,
    load_vocabulary,
    merge,
    near_names,
    parse_words,
    plain_name,
    read_names,
)


def open_source(source: str) -> Vocabulary:
    """The vocabulary of ``FILE`` or ``FILE:NAMES`` (see mmroad vocabulary)."""
    path, _, names = source.partition(':') if not Path(source).is_file() else (source, '', '')
    if Path(path).suffix == '.pth':
        return classifier_of(path, names or None)
    return load_vocabulary(path, names or None)


def classifier_of(path: str | Path, names: str | Sequence[str] | None = None) -> Vocabulary:
    """The classes of a converted or trained Detic checkpoint, from its own classifier.

    Args:
        path: The checkpoint.
        names: Names of its columns (what ``read_names`` takes); None takes those the checkpoint holds.
    """
    content = load_state_file(path)
    state = state_dict_of(content)
    key = 'roi_head.bbox_head.0.fc_cls.zs_weight'
    if key not in state:
        found = ', '.join(list(state)[:3]) or 'nothing'
        raise ValueError(
            f'{path}: no class embeddings: expected the key {key}, found {found} ...; convert a published '
            'checkpoint with convert.py detic (a file of embeddings alone ends in .pt)'
        )
    weight = state[key]
    if names is None:
        names = ((content.get('meta') or {}).get('dataset_meta') or {}).get('classes')
        if names is None:
            raise ValueError(
                f'{path} does not name its {weight.shape[1] - 1} classes: give them as FILE:NAMES'
            )
        names = [names] if isinstance(names, str) else list(names)
    names = read_names(names)
    if weight.shape[1] != len(names) + 1:
        raise ValueError(f'{path}: a classifier of {weight.shape[1] - 1} classes, but {len(names)} names')
    return Vocabulary(names, weight[:, :-1].t().float().contiguous())


def make_vocabulary(
    names: str,
    sources: Sequence[str],
    encoder: str | Callable[[list[str]], Tensor] | None = None,
    prompt: str = PROMPT,
) -> tuple[Vocabulary, list[str]]:
    """The vocabulary of ``names`` and where each class came from; embeddings have unit length.

    Args:
        names: As `parse_words` takes them, or ``*`` for all that the sources have.
        sources: ``FILE`` or ``FILE:NAMES``, the first that has a name gives it.
        encoder: For names that no source has (see ``from_names``); None makes them an error.

    Raises:
        ValueError: Names given twice, or that are nowhere, with those that are near.
    """
    opened = [(source, open_source(source)) for source in sources]
    if names == '*':
        vocabulary = merge(*(v for _, v in opened))
        return vocabulary, [source for source, v in opened for _ in v.names]
    words = parse_words(names)
    found = [_find(other, opened) for other in words.values()]
    missing = [other for other, place in zip(words.values(), found) if place is None]
    computed = {}
    if missing and encoder is None:
        known = [name for _, v in opened for name in v.names]
        raise ValueError(
            f'names in no source: {near_names(missing, known)}. Add a source, or compute them with --encoder'
        )
    if missing:
        texts, embeddings = from_names(list(dict.fromkeys(missing)), encoder, prompt)
        places = [f'{encoder}: {prompt.replace("{}", text)}' for text in texts]
        computed = dict(zip(texts, zip(embeddings, places)))
    rows, origin = zip(*(place or computed[other] for other, place in zip(words.values(), found)))
    return Vocabulary(tuple(words), F.normalize(torch.stack(rows), dim=1)), list(origin)


def _find(name: str, sources: Sequence[tuple[str, Vocabulary]]) -> tuple[Tensor, str] | None:
    """A class's embedding and where it is, from the first source that has it."""
    for source, vocabulary in sources:
        known = [plain_name(n) for n in vocabulary.names]
        if plain_name(name) in known:
            row = known.index(plain_name(name))
            return vocabulary.embeddings[row].float(), f'{source} #{row} {vocabulary.names[row]}'
    return None
