"""Detic's classification losses: federated sigmoid cross entropy and losses from image labels.

Source: Zhou et al., "Detecting Twenty-thousand Classes using Image-level Supervision" (arXiv:2201.02605).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def federated_classes(labels: Tensor, freq_weight: Tensor, num_sample: int = 50) -> Tensor:
    """The classes a batch is judged on: those that appear, filled up to ``num_sample`` by drawing
    others with probabilities proportional to ``freq_weight``.

    Args:
        labels: (n,) in 0..C, where C is the background (which counts as appearing).
        freq_weight: (C,) unnormalized probabilities (the square root of each class's image count).

    Returns:
        (C,) 1 for the classes that count, else 0.
    """
    num_classes = len(freq_weight)
    appeared = labels.unique()
    mask = freq_weight.new_zeros(num_classes + 1)
    mask[appeared] = 1
    missing = num_sample - len(appeared)
    if missing > 0:
        prob = freq_weight.float().clone()
        prob[appeared[appeared < num_classes]] = 0
        missing = min(missing, int((prob > 0).sum()))
        if missing:
            mask[torch.multinomial(prob, missing)] = 1
    return mask[:num_classes]


def sigmoid_classification_loss(logits: Tensor, labels: Tensor, class_weight: Tensor | None = None) -> Tensor:
    """Binary cross entropy over the C foreground columns, summed, divided by the number of regions.

    Args:
        logits: (n, C + 1), the last column the background's, which is not used.
        labels: (n,) in 0..C.
        class_weight: (C,) factors, or None.
    """
    if not logits.numel():
        return logits.sum() * 0
    num_classes = logits.shape[1] - 1
    target = F.one_hot(labels, num_classes + 1)[:, :num_classes].to(logits.dtype)
    loss = F.binary_cross_entropy_with_logits(logits[:, :num_classes], target, reduction='none')
    if class_weight is not None:
        loss = loss * class_weight
    return loss.sum() / len(logits)


def _label_loss(logits: Tensor, label: int) -> Tensor:
    """BCE over all columns (the background's too) of one region's (C + 1,) logits."""
    target = torch.zeros_like(logits)
    target[label] = 1
    return F.binary_cross_entropy_with_logits(logits, target, reduction='sum')


def _max_size(logits: Tensor, label: int, boxes: Tensor, prop_score: Tensor | None) -> Tensor:
    # The last region is meant to be the whole image, which would always win.
    sizes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    index = int(sizes[:-1].argmax()) if len(sizes) > 1 else 0
    return _label_loss(logits[index], label)


def _max_score(logits: Tensor, label: int, boxes: Tensor, prop_score: Tensor | None) -> Tensor:
    return _label_loss(logits[logits[:, label].argmax()], label)


def _first(logits: Tensor, label: int, boxes: Tensor, prop_score: Tensor | None) -> Tensor:
    return _label_loss(logits[0], label)


def _image(logits: Tensor, label: int, boxes: Tensor, prop_score: Tensor | None) -> Tensor:
    return _label_loss(logits[-1], label)


def _min_loss(logits: Tensor, label: int, boxes: Tensor, prop_score: Tensor | None) -> Tensor:
    target = torch.zeros_like(logits)
    target[:, label] = 1
    return F.binary_cross_entropy_with_logits(logits, target, reduction='none').sum(1).min()


def _wsddn(logits: Tensor, label: int, boxes: Tensor, prop_score: Tensor | None) -> Tensor:
    """Bilen and Vedaldi's two streams: a sigmoid over classes times a softmax over regions. Unlike the other
    kinds it is the mean over the C + 1 columns, as published."""
    score = (logits.sigmoid() * prop_score.softmax(0)).sum(0).clamp(1e-10, 1 - 1e-10)
    target = torch.zeros_like(score)
    target[label] = 1
    return F.binary_cross_entropy(score, target)


#: name -> loss(logits (n, C + 1), label, boxes (n, 4), prop_score (n, C + 1) or None)
IMAGE_LABEL_LOSSES = {
    'max_size': _max_size,
    'max_score': _max_score,
    'first': _first,
    'image': _image,
    'min_loss': _min_loss,
    'wsddn': _wsddn,
}


def image_label_loss(
    kind: str,
    logits: list[Tensor],
    boxes: list[Tensor],
    labels: list[Tensor],
    prop_scores: list[Tensor] | None = None,
) -> Tensor:
    """Mean over the images of the mean over an image's labels.

    Args:
        kind: A key of ``IMAGE_LABEL_LOSSES``.
        logits, boxes: (n_i, C + 1) and (n_i, 4) of each image's regions.
        labels: (k_i,) the classes that each image is known to show.
        prop_scores: (n_i, C + 1), for ``wsddn`` only.
    """
    loss = IMAGE_LABEL_LOSSES[kind]
    total = sum(part.sum() for part in logits) * 0
    for i, (score, box, wanted) in enumerate(zip(logits, boxes, labels, strict=True)):
        if not len(score) or not len(wanted):
            continue
        prop = prop_scores[i] if prop_scores is not None else None
        total = total + sum(loss(score, int(label), box, prop) for label in wanted) / len(wanted)
    return total / len(logits)


def caption_loss(scores: Tensor, own: int, neg_weight: float = 1.0) -> Tensor:
    """BCE of one image's box against every caption of the global batch.

    Args:
        scores: (K,) logits of the whole-image region against the K captions of all ranks.
        own: The index of the image's own caption.
        neg_weight: Weight of the other captions (published: 0.125 for CC3M).
    """
    target = torch.zeros_like(scores)
    target[own] = 1
    loss = F.binary_cross_entropy_with_logits(scores, target, reduction='none')
    return loss[own] + neg_weight * (loss.sum() - loss[own])
