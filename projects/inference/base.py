"""What all inferencers share: the run over a source, and images as callers give them."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from ..files.images import ImageError, as_bgr, read_image
from ..files.sources import Item, LeftOut, Source

if TYPE_CHECKING:
    from mmengine.config import Config

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


def array_pipeline(cfg: Config) -> list[dict]:
    """The steps of a config's test pipeline for an image that is an array (``img``), without its truth.
    Makes the config's scope the default one."""
    from mmengine.registry import init_default_scope

    from ..zoo.models import single_dataset

    scope = cfg.get('default_scope', 'mmdet')
    init_default_scope(scope)
    load, *steps = (dict(step) for step in single_dataset(cfg)['pipeline'])
    steps = [step for step in steps if not step['type'].rpartition('.')[2].startswith('Load')]
    return [dict(load, type=f'{scope}.LoadImageFromNDArray'), *steps]
