"""The models by name: their configs, metafile entries and weights."""

from __future__ import annotations

import contextlib
import fnmatch
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import Tensor, nn


def configs_folder() -> Path:
    """Where the configs are: beside ``projects`` in a checkout, inside the package in a wheel."""
    here = Path(__file__).resolve().parent
    for folder in (here.parent / 'configs', here / 'configs'):
        if (folder / '_base_').is_dir():
            return folder
    raise FileNotFoundError(f'no configs beside or inside {here}: the installation is incomplete')


@functools.cache
def _models() -> dict[str, dict[str, Any]]:
    import yaml

    models = {}
    for metafile in sorted(configs_folder().glob('*/metafile.yml')):
        for entry in yaml.safe_load(metafile.read_text(encoding='utf-8'))['Models']:
            models[entry['Name']] = {**entry, 'Path': configs_folder().parent / entry['Config']}
    return models


def list_models(pattern: str = '*') -> list[str]:
    """Names of the models that match a shell pattern, such as ``'*convnext*'``."""
    return [name for name in _models() if fnmatch.fnmatchcase(name.lower(), pattern.lower())]


def find_model(name: str) -> dict[str, Any]:
    """A model's metafile entry.

    Raises:
        KeyError: No model has that name; names those that are near.
    """
    name = Path(name).stem if name.endswith('.py') else name
    if name not in _models():
        import difflib

        near = difflib.get_close_matches(name, _models(), 5, 0.4)
        raise KeyError(
            f'no model is named {name!r}; near: {", ".join(near) or "none"} (mmroad.list_models() has all)'
        )
    return _models()[name]


def get_config(name: str) -> Config:
    """A model's config.

    Args:
        name: A model's name, or the path of a config file.
    """
    from mmengine.config import Config

    path = Path(name)
    if path.suffix == '.py' and path.is_file():
        return Config.fromfile(path)
    return Config.fromfile(find_model(name)['Path'])


def without_initial_weights(cfg: Any) -> Any:
    """A model config without its ``Pretrained`` initialisations: weights come from a checkpoint."""
    if isinstance(cfg, Mapping):
        return type(cfg)(
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
def uninitialised() -> Iterator[None]:
    """Modules built inside keep their parameters as they come from the allocator: hundreds of times
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


def init_model(
    name: str | Config,
    weights: str | Path | None = None,
    device: str = 'cpu',
    cfg_options: dict[str, Any] | None = None,
    trust: bool = False,
) -> nn.Module:
    """A model ready for inference.

    Args:
        name: A model's name, the path of a config, or a config.
        weights: ``'published'`` downloads the zoo's checkpoint; or a path; None leaves the model
            untrained.
        device: Where to put it.
        cfg_options: Changes to the config.
        trust: Read a checkpoint that is not weights alone (runs code in it).

    Returns:
        The model in evaluation mode, with ``cfg`` and ``dataset_meta``.

    Raises:
        KeyError: No such model.
        CheckpointError: The checkpoint does not fit; lists the keys and the configs it does fit.
    """
    cfg = get_config(name) if isinstance(name, str) else name
    if cfg_options:
        cfg.merge_from_dict(cfg_options)
    model = build_model(cfg)
    model.dataset_meta = _dataset_meta(cfg)
    if weights is not None:
        own = load_weights(model, cfg, weights, trust=trust).get('dataset_meta')
        model.dataset_meta = {**model.dataset_meta, **(own if isinstance(own, Mapping) else {})}
    model.cfg = cfg
    return model.to(device).eval()


def load_weights(
    model: nn.Module, cfg: Config, weights: str | Path, *, trust: bool = False
) -> dict[str, Any]:
    """Load the weights of a config's model: a file, or ``'published'``.

    Returns:
        The checkpoint's meta data. Where the classes of a model with a vocabulary of its own have no names, those of
        the checkpoint name them.

    Raises:
        CheckpointError: The checkpoint does not fit, or has other classes.
    """
    from .checkpoint import load_checkpoint

    if str(weights) == 'published':
        from .weights import published

        weights = published(Path(cfg.filename).stem)
    meta = load_checkpoint(model, weights, trust=trust, classes=model_classes(cfg))
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
    return {**getattr(cls, 'METAINFO', {}), **(dataset.get('metainfo') or {})}


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
    """Names of the detectors whose models have exactly a checkpoint's keys and shapes.

    Models of about as many parameters are built, without initialising them.
    """
    from .checkpoint import compare_keys

    size, fits = sum(v.numel() for v in state.values() if v.is_floating_point()), []
    for name in list_models():
        known = str((find_model(name).get('Metadata') or {}).get('Parameters', ''))
        if known.endswith('M') and abs(float(known[:-1]) * 1e6 - size) > 0.05 * size:
            continue
        try:
            with uninitialised():
                model = build_model(get_config(name))
        except Exception:  # a model that cannot be built here (an optional package) cannot be named
            continue
        if not compare_keys(state, model.state_dict()):
            fits.append(name)
    return fits
