"""mmroad: road-scene perception for MMEngine, MMDetection and MMSegmentation."""

from .loader import install_when_imported
from .version import __version__

__all__ = ['__version__', 'get_config', 'inferencer', 'init_model', 'list_models']

_FROM = {'list_models': 'zoo', 'get_config': 'zoo', 'init_model': 'zoo', 'inferencer': 'inference'}


def __getattr__(name: str):
    """The public functions, imported when first used: ``import mmroad`` itself takes no time."""
    if name not in _FROM:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    import importlib

    return getattr(importlib.import_module(f'.{_FROM[name]}', __name__), name)


install_when_imported()  # mmengine's reader of weights runs no code from here on
