"""Annotation files for Detic's training from the published ones.

Sources of the rules: section 4 of arXiv:2201.02605 and LVIS's, COCO's and ImageNet's file formats.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ..files import ImageError, is_image, json_files
from ..files.images import image_size as size_in_header
from .parts import Progress, resumable, state_of
from .synsets import COCO_SYNSETS
from .tar import TarImages


def read_json(path: str | Path, **records: str) -> dict[str, Any]:
    """A JSON file of COCO's or LVIS's form.

    Args:
        path: The file.
        records: Of each list that is wanted, the fields that its entries need, between blanks
            (``images='id file_name'``).

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not JSON, a list or field is missing, or an annotation belongs to no image or category of the
            file; names the place.
    """
    content = json_files.read_json(path)
    if not isinstance(content, Mapping):
        raise ValueError(
            f'{path} is a {type(content).__name__}, not an object of images, annotations, categories'
        )
    missing = [key for key in records if not isinstance(content.get(key), list)]
    if missing:
        raise ValueError(f'{path} has no {", ".join(missing)}: it is not the file that is meant')
    for name, fields in records.items():
        for number, entry in enumerate(content[name]):
            lacks = [f for f in fields.split() if not isinstance(entry, Mapping) or f not in entry]
            if lacks:
                raise ValueError(f'{path}: {name}[{number}] has no {", ".join(lacks)}')
    for field, name in (('image_id', 'images'), ('category_id', 'categories')):
        if name not in records or field not in records.get('annotations', '').split():
            continue
        known = {entry['id'] for entry in content[name]}
        for number, annotation in enumerate(content['annotations']):
            if annotation[field] not in known:
                raise ValueError(
                    f'{path}: annotations[{number}]: {field} {annotation[field]} is not among its {name}'
                )
    return content


def image_size(file: Path | BytesIO) -> tuple[int, int] | None:
    """(width, height) from the header, as an image is shown (its EXIF orientation heeded), or None where it is
    not an image."""
    try:
        return size_in_header(file)
    except (ImageError, FileNotFoundError):
        return None


def without_rare(lvis: Mapping[str, Any]) -> dict[str, Any]:
    """LVIS without the boxes of its rare classes; images and classes stay."""
    rare = {c['id'] for c in lvis['categories'] if c['frequency'] == 'r'}
    return {**lvis, 'annotations': [a for a in lvis['annotations'] if a['category_id'] not in rare]}


def with_categories(
    content: Mapping[str, Any], categories: Sequence[Mapping], source: str, other: str
) -> dict[str, Any]:
    """A file's content with other categories, which must have all that its annotations have.

    Raises:
        ValueError: They lack some; names the two files.
    """
    lacking = sorted({a['category_id'] for a in content['annotations']} - {c['id'] for c in categories})
    if lacking:
        raise ValueError(f'{source} has annotations of category_id {lacking[:5]}, which {other} lacks')
    return {**content, 'categories': list(categories)}


def class_counts(content: Mapping[str, Any]) -> list[dict]:
    """The categories with their ``image_count`` and ``instance_count`` (LVIS's ``cat_info`` files)."""
    images, instances = defaultdict(set), defaultdict(int)
    for a in content['annotations']:
        images[a['category_id']].add(a['image_id'])
        instances[a['category_id']] += 1
    return [
        {**c, 'image_count': len(images[c['id']]), 'instance_count': instances[c['id']]}
        for c in content['categories']
    ]


def merge_lvis_coco(
    lvis: Mapping[str, Any], coco: Mapping[str, Any], iou: float = 0.7, progress: Progress | None = None
) -> dict[str, Any]:
    """LVIS with COCO's boxes of the same images under LVIS's classes.

    A COCO box is left out where LVIS says that the image lacks the class, or has a box of the class that
    overlaps it by ``iou`` or more. Images without any LVIS box get none.
    """
    to_lvis = {c['synset']: c['id'] for c in lvis['categories']}
    classes = {c: to_lvis[s] for c, s in COCO_SYNSETS.items() if s in to_lvis}
    images = {_key(i): i for i in lvis['images']}
    from_coco = {i['id']: images.get(_key(i)) for i in coco['images']}
    own: dict[int, list] = defaultdict(list)
    for a in lvis['annotations']:
        own[a['image_id']].append(a)
    added: dict[int, list] = defaultdict(list)
    for a in coco['annotations']:
        image = from_coco.get(a['image_id'])
        category = classes.get(a['category_id'])
        if image is None or category is None or category in image['neg_category_ids']:
            continue
        added[image['id']].append({**a, 'category_id': category, 'image_id': image['id']})
    annotations = []
    for image_id, present in (progress or (lambda x, _: x))(own.items(), 'images'):
        annotations += present
        annotations += [a for a in added[image_id] if not _repeated(a, present, iou)]
    annotations = [{**a, 'id': i} for i, a in enumerate(annotations, 1)]
    return {**lvis, 'annotations': annotations}


def _key(image: Mapping[str, Any]) -> str:
    """COCO's twelve digits and suffix, which the file names of both sets share."""
    name = image.get('coco_url') or image.get('file_name')
    if not name:
        raise ValueError(f'image {image["id"]} has neither coco_url nor file_name')
    return name[-16:]


def _repeated(annotation: Mapping, present: Sequence[Mapping], threshold: float) -> bool:
    x, y, w, h = annotation['bbox']
    for other in present:
        if other['category_id'] != annotation['category_id']:
            continue
        u, v, k, m = other['bbox']
        inter = max(min(x + w, u + k) - max(x, u), 0) * max(min(y + h, v + m) - max(y, v), 0)
        if inter >= threshold * (w * h + k * m - inter) and inter > 0:
            return True
    return False


def imagenet_lvis(
    folder: str | Path,
    categories: Sequence[Mapping],
    synsets: Mapping[str, tuple[str, list[str]]],
    parts: Path,
    progress: Progress,
) -> tuple[dict[str, Any], list[str]]:
    """Image labels of ImageNet's folders (``n02084071/...``) whose synset is an LVIS class.

    Returns:
        The content of the annotation file, and the images that cannot be read (they are left out).
    """
    folder = Path(folder)
    by_synset = {c['synset']: c['id'] for c in categories}
    wanted = sorted(
        f.name for f in folder.iterdir() if f.is_dir() and synsets.get(f.name, ('', []))[0] in by_synset
    )
    if not wanted:
        raise ValueError(f'{folder}: no folder is named by a synset (n02084071) of an LVIS class')

    def sizes(wnid: str) -> list:
        # names that begin with a dot are macOS's, not images
        files = sorted(f for f in (folder / wnid).iterdir() if is_image(f) and f.name[0] != '.')
        return [(f.name, image_size(f)) for f in files]

    images, unread, counts = [], [], defaultdict(int)
    for wnid, files in resumable(wanted, parts, sizes, progress, 'classes', state_of(folder)):
        category = by_synset[synsets[wnid][0]]
        for name, size in files:
            if size is None:
                unread.append(f'{wnid}/{name}')
                continue
            images.append(_image(len(images) + 1, size, [category], file_name=f'{wnid}/{name}'))
            counts[category] += 1
    kept = [{**c, 'image_count': counts[c['id']]} for c in categories]
    return dict(categories=kept, images=images, annotations=[]), unread


def imagenet_21k(
    index: str | Path,
    categories: Sequence[Mapping],
    synsets: Mapping[str, tuple[str, list[str]]],
    parts: Path,
    progress: Progress,
) -> tuple[dict[str, Any], list[str]]:
    """Image labels of indexed tar files, one class a file (``n02084071.tar``).

    A tar's class is LVIS's of the same synset, else of the same name, else a new one after LVIS's.

    Returns:
        The content of the annotation file, and the members that cannot be read (they are left out).
    """
    tars = TarImages(index)
    first_word = {c['name']: c['id'] for c in categories}
    by_synset = {c['synset']: c['id'] for c in categories}
    merged = [dict(c) for c in categories]
    category: dict[str, int] = {}
    wnids = [Path(p).stem for p in tars.paths]
    twice = sorted(wnid for wnid, n in Counter(wnids).items() if n > 1)
    if twice:
        raise ValueError(f'{index}: several tar files of {", ".join(twice[:5])}: one a class')
    for wnid in wnids:
        if wnid not in synsets:
            raise ValueError(f'{index}: tar {wnid}.tar is not named by a noun synset of WordNet 3.0')
        synset, words = synsets[wnid]
        known = by_synset.get(synset, first_word.get(words[0]))
        if known is None:
            known = max(c['id'] for c in merged) + 1
            merged.append(dict(id=known, name=words[0], synset=synset, synonyms=words))
            first_word[words[0]] = known
        category[wnid] = known
    bounds = np.searchsorted(tars.tar, np.arange(len(wnids) + 1))
    place = {wnid: (int(bounds[i]), int(bounds[i + 1])) for i, wnid in enumerate(wnids)}

    def sizes(wnid: str) -> list:
        return [image_size(BytesIO(tars.read(i))) for i in range(*place[wnid])]

    images, unread = [], []
    for wnid, found in resumable(wnids, parts, sizes, progress, 'tar files', state_of(index)):
        for i, size in zip(range(*place[wnid]), found, strict=True):
            if size is None:
                unread.append(f'{wnid}.tar, member {i - place[wnid][0]}')
            else:
                images.append(_image(i + 1, size, [category[wnid]], tar_index=i))
    return dict(categories=merged, images=images, annotations=[]), unread


def _image(number: int, size: Sequence[int], labels: list[int], **place: Any) -> dict[str, Any]:
    return dict(id=number, width=size[0], height=size[1], pos_category_ids=labels, **place)
