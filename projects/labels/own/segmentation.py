"""A segmentation model's config for label maps of one's own, and for outliers of one's own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...files.replacing import write_text
from .masks import Masks, check_maps, find_masks, pair_up, read_classes, split_masks
from .pipelines import leaf, pipelines

if TYPE_CHECKING:
    from mmengine.config import Config

#: What an outlier's pixels are in a label map.
OUTLIER = 254
#: Recipes of detectors.
_NOT_HERE = ('form', 'images', 'classes', 'where', 'class_balanced', 'negatives', 'image_size')


def use_label_maps(cfg: Config, args: argparse.Namespace, folder: Path) -> tuple[int | None, list[str]]:
    """Let a segmentation model's config train on label maps and outliers of one's own.

    Args:
        cfg: Changed in place.
        args: The options.
        folder: Where lists of images are written.

    Returns:
        The number of training images (None where the data set stays), and what there is to say.

    Raises:
        FileNotFoundError, ValueError: The data cannot be used, or an option is for detectors alone.
    """
    given = [name for name in _NOT_HERE if getattr(args, name) is not None]
    if given:
        raise ValueError(
            f'--{given[0].replace("_", "-")} is for detectors; {Path(cfg.filename).stem} is none'
        )
    said: list[str] = []
    images = None
    if args.data:
        images = _use_maps(cfg, args, folder, said)
    if args.outliers:
        said.append(_use_outliers(cfg, Path(args.outliers)))
    return images, said


def _use_maps(cfg: Config, args: argparse.Namespace, folder: Path, said: list[str]) -> int:
    data = Path(args.data)
    if not data.is_dir():
        raise FileNotFoundError(f'{data}: no such folder')
    classes, palette = read_classes(data)
    sets, line = split_masks(find_masks(data), args.val_split, args.seed)
    ignored = _ignored(cfg)
    for split, masks in sets.items():
        count = check_maps(masks, len(classes), ignored)
        said.append(f'{split}: {len(masks.names)} images with masks, {count} looked through')
    said += [f'{len(classes)} classes: {", ".join(classes)}', *([line] if line else [])]
    _follow_classes(cfg, len(classes))
    lists = {}
    for split, masks in sets.items():
        lists[split] = (folder / f'{split}.txt').resolve()
        write_text(lists[split], '\n'.join(masks.names) + '\n')
    meta = dict(classes=classes, palette=palette or _palette(len(classes)))
    old = leaf(cfg.train_dataloader.dataset)
    new = dict(_dataset(sets['train'], lists['train'], meta), pipeline=old['pipeline'])
    cfg.train_dataloader.dataset = _with_leaf(cfg.train_dataloader.dataset, new, folder)
    val = dict(
        _dataset(sets['val'], lists['val'], meta), pipeline=leaf(cfg.val_dataloader.dataset)['pipeline']
    )
    cfg.val_dataloader.dataset = dict(val, test_mode=True)
    cfg.val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
    if leaf(cfg.test_dataloader.dataset).get('type') != 'AnomalyDataset':
        cfg.test_dataloader, cfg.test_evaluator = cfg.val_dataloader, cfg.val_evaluator
    return len(sets['train'].names)


def _ignored(cfg: Config) -> tuple[int, ...]:
    """Values of the label maps that are no class: 255, and of outliers 254 where the training knows them."""
    values = {255}
    for step in leaf(cfg.train_dataloader.dataset)['pipeline']:
        values.update(step.get('ignored', ()) if step['type'] == 'LoadLabelMap' else ())
    return tuple(sorted(value for value in values if value in (OUTLIER, 255)))


def _palette(number: int) -> list[list[int]]:
    import colorsys

    hues = [(0.02 + 0.618034 * row) % 1 for row in range(number)]
    return [[round(255 * value) for value in colorsys.hsv_to_rgb(hue, 0.7, 0.9)] for hue in hues]


def _dataset(masks: Masks, names: Path, meta: dict[str, Any]) -> dict[str, Any]:
    return dict(
        type='BaseSegDataset',
        ann_file=str(names),
        data_prefix=dict(img_path=str(masks.images.resolve()), seg_map_path=str(masks.masks.resolve())),
        img_suffix=masks.suffix,
        seg_map_suffix='.png',
        metainfo=meta,
    )


def _with_leaf(dataset: dict[str, Any], new: dict[str, Any], folder: Path) -> dict[str, Any]:
    if dataset.get('type') == 'ClassUniformDataset':
        kept = {key: value for key, value in dataset.items() if not key.startswith('boost')}
        cache = str((folder / 'centroids.npz').resolve())
        return {**kept, 'cache_file': cache, 'dataset': _with_leaf(dataset['dataset'], new, folder)}
    return new


def _follow_classes(cfg: Config, number: int) -> None:
    """Set the number of classes of the head, of its class weights and of the label maps."""
    heads = [
        head
        for key in ('decode_head', 'auxiliary_head')
        for head in _listed(cfg.model.get(key))
        if 'num_classes' in head
    ]
    if not heads or cfg.model.get('track_head'):
        raise ValueError(
            f'{Path(cfg.filename).stem}: its model has no decode_head with num_classes; of video and panoptic models '
            'other classes are set in a config of your own (docs/data.md)'
        )
    for head in heads:
        if 'num_inliers' in head or str(head.get('type')).startswith('RankSeg'):
            raise ValueError(
                f'{Path(cfg.filename).stem}: {head.type} is not made for other classes by this command'
            )
        old, head['num_classes'] = head['num_classes'], number
        loss = head.get('loss_cls') or {}
        weights = loss.get('class_weight')
        if isinstance(weights, (list, tuple)) and len(weights) == old + 1:
            loss['class_weight'] = [weights[0]] * number + [weights[-1]]
        if head.get('ignore_index') not in (None, 255):  # of Mapillary, whose 65 is no class
            head['ignore_index'] = 255
    for pipeline in pipelines(cfg):
        for step in pipeline:
            if step['type'] == 'LoadLabelMap':
                step['num_classes'] = number
                if 'ignored' in step:
                    step['ignored'] = tuple(value for value in step['ignored'] if value in (OUTLIER, 255))
            elif step['type'] == 'LoadMapillaryAsCityscapes':
                step['type'] = 'LoadLabelMap'
                step['num_classes'] = number


def _listed(heads: Any) -> list[dict[str, Any]]:
    """A head's config, several or none, as a list."""
    return list(heads) if isinstance(heads, (list, tuple)) else [] if heads is None else [heads]


def _use_outliers(cfg: Config, folder: Path) -> str:
    """Paste outliers of one's own: images with masks in which one value above 0 marks them."""
    steps = [step for pipeline in pipelines(cfg) for step in pipeline if step['type'] == 'PasteOutlier']
    if not steps:
        raise ValueError(
            f'{Path(cfg.filename).stem} pastes no outliers: --outliers is for the configs with _ood_ in their names'
        )
    images, masks = folder / 'images', folder / 'masks'
    for place in (images, masks):
        if not place.is_dir():
            raise FileNotFoundError(
                f'{place}: no such folder; outliers are images/NAME.jpg and masks/NAME.png'
            )
    pair = pair_up(images, masks)
    value = _outlier_value(masks, pair.names)
    for step in steps:
        step.update(
            img_dir=str(images.resolve()), mask_dir=str(masks.resolve()), img_suffix=pair.suffix, value=value
        )
        step['num_objects'] = None
    return f'outliers are pasted from {len(pair.names)} images of {folder} (mask value {value})'


def _outlier_value(masks: Path, names: list[str]) -> int:
    """The value that marks outliers, the same in all masks: 254, 1, or whatever they hold beside 0 and 255."""
    import numpy as np

    from ...files.label_maps import read_label_map

    values: dict[int, str] = {}
    for name in names:
        for value in np.unique(read_label_map(masks / f'{name}.png')).tolist():
            values.setdefault(value, name)
    marks = sorted(set(values) - {0, 255}) or sorted(set(values) - {0})
    if len(marks) != 1:
        what = f'values {", ".join(f"{v} ({values[v]}.png)" for v in marks[:5])}' if marks else 'only 0'
        raise ValueError(f'{masks}: the masks hold {what}; one value is to mark outliers, 0 the rest')
    return marks[0]
