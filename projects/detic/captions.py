"""Class tags of captions (CC3M, COCO), and the captions' embeddings."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..files import replacing
from .parts import Progress, keep_sources, parts_of, remove_parts, resumable, state_of
from .prepare_data import image_size
from .synsets import COCO_SYNSETS

#: Lines of CC3M's table that one step of a resumable run takes.
CHUNK = 20000


def plain_synonym(name: str) -> str:
    """A synonym as captions write it: blanks for ``_``, nothing from a bracket on, lower case."""
    return name.replace('_', ' ').partition('(')[0].lower().strip()


class Tagger:
    """Finds the classes whose names are in a caption, between blanks or the caption's ends.

    Args:
        categories: With ``id`` and ``synonyms`` (LVIS's).
    """

    def __init__(self, categories: Sequence[Mapping]) -> None:
        self.names: dict[tuple[str, ...], set[int]] = defaultdict(set)
        for category in categories:
            for synonym in category['synonyms']:
                self.names[tuple(plain_synonym(synonym).split())].add(category['id'])
        self.names.pop((), None)  # a synonym that is all in brackets
        self.longest = max(map(len, self.names), default=0)

    def __call__(self, caption: str) -> list[int]:
        """Category ids in ascending order."""
        words = caption.lower().split()
        found: set[int] = set()
        for start in range(len(words)):
            for length in range(1, min(self.longest, len(words) - start) + 1):
                found |= self.names.get(tuple(words[start : start + length]), set())
        return sorted(found)


def with_lvis_synonyms(categories: Sequence[Mapping], lvis: Sequence[Mapping]) -> list[dict]:
    """COCO's categories with the synonyms of the LVIS classes they are."""
    synonyms = {c['synset']: c['synonyms'] for c in lvis}
    missing = [c['name'] for c in categories if COCO_SYNSETS.get(c['id']) not in synonyms]
    if missing:
        raise ValueError(f'COCO classes without a synset among the LVIS classes: {", ".join(missing)}')
    return [{**c, 'synonyms': synonyms[COCO_SYNSETS[c['id']]]} for c in categories]


def tag_coco(
    captions: Mapping[str, Any], categories: Sequence[Mapping], progress: Progress
) -> dict[str, Any]:
    """COCO's captions file with ``captions`` and ``pos_category_ids`` on its images, from all captions of an
    image; images without a tag are left out."""
    texts: dict[int, list[str]] = defaultdict(list)
    for a in captions['annotations']:
        texts[a['image_id']].append(a['caption'])
    tagger, images = Tagger(categories), []
    for image in progress(captions['images'], 'images'):
        tags = tagger(' '.join(texts[image['id']]))
        if tags:
            images.append({**image, 'captions': texts[image['id']], 'pos_category_ids': tags})
    return dict(categories=list(categories), images=images, annotations=[])


def tag_cc3m(
    table: str | Path, folder: str | Path, categories: Sequence[Mapping], parts: Path, progress: Progress
) -> tuple[dict[str, Any], int, list[str]]:
    """Tags of CC3M's table (``caption<TAB>url``), whose line n's image was saved as ``n.jpg`` (from 1).

    Returns:
        The content of the annotation file; the number of lines without an image (many addresses of CC3M are
        dead); and the images that cannot be read. Both are left out.

    Raises:
        FileNotFoundError: No table, or no folder.
        ValueError: The table is not text in UTF-8, or a line has no tab.
    """
    folder, table = Path(folder), Path(table)
    if not folder.is_dir():
        raise FileNotFoundError(f'folder of images {folder} not found')
    lines = _captions_of(table)
    tagger = Tagger(categories)

    def chunk(step: str) -> dict:
        start = int(step)
        found, absent, unread = [], 0, []
        for number, caption in enumerate(lines[start : start + CHUNK], start + 1):
            path = folder / f'{number}.jpg'
            size = image_size(path)
            if size is None and path.is_file():
                unread.append(path.name)
            absent += not path.is_file()
            tags = tagger(caption)
            if size is not None and tags:
                image = dict(id=number, file_name=path.name, width=size[0], height=size[1])
                found.append(dict(image, captions=[caption], pos_category_ids=tags))
        return dict(images=found, absent=absent, unread=unread)

    images, absent, unread = [], 0, []
    steps = [str(i) for i in range(0, len(lines), CHUNK)]
    inputs = [state_of(table, folder), sorted((words, sorted(ids)) for words, ids in tagger.names.items())]
    for _, result in resumable(steps, parts, chunk, progress, f'{CHUNK} captions', inputs):
        images += result['images']
        absent += result['absent']
        unread += result['unread']
    return dict(categories=list(categories), images=images, annotations=[]), absent, unread


def _captions_of(table: Path) -> list[str]:
    """The captions of a table, one a line."""
    if not table.is_file():
        raise FileNotFoundError(f'{table} not found')
    captions = []
    try:
        with open(table, encoding='utf-8-sig', newline='\n') as file:
            for number, line in enumerate(file, 1):
                caption, tab, _ = line.rstrip('\r\n').partition('\t')
                if not tab:
                    raise ValueError(f'{table}: line {number} has no tab: expected caption<TAB>url')
                captions.append(caption)
    except UnicodeDecodeError as error:
        raise ValueError(f'{table}: not text in UTF-8 (after line {len(captions)}): {error}') from error
    return captions


def embed_captions(
    content: Mapping[str, Any],
    out: str | Path,
    encode: Callable[[list[str]], Tensor],
    progress: Progress,
    chunk: int = 1024,
) -> int:
    """Write the embeddings (captions, D), float16, of all captions in the order ``DeticDataset`` counts them.

    An interrupted run goes on where it was. Returns the number of captions.

    Raises:
        ValueError: No captions, another suffix than .npy, or an encoder that gives another number of vectors, or
            values that are no numbers.
    """
    keep_sources(out, '.npy')
    texts = [c for i in sorted(content['images'], key=lambda i: i['id']) for c in i.get('captions', ())]
    if not texts:
        raise ValueError('no image has captions')

    def embed(step: str) -> dict[str, np.ndarray]:
        part = texts[int(step) : int(step) + chunk]
        found = encode(part).cpu().numpy().astype(np.float16)
        if found.ndim != 2 or len(found) != len(part) or not np.isfinite(found).all():
            raise ValueError(f'the text encoder gave {found.shape} for {len(part)} captions, or no numbers')
        return dict(rows=found)

    parts = parts_of(out)
    steps = [str(i) for i in range(0, len(texts), chunk)]
    digest = hashlib.sha256('\0'.join(texts).encode()).hexdigest()
    inputs = [digest, chunk, getattr(encode, '__qualname__', '')]
    with replacing(out) as whole:
        rows = None
        for step, found in resumable(steps, parts, embed, progress, f'{chunk} captions', inputs):
            if rows is None:
                shape = len(texts), found['rows'].shape[1]
                rows = np.lib.format.open_memmap(whole, 'w+', np.float16, shape)
            rows[int(step) : int(step) + len(found['rows'])] = found['rows']
        rows.flush()
    remove_parts(parts)
    return len(texts)
