"""Registers mmpretrain's ConvNeXt, which the ConvNeXt configs name as ``mmpretrain.ConvNeXt``.

``mmpretrain.models`` imports torchvision, which has no build for every torch; the backbone does not
need it. Where that import fails, the backbone's module alone is imported, and an empty
``mmpretrain.models`` stays in its place (mmpretrain's registry imports it by that name).
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path


def import_convnext() -> type:
    """mmpretrain's ConvNeXt class, registered in mmpretrain's registry.

    Raises:
        ImportError: mmpretrain is not installed; says how to install it.
    """
    try:
        return importlib.import_module('mmpretrain.models').ConvNeXt
    except ImportError:
        spec = importlib.util.find_spec('mmpretrain')
        if spec is None or spec.origin is None:
            raise ImportError(
                'ConvNeXt comes from mmpretrain, which is not installed: pip install onedl-mmpretrain'
            ) from None
    root = Path(spec.origin).parent / 'models'
    stand_ins = ('mmpretrain.models', 'mmpretrain.models.backbones')
    for name, folder in zip(stand_ins, (root, root / 'backbones')):
        if name in sys.modules:
            continue
        module = types.ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules[name] = module
    return importlib.import_module('mmpretrain.models.backbones.convnext').ConvNeXt


ConvNeXt = import_convnext()
