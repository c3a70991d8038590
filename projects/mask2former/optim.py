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

    ``paramwise_cfg=dict(backbone_lr_mult=0.1)``. mmengine's default constructor cannot say this without
    a key for each of a backbone's norms: a key for the backbone switches its rule for norms off.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        model = getattr(model, 'module', model)
        lr, decay = self.optimizer_cfg['lr'], self.optimizer_cfg.get('weight_decay', 0.0)
        factor = (self.paramwise_cfg or {}).get('backbone_lr_mult', 1.0)
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        seen: set[int] = set()
        for prefix, module in model.named_modules():
            plain = isinstance(module, (*NORMS, nn.Embedding))
            for name, parameter in module.named_parameters(recurse=False):
                if not parameter.requires_grad or id(parameter) in seen:
                    continue
                seen.add(id(parameter))
                is_table = 'relative_position_bias_table' in name or 'absolute_pos_embed' in name
                key = (
                    lr * factor if prefix.split('.')[0] == 'backbone' else lr,
                    0.0 if plain or is_table else decay,
                )
                groups.setdefault(key, []).append(parameter)
        if not groups:
            raise ValueError('every parameter is frozen: nothing to train')
        params = [dict(params=p, lr=key[0], weight_decay=key[1]) for key, p in groups.items()]
        optimizer = OPTIMIZERS.build(dict(self.optimizer_cfg, params=params))
        return OPTIM_WRAPPERS.build(self.optim_wrapper_cfg, default_args=dict(optimizer=optimizer))
