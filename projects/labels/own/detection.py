"""A detector's config for boxes of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .boxes import Boxes, Part
from .pipelines import leaf

if TYPE_CHECKING:
    from mmengine.config import Config

#: Heads inside a detector that tell no classes apart, or others than the data set's.
_OTHER_HEADS = ('rpn_head', 'semantic_head', 'mask_head')


def use_boxes(cfg: Config, boxes: Boxes) -> None:
    """Let a detector's config train and validate on boxes, with a head for their classes.

    Args:
        cfg: Changed in place.
        boxes: What `prepare_boxes` gives.

    Raises:
        ValueError: The config is of a model whose classes are not a number of its head.
    """
    heads = list(class_heads(cfg.model))
    imports = (cfg.get('custom_imports') or {}).get('imports') or ()
    if not heads or any(name.startswith('mmroad.detic') for name in imports):
        raise ValueError(
            f'{Path(cfg.filename).stem}: its model has no head with a number of classes: models with a vocabulary '
            '(Detic) are not trained on other classes, but find them by their names (mmroad vocabulary)'
        )
    if masks := sorted(_parts(cfg.model) & {'mask_head', 'semantic_head', 'semantic_roi_extractor'}):
        raise ValueError(
            f'{Path(cfg.filename).stem}: its model predicts masks ({masks[0]}), which boxes cannot train: take '
            'a detector (mmroad list)'
        )
    for head in heads:
        _follow_number(head, len(boxes.classes))
    train, val = cfg.train_dataloader, cfg.val_dataloader
    dataset = _unrepeated(train.dataset)
    old = leaf(dataset)
    new = _dataset(boxes.train, boxes)
    new['filter_cfg'] = dict(filter_empty_gt=True)
    new['pipeline'] = _loading_boxes(old['pipeline'])
    train.dataset = _with_leaf(dataset, new)
    inner = leaf(val.dataset)
    val.dataset = dict(_dataset(boxes.val, boxes), test_mode=True, pipeline=_packing(inner['pipeline']))
    cfg.test_dataloader = val
    kind = 'BDD100KDetMetric' if boxes.bdd100k else 'ScalabelDetMetric'
    cfg.val_evaluator = cfg.test_evaluator = dict(type=kind, of_dataset=True)
    hooks = dict(cfg.get('default_hooks') or {}, setup=dict(type='DetSetupHook'))
    saved = hooks.get('checkpoint') or dict(type='CheckpointHook', interval=1)
    prefix = 'bdd100k' if boxes.bdd100k else 'det'
    cfg.default_hooks = dict(hooks, checkpoint=dict(saved, save_best=f'{prefix}/AP', rule='greater'))
    from ...zoo.options import add_import

    add_import(cfg, 'mmroad.bdd100k.det')


def class_heads(node: Any, path: str = '') -> Iterator[Any]:
    """The configs of a model's heads that tell the data set's classes apart."""
    if isinstance(node, (list, tuple)):
        for part in node:
            yield from class_heads(part, path)
    elif hasattr(node, 'items'):
        if 'num_classes' in node and 'type' in node and 'head' in path:
            yield node
        for key, value in node.items():
            if key not in _OTHER_HEADS and key not in ('train_cfg', 'test_cfg', 'backbone', 'neck'):
                yield from class_heads(value, f'{path}.{key}')


def _parts(node: Any) -> set[str]:
    """All names in a model's config."""
    if isinstance(node, (list, tuple)):
        return {name for part in node for name in _parts(part)}
    return (
        {*node, *(name for part in node.values() for name in _parts(part))}
        if hasattr(node, 'items')
        else set()
    )


def _follow_number(head: dict[str, Any], number: int) -> None:
    """Set a head's number of classes, and in it the losses' and assigners' that repeat it."""
    old = head['num_classes']
    head['num_classes'] = number
    for part in ('loss_cls', 'loss_centerness', 'loss_bbox'):
        if isinstance(head.get(part), dict) and head[part].get('num_classes') == old:
            head[part]['num_classes'] = number


def _unrepeated(dataset: dict[str, Any]) -> dict[str, Any]:
    """A data set without wrappers that only say how often an image is seen."""
    while dataset.get('type') in ('RepeatDataset', 'ClassBalancedDataset'):
        dataset = dataset['dataset']
    return dataset


def _with_leaf(dataset: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    if dataset.get('type') == 'MultiImageMixDataset':
        return {**dataset, 'dataset': _with_leaf(dataset['dataset'], new)}
    return new


def _dataset(part: Part, boxes: Boxes) -> dict[str, Any]:
    root = _common(part)
    return dict(
        type='BDD100KDetDataset' if boxes.bdd100k else 'ScalabelDetDataset',
        data_root=f'{root}/' if root else '',
        ann_file=_below(part.ann_file, root),
        data_prefix=dict(img=_below(part.images, root)),
        metainfo=dict(classes=boxes.classes),
    )


def _common(part: Part) -> Path | None:
    """The data set's folder: that of the images' folder, where the labels are in it too."""
    for parent in (part.images, *part.images.parents[:2]):
        if part.ann_file.is_relative_to(parent):
            return parent
    return None


def _below(path: Path, root: Path | None) -> str:
    return path.as_posix() if root is None else path.relative_to(root).as_posix()


def _loading_boxes(pipeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A pipeline for training that loads boxes alone."""
    return [
        dict(type='LoadAnnotations', with_bbox=True) if step['type'] == 'LoadAnnotations' else step
        for step in pipeline
    ]


def _packing(pipeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A pipeline for tests without labels, whose last step keeps the image's name."""
    steps = [step for step in pipeline if step['type'] != 'LoadAnnotations']
    return [dict(type='FastPackDetInputs') if step['type'] == 'PackDetInputs' else step for step in steps]
