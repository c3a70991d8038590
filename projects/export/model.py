"""An ONNX file in the place of a model: the inferencers, metrics and writers take it as they take the model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from ..files.images import ImageError
from .graph import changes_the_image
from .session import open_session


@MODELS.register_module()
class OnnxModel(BaseModel):
    """An exported model (`mmroad.export.write.export`), run by ONNX Runtime or OpenVINO.

    Args:
        path: The file.
        runtime, device, threads, precision: See `mmroad.export.session.open_session`.

    Attributes:
        about: What the file says of itself: ``config``, ``classes``, ``kind``, ``size``, ``thresholds``, ...
        cfg: A config whose test pipeline leaves images as they are, as the file wants them.
        dataset_meta: ``classes`` and ``palette``.

    Raises:
        FileNotFoundError, ImportError: There is no such file, or no such runtime.
        ValueError: It is no file of this package's, or the runtime cannot open it.
    """

    def __init__(
        self,
        path: str | Path,
        runtime: str = 'onnxruntime',
        device: str = 'cpu',
        threads: int | None = None,
        precision: str | None = None,
    ) -> None:
        super().__init__()
        self.path = Path(path)
        self.session = open_session(path, runtime, device, threads, precision)
        self.about = read_about(self.session.metadata, path)
        scope = self.about['scope']
        pipeline = [
            dict(type='LoadImageFromFile'),
            dict(type='PackDetInputs' if scope == 'mmdet' else 'PackSegInputs'),
        ]
        if scope == 'mmdet':
            pipeline[1]['meta_keys'] = ('img_id', 'img_path', 'file_name', 'ori_shape', 'img_shape')
        self.cfg = Config(dict(default_scope=scope, test_dataloader=dict(dataset=dict(pipeline=pipeline))))
        self.dataset_meta = dict(classes=tuple(self.about['classes']), palette=self.about['palette'])

    def set_score(self, anomaly_score: str) -> None:
        """Refuse: the score is part of the file."""
        raise ValueError(
            f'{self.path}: the anomaly score is part of the file: export the model with --score {anomaly_score}'
        )

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'predict') -> list:
        """As `predict`; a file cannot be trained."""
        if mode != 'predict':
            raise ValueError(f'{self.path}: an exported model predicts, it has no mode {mode!r}')
        return self.predict(inputs, data_samples)

    def test_step(self, data: Mapping[str, Any]) -> list:
        """The data samples of a batch, with predictions."""
        return self.predict(data['inputs'], data['data_samples'])

    def predict(self, inputs: Iterable[torch.Tensor], data_samples: list) -> list:
        """Predict images.

        Args:
            inputs: uint8 BGR images (3, H, W), as they are in their files.
            data_samples: Of the images; their predictions are added.

        Raises:
            ImageError: The file takes images of another size.
        """
        pixels = [np.ascontiguousarray(image.cpu().numpy()[::-1].transpose(1, 2, 0)) for image in inputs]
        size = self.about['size']
        for image, sample in zip(pixels, data_samples):
            if size is not None and tuple(size) != image.shape[:2]:
                raise ImageError(
                    f'{sample.metainfo.get("img_path") or "image"}: {self.path} takes images of {size[0]} rows and '
                    f'{size[1]} columns, this one has {image.shape[0]} and {image.shape[1]}: export with --dynamic, or '
                    'resize it'
                )
        together = self.about.get('batch') is None and len({image.shape for image in pixels}) == 1
        for batch in [range(len(pixels))] if together else [[i] for i in range(len(pixels))]:
            found = dict(zip(self.session.names, self.session(np.stack([pixels[i] for i in batch]))))
            for row, i in enumerate(batch):
                self._add({name: values[row] for name, values in found.items()}, data_samples[i])
        return data_samples

    def _add(self, found: dict[str, np.ndarray], sample: DetDataSample | SegDataSample) -> None:
        """Put an image's outputs into its sample."""
        if 'boxes' in found:
            sample.pred_instances = _instances(found)
            return
        sample.pred_sem_seg = PixelData(data=torch.from_numpy(found['classes'][None].astype(np.int64)))
        if 'anomaly' in found:
            sample.anomaly_map = PixelData(data=torch.from_numpy(found['anomaly'][None].copy()))
            sample.set_metainfo(dict(anomaly_scale=tuple(self.about['anomaly_scale'])))
        if 'ranking' in found:
            sample.set_data(dict(ranking=torch.from_numpy(found['ranking'].copy())))


def _instances(found: dict[str, np.ndarray]) -> InstanceData:
    there = found['labels'] >= 0
    names = dict(boxes='bboxes', scores='scores', labels='labels', ood_scores='ood_scores', masks='masks')
    return InstanceData(**{v: torch.from_numpy(found[k][there]) for k, v in names.items() if k in found})


def read_about(metadata: Mapping[str, str], path: str | Path) -> dict[str, Any]:
    """What a file's metadata says.

    Raises:
        ValueError: It has none of this package's.
    """
    if not {'mmroad', 'kind', 'scope', 'classes', 'size'} <= set(metadata):
        raise ValueError(
            f'{path}: no export of mmroad: its metadata lacks the classes; write it with `mmroad export`'
        )
    structured = {'classes', 'palette', 'size', 'batch', 'thresholds', 'anomaly_scale', 'difference'}
    try:
        return {key: json.loads(value) if key in structured else value for key, value in metadata.items()}
    except ValueError as error:
        raise ValueError(f'{path}: its metadata is damaged: {error}') from error


def for_file(cfg: Config, path: str | Path, **options: Any) -> None:
    """Let a config test an ONNX file: its model becomes the file, its test pipelines leave images as they are.

    Args:
        cfg: The config of the exported model, with its data sets and metrics; changed in place.
        path, options: See `OnnxModel`.
    """
    cfg.model = dict(type='mmengine.OnnxModel', path=str(path), **options)
    for node in _pipelines(cfg.test_dataloader):
        node['pipeline'] = [step for step in node['pipeline'] if not changes_the_image(step)]


def _pipelines(node: Any) -> Iterator[dict]:
    if isinstance(node, Mapping):
        if isinstance(node.get('pipeline'), (list, tuple)):
            yield node
        for value in list(node.values()):
            yield from _pipelines(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _pipelines(value)
