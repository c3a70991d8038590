"""Reading JSON files, and saying what a file is that is not JSON."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

import msgspec

#: First bytes of files that people take for JSON.
_KINDS = {
    b'\x1f\x8b': 'it is packed with gzip: unpack it (gunzip) and give the file inside',
    b'PK\x03\x04': 'it is a zip archive: unpack it and give the file inside',
    b'BZh': 'it is packed with bzip2: unpack it (bunzip2) and give the file inside',
    b'\xfd7zXZ': 'it is packed with xz: unpack it (unxz) and give the file inside',
    b'\x28\xb5\x2f\xfd': 'it is packed with zstd: unpack it (unzstd) and give the file inside',
    codecs.BOM_UTF32_LE: 'it is text in UTF-32: save it as UTF-8 (iconv -f UTF-32 -t UTF-8)',  # before UTF-16
    codecs.BOM_UTF32_BE: 'it is text in UTF-32: save it as UTF-8 (iconv -f UTF-32 -t UTF-8)',
    codecs.BOM_UTF16_LE: 'it is text in UTF-16: save it as UTF-8 (iconv -f UTF-16 -t UTF-8)',
    codecs.BOM_UTF16_BE: 'it is text in UTF-16: save it as UTF-8 (iconv -f UTF-16 -t UTF-8)',
    b'version https://git-lfs': 'it is a Git LFS pointer: fetch the file itself (git lfs pull)',
    b'<': 'it is a web page or XML: download the file itself',
}


def read_json(path: str | Path, form: Any = Any, what: str = 'JSON') -> Any:
    """The content of a JSON file in UTF-8 (with a byte order mark or without).

    Args:
        path: The file.
        form: The type that it is checked for (msgspec's).
        what: What it should be, for the error's text.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not JSON, or of another form; the message has the file and the place, or what the file is.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file (expected {what})')
    data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    try:
        return msgspec.json.decode(data, type=form)
    except UnicodeDecodeError as error:
        reason = 'it is text in another coding than UTF-8: save it as UTF-8'
        raise ValueError(f'{path}: not {what}: {kind_of_file(data) or reason}') from error
    except (msgspec.DecodeError, RecursionError, MemoryError) as error:  # too deeply nested, too large
        raise ValueError(f'{path}: not {what}: {kind_of_file(data) or error}') from error


def kind_of_file(content: bytes) -> str | None:
    """What a file that was given as JSON really is, and what to do; None where it may be JSON."""
    if not content.strip():
        return 'the file is empty'
    for start, what in _KINDS.items():
        if content.startswith(start):
            return what
    if b'\0' in content[:4] and content[:4].strip(b'\0')[:1] in (b'[', b'{'):
        return _KINDS[codecs.BOM_UTF16_LE]
    return None
