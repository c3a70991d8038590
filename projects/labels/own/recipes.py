"""Changes of a config in one flag each."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .pipelines import leaf, set_image_size

if TYPE_CHECKING:
    from mmengine.config import Config


def before_schedule(cfg: Config, args: argparse.Namespace) -> list[str]:
    """The recipes that the batch depends on.

    Returns:
        What there is to say.
    """
    said = []
    wrapper = cfg.optim_wrapper
    if args.small_gpu:
        batch = args.batch_size or cfg.train_dataloader.get('batch_size', 1)
        args.batch_size, args.accumulate = 1, args.accumulate or batch
        wrapper.type = 'AmpOptimWrapper'
        wrapper.setdefault('loss_scale', 'dynamic')
        again = _takes(cfg, 'with_cp')
        if again:
            cfg.model.backbone.with_cp = True
        said.append(
            f'small GPU: one image at a time, a step every {args.accumulate}, mixed precision'
            + (', activations of the backbone computed again' if again else '')
        )
    if args.accumulate:
        wrapper.accumulative_counts = args.accumulate
    return said


def apply(cfg: Config, args: argparse.Namespace) -> list[str]:
    """The other recipes.

    Returns:
        What there is to say.

    Raises:
        ValueError: The model or the data set has no such part.
    """
    said = []
    if args.image_size:
        set_image_size(cfg, args.image_size)
        said.append(f'images are scaled into {args.image_size[0]}x{args.image_size[1]}')
    if args.lr is not None:
        cfg.optim_wrapper.optimizer.lr = args.lr
    if args.freeze_stages is not None:
        _freeze(cfg, args.freeze_stages)
        said.append(f'the first {args.freeze_stages} stages of the backbone are kept')
    if args.where:
        _select(cfg, args.where)
    if args.ema:
        _add_hook(
            cfg, type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.0002, update_buffers=True, priority=49
        )
        said.append('validated and saved are the averaged weights (EMA)')
    if args.early_stopping:
        monitor, rule = best_by(cfg)
        hook = dict(monitor=monitor, rule=rule, patience=args.early_stopping, min_delta=0.05)
        _add_hook(cfg, type='EarlyStoppingHook', **hook)
        said.append(f'training ends after {args.early_stopping} validations without a gain of {monitor}')
    return said


def best_by(cfg: Config) -> tuple[str, str]:
    """The score that the best checkpoint is chosen by, and whether greater is better."""
    hook = cfg.default_hooks.checkpoint
    best = hook.get('save_best')
    if not isinstance(best, str) or best == 'auto':
        raise ValueError('the config has no default_hooks.checkpoint.save_best, which says what a gain is')
    return best, hook.get('rule') or 'greater'


def _add_hook(cfg: Config, **hook: Any) -> None:
    rest = [other for other in cfg.get('custom_hooks') or () if other.get('type') != hook['type']]
    cfg.custom_hooks = [*rest, hook]


def _takes(cfg: Config, name: str) -> bool:
    """Whether the backbone has an argument."""
    from mmengine.registry import MODELS, init_default_scope

    init_default_scope(cfg.get('default_scope', 'mmdet'))
    kind = cfg.model.get('backbone', {}).get('type')
    with MODELS.switch_scope_and_registry(None) as registry:
        cls = registry.get(kind) if isinstance(kind, str) else kind
    return any(name in inspect.signature(base.__init__).parameters for base in cls.__mro__) if cls else False


def _freeze(cfg: Config, stages: int) -> None:
    if not _takes(cfg, 'frozen_stages'):
        raise ValueError(
            f'{cfg.model.get("backbone", {}).get("type")} has no frozen_stages: leave --freeze-stages out'
        )
    cfg.model.backbone.frozen_stages = stages if stages > 0 else -1


def _select(cfg: Config, pairs: list[str]) -> None:
    chosen: dict[str, list[str]] = {}
    for pair in pairs:
        key, _, value = pair.partition('=')
        chosen.setdefault(key, []).append(value)
    inner = leaf(cfg.train_dataloader.dataset)
    if inner.get('type') not in ('ScalabelDetDataset', 'BDD100KDetDataset'):
        raise ValueError(f'--where: {inner.get("type")} has no attributes to choose images by')
    inner['attributes'] = chosen


def wrap_dataset(cfg: Config, args: argparse.Namespace, classes: tuple[str, ...], folder: Path) -> list[str]:
    """Class balance and negatives: around the innermost training data set, inside mosaics.

    Args:
        cfg: Changed in place.
        args: The options.
        classes: The model's.
        folder: Where the list of negatives is written.

    Returns:
        What there is to say.
    """
    said, loader = [], cfg.train_dataloader
    inner = leaf(loader.dataset)
    if args.keep_empty:
        inner['filter_cfg'] = None
    wrapped = inner
    if args.class_balanced is not None:
        wrapped = dict(type='ClassBalancedDataset', oversample_thr=args.class_balanced, dataset=wrapped)
        said.append(f'images of classes in fewer than {args.class_balanced:g} of the images are repeated')
    if args.negatives:
        from .negatives import write_negatives

        file, count = write_negatives(args.negatives, folder, args.hard_by, args.hard_score)
        none = dict(
            type='ScalabelDetDataset',
            ann_file=str(file),
            data_prefix=dict(img=str(Path(args.negatives).resolve())),
            metainfo=dict(classes=classes),
            pipeline=inner['pipeline'],
        )
        wrapped = dict(type='ConcatDataset', datasets=[wrapped, none], ignore_keys=['palette'])
        said.append(f'{count} images without anything to find are added from {args.negatives}')
    loader.dataset = _replace_leaf(loader.dataset, wrapped)
    return said


def _replace_leaf(dataset: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    if 'dataset' not in dataset:
        return new
    return {**dataset, 'dataset': _replace_leaf(dataset['dataset'], new)}
