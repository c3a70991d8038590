"""A run's detections in COCO's and LVIS's result format, with the ids of an annotation file."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePath
from typing import Any, ClassVar, TextIO

from ..detic.vocabulary import plain_name
from ..files import ImageError, replacing, write_json
from ..files.json_files import read_json
from ..files.sources import Item
from .detection import Detections


class ResultWriter:
    """Streams COCO's result format to ``results.json``, and what it numbers to ``results_ids.json``.

    Args:
        out_dir: The output folder.
        classes: The names of the labels.
        annotations: COCO- or LVIS-style file whose image and category ids are used, found by file name
            (`match_images`) and class name; None counts from 1.

    Raises:
        ValueError: The annotations lack a class; names it.
    """

    FILES: ClassVar[tuple[str, ...]] = ('results.json', 'results_ids.json')

    def __init__(
        self, out_dir: str | Path, classes: Sequence[str], annotations: str | Path | None = None
    ) -> None:
        self.path = Path(out_dir) / 'results.json'
        self.categories: list[dict[str, Any]] = [dict(id=i, name=name) for i, name in enumerate(classes, 1)]
        self.images: list[dict] = []
        self.annotations = annotations
        self._known: list[tuple[str, int]] = []
        self._ids: dict[Path, int] = {}
        if annotations is not None:
            self._adopt(annotations)
        self._stack = ExitStack()
        self._file: TextIO | None = None

    def _adopt(self, path: str | Path) -> None:
        try:
            content = read_json(path)
            ids = {plain_name(c['name']): c['id'] for c in content['categories']}
            for image in content['images']:
                # LVIS gives an address, http://images.cocodataset.org/FOLDER/FILE
                name = image.get('file_name') or '/'.join(image['coco_url'].split('/')[-2:])
                self._known.append((name, image['id']))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f'{path}: not a COCO- or LVIS-style file with images (id, file_name or coco_url) and categories '
                f'(id, name): {type(error).__name__} {error}'
            ) from error
        missing = [c['name'] for c in self.categories if plain_name(c['name']) not in ids]
        if missing:
            raise ValueError(f'{path} has no categories named {", ".join(missing[:10])}')
        self.categories = [dict(id=ids[plain_name(c['name'])], name=c['name']) for c in self.categories]

    def check(self, paths: Iterable[Path]) -> None:
        """Find the ids of images that will come.

        Raises:
            ValueError: Images are not among the annotations, or not by one name; names them.
        """
        if self.annotations is not None:
            self._ids = match_images(paths, self._known, self.annotations)

    def add(self, result: Detections, item: Item) -> None:
        """Append an image's detections."""
        path = item.path.parent / PurePath(result.name).name if item.is_video else item.path
        number = len(self.images) + 1
        if self.annotations is not None:
            if path not in self._ids:  # a video's frame
                self._ids |= match_images([path], self._known, self.annotations)
            number = self._ids[path]
        height, width = result.picture.shape[:2]
        self.images.append(dict(id=number, file_name=result.name, height=height, width=width))
        for record in result.to_coco(number):
            record['category_id'] = self.categories[record['category_id'] - 1]['id']
            self._append(json.dumps(record))

    def _append(self, text: str) -> None:
        if self._file is None:
            part = self._stack.enter_context(replacing(self.path))
            self._file = self._stack.enter_context(open(part, 'w'))
            self._file.write('[' + text)
        else:
            self._file.write(',\n' + text)

    def close(self) -> None:
        """Put the files in place, where there is an image."""
        if self._file is not None:
            self._file.write(']\n')
            self._stack.close()
        elif self.images:
            write_json(self.path, [])
        if self.images:
            ids = self.path.with_name('results_ids.json')
            write_json(ids, dict(images=self.images, categories=self.categories))


def match_images(
    paths: Iterable[Path], known: Sequence[tuple[str, int]], annotations: str | Path
) -> dict[Path, int]:
    """The ids of images by their paths.

    An annotation's name fits where the path ends with it; the longest does. Where none fits, the base name is
    enough if it stands once in the annotations and once among the images.

    Args:
        paths: Images.
        known: File names, perhaps with folders, and ids of the annotations.
        annotations: The file, for the error's text.

    Raises:
        ImageError: An image fits no annotation or several, or two images fit one; names them.
    """
    by_base, own = defaultdict(list), defaultdict(list)
    for name, number in known:
        parts = PurePath(name).parts
        by_base[parts[-1]].append((parts, number))
    for path in paths:
        own[path.name].append(path)
    ids: dict[Path, int] = {}
    taken: dict[int, Path] = {}
    lost: list[str] = []
    for base, same in own.items():
        for path in same:
            whole = path.absolute().parts
            fits = [(len(parts), n) for parts, n in by_base[base] if whole[-len(parts) :] == parts]
            if fits:
                found = {n for length, n in fits if length == max(fits)[0]}
            else:
                found = {n for _, n in by_base[base]} if len(same) == 1 else set()
            if len(found) != 1:
                lost.append(str(path))
                continue
            (ids[path],) = found
            other = taken.setdefault(ids[path], path)
            if other != path:
                raise ImageError(f'{annotations}: image {ids[path]} would be {other} and {path}')
    if lost:
        raise ImageError(
            f'{annotations}: {len(lost)} images are not among the annotations, or several of their name are: '
            f'{", ".join(lost[:10])}'
        )
    return ids
