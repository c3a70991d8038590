"""Any model by its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.config import Config


def inferencer(
    name: str | Config,
    weights: str | Path | None = None,
    device: str = 'cpu',
    threshold: float | None = None,
    amp: bool = False,
    **kwargs: Any,
):
    """What runs a model on images: called with one, or its ``run`` with a folder, glob or video.

    Args:
        name, weights, device, kwargs: See ``mmroad.init_model``.
        threshold: Scores from which a box is drawn, or above which anomalies are outlined (default: the
            inferencer's).
        amp: Compute in bfloat16 where the model allows, which some processors do several times faster. Scores then
            differ in their third digit.

    Returns:
        `DetInferencer`; for models with a vocabulary ``mmroad.inference.open_vocabulary.DeticInferencer``, for anomaly
        segmentation ``mmroad.inference.anomaly.AnomalyInferencer``, for other segmentation
        ``mmroad.inference.segmentation.ImageInferencer``.

    Raises:
        ValueError: A threshold for a model that has none, or a model of videos.
    """
    import torch

    from ..runtime.speed.accelerate import for_inference
    from ..zoo.models import init_model

    model = for_inference(init_model(name, weights, device, **kwargs), torch.bfloat16 if amp else None)
    options = {} if threshold is None else dict(threshold=threshold)
    if hasattr(model, 'class_names_of'):
        from .open_vocabulary import DeticInferencer

        return DeticInferencer(model, **options)
    if hasattr(model, 'set_score'):
        from .anomaly import AnomalyInferencer

        return AnomalyInferencer(model, **options)
    if hasattr(model, 'track_head'):
        raise ValueError('this is a model of videos: mmroad.inference.video, tools/infer_video.py')
    if hasattr(model, 'decode_head') or hasattr(model, 'panoptic_head'):
        from .segmentation import ImageInferencer

        if options:
            raise ValueError('a segmentation model gives every pixel a class: there is no threshold')
        return ImageInferencer(model)
    from .detection import DetInferencer

    return DetInferencer(model, **options)
