"""The inferencer of an ONNX file.

from mmroad.export.inferencer import inferencer

detect = inferencer('model.onnx')
result = detect('street.jpg')
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..files.sources import Source
from ..inference.anomaly import AnomalyInferencer
from ..inference.base import Collector, Inferencer
from ..inference.build import options_of
from ..inference.coco_results import ResultWriter
from ..inference.detection import DetInferencer
from ..inference.segmentation import ImageInferencer
from .model import OnnxModel


class OpenInferencer(DetInferencer):
    """Runs an exported model of an open vocabulary, which is fixed in the file; writes what `DeticInferencer` does."""

    kind = 'open_vocabulary'

    def __init__(self, model: OnnxModel, threshold: float = 0.5) -> None:
        super().__init__(model, threshold)

    def collectors(
        self, source: Source, out_dir: str | Path, annotations: str | Path | None = None
    ) -> list[Collector]:
        """``results.json``, ``det.json`` and their companions."""
        results = ResultWriter(out_dir, self.classes, annotations)
        results.check([item.path for item in source.items if not item.is_video])
        return [results, *super().collectors(source, out_dir)]


KINDS: dict[str, type[Inferencer]] = dict(
    detection=DetInferencer,
    open_vocabulary=OpenInferencer,
    anomaly=AnomalyInferencer,
    segmentation=ImageInferencer,
)


def inferencer(
    path: str | Path,
    runtime: str = 'onnxruntime',
    device: str = 'cpu',
    threads: int | None = None,
    precision: str | None = None,
    **options: Any,
) -> Inferencer:
    """What runs an ONNX file on images, as ``mmroad.inferencer`` runs the model.

    Args:
        path, runtime, device, threads, precision: See `OnnxModel`.
        options: Those of the kind's inferencer, such as ``threshold``.

    Raises:
        ValueError: An option that this kind of model does not have.
    """
    model = OnnxModel(path, runtime, device, threads, precision)
    cls = KINDS[model.about['kind']]
    if other := sorted(set(options) - options_of(cls)):
        raise ValueError(f'{path} is a {cls.kind.replace("_", " ")} model, which has no {", ".join(other)}')
    return cls(model, **options)
