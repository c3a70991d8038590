"""What every part does alike with files: writing beside and renaming, JSON, images, label maps, output names."""

from .replacing import replacing, write_json, write_text

__all__ = ['replacing', 'write_json', 'write_text']
