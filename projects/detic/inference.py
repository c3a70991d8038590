"""Open-vocabulary detection in images, folders, globs and videos.

import mmroad
from mmroad.detic.inference import DeticInferencer
from mmroad.detic.vocabulary import load_vocabulary

model = mmroad.init_model('Detic_LCOCOI21k_CLIP_SwinB_896b32_4x_ft4x_max-size', 'detic.pth')
detect = DeticInferencer(model, vocabulary=load_vocabulary('words.safetensors'))
result = detect('street.jpg')
result.names, result.masks, result.features
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..bdd100k.format import Prediction, write_predictions
from ..inference import DetInferencer, _track
from ..media import open_source, read_image, write_image
from .vocabulary import Vocabulary, plain_name

if TYPE_CHECKING:
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

    def __call__(self, image: str | Path | np.ndarray, name: str = '') -> OpenDetections:
        """Detections in one image, a path or a BGR array."""
        if not isinstance(image, np.ndarray):
            name, image = Path(image).name, read_image(image)
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
    ) -> Iterator[OpenDetections]:
        """Detections in every image of a file, folder, glob or video.

        With ``out_dir`` are written: ``pictures/NAME``; ``det.json`` (Scalabel, BDD100K's); ``results.json``
        (COCO's and LVIS's result format, with masks) and ``results_ids.json`` (its images and categories);
        ``features/NAME.npz`` where features are asked for.

        Args:
            annotations: COCO- or LVIS-style file whose image and category ids ``results.json`` uses, found by
                file name and class name; None counts from 1.
        """
        images, total = open_source(source)
        results = None if out_dir is None else ResultWriter(out_dir, self.classes, annotations)
        kept = []
        for name, image in _track(images, total) if progress else images:
            result = self(image, name)
            if results is not None:
                write_image(Path(out_dir) / 'pictures' / name, result.picture)
                lists = (array.tolist() for array in (result.boxes, result.scores, result.labels))
                kept.append(Prediction(len(kept), name, *lists))
                results.add(result, image.shape[:2])
                if result.features is not None:
                    write_features(Path(out_dir) / 'features' / f'{name}.npz', result)
            yield result
        if results is not None:
            results.close()
            write_predictions(iter(kept), out_dir, len(kept), self.classes)


def paint(image: np.ndarray, masks: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The image with masks (n, H, W), best first, in colours of their classes."""
    canvas = image.astype(np.float32)
    for mask, label in reversed(list(zip(masks, labels.tolist()))):
        color = np.random.default_rng(label).integers(40, 255, 3)
        canvas[mask] = 0.55 * canvas[mask] + 0.45 * color
    return canvas.astype(np.uint8)


def write_features(path: Path, result: OpenDetections) -> None:
    """Boxes, scores, labels, names and region embeddings of an image as .npz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.stem}.part.npz')
    fields = {k: getattr(result, k) for k in ('boxes', 'scores', 'labels', 'features')}
    np.savez_compressed(part, names=np.array(result.names), **fields)
    os.replace(part, path)


class ResultWriter:
    """Streams COCO's result format; see ``DeticInferencer.run``."""

    def __init__(
        self, out_dir: str | Path, classes: Sequence[str], annotations: str | Path | None = None
    ) -> None:
        self.path = Path(out_dir) / 'results.json'
        self.categories = [dict(id=i, name=name) for i, name in enumerate(classes, 1)]
        self.images: list[dict] = []
        self.known: dict[str, int] | None = None
        if annotations is not None:
            self._adopt(annotations)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.part = self.path.with_name(f'.results.{os.getpid()}.part')
        self._file = open(self.part, 'w')
        self._count = 0

    def _adopt(self, path: str | Path) -> None:
        content = json.loads(Path(path).read_text())
        ids = {plain_name(c['name']): c['id'] for c in content['categories']}
        missing = [c['name'] for c in self.categories if plain_name(c['name']) not in ids]
        if missing:
            raise ValueError(f'{path} has no categories named {", ".join(missing[:10])}')
        self.categories = [dict(id=ids[plain_name(c['name'])], name=c['name']) for c in self.categories]
        self.known = {Path(i.get('file_name') or i['coco_url']).name: i['id'] for i in content['images']}

    def add(self, result: OpenDetections, shape: tuple[int, int]) -> None:
        """Append an image's detections; ``shape`` its height and width."""
        from pycocotools import mask

        number = len(self.images) + 1
        if self.known is not None:
            name = Path(result.name).name
            if name not in self.known:
                raise ValueError(f'image {result.name} is not among the annotations')
            number = self.known[name]
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
            self._file.write(('[' if not self._count else ',\n') + json.dumps(record))
            self._count += 1

    def close(self) -> None:
        """Put the files in place."""
        self._file.write(']\n' if self._count else '[]\n')
        self._file.close()
        os.replace(self.part, self.path)
        ids = self.path.with_name('results_ids.json')
        part = ids.with_name(f'.results_ids.{os.getpid()}.part')
        part.write_text(json.dumps(dict(images=self.images, categories=self.categories)))
        os.replace(part, ids)
