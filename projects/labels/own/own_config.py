"""The config of a training on data of one's own, written so that it can be run again by itself."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import recipes, schedule
from .pipelines import leaf

if TYPE_CHECKING:
    from mmengine.config import Config

#: What a run reads of a config; other names are only there to be inherited from.
_KEPT = (
    'model', 'train_dataloader', 'val_dataloader', 'test_dataloader', 'train_cfg', 'val_cfg', 'test_cfg',
    'optim_wrapper', 'param_scheduler', 'val_evaluator', 'test_evaluator', 'default_hooks', 'custom_hooks',
    'load_from', 'resume', 'env_cfg', 'log_processor', 'log_level', 'visualizer', 'vis_backends', 'default_scope',
    'randomness', 'custom_imports', 'auto_scale_lr', 'runner_type', 'find_unused_parameters', 'model_wrapper_cfg',
)  # fmt: skip


def write_own_config(args: argparse.Namespace) -> tuple[Path, list[str]]:
    """Make and write the config that the options ask for.

    Args:
        args: ``config`` and ``work_dir`` of ``mmroad train``, and the options of `options.add_arguments`. Its
            ``work_dir`` is set where it was None.

    Returns:
        The config's file, ``WORK_DIR/own/NAME.py``, and what there is to say, line by line.

    Raises:
        LabelFileError, FileNotFoundError, ValueError: The data cannot be used; the message names the file.
        KeyError: No such model.
    """
    from ...zoo.configs import get_config
    from ...zoo.options import merge_options

    cfg = get_config(args.config)
    name = Path(cfg.filename).stem
    title = f'{name}_{slug(args.data)}' if args.data else f'{name}_own'
    args.work_dir = str(args.work_dir or Path('work_dirs', title))
    folder = Path(args.work_dir, 'own')
    scope = cfg.get('default_scope', 'mmdet')
    kind = str(leaf(cfg.train_dataloader.dataset).get('type'))
    said = recipes.before_schedule(cfg, args)
    if scope == 'mmseg':
        from .segmentation import use_label_maps

        images, lines = use_label_maps(cfg, args, folder)
        said += lines
    else:
        images, lines = _boxes(cfg, args, folder)
        said += lines
    said += recipes.apply(cfg, args)
    if images is not None or args.epochs or args.batch_size or args.accumulate:
        if images is None:
            images = schedule.IMAGES.get(kind)
            if images is None:
                raise ValueError(f'{name}: how many images its data set {kind} has is not known; give --data')
        said += schedule.scale(cfg, images, kind, args.epochs, args.batch_size, args.lr)
    said += _weights(cfg, args, name)
    _fit_workers(cfg)
    merge_options(cfg, getattr(args, 'cfg_options', None))
    file = folder / f'{title}.py'
    write_config(cfg, file, args)
    said.append(f'the config is {file}; `mmroad train {file}` runs it again')
    return file, said


def slug(path: str | Path) -> str:
    """A data set's name as a part of file names."""
    path = Path(path).resolve()
    stem = path.stem if path.is_file() else path.name
    return re.sub(r'[^A-Za-z0-9_-]+', '_', stem).strip('_') or 'data'


def _boxes(cfg: Config, args: argparse.Namespace, folder: Path) -> tuple[int | None, list[str]]:
    if args.outliers:
        raise ValueError('--outliers is for anomaly segmentation (configs/rba); this is a detector')
    classes, images, said = None, None, []
    if args.data:
        from .boxes import prepare_boxes
        from .detection import use_boxes

        boxes = prepare_boxes(
            args.data, folder, args.form, args.images, args.classes, args.val_split, args.seed
        )
        use_boxes(cfg, boxes)
        classes, images, said = boxes.classes, boxes.images, boxes.said
        if args.keep_empty:
            images = len(boxes.train.labels)
    if classes is None:
        from ...zoo.models import model_classes

        classes = next(iter(model_classes(cfg)), ())
    said += recipes.wrap_dataset(cfg, args, classes, folder)
    return images, said


def _weights(cfg: Config, args: argparse.Namespace, name: str) -> list[str]:
    """Where the training starts from."""
    from ...zoo.models import without_initial_weights
    from ...zoo.options import add_import

    published = _published(args.config)
    weights = args.weights or ('published' if published else 'initial')
    if weights == 'initial':
        if args.data and published is None:
            return [
                'no weights are published for it: it starts from what its config says (ImageNet, or nothing)'
            ]
        return []
    cfg.model = without_initial_weights(cfg.model)
    if weights == 'none':
        cfg.load_from = None
        return ['it is trained from scratch']
    if weights == 'published':
        if published is None:
            raise ValueError(f'{name}: no weights are published for it: --weights initial, none or a file')
        _fetch(name)
        weights = published
    elif '://' not in weights:
        if not Path(weights).is_file():
            raise FileNotFoundError(f'{weights}: no such checkpoint (--weights)')
        weights = str(Path(weights).resolve())
    cfg.load_from = weights
    if args.data:
        hooks = [
            hook for hook in cfg.get('custom_hooks') or () if hook.get('type') != 'mmengine.ClassOrderHook'
        ]
        cfg.custom_hooks = [*hooks, dict(type='mmengine.ClassOrderHook', other_classes='afresh')]
        add_import(cfg, 'mmroad.zoo.class_order_hook')
    return [f'it starts from {weights}']


def _fetch(name: str) -> None:
    """Have a model's published weights in the cache before anything is trained."""
    from ...zoo import weights

    try:
        weights.published(name)
    except weights.DownloadError as error:
        raise weights.DownloadError(
            f'{error}\nOr start from something else: --weights initial (what the config says), none, or a file.'
        ) from error


def _published(config: str) -> str | None:
    """The URL of a model's published weights; None where there are none, or the config is a file of one's own."""
    from ...zoo.configs import find_model

    if Path(config).suffix == '.py' and Path(config).is_file():
        return None
    return find_model(config).get('Weights')


def _fit_workers(cfg: Config) -> None:
    """No more workers than this machine has cores: torch warns, and they slow one another."""
    import os

    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name)
        if loader and loader.get('num_workers'):
            loader['num_workers'] = min(loader['num_workers'], os.cpu_count() or 1)


def write_config(cfg: Config, file: Path, args: argparse.Namespace) -> None:
    """Write a config that needs no other file."""
    from mmengine.config import Config

    from ...files.replacing import write_text

    cfg.work_dir = str(Path(args.work_dir).resolve())
    own: dict[str, Any] = {key: cfg[key] for key in (*_KEPT, 'work_dir') if key in cfg}
    of = f' for {args.data}' if args.data else ''
    head = f'"""{Path(cfg.filename).stem}{of}, as `mmroad train` made it."""\n\n'
    write_text(file, head + Config(own).pretty_text)
