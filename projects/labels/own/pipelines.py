"""The steps of a config's pipelines, wherever they are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.config import Config

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def datasets(dataset: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A data set's config and those inside it, the outer first."""
    yield dataset
    for key in ('dataset', 'boost'):
        if isinstance(dataset.get(key), dict):
            yield from datasets(dataset[key])
    for part in dataset.get('datasets') or ():
        yield from datasets(part)


def leaf(dataset: dict[str, Any]) -> dict[str, Any]:
    """The innermost data set's config; of several, the first's."""
    while dataset.get('dataset') or dataset.get('datasets'):
        dataset = dataset['dataset'] if dataset.get('dataset') else dataset['datasets'][0]
    return dataset


def pipelines(cfg: Config) -> Iterator[list[dict[str, Any]]]:
    """All pipelines of a config's loaders and hooks."""
    for name in LOADERS:
        for dataset in datasets((cfg.get(name) or {}).get('dataset') or {}):
            if dataset.get('pipeline'):
                yield dataset['pipeline']
    for hook in cfg.get('custom_hooks') or ():
        for key in ('pipeline', 'switch_pipeline'):
            if hook.get(key):
                yield hook[key]


def set_image_size(cfg: Config, size: tuple[int, int]) -> None:
    """Let all pipelines scale images into a size; training that varies it does so by the same parts as before.

    Args:
        cfg: Changed in place.
        size: (width, height); images keep their proportions, so that a portrait fits (height, width).

    Raises:
        ValueError: A step crops to a size that this cannot be told for.
    """
    size = tuple(size)
    for pipeline in list(pipelines(cfg)):
        found = False
        parts = next((step['img_scale'][0] for step in pipeline if step['type'] == 'Mosaic'), None)
        for step in pipeline:
            before = step.get('scale')
            found |= _resize(step, size)
            if parts and step['type'] == 'RandomResize':  # a mosaic may be larger than its parts
                step['scale'] = tuple(side * before[0] // parts for side in size)
        loads = [i for i, step in enumerate(pipeline) if str(step['type']).startswith('Load')]
        if not found and loads:
            pipeline.insert(loads[-1] + 1, dict(type='Resize', scale=size, keep_ratio=True))


def _resize(step: dict[str, Any], size: tuple[int, int]) -> bool:
    kind = str(step['type']).rpartition('.')[2]
    if 'transforms' in step:  # of a choice, or of several frames
        parts = [part if isinstance(part, (list, tuple)) else [part] for part in step['transforms']]
        return any([_resize(inner, size) for part in parts for inner in part])
    if kind == 'Resize':
        step.pop('scale_factor', None)
        step['scale'] = size
    elif kind == 'RandomChoiceResize':
        scales = [
            tuple(scale) if isinstance(scale, (list, tuple)) else (scale, scale) for scale in step['scales']
        ]
        largest = [max(scale[side] for scale in scales) for side in (0, 1)]
        step['scales'] = [
            tuple(round(scale[side] * size[side] / largest[side]) for side in (0, 1)) for scale in scales
        ]
    elif kind == 'RandomResize':
        step['scale'] = size
    elif kind in ('Mosaic', 'MixUp'):
        step['img_scale'] = size
    elif kind == 'Pad' and step.get('size'):  # to what the strides of a model divide
        step['size'] = tuple(math.ceil(side / 32) * 32 for side in size)
    elif kind == 'RandomCrop' and step.get('crop_type') == 'absolute_range':
        low, high = step['crop_size']
        step['crop_size'] = (round(low * min(size) / high), min(size))
    elif kind == 'RandomCrop' and 'crop_size' in step:
        step['crop_size'] = size
    else:
        return False
    return kind not in ('Mosaic', 'MixUp', 'Pad', 'RandomCrop')
