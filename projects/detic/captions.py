"""Class tags of captions (CC3M, COCO), and the captions' embeddings."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from .prepare_data import Progress, image_size, resumable
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
        self.longest = max(map(len, self.names))

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
) -> tuple[dict[str, Any], int]:
    """Tags of CC3M's table (``caption<TAB>url``), whose line n's image was saved as ``n.jpg`` (from 1).

    Returns:
        The content of the annotation file, and the number of lines whose image is not there or cannot be read
        (many addresses of CC3M are dead).
    """
    folder = Path(folder)
    with open(table, encoding='utf-8') as file:
        lines = [line.rstrip('\n').split('\t')[0] for line in file]
    tagger = Tagger(categories)

    def chunk(step: str) -> dict:
        start = int(step)
        found, absent = [], 0
        for number, caption in enumerate(lines[start : start + CHUNK], start + 1):
            size = image_size(folder / f'{number}.jpg')
            absent += size is None
            tags = tagger(caption)
            if size is not None and tags:
                image = dict(id=number, file_name=f'{number}.jpg', width=size[0], height=size[1])
                found.append(dict(image, captions=[caption], pos_category_ids=tags))
        return dict(images=found, absent=absent)

    images, absent = [], 0
    steps = [str(i) for i in range(0, len(lines), CHUNK)]
    for _, result in resumable(steps, parts, chunk, progress, f'{CHUNK} captions'):
        images += result['images']
        absent += result['absent']
    return dict(categories=list(categories), images=images, annotations=[]), absent


def embed_captions(
    content: Mapping[str, Any],
    out: str | Path,
    encode: Callable[[list[str]], Tensor],
    progress: Progress,
    chunk: int = 1024,
) -> int:
    """Write the embeddings (captions, D), float16, of all captions in the order ``DeticDataset`` counts them.

    An interrupted run goes on from its ``.part`` file. Returns the number of captions.
    """
    out = Path(out)
    texts = [c for i in sorted(content['images'], key=lambda i: i['id']) for c in i['captions']]
    if not texts:
        raise ValueError('no image has captions')
    part, log = (out.with_name(f'.{out.name}.{end}') for end in ('part', 'done'))
    done = json.loads(log.read_text()) if log.is_file() and part.is_file() else 0
    rows = np.lib.format.open_memmap(part, 'r+') if done else None
    for start in progress(range(done, len(texts), chunk), f'{chunk} captions'):
        found = encode(texts[start : start + chunk]).cpu().numpy().astype(np.float16)
        if rows is None:
            rows = np.lib.format.open_memmap(part, 'w+', np.float16, (len(texts), found.shape[1]))
        rows[start : start + len(found)] = found
        rows.flush()
        log.write_text(json.dumps(start + len(found)))
    os.replace(part, out)
    log.unlink(missing_ok=True)
    return len(texts)
