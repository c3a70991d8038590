"""mmroad: road-scene perception for MMEngine, MMDetection and MMSegmentation."""

from .zoo.late import import_late
from .zoo.loader import install_when_imported
from .zoo.quiet import quiet_when_imported

__all__ = ['__version__', 'get_config', 'inferencer', 'init_model', 'list_models', 'read_labels']

__version__ = '0.1.0'
_FROM = {
    'list_models': 'zoo.configs',
    'get_config': 'zoo.configs',
    'init_model': 'zoo.models',
    'inferencer': 'inference.build',
    'read_labels': 'labels',
}


def __getattr__(name: str):
    """The public functions, imported when first used: ``import mmroad`` itself takes no time."""
    if name not in _FROM:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    import importlib

    return getattr(importlib.import_module(f'.{_FROM[name]}', __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)


quiet_when_imported()
import_late()
install_when_imported()  # mmengine's reader of weights runs no code from here on
