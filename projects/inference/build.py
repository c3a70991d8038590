"""The inferencer of any model, by its name."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any

from ..zoo.configs import get_config
from ..zoo.models import model_class

if TYPE_CHECKING:
    from pathlib import Path

    from mmengine.config import Config

    from .base import Inferencer

#: Kind of models -> where its inferencer is.
INFERENCERS = {
    'detection': ('detection', 'DetInferencer'),
    'open_vocabulary': ('open_vocabulary', 'DeticInferencer'),
    'words': ('words', 'WordsInferencer'),
    'anomaly': ('anomaly', 'AnomalyInferencer'),
    'segmentation': ('segmentation', 'ImageInferencer'),
    'video': ('video', 'VideoInferencer'),
    'tracking': ('tracking', 'TrackModelInferencer'),
}


def kind_of(model: type) -> str:
    """The kind of a model's class, a key of `INFERENCERS`: what it says itself (``kind``), or what mmdet's and mmseg's
    models are.

    Raises:
        ValueError: It is no model of images or videos.
    """
    from mmdet.models import BaseDetector, TwoStagePanopticSegmentor
    from mmseg.models import BaseSegmentor

    if hasattr(model, 'kind'):
        return model.kind
    if issubclass(model, (BaseSegmentor, TwoStagePanopticSegmentor)):
        return 'segmentation'
    if issubclass(model, BaseDetector):
        return 'detection'
    raise ValueError(f'{model.__name__} is no detector and no segmentor: nothing here runs it')


def inferencer_class(cfg: str | Config) -> type[Inferencer]:
    """The class of the inferencer of a config's model, by a name or a config."""
    module, name = INFERENCERS[kind_of(model_class(cfg))]
    return getattr(importlib.import_module(f'.{module}', __package__), name)


def options_of(cls: type[Inferencer]) -> set[str]:
    """The names of an inferencer's own options."""
    names = set(inspect.signature(cls.__init__).parameters)
    return names - {'self', 'model', 'options', 'weights', 'device', 'trust', 'amp'}


def inferencer(
    model: str | Config,
    weights: str | Path | None = None,
    device: str | None = None,
    cfg_options: dict[str, Any] | None = None,
    **options: Any,
) -> Inferencer:
    """What runs a model on images: called with one or several, or its ``run`` with a folder, glob or video.

    Args:
        model, weights, device, cfg_options: See ``mmroad.init_model``.
        options: ``amp``, ``trust`` and those of the model's inferencer, such as ``threshold``.

    Returns:
        ``DetInferencer``, ``DeticInferencer``, ``AnomalyInferencer``, ``ImageInferencer`` or ``VideoInferencer`` of
        `mmroad.inference`.

    Raises:
        ValueError: An option that this kind of model does not have.
    """
    cfg = get_config(model) if isinstance(model, str) else model
    cfg.merge_from_dict(cfg_options or {})
    cls = inferencer_class(cfg)
    if other := sorted(set(options) - options_of(cls) - {'amp', 'trust'}):
        own = ', '.join(sorted(options_of(cls))) or 'none'
        raise ValueError(f'{cls.kind} models have no option {", ".join(other)}; theirs are: {own}')
    return cls(cfg, weights=weights, device=device, **options)
