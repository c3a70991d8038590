"""What BDD100K's metrics share: scores or prediction files, the parts of ranks, images that cannot be read."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object, barrier, broadcast_object_list, get_rank, get_world_size
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from ..files.outputs import OutputNames
from ..files.png import write_png
from ..files.replacing import own_name
from .format import PartWriter, Prediction, read_parts


class RunMetric(BaseMetric):
    """Scores what is run, or writes it, or both.

    Args:
        format_only: Write prediction files to ``format_dir`` and score nothing.
        format_dir: Folder of the prediction files; given without ``format_only``, both are done.

    Raises:
        OSError: ``format_dir`` cannot be written.
    """

    #: What becomes of images that cannot be read; empty where such an image ends the run.
    LEFT_OUT = 'left out, neither written nor scored'

    def __init__(
        self,
        format_only: bool = False,
        format_dir: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if format_only and not format_dir:
            raise ValueError('format_only needs a folder: format_dir=... (tools/test.py: --format-dir OUT)')
        self.format_only, self.format_dir = format_only, Path(format_dir) if format_dir else None
        if self.format_dir:
            _check_folder(self.format_dir)
        #: Images that could not be read, by name, and why; of all ranks when the evaluation ends.
        self.left_out: dict[str, str] = {}

    def is_left_out(self, sample: Any, name: str | None = None) -> bool:
        """Whether a sample stands for an image that could not be read, which ``left_out`` then names (by its path)."""
        reason = sample.get('left_out')
        if reason is not None:
            self.left_out[name or sample['img_path']] = reason
        return reason is not None

    def evaluate(self, size: int) -> dict[str, float]:
        """Merge what the ranks have written, score what they have predicted; ``size`` images in all. A warning and
        ``left_out`` name images that could not be read."""
        self.left_out = {name: why for part in all_gather_object(self.left_out) for name, why in part.items()}
        try:
            return self._evaluate(size)
        finally:
            if self.left_out:
                lines = [f'{self.LEFT_OUT} ({len(self.left_out)}):', *self.left_out.values()]
                print_log('\n  '.join(lines), logger='current', level=logging.WARNING)

    def _evaluate(self, size: int) -> dict[str, float]:
        return super().evaluate(size)


class PicturesMetric(RunMetric):
    """A `RunMetric` that writes a picture an image, scores images as they come, and sums up.

    Raises:
        ValueError: Images of several folders share a name; names them.
    """

    FOLDER: str  #: of the pictures, below ``format_dir``

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._names = OutputNames(self.format_dir / self.FOLDER) if self.format_dir else None

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            path, result = sample['img_path'], {}  # one a sample, also of what is left out: ranks take turns
            if not self.is_left_out(sample):
                result = self._result(sample) | dict(path=path, index=int(sample.get('img_id', 0)))
            self.results.append(result)

    def _result(self, sample: dict) -> dict[str, Any]:
        """What the scores and files need of one image."""
        raise NotImplementedError

    def _save(self, sample: dict, picture: np.ndarray) -> None:
        path = sample['img_path']
        if self._names:
            write_png(self._names.path(Path(path).name, '.png', source=path), picture)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        results = sorted(filter(None, results), key=lambda result: result['index'])
        if self.format_dir:
            names = OutputNames(self.format_dir / self.FOLDER)
            for result in results:  # of all ranks
                names.path(Path(result['path']).name, '.png', source=result['path'])
            self._write(results, self.format_dir)
        if self.format_only:
            return {}
        if not results:
            raise ValueError('no image could be read: nothing to score')
        return self._scores(results)

    def _write(self, results: list[dict], folder: Path) -> None:
        """Write the files beside the pictures, of results in the order of the data set."""
        raise NotImplementedError

    def _scores(self, results: list[dict]) -> dict[str, float]:
        raise NotImplementedError


class LabeledRunMetric(RunMetric):
    """A `RunMetric` that knows the ground truth when it begins, and whose ranks write predictions as they come.

    Args:
        ann_file: Ground truth; not needed with ``format_only``. It is read when the metric is built.
        of_dataset: Without ``ann_file``: score by the labels of the data set that is run. ``DetSetupHook`` of
            the run hands them over.
        **kwargs: As `RunMetric`.
    """

    PREDICTION: type[Prediction] = Prediction

    def __init__(self, ann_file: str | None = None, *, of_dataset: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not self.format_only and not ann_file and not of_dataset:
            raise ValueError(
                'scoring needs the ground truth: ann_file=..., or of_dataset=True for the labels of the data set '
                'that is run; or set format_only=True'
            )
        self.ann_file = ann_file
        self._truth = self._read(ann_file) if ann_file and not self.format_only else None
        self._writer: PartWriter | None = None
        self._run = ['']
        if self.format_dir:
            self._run = [own_name('parts')]
            broadcast_object_list(self._run)  # one for all ranks

    def _read(self, ann_file: str) -> Any:
        """The ground truth of a file."""
        raise NotImplementedError

    def _frames_of(self, keys: Sequence) -> Any:
        """The part of the ground truth that belongs to frames; says what is scored."""
        raise NotImplementedError

    def _write(self, predictions: Iterable[Prediction], size: int) -> Iterable[Path]:
        """Write the predictions of all ranks, in the order of the data set, of ``size`` images."""
        raise NotImplementedError

    def use(self, dataset: Any) -> None:
        """Take the data set that will be run: for its labels with ``of_dataset``, and to look now whether the
        ground truth holds its images."""
        if self.format_only:
            return
        if not self.ann_file:
            if not dataset.ann_file:
                raise ValueError(
                    f'the images of {dataset.data_prefix.get("img")} have no labels to score by: set ann_file of the '
                    'data set or of the metric, or write predictions only (--format-only --format-dir OUT)'
                )
            self._truth = dataset.columns
        self._frames_of(dataset.frame_keys())

    def add(self, prediction: Prediction) -> None:
        """Keep a prediction to score and to write."""
        if self._truth is None and not self.format_only:
            raise ValueError(
                f'{type(self).__name__} has no ground truth: of_dataset=True needs default_hooks=dict(setup=dict('
                "type='DetSetupHook')), as in configs/_base_/det_runtime.py; or give ann_file=..."
            )
        if self.format_dir:
            self._part().add(prediction)
        if not self.format_only:
            self.results.append(prediction)

    def _part(self) -> PartWriter:
        if self._writer is None:
            assert self.format_dir
            self._writer = PartWriter(self.format_dir, get_rank(), self._run[0])
        return self._writer

    def _evaluate(self, size: int) -> dict[str, float]:
        if self.format_dir:
            self._part().close()
            self._writer = None
            barrier()
            if get_rank() == 0:
                try:
                    parts = read_parts(self.format_dir, get_world_size(), self._run[0], self.PREDICTION)
                    for path in self._write(parts, size):
                        print_log(f'written: {path}', logger='current')
                finally:
                    shutil.rmtree(self.format_dir / self._run[0], ignore_errors=True)
            barrier()
        if self.format_only:
            return {}
        gathered = [prediction for part in all_gather_object(self.results) for prediction in part]
        self.results.clear()
        metrics = [self._prefixed(self.compute_metrics(gathered)) if get_rank() == 0 else {}]
        broadcast_object_list(metrics)
        return metrics[0]

    def _prefixed(self, metrics: dict[str, float]) -> dict[str, float]:
        return {f'{self.prefix}/{key}' if self.prefix else key: value for key, value in metrics.items()}


def _check_folder(folder: Path) -> None:
    """Raise where prediction files cannot be written."""
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise OSError(f'format_dir={str(folder)!r}: {there} is no folder that can be written')
