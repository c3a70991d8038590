"""SAFE: which detections are out of distribution, told by how sensitive a ResNet's features are there.

Wilson et al., "SAFE: Sensitivity-Aware Features for Out-of-Distribution Object Detection", ICCV 2023
(https://github.com/SamWilso/SAFE_Official). The detector is left as it is: beside it a small network learns to tell
features of its own detections from those of the same boxes in an adversarially perturbed image. It sees no outliers.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from mmcv.ops import roi_align
from mmdet.models import detectors
from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox2roi, get_box_tensor
from mmengine.dist import all_reduce
from torch import Tensor, nn

from ..runtime import frameworks  # noqa: F401


def sensitive_layers(backbone: nn.Module) -> list[nn.Module]:
    """The convolutions with batch norm beside the first block of a ResNet's stages, those that have one.

    Raises:
        ValueError: The backbone has none.
    """
    stages = [getattr(backbone, name) for name in getattr(backbone, 'res_layers', ())]
    found = [m for stage in stages if (m := getattr(stage[0], 'downsample', None)) is not None]
    if not found:
        raise ValueError(
            f'{type(backbone).__name__}: no residual stage with a convolution beside it (downsample), whose output '
            f'SAFE looks at; it is for ResNet, ResNeXt and RegNet'
        )
    return found


class SafeHead(nn.Module):
    """The classifier: three linear layers with dropout before the last, nothing else between them, as published.

    Args:
        channels: Of each layer looked at.
    """

    mean: Tensor
    count: Tensor

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        size = sum(channels)
        self.mlp = nn.Sequential(
            nn.Linear(size, size // 2), nn.Linear(size // 2, size // 4), nn.Dropout(), nn.Linear(size // 4, 1)
        )
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.constant_(layer.bias, 0.01)
        self.register_buffer('mean', torch.zeros(size))
        self.register_buffer('count', torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def count_in(self, features: Tensor) -> None:
        """Put features (n, C) of the images as they are into the mean that is taken from all."""
        new = torch.cat([features.double().sum(0), features.new_tensor([len(features)]).double()])
        all_reduce(new)
        self.count += new[-1].long()
        share = new[-1] / self.count.clamp(min=1)
        self.mean += ((new[:-1] / new[-1].clamp(min=1) - self.mean) * share).float()

    def forward(self, features: Tensor) -> Tensor:
        """Logits (n,) of features (n, C): higher = more in-distribution."""
        return self.mlp(features - self.mean)[:, 0]


class SafeMixin:
    """A detector whose detections carry SAFE's ``ood_scores``, and whose training is that of SAFE alone.

    Args:
        epsilon: Size of the perturbation (FGSM: the sign of the gradient of the detector's own loss), in gray
            levels of 0 to 255; published 8.
        args, kwargs: Those of the detector.

    Training keeps the detector as it is, its batch norm too, and needs its weights (``load_from``).
    """

    def __init__(self, *args, epsilon: float = 8.0, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.requires_grad_(False)
        self.epsilon = epsilon
        self.safe_layers = sensitive_layers(self.backbone)
        # the last weights are the normalization's, or those of the convolution that it was folded into
        self.safe = SafeHead([list(layer.parameters())[-1].shape[0] for layer in self.safe_layers])

    def train(self, mode: bool = True):
        """The detector stays in evaluation mode."""
        super().train(False)
        self.training = mode
        self.safe.train(mode)
        return self

    @contextlib.contextmanager
    def watching(self) -> Iterator[dict[int, Tensor]]:
        """Outputs of the layers looked at, by their places, once the backbone has run."""
        found: dict[int, Tensor] = {}

        def keep(place: int):
            return lambda module, inputs, output: found.__setitem__(place, output)

        hooks = [layer.register_forward_hook(keep(i)) for i, layer in enumerate(self.safe_layers)]
        try:
            yield found
        finally:
            for hook in hooks:
                hook.remove()

    def sensitive_features(self, found: dict[int, Tensor], boxes: Sequence[Tensor], height: int) -> Tensor:
        """Mean features (n, C) float32 of boxes.

        Args:
            found: See :meth:`watching`.
            boxes: Per image (n, 4) in the network's input.
            height: Of that input, padding included.
        """
        rois = bbox2roi([box.float() for box in boxes])
        if not len(rois):
            return rois.new_zeros(0, len(self.safe.mean))
        pooled = [
            roi_align(f.float(), rois, (1, 1), f.shape[2] / height, 0, 'avg', False)[..., 0, 0]
            for f in (found[i] for i in range(len(self.safe_layers)))
        ]
        return torch.cat(pooled, 1)

    def predict(self, batch_inputs: Tensor, batch_data_samples, rescale: bool = True):
        """The detector's, with ``ood_scores`` (float32, higher = more likely of no known class).

        A score is minus the classifier's logit (published: minus its probability, which is the same order).
        """
        with self.watching() as found:
            samples = super().predict(batch_inputs, batch_data_samples, rescale)
        boxes = []
        for sample in samples:
            box = get_box_tensor(sample.pred_instances.bboxes)
            if rescale:
                box = box * box.new_tensor(sample.scale_factor).repeat(2)
            boxes.append(box)
        with torch.autocast(batch_inputs.device.type, enabled=False):
            scores = -self.safe(self.sensitive_features(found, boxes, batch_inputs.shape[2]))
        for sample, score in zip(samples, scores.split([len(box) for box in boxes]), strict=True):
            sample.pred_instances.ood_scores = score
        return samples

    def loss(self, batch_inputs: Tensor, batch_data_samples) -> dict[str, Tensor]:
        """Binary cross-entropy between detections of the images (1) and the same boxes once they are perturbed (0)."""
        with torch.no_grad(), self.watching() as found:
            samples = super().predict(batch_inputs, batch_data_samples, rescale=False)
            boxes = [get_box_tensor(sample.pred_instances.bboxes) for sample in samples]
            clean = self.sensitive_features(found, boxes, batch_inputs.shape[2])
        perturbed = self.perturb(batch_inputs, batch_data_samples)
        with torch.no_grad(), self.watching() as found:
            self.backbone(perturbed)
            other = self.sensitive_features(found, boxes, batch_inputs.shape[2])
        with torch.autocast(batch_inputs.device.type, enabled=False):
            self.safe.count_in(clean)
            if not len(clean):  # nothing was detected; every rank has gradients
                return dict(loss_safe=sum(p.sum() for p in self.safe.parameters()) * 0)
            logits = self.safe(torch.cat([clean, other]))
            target = (torch.arange(len(logits), device=logits.device) < len(clean)).float()
            loss = F.binary_cross_entropy_with_logits(logits, target)
        return dict(loss_safe=loss, safe_acc=100 * ((logits > 0) == target.bool()).float().mean())

    def perturb(self, batch_inputs: Tensor, batch_data_samples) -> Tensor:
        """Images that the detector's loss rises with the fastest, within ``epsilon``; padding stays."""
        # in float32: a gradient that underflows has no sign
        with torch.enable_grad(), torch.autocast(batch_inputs.device.type, enabled=False):
            image = batch_inputs.detach().clone().requires_grad_()
            total, _ = self.parse_losses(super().loss(image, batch_data_samples))
            (gradient,) = torch.autograd.grad(total, image)
        prepare = self.data_preprocessor
        std, mean = (getattr(prepare, name, image.new_tensor(v)) for name, v in (('std', 1.0), ('mean', 0.0)))
        moved = image.detach() + self.epsilon / std * gradient.sign()
        moved = torch.maximum(torch.minimum(moved, (255 - mean) / std), -mean / std)
        result = batch_inputs.clone()
        for i, sample in enumerate(batch_data_samples):
            h, w = sample.img_shape
            result[i, :, :h, :w] = moved[i, :, :h, :w]
        return result


for _name, _base in vars(detectors).items():
    if inspect.isclass(_base) and issubclass(_base, BaseDetector):
        MODELS.register_module(
            name=f'Safe{_name}',
            module=type(f'Safe{_name}', (SafeMixin, _base), dict(__doc__=f"mmdet's ``{_name}`` with SAFE.")),
        )
