"""Mask2Former's parameter groups."""

from __future__ import annotations

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class Mask2FormerOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """The published groups: a smaller learning rate for the backbone, no weight decay for norms,
    embeddings and relative position tables. Frozen parameters are left out.

    ``paramwise_cfg=dict(backbone_lr_mult=0.1)``; ``ml_head_lr_mult`` is the factor of RankSeg's multi-label
    head. mmengine's default constructor cannot say this without
    a key for each of a backbone's norms: a key for the backbone switches its rule for norms off.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        model = getattr(model, 'module', model)
        lr, decay = self.optimizer_cfg['lr'], self.optimizer_cfg.get('weight_decay', 0.0)
        factors = {
            part: (self.paramwise_cfg or {}).get(f'{part}_lr_mult', 1.0) for part in ('backbone', 'ml_head')
        }
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        seen: set[int] = set()
        for prefix, module in model.named_modules():
            plain = isinstance(module, (*NORMS, nn.Embedding))
            for name, parameter in module.named_parameters(recurse=False):
                if not parameter.requires_grad or id(parameter) in seen:
                    continue
                seen.add(id(parameter))
                is_table = name in ('relative_position_bias_table', 'absolute_pos_embed', 'cls_emb')
                parts = prefix.split('.')
                part = 'backbone' if parts[0] == 'backbone' else 'ml_head' if 'ml_head' in parts else None
                key = (
                    lr * factors.get(part, 1.0),
                    0.0 if plain or is_table else decay,
                )
                groups.setdefault(key, []).append(parameter)
        if not groups:
            raise ValueError('every parameter is frozen: nothing to train')
        params = [dict(params=p, lr=key[0], weight_decay=key[1]) for key, p in groups.items()]
        optimizer = OPTIMIZERS.build(dict(self.optimizer_cfg, params=params))
        return OPTIM_WRAPPERS.build(self.optim_wrapper_cfg, default_args=dict(optimizer=optimizer))
