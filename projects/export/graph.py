"""The whole of a model as one graph: an image goes in as it is, boxes, masks and maps come out in its pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ..anomaly.safe import SafeMixin
from ..zoo.models import single_dataset
from .detectors import Found, detector
from .image import ImageInput
from .safe import Safe

#: Axes that are open, by the name of an output.
AXES = {
    'boxes': {0: 'batch', 1: 'detections'},
    'scores': {0: 'batch', 1: 'detections'},
    'labels': {0: 'batch', 1: 'detections'},
    'ood_scores': {0: 'batch', 1: 'detections'},
    'masks': {0: 'batch', 1: 'detections', 2: 'height', 3: 'width'},
    'classes': {0: 'batch', 1: 'height', 2: 'width'},
    'anomaly': {0: 'batch', 1: 'height', 2: 'width'},
    'ranking': {0: 'batch'},
}


class Graph(nn.Module):
    """A model from uint8 RGB images (B, H, W, 3), named ``images``, to outputs (`names`).

    Args:
        model: A built model with its config as ``model.cfg`` (``mmroad.init_model``).
        size: Height and width of the images; None leaves them open.
        masks: Add masks, where the model has them.

    Attributes:
        names: Of the outputs, known after the first call.
        one_image: Whether the graph takes one image at a time.

    Raises:
        ValueError: The model, or a part of it, is none that can be exported; says which.
    """

    def __init__(self, model: nn.Module, size: tuple[int, int] | None = None, masks: bool = True) -> None:
        super().__init__()
        steps = [step for step in single_dataset(model.cfg)['pipeline'] if changes_the_image(step)]
        self.input = ImageInput(steps, model.data_preprocessor, size)
        self.model, self.size = self._find(model.eval(), masks), size
        self.one_image = getattr(self.model, 'one_image', False)
        self.names: tuple[str, ...] = ()

    @staticmethod
    def _find(model: nn.Module, masks: bool) -> nn.Module:
        found = detector(model)
        if found is None:
            from .detic import open_vocabulary
            from .segmentors import segmentor

            found = open_vocabulary(model) or segmentor(model)
        if found is None:
            heads = ('roi_head', 'bbox_head', 'panoptic_head', 'track_head', 'decode_head')
            head = next((type(getattr(model, k)).__name__ for k in heads if hasattr(model, k)), None)
            raise ValueError(
                f'{type(model).__name__}{f" with {head}" if head else ""} cannot be exported: models of images can, '
                'detectors of one and two stages, Sparse R-CNN, Detic, Mask2Former for semantic segmentation, RbA, '
                'AbeT and RankSeg (docs/onnx.md)'
            )
        if not masks and hasattr(found, 'masks'):
            found.masks = False
        return Safe(model, found) if isinstance(model, SafeMixin) else found

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The outputs, in the order of `names`."""
        out = self.model(self.input(images))
        if isinstance(out, Found):
            fields: dict[str, Tensor] = dict(
                boxes=out.boxes, scores=out.scores, labels=out.labels, **out.extras
            )
        else:
            fields = dict(classes=out.classes, **out.extras)
        self.names = tuple(fields)
        return tuple(fields.values())

    def axes(self) -> dict[str, dict[int, str]]:
        """The open axes of input and outputs; detections always are."""
        axes = {name: dict(AXES[name]) for name in self.names}
        axes['images'] = {0: 'batch', 1: 'height', 2: 'width'}
        if self.size is not None:
            keep = {'detections'}
        else:
            keep = {'detections', 'height', 'width'} | (set() if self.one_image else {'batch'})
        return {name: {i: axis for i, axis in own.items() if axis in keep} for name, own in axes.items()}


def changes_the_image(step: Mapping[str, Any]) -> bool:
    """Whether a step of a test pipeline changes the image, in the place of loading, noting or packing something."""
    kind = step['type'].rpartition('.')[2]
    return not (
        kind.startswith(('Load', 'Pack')) or kind.endswith('PackDetInputs') or kind == 'RecordClasses'
    )
