"""Give any mmseg decode head the learned temperature."""

from __future__ import annotations

from functools import cache

import torch
from mmengine.registry import MODELS as ENGINE_MODELS
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor, nn


class TemperatureHeadMixin:
    """Classifies with :class:`~mmroad.abet.temperature.LearnedTemperature` at the size of the image.

    ``forward`` returns the features that the wrapped head would classify; loss
    and prediction classify them at full resolution, where the published model does.

    Args:
        temperature: The config of the classifier, ``dict(type='LearnedTemperature')``.
    """

    def __init__(self, *args, temperature: dict, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.temperature = ENGINE_MODELS.build(
            dict(temperature, in_channels=self.conv_seg.in_channels, num_classes=self.num_classes)
        )
        self.conv_seg = nn.Identity()

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: SampleList) -> dict:
        """Losses of the full-resolution logits z = g / T; ``seg_logits`` are the features."""
        labels = self._stack_batch_gt(batch_data_samples)
        g, temperature = self.temperature(seg_logits, labels.shape[2:], self.align_corners)
        with torch.autocast(g.device.type, enabled=False):
            losses = super().loss_by_feat(g / temperature, batch_data_samples)
        losses['temperature'] = temperature.detach().mean()
        return losses

    def predict_by_feat(self, seg_logits: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Full-resolution logits z (N, C, H, W); ``seg_logits`` are the features."""
        meta = batch_img_metas[0]
        size = meta['img_shape'] if isinstance(meta['img_shape'], torch.Size) else None
        size = size or meta.get('pad_shape', meta['img_shape'])
        g, temperature = self.temperature(seg_logits, tuple(size[:2]), self.align_corners)
        return g / temperature


@cache
def with_temperature(head: type[BaseDecodeHead]) -> type[BaseDecodeHead]:
    """The class ``head`` with a ``temperature`` argument.

    Raises:
        TypeError: ``head`` does not classify through mmseg's ``BaseDecodeHead.cls_seg``.
    """
    if not (isinstance(head, type) and issubclass(head, BaseDecodeHead)):
        raise TypeError(f'{head!r} is no mmseg BaseDecodeHead: it has no classifier to replace')
    return type(f'Temperature{head.__name__}', (TemperatureHeadMixin, head), {'__module__': __name__})


def build_head(config: dict) -> BaseDecodeHead:
    """Build a decode head; with a ``temperature`` entry, any mmseg head has the learned temperature."""
    if config.get('temperature') is None:
        return MODELS.build({k: v for k, v in config.items() if k != 'temperature'})
    head = MODELS.get(config['type']) if isinstance(config['type'], str) else config['type']
    if head is None:
        raise KeyError(f'decode head {config["type"]!r} is not registered in mmseg')
    return MODELS.build(dict(config, type=with_temperature(head)))
