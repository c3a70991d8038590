"""mmroad: road-scene perception for MMEngine, MMDetection and MMSegmentation."""

from .version import __version__

__all__ = ['__version__']
