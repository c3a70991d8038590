"""Class embeddings from names, by an optional CLIP text encoder, kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..files import replacing
from ..zoo.weights import home
from .vocabulary import Vocabulary, load_embeddings, parse_names

#: The published prompt.
PROMPT = 'a {}'


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
        prompt: Put around each name, in place of its ``{}``.
        cache: Folder; by default ``$MMROAD_HOME/embeddings`` or ``~/.cache/mmroad/embeddings``.

    Raises:
        ValueError: A prompt without one ``{}``, or an encoder that gives something else than a vector a name.
        ImportError: The encoder's package is not installed.
    """
    names = parse_names(names)
    if prompt.count('{}') != 1:
        raise ValueError(f'the prompt {prompt!r} must hold {{}} once, where the name goes')
    texts = [prompt.replace('{}', name.replace('_', ' ')) for name in names]
    if callable(encoder):
        return Vocabulary(names, _checked(encoder(texts), texts))
    key = hashlib.sha256('\n'.join([encoder, *texts]).encode()).hexdigest()[:16]
    path = Path(cache or home() / 'embeddings') / f'{key}.npy'
    if path.is_file():
        return Vocabulary(names, load_embeddings(path, len(names)))
    embeddings = _checked(text_encoder(encoder)(texts), texts)
    with replacing(path) as part:
        np.save(part, embeddings.numpy())
    return Vocabulary(names, embeddings)


def _checked(embeddings: Tensor, texts: list[str]) -> Tensor:
    embeddings = embeddings.float()
    if embeddings.ndim != 2 or len(embeddings) != len(texts) or not embeddings.isfinite().all():
        raise ValueError(
            f'the text encoder gave {tuple(embeddings.shape)} for {len(texts)} texts, or no numbers'
        )
    return embeddings


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


def text_encoder(name: str) -> Callable[[list[str]], Tensor]:
    """CLIP ViT-B/32's text encoder by ``open_clip`` or ``transformers``: texts -> embeddings (n, 512)."""
    return _ENCODERS[name]()


_ENCODERS = {'open_clip': _open_clip, 'transformers': _transformers}
