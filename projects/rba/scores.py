"""Anomaly scores of a mask classifier; higher is more anomalous.

A score takes what one image (or some rows of it) has:

``seg``        S_c = sum_q p_q(c) sigmoid(m_q) over the K inlier classes, (K, H, W)
``probs``      the queries' class probabilities p_q, (Q, C), the inliers first
``masks``      the queries' mask probabilities sigmoid(m_q), (Q, H, W), at image size
``outlier``    the logits (2, H, W) of DenseHybrid's outlier head, or None

S is a sum over queries and can exceed 1. It is cropped and resized before any score bends it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

#: A score: (seg, probs, masks, outlier) to (H, W).
Score = Callable[[Tensor, Tensor, Tensor, 'Tensor | None'], Tensor]


def rba(seg: Tensor, *_) -> Tensor:
    """-sum_c tanh S_c: rejected by all classes (RbA, https://arxiv.org/abs/2211.14293). From -K to 0."""
    return -seg.tanh().sum(0)


def energy(seg: Tensor, *_) -> Tensor:
    """-logsumexp_c S_c (PEBAL, https://arxiv.org/abs/2111.12264)."""
    return -seg.logsumexp(0)


def neg_logit_sum(seg: Tensor, *_) -> Tensor:
    """-sum_c S_c, RbA without its squashing."""
    return -seg.sum(0)


def max_softmax(seg: Tensor, *_) -> Tensor:
    """1 - max_c softmax(S)_c (https://arxiv.org/abs/1610.02136)."""
    return 1 - seg.softmax(0).amax(0)


def max_logit(seg: Tensor, *_) -> Tensor:
    """-max_c S_c (https://arxiv.org/abs/1911.11132)."""
    return -seg.amax(0)


def entropy(seg: Tensor, *_) -> Tensor:
    """The entropy of softmax(S), in nats."""
    return torch.special.entr(seg.softmax(0)).sum(0)


def eam(seg: Tensor, probs: Tensor, masks: Tensor, *_) -> Tensor:
    """1 - sum_q sigmoid(m_q) max_{c<K} p_q(c) (EAM: On Advantages of Mask-level
    Recognition for Outlier-aware Segmentation, CVPR 2023 workshops)."""
    return 1 - torch.einsum('q,qhw->hw', probs[:, : len(seg)].amax(1), masks)


def uno(seg: Tensor, probs: Tensor, masks: Tensor, *_) -> Tensor:
    """sum_q sigmoid(m_q) (p_q(K) - max_{c<K} p_q(c)), K being the outlier class of a K + 2-way head
    (UNO, https://arxiv.org/abs/2402.15374)."""
    classes = len(seg)
    if probs.shape[1] != classes + 2:
        raise ValueError(
            f'the score uno needs {classes + 2} class probabilities, there are {probs.shape[1]}: '
            'train with decode_head=dict(outlier_class=True)'
        )
    return torch.einsum('q,qhw->hw', probs[:, classes] - probs[:, :classes].amax(1), masks)


def mask2anomaly(seg: Tensor, probs: Tensor, masks: Tensor, *_) -> Tensor:
    """1 - max_c S_c, and 0 where refinement is sure of a background (Mask2Anomaly, https://arxiv.org/abs/2307.13316).

    Queries that are sure (p > 0.95) of a class from building to sky, 2 to 10 of Cityscapes, say so by their mask
    times p, which counts as a class does; where it is at least 0.5 for one of several, the score is 0. As published,
    a single such query does not refine.
    """
    best, label = probs.max(1)
    sure = (best > 0.95) & (label >= 2) & (label <= 10)
    score = 1 - seg.amax(0)
    if not sure.any():
        return score
    background = (best[sure, None, None] * masks[sure]).amax(0)
    score = score.minimum(1 - background)
    return score if sure.sum() == 1 else score.masked_fill(background >= 0.5, 0)


def dense_hybrid(seg: Tensor, probs: Tensor, masks: Tensor, outlier: Tensor | None) -> Tensor:
    """-logsumexp_c S_c + log(softmax(outlier)_1 + 1e-9) (DenseHybrid, https://arxiv.org/abs/2207.02606)."""
    if outlier is None:
        raise ValueError('the score dense_hybrid needs the outlier head: decode_head=dict(ood_head=True)')
    return energy(seg) + (outlier.softmax(0)[1] + 1e-9).log()


SCORES: dict[str, Score] = {
    f.__name__: f
    for f in (
        *(rba, energy, neg_logit_sum, max_softmax, max_logit, entropy),
        *(eam, uno, mask2anomaly, dense_hybrid),
    )
}

#: Scores of the coldest and hottest color of a picture: about what 19 classes give on a sure inlier and on nothing.
SCALES = dict(
    rba=(-1.0, 0.0),
    energy=(-3.1, -2.9),
    neg_logit_sum=(-1.0, 0.0),
    max_softmax=(0.85, 0.95),
    max_logit=(-1.0, 0.0),
    entropy=(2.85, 2.95),
    eam=(0.0, 1.0),
    uno=(-1.0, 1.0),
    mask2anomaly=(0.0, 1.0),
    dense_hybrid=(-10.0, -2.9),
)


def get_score(name: str) -> Score:
    """A score by its name in `SCORES`."""
    if name not in SCORES:
        raise KeyError(f'anomaly score {name!r}: expected one of {", ".join(SCORES)}')
    return SCORES[name]
