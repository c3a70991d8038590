"""Writing a model as ONNX: the graph, what is known of it, and a check before the file has its name."""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..files import replacing
from .check import Difference, ExportError, compare
from .graph import Graph
from .operators import standard_operators
from .packages import need

#: The opset of all files: the first with LayerNormalization; GridSample and RoiAlign's half pixels are of 16.
OPSET = 17


def export(
    model: nn.Module,
    out: str | Path,
    size: tuple[int, int] | None = None,
    *,
    images: Sequence[np.ndarray] | None = None,
    masks: bool = True,
    half: bool = False,
    checkpoint: str | Path | None = None,
    name: str = '',
) -> Difference:
    """Write a model as ONNX and compare it with PyTorch.

    Args:
        model: A built model with its config as ``model.cfg`` (``mmroad.init_model``).
        out: The file.
        size: Height and width of the images that it will take; None leaves them open, and where the model allows the
            number of images too.
        images: RGB uint8 arrays (H, W, 3) to compare on, of ``size`` where it is given; None draws two road scenes.
        masks: Add masks, where the model has them.
        half: Weights and maps in float16; boxes are decoded in float32.
        checkpoint: The file of the weights, whose hash is kept.
        name: What the model is called (default: its config's file).

    Returns:
        The largest differences, which are in the file's metadata too.

    Raises:
        ImportError: onnx or onnxruntime is not installed.
        ValueError: The model, or a part of it, cannot be exported; says which.
        ExportError: The file does not give PyTorch's numbers; nothing is left under ``out``.
    """
    need('onnx', 'onnxruntime')
    out = Path(out)
    if out.suffix != '.onnx':
        raise ValueError(f'{out}: an export ends in .onnx; name it so')
    class_names(model)
    graph = Graph(model, size, masks).eval()
    images = example_images(size) if images is None else [_of_size(i, size) for i in images]
    with replacing(out) as part:
        trace(graph, images[0], part)
        if half:
            to_half(part)
        _add_metadata(part, metadata(graph, model, checkpoint, name, half))
        difference = compare(part, graph, model, images, half)
        _add_metadata(part, dict(difference=json.dumps(difference.numbers)))
        if difference.problems:
            raise ExportError(f'{out}: ONNX and PyTorch differ: ' + '; '.join(difference.problems))
    return difference


def trace(graph: Graph, image: np.ndarray, out: Path) -> None:
    """Write the graph that an image's way through the model shows."""
    example = torch.from_numpy(np.ascontiguousarray(image))[None]
    if graph.size is None and not graph.one_image:
        example = example.repeat(2, 1, 1, 1)
    with torch.no_grad(), standard_operators(), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # sizes that become constants are meant to
        logger = logging.getLogger('torch.onnx')
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            graph(example[:1])  # names the outputs
            torch.onnx.export(
                graph, (example,), str(out), dynamo=False, opset_version=OPSET, input_names=['images'],
                output_names=list(graph.names), dynamic_axes=graph.axes(),
            )  # fmt: skip
        except torch.onnx.errors.UnsupportedOperatorError as error:
            raise ValueError(
                f'a part of this model has no ONNX operator: {str(error).splitlines()[0]}'
            ) from error
        finally:
            logger.setLevel(level)


def example_images(size: tuple[int, int] | None) -> list[np.ndarray]:
    """Two drawn road scenes, RGB, of a size; where it is open, of two."""
    from ..road_scenes.scene import Scene

    sizes = [(180, 320), (240, 200)] if size is None else [size, size]
    return [
        np.ascontiguousarray(Scene(seed, (width, height)).render().image[..., ::-1])
        for seed, (height, width) in enumerate(sizes, 1)
    ]


def _of_size(image: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    if size is None or image.shape[:2] == size:
        return np.ascontiguousarray(image)
    import cv2

    return np.ascontiguousarray(cv2.resize(image, size[::-1]))


def metadata(
    graph: Graph, model: nn.Module, checkpoint: str | Path | None, name: str, half: bool
) -> dict[str, str]:
    """What a file says of itself, as text: everything that `mmroad.export.model` needs, and where it comes from."""
    from ..inference.build import kind_of

    meta, classes = dict(getattr(model, 'dataset_meta', None) or {}), class_names(model)
    filename = getattr(model.cfg, 'filename', None)
    about: dict[str, Any] = dict(
        mmroad=_version(),
        torch=torch.__version__,
        config=name or (Path(filename).stem if filename else ''),
        kind=kind_of(type(model)),
        scope=model.cfg.get('default_scope', 'mmdet'),
        classes=list(map(str, classes)),
        palette=np.asarray(meta.get('palette') or []).tolist(),
        size=graph.size,
        batch=1 if graph.size is not None or graph.one_image else None,
        thresholds=_thresholds(model),
        precision='float16' if half else 'float32',
        input='images: uint8 RGB (batch, height, width, 3)',
        checkpoint=_hash(checkpoint),
    )
    scale = _anomaly_scale(model)
    if scale is not None:
        about['anomaly_scale'] = scale
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in about.items()}


def class_names(model: nn.Module) -> Sequence[str]:
    """The names of a model's labels.

    Raises:
        ValueError: Nobody has named them.
    """
    names = (getattr(model, 'dataset_meta', None) or {}).get('classes')
    if hasattr(model, 'class_names_of'):
        names = (
            (names or model.own_names())
            if model.vocabulary is None
            else model.class_names_of(model.vocabulary)
        )
    if not names:
        raise ValueError(
            'nobody has named the classes of this model: give a --vocabulary, a checkpoint converted with --classes '
            'FILE, or --cfg-options model.class_names=FILE'
        )
    return names


def _thresholds(model: nn.Module) -> dict[str, Any]:
    cfg = getattr(model, 'test_cfg', None) or {}
    cfg = cfg.get('rcnn', None) or cfg
    return {
        k: cfg[k] for k in ('score_thr', 'nms', 'max_per_img', 'mask_thr_binary') if cfg.get(k) is not None
    }


def _anomaly_scale(model: nn.Module) -> tuple[float, float] | None:
    """Scores of the coldest and hottest color of a picture of the exported score."""
    if hasattr(model, 'anomaly_score'):
        from ..rba.scores import SCALES

        return SCALES[model.anomaly_score.__name__]
    if getattr(model, 'scores', None):
        from ..abet.scores import SCALES

        return SCALES[next(iter(model.scores))]
    return None


def _hash(path: str | Path | None) -> str:
    if path is None or not Path(path).is_file():
        return ''
    content = hashlib.sha256()
    with open(path, 'rb') as file:
        while part := file.read(1 << 20):
            content.update(part)
    return f'sha256:{content.hexdigest()}'


def _add_metadata(path: Path, about: dict[str, str]) -> None:
    import onnx

    file = onnx.load(str(path))
    known = {entry.key: entry for entry in file.metadata_props}
    for key, value in about.items():
        entry = known.get(key) or file.metadata_props.add(key=key)
        entry.value = value
    file.producer_name, file.producer_version = 'mmroad', _version()
    onnx.save(file, str(path))


def to_half(path: Path) -> None:
    """Backbone, neck and pixel decoder of a file in float16, in place. Heads stay float32: a coordinate near 1000 would
    move by half a pixel."""
    need('onnxruntime')
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    file = onnx.load(str(path))
    parts = ('/backbone/', '/neck/', '/pixel_decoder/')
    blocked = [node.name for node in file.graph.node if not any(part in node.name for part in parts)]
    file = convert_float_to_float16(file, keep_io_types=True, node_block_list=blocked)
    onnx.save(file, str(path))


def _version() -> str:
    from .. import __version__

    return __version__
