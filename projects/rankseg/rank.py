"""Category ranking: which classes an image holds, and class logits rearranged by it.

RankSeg (https://arxiv.org/abs/2203.04187) classifies the whole image into its classes, sorts them by score and
classifies masks or pixels among the K best, each rank with a learned temperature.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor, nn

#: The logit of a class that is not selected.
ABSENT = -100.0


class _Attention(nn.Module):
    def __init__(self, dims: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.qkv = nn.Linear(dims, 3 * dims)
        self.proj = nn.Linear(dims, dims)
        self.proj_drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, dims = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(*qkv, dropout_p=self.dropout if self.training else 0.0)
        return self.proj_drop(self.proj(x.transpose(1, 2).reshape(batch, length, dims)))


class _MLP(nn.Module):
    def __init__(self, dims: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dims, hidden), nn.Linear(hidden, dims)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.fc2(self.drop(F.gelu(self.fc1(x)))))


class _Block(nn.Module):
    """A pre-norm transformer layer."""

    def __init__(self, dims: int, num_heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dims), nn.LayerNorm(dims)
        self.attn = _Attention(dims, num_heads, dropout)
        self.mlp = _MLP(dims, hidden, dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class _GroupWiseLinear(nn.Module):
    """A linear layer to one number for each class, with weights of its own: (B, C, D) to (B, C)."""

    def __init__(self, num_classes: int, dims: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(dims)
        self.W = nn.Parameter(torch.empty(1, num_classes, dims).uniform_(-bound, bound))
        self.b = nn.Parameter(torch.empty(1, num_classes).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return (self.W * x).sum(-1) + self.b


class MultiLabelHead(nn.Module):
    """Which classes are in an image: a transformer layer over its tokens and one token per class.

    Args:
        num_classes: C.
        in_channels: Channels of the tokens.
        embed_dims: Channels within.
        num_heads: Attention heads (default: one for each 64 channels).
        feedforward_channels: Hidden channels of the MLP (default: four times ``embed_dims``).
        dropout: After the attention's softmax and projection, and in the MLP.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        embed_dims: int = 512,
        num_heads: int | None = None,
        feedforward_channels: int | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        num_heads = num_heads or max(1, embed_dims // 64)
        feedforward_channels = feedforward_channels or 4 * embed_dims
        self.num_classes = num_classes
        self.cls_emb = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, num_classes, embed_dims), std=0.02))
        self.proj_dec = nn.Linear(in_channels, embed_dims)
        self.block = _Block(embed_dims, num_heads, feedforward_channels, dropout)
        self.norm = nn.LayerNorm(embed_dims)
        self.fc = _GroupWiseLinear(num_classes, embed_dims)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, N, in_channels) to multi-label logits (B, C)."""
        x = self.proj_dec(tokens)
        x = torch.cat([x, self.cls_emb.to(x.dtype).expand(len(x), -1, -1)], 1)
        return self.fc(self.norm(self.block(x)[:, -self.num_classes :]))


def asymmetric_loss(
    logits: Tensor,
    targets: Tensor,
    gamma_neg: float = 2.0,
    gamma_pos: float = 0.0,
    clip: float = 0.05,
    eps: float = 1e-5,
) -> Tensor:
    """The asymmetric multi-label loss (https://arxiv.org/abs/2009.14119), the mean over images and classes.

    With p = sigmoid(x) and n = min(1 + clip - p, 1): -[y (1-p)^g+ log max(p, eps) + (1-y) (1-n)^g- log
    max(n, eps)]. The gradient flows through the focusing factors too.

    Args:
        logits: x, (B, C).
        targets: y, (B, C), 0 or 1 (or bool).
    """
    targets = targets.to(logits.dtype)
    positive = logits.sigmoid()
    negative = (1 + clip - positive).clamp(max=1)
    found = targets * positive.clamp(min=eps).log()
    absent = (1 - targets) * negative.clamp(min=eps).log() * (1 - negative) ** gamma_neg
    if gamma_pos:
        found = found * (1 - positive) ** gamma_pos
    return -(found + absent).mean()


@MODELS.register_module()
class RankSeg(nn.Module):
    """The multi-label head, its loss, the ranking and the temperatures by rank.

    Args:
        num_classes: C, without "no object".
        in_channels: Channels of the tokens that the multi-label head sees.
        top_k: K, the classes that are kept for each image; None keeps (and reorders) all.
        no_object: Logits have a last slot for "no object", which is always kept and always ranked last:
            mask classification. Without it, logits are those of pixels.
        oracle: "+GT": no ranking; classes that the ground truth lacks are ruled out.
        loss_weight: Factor of the multi-label loss.
        head: Further arguments of `MultiLabelHead`.

    Raises:
        ValueError: ``top_k`` is not within 1 to C, or is given in oracle mode.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 256,
        top_k: int | None = None,
        no_object: bool = True,
        oracle: bool = False,
        loss_weight: float = 10.0,
        head: dict | None = None,
    ) -> None:
        super().__init__()
        if oracle and top_k is not None:
            raise ValueError(f'RankSeg: oracle mode ranks nothing, but top_k is {top_k}; leave it out')
        top_k = num_classes if top_k is None else top_k
        if not 1 <= top_k <= num_classes:
            raise ValueError(
                f'RankSeg: top_k is {top_k}, but it ranks {num_classes} classes: 1 to {num_classes}'
            )
        self.num_classes, self.top_k, self.no_object = num_classes, top_k, no_object
        self.oracle, self.loss_weight = oracle, loss_weight
        if not oracle:
            self.ml_head = MultiLabelHead(num_classes, in_channels, **(head or {}))
            self.ml_norm = nn.LayerNorm(top_k + no_object)

    def forward(self, tokens: Tensor) -> Tensor:
        """Multi-label logits (B, C), float32, of tokens (B, N, in_channels)."""
        return self.ml_head(tokens).float()

    def rank(self, ml_logits: Tensor) -> Tensor:
        """The K best classes (B, K), best first; of equal ones, the first."""
        return ml_logits.argsort(dim=1, descending=True, stable=True)[:, : self.top_k]

    def _slots(self, index: Tensor, like: Tensor) -> Tensor:
        """Channels by rank, as an index for ``like`` (B, N, .)."""
        if self.no_object:
            index = F.pad(index, (0, 1), value=self.num_classes)
        return index[:, None].expand(-1, like.shape[1], -1)

    def ranked(self, logits: Tensor, index: Tensor) -> Tensor:
        """Class logits in rank order, normalized: (B, N, C + 1) and (B, K) to (B, N, K + 1), float32
        (without the + 1 where there is no "no object")."""
        return self.ml_norm(logits.float().gather(2, self._slots(index, logits)))

    def scatter(self, ranked: Tensor, index: Tensor) -> Tensor:
        """`ranked`'s result back in the order of classes, -100 where a class is not selected. Softmax,
        cross entropy and matching costs by it are those by rank, so stock losses need no change."""
        shape = (*ranked.shape[:2], self.num_classes + self.no_object)
        return ranked.new_full(shape, ABSENT).scatter(2, self._slots(index, ranked), ranked)

    def rerank(self, logits: Tensor, index: Tensor) -> Tensor:
        """Class logits (B, N, C + 1) of a ranking (B, K): `ranked`, then `scatter`."""
        return self.scatter(self.ranked(logits, index), index)

    def selected(self, index: Tensor) -> Tensor:
        """Whether a class is among the K best, (B, C) bool."""
        return index.new_zeros(len(index), self.num_classes, dtype=torch.bool).scatter(1, index, True)

    def rule_out(self, logits: Tensor, present: Tensor) -> Tensor:
        """Oracle mode: -100 for classes that an image lacks.

        Args:
            logits: (B, N, C + 1) (or C).
            present: (B, C) bool.
        """
        absent = F.pad(~present, (0, logits.shape[2] - self.num_classes), value=False)
        return logits.masked_fill(absent[:, None], ABSENT)

    def loss(self, ml_logits: Tensor, present: Tensor) -> Tensor:
        """The weighted multi-label loss of logits (B, C) and classes present (B, C), a scalar."""
        with torch.autocast(ml_logits.device.type, enabled=False):
            return self.loss_weight * asymmetric_loss(ml_logits.float(), present)


def present_classes(labels: Sequence[Tensor], num_classes: int) -> Tensor:
    """Label lists of B images, each (n,), as (B, C) bool."""
    present = labels[0].new_zeros(len(labels), num_classes, dtype=torch.bool)
    for row, classes in zip(present, labels, strict=True):
        row[classes.long()] = True
    return present
