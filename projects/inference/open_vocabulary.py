"""Open-vocabulary detection in images, folders, globs and videos.

import mmroad
from mmroad.inference.open_vocabulary import DeticInferencer
from mmroad.detic.vocabulary import load_vocabulary

model = mmroad.init_model('Detic_LCOCOI21k_CLIP_SwinB_896b32_4x_ft4x_max-size', 'detic.pth')
detect = DeticInferencer(model, vocabulary=load_vocabulary('words.safetensors'))
result = detect('street.jpg')
result.names, result.masks, result.features
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..detic.vocabulary import Vocabulary, plain_name
from ..files import ImageError, replacing, write_image, write_json
from ..files.json_files import read_json
from ..files.outputs import RunFolder
from ..files.sources import Item, open_source
from .base import Run, given_image, run_over
from .detection import DetInferencer, Predictions

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import nn


class OpenDetections(NamedTuple):
    """One image's detections, best first."""

    name: str
    boxes: np.ndarray  #: (n, 4) x1, y1, x2, y2 in pixels of the image, x2 exclusive
    scores: np.ndarray  #: (n,) in [0, 1]
    labels: np.ndarray  #: (n,) rows of the classes
    names: list[str]  #: their class names
    picture: np.ndarray  #: BGR uint8, the image with masks, boxes and names from the threshold on
    masks: np.ndarray | None  #: (n, H, W) bool
    features: np.ndarray | None  #: (n, 512) unit embeddings of the regions


class DeticInferencer(DetInferencer):
    """Runs a Detic model on images as they come.

    Args:
        model: A Detic model with its config as ``model.cfg`` (``mmroad.init_model``).
        threshold: Scores from which a detection is drawn; the result holds all.
        vocabulary: The classes to detect; None keeps the model's (or its config's) own.
        all_classes: Every class of a proposal above the score threshold, not the best one alone.
        masks: Predict masks (CenterNet2 models).
        features: Add the regions' embeddings (models with a zero-shot classifier).
    """

    def __init__(
        self,
        model: nn.Module,
        threshold: float = 0.5,
        vocabulary: Vocabulary | None = None,
        all_classes: bool = False,
        masks: bool = True,
        features: bool = False,
    ) -> None:
        zero_shot = hasattr(model, 'roi_head')
        if not zero_shot and (vocabulary is not None or features):
            raise ValueError(
                'Deformable DETR has a learned classifier: no other vocabulary and no region features; pick '
                'among its classes with model.vocabularies (configs/detic/README.md)'
            )
        head = model.roi_head if zero_shot else model.bbox_head
        head.test_cfg.update(one_class_per_proposal=not all_classes, masks=masks, features=features)
        if vocabulary is not None:
            model.set_vocabulary(vocabulary)
        own = (model.dataset_meta or {}).get('classes') or model.own_names()
        names = own if model.vocabulary is None else model.class_names_of(model.vocabulary)
        if names is None:
            raise ValueError(
                'nobody has named the classes of this model: give a vocabulary, a checkpoint converted with '
                '--classes FILE, or --cfg-options model.class_names=FILE'
            )
        model.dataset_meta = {**(model.dataset_meta or {}), 'classes': tuple(names)}
        super().__init__(model, threshold)

    def __call__(self, image: str | Path | np.ndarray | Image, name: str = '') -> OpenDetections:
        """Detections in one image: a path, a BGR or grey uint8 array, or a Pillow image."""
        name, image = given_image(image, name)
        found = self.predict(image, name)
        boxes, scores, labels = (getattr(found, k).numpy() for k in ('bboxes', 'scores', 'labels'))
        masks, features = (found.get(k).numpy() if k in found else None for k in ('masks', 'features'))
        names = [self.classes[c] for c in labels]
        canvas = image if masks is None else paint(image, masks[scores >= self.threshold], labels)
        picture = self.draw(canvas, names, boxes, scores)
        return OpenDetections(name, boxes, scores, labels, names, picture, masks, features)

    def run(
        self,
        source: str | Path,
        out_dir: str | Path | None = None,
        progress: bool = True,
        annotations: str | Path | None = None,
    ) -> Run[OpenDetections]:
        """Detections in every image of a file, folder, glob or video; see `run_over`.

        With ``out_dir`` are written: ``pictures/NAME``; ``det.json`` (Scalabel, BDD100K's); ``results.json``
        (COCO's and LVIS's result format, with masks) and ``results_ids.json`` (its images and categories);
        ``features/NAME.npz`` where features are asked for.

        Args:
            annotations: COCO- or LVIS-style file whose image and category ids ``results.json`` uses, found by
                file name (see `match_images`) and class name; None counts from 1.

        Raises:
            ValueError: The annotations lack an image or a class; names them.
        """
        source = open_source(source)
        if out_dir is None:
            return run_over(source, self, progress=progress)
        files = (*Predictions.FILES, 'results.json', 'results_ids.json')
        folder = RunFolder(out_dir, source, files, pictures=None, features=None)
        predictions = Predictions(out_dir, self.classes)
        results = ResultWriter(out_dir, self.classes, annotations)
        results.check([item.path for item in source.items if not item.is_video])

        def write(result: OpenDetections, item: Item) -> None:
            path = item.path.parent / PurePath(result.name).name if item.is_video else item.path
            results.add(result, result.picture.shape[:2], path)
            predictions.add(result)
            if result.features is not None:
                write_features(Path(f'{folder.path("features", result.name)}.npz'), result)
            write_image(folder.path('pictures', result.name), result.picture)

        def finish() -> None:
            try:
                results.close()
            finally:
                predictions.write()

        return run_over(source, self, write, finish, progress)


def paint(image: np.ndarray, masks: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The image with masks (n, H, W), best first, in colours of their classes."""
    canvas = image.astype(np.float32)
    for mask, label in reversed(list(zip(masks, labels.tolist()))):
        color = np.random.default_rng(label).integers(40, 255, 3)
        canvas[mask] = 0.55 * canvas[mask] + 0.45 * color
    return canvas.astype(np.uint8)


def write_features(path: Path, result: OpenDetections) -> None:
    """Boxes, scores, labels, names and region embeddings of an image as .npz."""
    fields = {k: getattr(result, k) for k in ('boxes', 'scores', 'labels', 'features')}
    with replacing(path) as part, part.open('wb') as file:
        np.savez_compressed(file, names=np.array(result.names), **fields)


class ResultWriter:
    """Streams COCO's result format; see ``DeticInferencer.run``."""

    def __init__(
        self, out_dir: str | Path, classes: Sequence[str], annotations: str | Path | None = None
    ) -> None:
        self.path = Path(out_dir) / 'results.json'
        self.categories = [dict(id=i, name=name) for i, name in enumerate(classes, 1)]
        self.images: list[dict] = []
        self.annotations = annotations
        self._known: list[tuple[str, int]] = []
        self._ids: dict[Path, int] = {}
        if annotations is not None:
            self._adopt(annotations)
        self._stack, self._file = ExitStack(), None

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

    def add(self, result: OpenDetections, shape: tuple[int, int], path: Path) -> None:
        """Append an image's detections; ``shape`` its height and width, ``path`` its place for `match_images`."""
        from pycocotools import mask

        number = len(self.images) + 1
        if self.annotations is not None:
            if path not in self._ids:  # a video's frame
                self._ids |= match_images([path], self._known, self.annotations)
            number = self._ids[path]
        self.images.append(dict(id=number, file_name=result.name, height=shape[0], width=shape[1]))
        for i, (box, score, label) in enumerate(zip(result.boxes.tolist(), result.scores, result.labels)):
            x1, y1, x2, y2 = box
            record = dict(
                image_id=number,
                category_id=self.categories[label]['id'],
                bbox=[x1, y1, x2 - x1, y2 - y1],
                score=float(score),
            )
            if result.masks is not None:
                rle = mask.encode(np.asfortranarray(result.masks[i].astype(np.uint8)))
                record['segmentation'] = dict(size=list(rle['size']), counts=rle['counts'].decode())
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
    ids, taken, lost = {}, {}, []
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
