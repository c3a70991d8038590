"""Vocabularies: class names with their embeddings, from a file, from names, or from a checkpoint."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

#: The published prompt.
PROMPT = 'a {}'


class Vocabulary(NamedTuple):
    """Class names and their embeddings (C, D), float32, not necessarily of unit length."""

    names: tuple[str, ...]
    embeddings: Tensor


def parse_names(text: str | Sequence[str]) -> tuple[str, ...]:
    """Names from a comma list (blanks around them are dropped) or a sequence.

    Raises:
        ValueError: An empty name, no name at all, or one given twice.
    """
    names = tuple(name.strip() for name in (text.split(',') if isinstance(text, str) else text))
    if not names or '' in names:
        raise ValueError(f'empty class name in the vocabulary {text!r}')
    lower = [name.lower() for name in names]
    twice = sorted({name for name in lower if lower.count(name) > 1})
    if twice:
        raise ValueError(f'class names given more than once: {", ".join(twice)}')
    return names


def load_embeddings(path: str | Path, num_classes: int | None = None, dim: int = 512) -> Tensor:
    """Class embeddings (C, dim), float32, from a .npy of C x dim either way round, or from a
    .safetensors file (its only tensor, or one tensor of ``dim`` values a class name).

    Raises:
        FileNotFoundError: No such file.
        ValueError: The array is not two-dimensional of length ``dim``, holds non-finite values,
            or has another number of classes than ``num_classes``.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f'class embeddings {path} not found: place the file there (datasets/metadata of Detic has those '
            'of COCO, LVIS, Objects365 and OpenImages), or compute it (mmroad.detic.vocabulary.from_names)'
        )
    array = _read_array(path)
    if array.ndim != 2 or dim not in array.shape:
        raise ValueError(f'{path}: expected class embeddings of C x {dim}, found an array of {array.shape}')
    if array.shape[1] != dim:
        array = array.T
    if not np.isfinite(array).all():
        raise ValueError(f'{path}: class embeddings with non-finite values')
    if num_classes is not None and len(array) != num_classes:
        raise ValueError(f'{path} holds {len(array)} classes, the model has {num_classes}')
    return torch.from_numpy(np.array(array, dtype=np.float32))


def _read_array(path: Path) -> np.ndarray:
    if path.suffix != '.safetensors':
        return np.load(path, allow_pickle=False)
    from safetensors.numpy import load_file

    tensors = load_file(path)
    return next(iter(tensors.values())) if len(tensors) == 1 else np.stack(list(tensors.values()))


def load_vocabulary(path: str | Path, names: str | Sequence[str] | None = None, dim: int = 512) -> Vocabulary:
    """Names and embeddings. A .safetensors file of one vector a class brings its own names;
    another file needs ``names`` in the order of its rows."""
    path = Path(path)
    if path.suffix == '.safetensors' and path.is_file():
        from safetensors.numpy import load_file

        tensors = load_file(path)
        if len(tensors) > 1 or (names is None and next(iter(tensors.values())).ndim == 1):
            vocabulary = Vocabulary(
                parse_names(list(tensors)),
                torch.from_numpy(np.stack(list(tensors.values())).astype(np.float32)),
            )
            return vocabulary if names is None else select(vocabulary, names)
    embeddings = load_embeddings(path, dim=dim)
    if names is None:
        raise ValueError(f'{path} holds no class names: give them in the order of its {len(embeddings)} rows')
    names = parse_names(names)
    if len(names) != len(embeddings):
        raise ValueError(f'{path} holds {len(embeddings)} embeddings, but {len(names)} names are given')
    return Vocabulary(names, embeddings)


def select(vocabulary: Vocabulary, names: str | Sequence[str]) -> Vocabulary:
    """The given names' part of a vocabulary; ``_`` and blank count as equal, and upper case as lower.

    Raises:
        ValueError: Names that the vocabulary lacks, with those that are near.
    """
    names = parse_names(names)
    rows = {_plain(name): i for i, name in enumerate(vocabulary.names)}
    unknown = [name for name in names if _plain(name) not in rows]
    if unknown:
        from difflib import get_close_matches

        near = {name: get_close_matches(_plain(name), rows, 3) for name in unknown}
        hints = '; '.join(f'{name} (near: {", ".join(hits) or "none"})' for name, hits in near.items())
        raise ValueError(f'names that the vocabulary of {len(rows)} classes lacks: {hints}')
    return Vocabulary(names, vocabulary.embeddings[[rows[_plain(name)] for name in names]])


def _plain(name: str) -> str:
    return name.replace('_', ' ').strip().lower()


def merge(*vocabularies: Vocabulary) -> Vocabulary:
    """Vocabularies one after another; a name in two of them is refused."""
    names = parse_names([name for v in vocabularies for name in v.names])
    return Vocabulary(names, torch.cat([F.normalize(v.embeddings.float(), dim=1) for v in vocabularies]))


def classifier_matrix(embeddings: Tensor) -> Tensor:
    """(dim, C + 1): the embeddings (C, dim) as unit columns and a zero column for the background."""
    return F.pad(F.normalize(embeddings.float(), dim=1).t(), (0, 1)).contiguous()


def from_classifier(weight: Tensor, names: Sequence[str], wanted: str | Sequence[str]) -> Vocabulary:
    """Classes of a checkpoint's own classifier (dim, C + 1), picked by name."""
    if weight.shape[1] != len(names) + 1:
        raise ValueError(f'a classifier of {weight.shape[1] - 1} classes, but {len(names)} names')
    return select(Vocabulary(parse_names(names), weight[:, :-1].t().contiguous()), wanted)


def from_names(
    names: str | Sequence[str],
    encoder: str | Callable[[list[str]], Tensor] = 'open_clip',
    prompt: str = PROMPT,
    cache: str | Path | None = None,
) -> Vocabulary:
    """Embeddings of names by CLIP's ViT-B/32 text encoder, kept in a cache folder.

    Args:
        names: The classes.
        encoder: ``open_clip`` or ``transformers`` (optional packages), or a callable from
            texts to embeddings (n, 512).
        prompt: Put around each name.
        cache: Folder; by default ``$MMROAD_HOME/embeddings`` or ``~/.cache/mmroad/embeddings``.
    """
    names = parse_names(names)
    texts = [prompt.format(name.replace('_', ' ')) for name in names]
    if callable(encoder):
        return Vocabulary(names, encoder(texts).float())
    home = Path(os.environ.get('MMROAD_HOME', Path.home() / '.cache/mmroad'))
    key = hashlib.sha256('\n'.join([encoder, *texts]).encode()).hexdigest()[:16]
    path = Path(cache or home / 'embeddings') / f'{key}.npy'
    if path.is_file():
        return Vocabulary(names, load_embeddings(path, len(names)))
    embeddings = _ENCODERS[encoder]()(texts).float()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f'.{os.getpid()}.tmp')
    with open(part, 'wb') as file:
        np.save(file, embeddings.numpy())
    os.replace(part, path)
    return Vocabulary(names, embeddings)


def _open_clip() -> Callable[[list[str]], Tensor]:
    try:
        import open_clip
    except ImportError as error:
        raise ImportError(
            'embeddings from names need a CLIP text encoder: pip install open_clip_torch, '
            'or give a file of embeddings'
        ) from error
    model = open_clip.create_model('ViT-B-32-quickgelu', pretrained='openai').eval()
    tokenizer = open_clip.get_tokenizer('ViT-B-32-quickgelu')

    @torch.no_grad()
    def encode(texts: list[str]) -> Tensor:
        return torch.cat(
            [model.encode_text(tokenizer(texts[i : i + 256])) for i in range(0, len(texts), 256)]
        )

    return encode


def _transformers() -> Callable[[list[str]], Tensor]:
    try:
        from transformers import CLIPTextModelWithProjection, CLIPTokenizer
    except ImportError as error:
        raise ImportError(
            'embeddings from names need a CLIP text encoder: pip install transformers, '
            'or give a file of embeddings'
        ) from error
    name = 'openai/clip-vit-base-patch32'
    model = CLIPTextModelWithProjection.from_pretrained(name).eval()
    tokenizer = CLIPTokenizer.from_pretrained(name)

    @torch.no_grad()
    def encode(texts: list[str]) -> Tensor:
        tokens = tokenizer(texts, padding=True, return_tensors='pt')
        return model(**tokens).text_embeds

    return encode


_ENCODERS = {'open_clip': _open_clip, 'transformers': _transformers}
