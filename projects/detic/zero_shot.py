"""Classification against class embeddings in place of a learned matrix."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn

from .vocabulary import classifier_matrix, load_embeddings


@MODELS.register_module()
class ZeroShotClassifier(nn.Module):
    """logits = T * normalize(linear(x)) @ W, the columns of W unit class embeddings.

    The last column of W is zero: the background's logit is always 0.

    Args:
        in_features: Length of a region's feature.
        out_features: Classes plus one (the background).
        embedding_dim: Length of a class embedding (CLIP ViT-B/32: 512).
        temperature: T above (Detic: 50).
        embeddings: File of class embeddings (see ``mmroad.detic.vocabulary``), read when weights are
            initialized, that is, for training. Otherwise a checkpoint must bring the classifier.
        use_bias: None, or the value a learned logit bias starts from.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        embedding_dim: int = 512,
        temperature: float = 50.0,
        embeddings: str | None = None,
        use_bias: float | None = None,
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.linear = nn.Linear(in_features, embedding_dim)
        self.cls_bias = None if use_bias is None else nn.Parameter(torch.full((1,), float(use_bias)))
        self.embeddings = embeddings
        self.register_buffer('zs_weight', torch.full((embedding_dim, out_features), torch.nan))
        self._usable = False

    def init_weights(self) -> None:
        """Read the class embeddings; mmengine calls this before training."""
        if self.embeddings is not None:
            dim, columns = self.zs_weight.shape
            self.set_weight(classifier_matrix(load_embeddings(self.embeddings, columns - 1, dim)))

    def set_weight(self, weight: Tensor) -> None:
        """Replace the vocabulary by a matrix (embedding_dim, classes + 1) of unit columns."""
        if weight.ndim != 2 or weight.shape[0] != self.linear.out_features:
            raise ValueError(
                f'a classifier of {tuple(weight.shape)} does not fit embeddings of length '
                f'{self.linear.out_features}'
            )
        self.zs_weight = weight.to(self.zs_weight)
        self._usable = True

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        self._usable |= f'{prefix}zs_weight' in state_dict
        super()._load_from_state_dict(state_dict, prefix, *args)

    def embed(self, x: Tensor) -> Tensor:
        """Unit region embeddings (n, embedding_dim), in the space of the class embeddings."""
        return F.normalize(self.linear(x), dim=1)

    def forward(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """Logits (n, classes + 1) of features (n, in_features); ``weight`` overrides the vocabulary."""
        if weight is None:
            if not self._usable:
                raise RuntimeError(
                    'the classifier has no class embeddings: load a checkpoint, or set a vocabulary '
                    '(model.set_vocabulary), or train with embeddings=FILE in the config'
                )
            weight = self.zs_weight
        logits = self.temperature * self.embed(x) @ weight
        return logits if self.cls_bias is None else logits + self.cls_bias


@MODELS.register_module()
class BoxMLP(nn.Sequential):
    """The class-agnostic box regressor: linear, ReLU, linear."""

    def __init__(self, in_features: int, out_features: int = 4) -> None:
        super().__init__(
            nn.Linear(in_features, in_features), nn.ReLU(inplace=True), nn.Linear(in_features, out_features)
        )
        nn.init.normal_(self[2].weight, std=0.001)
        nn.init.zeros_(self[2].bias)
