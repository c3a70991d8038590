"""Any model of images by its name, and detection in images, folders, globs and videos.

import mmroad

detect = mmroad.inferencer('faster_rcnn_r50_fpn_3x_det_bdd100k', weights='published')
result = detect('street.jpg')
result.boxes, result.scores, result.names, result.picture
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np

from .bdd100k.format import Prediction, write_predictions
from .files.images import ImageError, as_bgr, read_image, write_image
from .files.outputs import RunFolder
from .files.sources import Item, LeftOut, Source, open_source

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.structures import InstanceData
    from PIL.Image import Image
    from torch import nn

Result = TypeVar('Result')


class Run(Generic[Result]):
    """Results one by one, as an iterator. What is left early, by ``break`` or Ctrl-C, keeps what was found."""

    def __init__(self, results: Iterator[Result], left_out: dict[str, str]) -> None:
        self._results = results
        #: What could not be used and why; known as the run goes on.
        self.left_out = left_out

    def __iter__(self) -> Iterator[Result]:
        return self

    def __next__(self) -> Result:
        return next(self._results)

    def close(self) -> None:
        """End the run and write what it found so far."""
        self._results.close()


def run_over(
    source: Source,
    infer: Callable[[np.ndarray, str], Result],
    write: Callable[[Result, Item], None] | None = None,
    finish: Callable[[], None] | None = None,
    progress: bool = True,
) -> Run[Result]:
    """Results of every image of a source; an image that cannot be used is left out and the run goes on.

    Args:
        infer: The result of an image, BGR uint8 (H, W, 3), and its name.
        write: Writes a result's files.
        finish: Writes the files of all results; called once, in whatever way the run ends.
        progress: Show a progress bar.
    """

    def results() -> Iterator[Result]:
        import cv2
        from rich.progress import Progress

        try:
            with Progress(disable=not progress) as bar:
                task = bar.add_task(os.path.basename(source.title) or source.title, total=source.total)
                for item, name, image in source.frames():
                    bar.advance(task)
                    try:
                        result = infer(image, name)
                    except (ImageError, MemoryError, RuntimeError, cv2.error) as error:
                        # RuntimeError: what torch raises for a size that a model or the memory does not take.
                        source.leave_out(name, error)
                        continue
                    if write is not None:
                        try:
                            write(result, item)
                        except ImageError as error:  # such as a picture that is too wide for its format
                            source.leave_out(name, error)
                    yield result
        finally:
            if finish is not None:
                finish()

    return Run(results(), source.left_out)


def run_tool(run: Run, out_dir: str, results: str = 'results') -> None:
    """Go through a run and say what was written; exits 1 where something was left out or the run interrupted."""
    import signal

    count = 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', LeftOut)  # they are listed below
        try:
            for _ in run:
                count += 1
        except KeyboardInterrupt:
            run.close()
            sys.exit(f'interrupted: the {count} {results} so far are in {out_dir}')
    print(f'{count} {results} written to {out_dir}')
    if run.left_out:
        lines = [f'  {name}: {reason}' for name, reason in run.left_out.items()]
        sys.exit('\n'.join([f'left out ({len(lines)}):', *lines]))


def given_image(image: Any, name: str = '') -> tuple[str, np.ndarray]:
    """The name and the BGR uint8 array (H, W, 3) of an image that a caller gives: a path, which is its name where
    there is none, or what `as_bgr` takes.

    Raises:
        FileNotFoundError, ImageError: It cannot be used; says why.
    """
    if isinstance(image, (str, Path)):
        return name or Path(image).name, read_image(image)
    return name, as_bgr(image, name)


def transformed(pipeline: Callable[[dict], dict], data: dict, name: str) -> dict:
    """What a pipeline makes of an image, ``data['img']``.

    Raises:
        ImageError: The pipeline does not take the image; names it, its size and what was said.
    """
    import cv2

    shape = data['img'].shape
    try:
        return pipeline(data)
    except (cv2.error, ValueError, ArithmeticError, MemoryError) as error:
        raise ImageError(f'{name or "image"} {shape} cannot be prepared for the model: {error}') from error


def prepared(pipeline: Callable[[dict], dict], data: dict, name: str) -> dict:
    """The model's batch of one image by its test pipeline; see `transformed`."""
    data = transformed(pipeline, data, name)
    return dict(inputs=[data['inputs']], data_samples=[data['data_samples']])


class Detections(NamedTuple):
    """One image's detections, best first."""

    name: str
    boxes: np.ndarray  #: (n, 4) x1, y1, x2, y2 in pixels of the image, x2 exclusive
    scores: np.ndarray  #: (n,) in [0, 1]
    labels: np.ndarray  #: (n,) rows of the model's classes
    names: list[str]  #: their class names
    picture: np.ndarray  #: BGR uint8, the image with boxes from the threshold on
    ood_scores: np.ndarray | None = None  #: (n,) of detectors that have them (AbeT's), higher = less known


def array_pipeline(cfg: Config) -> list[dict]:
    """The steps of a config's test pipeline for an image that is an array (``img``), without its truth.
    Makes the config's scope the default one."""
    from mmengine.registry import init_default_scope

    from .zoo import single_dataset

    scope = cfg.get('default_scope', 'mmdet')
    init_default_scope(scope)
    load, *steps = (dict(step) for step in single_dataset(cfg)['pipeline'])
    steps = [step for step in steps if not step['type'].rpartition('.')[2].startswith('Load')]
    return [dict(load, type=f'{scope}.LoadImageFromNDArray'), *steps]


class DetInferencer:
    """Runs a detector on images as they come.

    Args:
        model: A detector with its config as ``model.cfg`` (``mmroad.init_model``).
        threshold: Scores from which a box is drawn; the result holds all.
    """

    def __init__(self, model: nn.Module, threshold: float = 0.3) -> None:
        from mmengine.dataset import Compose

        self.model, self.threshold, self.pipeline = model, threshold, Compose(array_pipeline(model.cfg))
        self.classes = model.dataset_meta['classes']

    def __call__(self, image: str | Path | np.ndarray | Image, name: str = '') -> Detections:
        """Detections in one image: a path, a BGR or grey uint8 array, or a Pillow image."""
        name, image = given_image(image, name)
        found = self.predict(image, name)
        boxes, scores, labels = (getattr(found, k).numpy() for k in ('bboxes', 'scores', 'labels'))
        names = [self.classes[c] for c in labels]
        ood_scores = found.ood_scores.numpy() if 'ood_scores' in found else None
        picture = self.draw(image, names, boxes, scores)
        return Detections(name, boxes, scores, labels, names, picture, ood_scores)

    def predict(self, image: np.ndarray, name: str) -> InstanceData:
        """What the model finds in a BGR array, best first, on the CPU.

        Raises:
            ImageError: The image cannot be prepared, or boxes or scores are not finite.
        """
        import torch

        batch = prepared(self.pipeline, dict(img=image, img_id=0, file_name=name), name)
        with torch.inference_mode():
            found = self.model.test_step(batch)[0].pred_instances.cpu()
        numbers = [found.get(key) for key in ('bboxes', 'scores', 'ood_scores') if key in found]
        bad = sum((~x.isfinite()).reshape(len(found), -1).any(1) for x in numbers) > 0
        if bad.any():
            raise ImageError(
                f'{name or "image"}: {int(bad.sum())} of {len(found)} detections have a NaN or infinite box or score: '
                'the training diverged, or the weights are damaged'
            )
        return found[found.scores.argsort(descending=True)]

    def draw(self, image: np.ndarray, names: list[str], boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """A copy of the image with the boxes from the threshold on, and their names."""
        from .bdd100k.pictures import draw_labels
        from .bdd100k.scalabel import Box2D, Label

        shown = [
            Label(category=category, box2d=Box2D(*box), score=score)
            for category, box, score in zip(names, boxes.tolist(), scores.tolist())
            if score >= self.threshold
        ]
        return draw_labels(image, shown)

    def run(
        self, source: str | Path, out_dir: str | Path | None = None, progress: bool = True
    ) -> Run[Detections]:
        """Detections in every image of a file, folder, glob or video; see `run_over`.

        With ``out_dir``, pictures are written to it and, at the end, ``det.json`` (with ``ood_score``, where
        there is one) and ``det.coco.json``.
        """
        source = open_source(source)
        if out_dir is None:
            return run_over(source, self, progress=progress)
        folder = RunFolder(out_dir, source, Predictions.FILES, pictures=None)
        predictions = Predictions(out_dir, self.classes)

        def write(result: Detections, item: Item) -> None:
            predictions.add(result)
            write_image(folder.path('pictures', result.name), result.picture)

        return run_over(source, self, write, predictions.write, progress)


class Predictions:
    """Detections of a run, for ``det.json`` and ``det.coco.json``."""

    FILES = ('det.json', 'det.coco.json')

    def __init__(self, out_dir: str | Path, classes: Sequence[str]) -> None:
        self.out_dir, self.classes, self._kept = out_dir, classes, []

    def add(self, result: Any) -> None:
        """Keep an image's boxes, scores, labels and, where it has them, ``ood_scores``."""
        lists = (array.tolist() for array in (result.boxes, result.scores, result.labels))
        ood = getattr(result, 'ood_scores', None)
        extras = {} if ood is None else dict(ood_score=ood.tolist())
        self._kept.append(Prediction(len(self._kept), result.name, *lists, extras))

    def write(self) -> None:
        """Write both files, where there is an image."""
        if self._kept:
            write_predictions(iter(self._kept), self.out_dir, len(self._kept), self.classes)


def inferencer(
    name: str | Config,
    weights: str | Path | None = None,
    device: str = 'cpu',
    threshold: float | None = None,
    amp: bool = False,
    **kwargs: Any,
):
    """What runs a model on images: called with one, or its ``run`` with a folder, glob or video.

    Args:
        name, weights, device, kwargs: See ``mmroad.init_model``.
        threshold: Scores from which a box is drawn, or above which anomalies are outlined (default: the
            inferencer's).
        amp: Compute in bfloat16 where the model allows, which some processors do several times faster. Scores then
            differ in their third digit.

    Returns:
        `DetInferencer`; for models with a vocabulary ``mmroad.detic.inference.DeticInferencer``, for anomaly
        segmentation ``mmroad.anomaly.inference.AnomalyInferencer``, for other segmentation
        ``mmroad.rankseg.inference.ImageInferencer``.

    Raises:
        ValueError: A threshold for a model that has none, or a model of videos.
    """
    import torch

    from .speed.accelerate import for_inference
    from .zoo import init_model

    model = for_inference(init_model(name, weights, device, **kwargs), torch.bfloat16 if amp else None)
    options = {} if threshold is None else dict(threshold=threshold)
    if hasattr(model, 'class_names_of'):
        from .detic.inference import DeticInferencer

        return DeticInferencer(model, **options)
    if hasattr(model, 'set_score'):
        from .anomaly.inference import AnomalyInferencer

        return AnomalyInferencer(model, **options)
    if hasattr(model, 'track_head'):
        raise ValueError('this is a model of videos: mmroad.rankseg.video.inference, tools/infer_video.py')
    if hasattr(model, 'decode_head') or hasattr(model, 'panoptic_head'):
        from .rankseg.inference import ImageInferencer

        if options:
            raise ValueError('a segmentation model gives every pixel a class: there is no threshold')
        return ImageInferencer(model)
    return DetInferencer(model, **options)
