"""Models built from their configs, and their weights loaded into them."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checkpoint import CheckpointError, KeysError, compare_keys, load_checkpoint
from .configs import find_model, get_config, list_models
from .weights import published

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import Tensor, nn


def without_initial_weights(cfg: Any) -> Any:
    """A model config without its ``Pretrained`` initializations: weights come from a checkpoint."""
    if isinstance(cfg, Mapping):
        kind: Any = type(cfg)
        return kind(
            {
                key: None if key == 'init_cfg' and _is_pretrained(value) else without_initial_weights(value)
                for key, value in cfg.items()
            }
        )
    if isinstance(cfg, (list, tuple)):
        return type(cfg)(without_initial_weights(value) for value in cfg)
    return cfg


def _is_pretrained(init_cfg: Any) -> bool:
    return isinstance(init_cfg, Mapping) and init_cfg.get('type') == 'Pretrained'


def build_model(cfg: Config) -> nn.Module:
    """Build a config's model without reading any weights."""
    from mmengine.registry import MODELS, init_default_scope

    init_default_scope(cfg.get('default_scope', 'mmdet'))
    return MODELS.build(without_initial_weights(cfg.model))


@contextlib.contextmanager
def uninitialized() -> Iterator[None]:
    """Modules built inside this context keep uninitialized parameters: hundreds of times
    faster, for where weights are loaded next or only keys and shapes count."""
    names = [n for n in dir(torch_init()) if n.endswith('_') and not n.startswith('_')]
    saved = {name: getattr(torch_init(), name) for name in names}
    for name in names:
        setattr(torch_init(), name, lambda tensor, *args, **kwargs: tensor)
    try:
        yield
    finally:
        for name, function in saved.items():
            setattr(torch_init(), name, function)


def torch_init():
    """``torch.nn.init``, imported when it is needed."""
    import torch.nn.init

    return torch.nn.init


def model_class(name: str | Config) -> type[nn.Module]:
    """The class of a config's model, which is registered where it was not."""
    from mmengine.registry import MODELS, init_default_scope
    from mmengine.utils import import_modules_from_strings

    cfg = get_config(name) if isinstance(name, str) else name
    if cfg.get('custom_imports'):
        import_modules_from_strings(**cfg.custom_imports)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    with MODELS.switch_scope_and_registry(None) as registry:
        return registry.get(cfg.model.type)


class UntrainedWarning(UserWarning):
    """A model has no weights but random ones."""


def default_device() -> str:
    """The GPU where there is one."""
    import torch

    return 'cuda' if torch.cuda.is_available() else 'cpu'


def device_name(device: str) -> str:
    """What a device is called: its card's name, or the CPU."""
    import torch

    if str(device).startswith('cuda') and torch.cuda.is_available():
        return f'{torch.cuda.get_device_name(device)} ({device})'
    return 'the CPU' if str(device) == 'cpu' else str(device)


def init_model(
    name: str | Config,
    weights: str | Path | None = None,
    device: str | None = None,
    cfg_options: dict[str, Any] | None = None,
    trust: bool = False,
) -> nn.Module:
    """A model ready for inference.

    Args:
        name: A model's name, the path of a config, or a config.
        weights: ``'published'`` downloads the zoo's checkpoint; or a path; None leaves the model untrained, which
            a warning says.
        device: Where to put it; None is the GPU where there is one.
        cfg_options: Changes to the config.
        trust: Read a checkpoint that is not weights alone (runs code in it).

    Returns:
        The model in evaluation mode, with ``cfg`` and ``dataset_meta``.

    Raises:
        KeyError: No such model.
        CheckpointError: The checkpoint does not fit; lists the keys and the configs it does fit.
        ValueError: The device is not there.
    """
    cfg = get_config(name) if isinstance(name, str) else name
    if cfg_options:
        cfg.merge_from_dict(cfg_options)
    model = build_model(cfg)
    model.dataset_meta = _dataset_meta(cfg)
    if weights is None:
        warnings.warn(
            f'{_title(cfg)} has random weights: what it finds means nothing. Give weights (a file, or "published").',
            UntrainedWarning,
            stacklevel=2,
        )
    else:
        own = load_weights(model, cfg, weights, trust=trust).get('dataset_meta')
        model.dataset_meta = {**model.dataset_meta, **(own if isinstance(own, Mapping) else {})}
    model.cfg = cfg
    try:
        return model.to(device or default_device()).eval()
    except (RuntimeError, AssertionError) as error:  # torch's, of a CPU-only build an AssertionError
        raise ValueError(f'device {str(device)!r} cannot be used: {str(error).splitlines()[0]}') from error


def _title(cfg: Config) -> str:
    return Path(cfg.filename).stem if cfg.filename else f'the {cfg.model.type}'


def load_weights(
    model: nn.Module, cfg: Config, weights: str | Path, *, trust: bool = False
) -> dict[str, Any]:
    """Load the weights of a config's model: a file, or ``'published'``.

    Returns:
        The checkpoint's meta data. Where the classes of a model with a vocabulary of its own have no names, those of
        the checkpoint name them.

    Raises:
        CheckpointError: The checkpoint does not fit (the message names the configs whose models it fits), or has
            other classes.
    """
    if str(weights) == 'published':
        weights = published(Path(cfg.filename).stem)
    try:
        meta = load_checkpoint(model, weights, trust=trust, classes=model_classes(cfg))
    except KeysError as error:
        fits = configs_that_fit(error.state)
        hint = f'It fits: {", ".join(fits)}.' if fits else 'No config of the zoo has these keys.'
        raise CheckpointError(f'{error}\n{hint}') from error
    names = (meta.get('dataset_meta') or {}).get('classes')
    if names and hasattr(model, 'name_own_classes'):
        model.name_own_classes(names)
    return meta


def single_dataset(cfg: Config) -> Mapping[str, Any]:
    """The config of the data set that a model is tested on; where those are several, or outliers, whose
    labels are not what the model predicts, of the one that it is validated on."""
    for loader in ('test_dataloader', 'val_dataloader'):
        dataset = (cfg.get(loader) or {}).get('dataset', {})
        while 'dataset' in dataset:
            dataset = dataset['dataset']
        if 'datasets' not in dataset and dataset.get('type') != 'AnomalyDataset':
            break
    return dataset


def _dataset_meta(cfg: Config) -> dict[str, Any]:
    return _meta_of(single_dataset(cfg), cfg.get('default_scope', 'mmdet'))


def _meta_of(dataset: Mapping[str, Any], scope: str) -> dict[str, Any]:
    """The meta data of a data set's config. ``CityscapesDataset`` is 19 classes in mmseg and 8 in mmdet."""
    from mmdet.registry import DATASETS as DET_DATASETS
    from mmseg.registry import DATASETS as SEG_DATASETS

    kind = dataset.get('type')
    if not kind:
        return {}
    first, other = (SEG_DATASETS, DET_DATASETS) if scope == 'mmseg' else (DET_DATASETS, SEG_DATASETS)
    cls = kind and (first.get(kind) or other.get(kind))
    given = {'classes': dataset['classes']} if dataset.get('classes') else {}  # of ScalabelDetDataset
    return {**getattr(cls, 'METAINFO', {}), **(dataset.get('metainfo') or {}), **given}


def model_classes(cfg: Config) -> list[tuple[str, ...]]:
    """The classes that a config's model may have, as its data sets list them: tested on, and trained on.

    Empty where they are not known (open vocabularies, whose names come with the weights).
    """
    imports = (cfg.get('custom_imports') or {}).get('imports') or ()
    if any(name.startswith('mmroad.detic') for name in imports):
        return []
    lists = []
    for dataset in (single_dataset(cfg), (cfg.get('train_dataloader') or {}).get('dataset', {})):
        while 'dataset' in dataset or dataset.get('datasets'):
            dataset = dataset['dataset'] if 'dataset' in dataset else dataset['datasets'][0]
        names = _meta_of(dataset, cfg.get('default_scope', 'mmdet')).get('classes')
        names = (names,) if isinstance(names, str) else names
        if names and tuple(names) not in lists:
            lists.append(tuple(names))
    return lists


def configs_that_fit(state: Mapping[str, Tensor]) -> list[str]:
    """Names of the models that have exactly a checkpoint's keys and shapes.

    Only those with as many parameters, as their metafiles have it, are built, without initializing them.
    """
    statistics = ('running_mean', 'running_var')
    size = sum(v.numel() for k, v in state.items() if v.is_floating_point() and not k.endswith(statistics))
    fits = []
    for name in list_models():
        known = str((find_model(name).get('Metadata') or {}).get('Parameters', ''))
        if known.endswith('M') and abs(float(known[:-1]) * 1e6 - size) > 1e5:
            continue
        try:
            with uninitialized():
                model = build_model(get_config(name))
        except Exception:  # a model that cannot be built here (an optional package) cannot be named
            continue
        if not compare_keys(state, model.state_dict()):
            fits.append(name)
    return fits
