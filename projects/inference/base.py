"""What all inferencers share: how they are made and called, and the run over a source."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import cv2
import numpy as np
import torch
from mmengine.registry import init_default_scope

from ..files.images import ImageError, as_bgr, read_image
from ..files.outputs import RunFolder
from ..files.progress import steps
from ..files.sources import Item, Source, open_source
from ..files.videos import VideoFiles
from ..runtime.speed.accelerate import for_inference
from ..runtime.speed.batches import same_shapes
from ..zoo.models import init_model, single_dataset
from .overlap import Batches, attempt, default_workers, one_by_one
from .results import Result

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn

R = TypeVar('R', bound=Result)
#: A path, an array (BGR uint8 (H, W, 3) or gray) or a Pillow image.
Given = Any


class Collector(Protocol):
    """Gathers a run's results into files that are about all images."""

    FILES: ClassVar[tuple[str, ...]]  #: their names

    def add(self, result: Any, item: Item) -> None: ...

    def close(self) -> None:
        """Write the files, where there is an image."""


class Inferencer(Generic[R]):
    """Runs a model on images, one at a time.

    Args:
        model: A model with its config as ``model.cfg`` (``mmroad.init_model``), or a name or config of one.
        weights, device, trust: For a name: see ``mmroad.init_model``.
        amp: Compute in bfloat16 where the model allows, which some processors do several times faster. Scores then
            differ in their third digit.
    """

    #: The kind of models that it runs (`mmroad.zoo.models.kind_of`).
    kind: ClassVar[str]
    #: What it gives.
    result: ClassVar[type[Result]]
    #: The test pipeline for an image that is an array, which each kind of inferencer makes.
    pipeline: Callable[[dict], dict]
    #: Whether several threads may call the model at once.
    parallel: ClassVar[bool] = False

    def __init__(
        self,
        model: nn.Module | Config | str,
        *,
        weights: str | Path | None = None,
        device: str | None = None,
        trust: bool = False,
        amp: bool = False,
    ) -> None:
        if not isinstance(model, torch.nn.Module):
            model = init_model(model, weights, device, trust=trust)
            for_inference(model, torch.bfloat16 if amp else None)
        self.model = model.eval()
        self._lock = nullcontext() if self.parallel else Lock()

    def __call__(self, image: Given | Sequence[Given], name: str = '') -> R | list[R]:
        """The result of one image, or of each of a list.

        Args:
            image: A path, an array (BGR uint8 (H, W, 3) or gray) or a Pillow image.
            name: What to call it (default: the path's last part).

        Raises:
            FileNotFoundError, ImageError: It cannot be used; says why.
        """
        if isinstance(image, (list, tuple)):
            return [self.infer(*given_image(one)[::-1]) for one in image]
        name, image = given_image(image, name)
        return self.infer(image, name)

    def infer(self, image: np.ndarray, name: str) -> R:
        """The result of an image, BGR uint8 (H, W, 3).

        Raises:
            ImageError: The model does not take it, or gives numbers that are not finite.
        """
        return self.result_of(self.forward([self.prepare(image, name)])[0], image, name)

    def prepare(self, image: np.ndarray, name: str) -> dict[str, Any]:
        """An image's ``inputs`` (3, h, w) and ``data_samples`` by the test pipeline.

        Raises:
            ImageError: It cannot be prepared.
        """
        return transformed(self.pipeline, dict(img=image, img_id=0, img_path=name), name)

    def forward(self, images: list[dict[str, Any]]) -> list[Any]:
        """The model's sample of each prepared image; of several images, all ``inputs`` have one shape."""
        batch = {key: [image[key] for image in images] for key in ('inputs', 'data_samples')}
        with self._lock, torch.inference_mode():
            return self.model.test_step(batch)

    def result_of(self, sample: Any, image: np.ndarray, name: str) -> R:
        """The result of an image from the model's sample.

        Raises:
            ImageError: The sample has numbers that are not finite.
        """
        raise NotImplementedError

    def infer_all(self, images: Sequence[tuple[np.ndarray, str]], batch_size: int) -> list[R | Exception]:
        """Results of images and names, or what was wrong with an image. Those whose prepared images have one size are
        in the network together; where a batch fails, its images are tried one by one."""
        results: list[Any] = [None] * len(images)
        ready: list[Any] = [attempt(self.prepare, *image) for image in images]
        for index, data in enumerate(ready):
            if isinstance(data, Exception):
                results[index] = data
        left = [i for i, result in enumerate(results) if result is None]
        for group in same_shapes(left, lambda i: tuple(ready[i]['inputs'].shape), batch_size):
            samples = attempt(self.forward, [ready[left[i]] for i in group])
            for place, index in enumerate(left[i] for i in group):
                if isinstance(samples, Exception):
                    results[index] = samples if len(group) == 1 else attempt(self.infer, *images[index])
                else:
                    results[index] = attempt(self.result_of, samples[place], *images[index])
        return results

    def run(
        self,
        source: str | Path | Sequence[str | Path] | Source,
        out_dir: str | Path | None = None,
        progress: bool = True,
        batch_size: int = 1,
        workers: int | None = None,
        **options: Any,
    ) -> Run[R]:
        """Results of every image of a file, folder, glob, video or list of these, one at a time.

        With ``out_dir`` each result's files are written as it comes (`Result.FOLDERS`), those of all images at the
        end; of a video, the pictures are ``pictures/NAME.mp4``, of a single one ``NAME.mp4``.

        Args:
            source: What to go over.
            out_dir: Where to write.
            progress: Show a progress bar.
            batch_size: The most images that are in the network together, where they have one size there; results
                are those of single images, to rounding.
            workers: Threads that work on images while others are read and written (default: `default_workers`).
            options: Options of the files that are about all images (`collectors`).

        Raises:
            ValueError: A batch or a number of workers below 1.
        """
        opened = open_source(source)
        workers = default_workers(self.model, self.parallel) if workers is None else workers
        if min(batch_size, workers) < 1:
            raise ValueError(f'a batch of {batch_size} images and {workers} workers: both are at least 1')
        infer = Batches(self, batch_size, workers)
        if out_dir is None:
            return run_over(opened, infer, progress=progress)
        collectors = self.collectors(opened, out_dir, **options)
        writer = Writer(self.result.FOLDERS, opened, Path(out_dir), collectors)
        return run_over(opened, infer, writer.write, writer.close, progress)

    def collectors(self, source: Source, out_dir: str | Path) -> list[Collector]:
        """Gathers a run's results into files that are about all images."""
        return []


class Writer:
    """Writes a run's files: each result's, and those of all.

    Args:
        folders: Subfolders of each result's files, with their suffixes.
        source: What the run goes over.
        out_dir: The output folder.
        collectors: They gather the results into files of all images.
    """

    def __init__(
        self,
        folders: dict[str, str | None],
        source: Source,
        out_dir: Path,
        collectors: Iterable[Collector] = (),
    ) -> None:
        self.kinds, self.collectors, self.videos = tuple(folders), list(collectors), VideoFiles()
        single = len(source.items) == 1 and source.items[0].is_video
        files = [name for collector in self.collectors for name in collector.FILES]
        files += [f'{source.items[0].name}.mp4'] if single else []
        self.folder = RunFolder(out_dir, source, files, **folders)
        self.place = self.folder.folder if single else self.folder.folder / 'pictures'

    def write(self, result: Result, item: Item) -> None:
        """Write a result's files."""
        for collector in self.collectors:
            collector.add(result, item)
        for kind in self.kinds:
            if kind == 'pictures' and item.is_video:
                self.videos.write(self.place / f'{item.name}.mp4', item.path, result.picture)
            else:
                result.write(kind, self.folder.path(kind, result.name))

    def close(self) -> None:
        """Write the files of all images."""
        with ExitStack() as stack:
            for collector in reversed(self.collectors):
                stack.callback(collector.close)
            stack.callback(self.videos.close)


class Run(Generic[R]):
    """Results one by one, as an iterator. What is left early, by ``break`` or Ctrl-C, keeps what was found."""

    def __init__(self, results: Generator[R], left_out: dict[str, str]) -> None:
        self._results = results
        #: What could not be used and why; known as the run goes on.
        self.left_out = left_out

    def __iter__(self) -> Iterator[R]:
        return self

    def __next__(self) -> R:
        return next(self._results)

    def close(self) -> None:
        """End the run and write what it found so far."""
        self._results.close()


def run_over(
    source: Source,
    infer: Batches | Callable[[np.ndarray, str], R],
    write: Callable[[R, Item], None] | None = None,
    finish: Callable[[], None] | None = None,
    progress: bool = True,
) -> Run[R]:
    """Results of every image of a source; an image that cannot be used is left out and the run goes on.

    Args:
        infer: The result of an image, BGR uint8 (H, W, 3), and its name; or the results of all (`Batches`).
        write: Writes a result's files.
        finish: Writes the files of all results; called once, in whatever way the run ends.
        progress: Show a progress bar.
    """
    over = infer if isinstance(infer, Batches) else one_by_one(infer)

    def results() -> Generator[R]:
        try:
            with (
                steps(os.path.basename(source.title) or source.title, source.total, progress) as advance,
                closing(over(source.frames())) as found,  # type: ignore[type-var]  # a generator
            ):
                result: Any
                for item, name, result in found:
                    advance()
                    if isinstance(result, Exception):
                        source.leave_out(name, result)
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


def given_image(image: Given, name: str = '') -> tuple[str, np.ndarray]:
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
    shape = data['img'].shape
    try:
        return pipeline(data)
    except (cv2.error, ValueError, ArithmeticError, MemoryError) as error:
        raise ImageError(f'{name or "image"} {shape} cannot be prepared for the model: {error}') from error


def array_pipeline(cfg: Config) -> list[dict]:
    """The steps of a config's test pipeline for an image that is an array (``img``), without its truth.
    Makes the config's scope the default one."""
    scope = cfg.get('default_scope', 'mmdet')
    init_default_scope(scope)
    load, *steps = (dict(step) for step in single_dataset(cfg)['pipeline'])
    steps = [step for step in steps if not step['type'].rpartition('.')[2].startswith('Load')]
    return [dict(load, type=f'{scope}.LoadImageFromNDArray'), *steps]
