"""Images as they come: a file, a folder, a glob or a video."""

from .files.images import read_image, write_image

__all__ = ['read_image', 'write_image']
