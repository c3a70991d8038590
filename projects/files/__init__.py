"""What every part does alike with files: writing beside and renaming, JSON, images, label maps, output names."""

from .images import IMAGE_SUFFIXES, ImageError, as_bgr, decode_image, is_image, read_image, write_image
from .outputs import OutputNames
from .replacing import replacing, write_bytes, write_json, write_text

__all__ = [
    'IMAGE_SUFFIXES',
    'ImageError',
    'OutputNames',
    'as_bgr',
    'decode_image',
    'is_image',
    'read_image',
    'replacing',
    'write_bytes',
    'write_image',
    'write_json',
    'write_text',
]
