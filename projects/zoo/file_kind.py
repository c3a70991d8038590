"""What a file of weights is, told from its content: names lie (``.pth`` may be a web page, ``.pkl`` a zip)."""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import re
import struct
import tarfile
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

#: The kinds that hold weights, each with a reader of its own.
TORCH, LEGACY_TORCH, PICKLE, SAFETENSORS = 'torch', 'legacy torch', 'pickle', 'safetensors'
WEIGHTS = (TORCH, LEGACY_TORCH, PICKLE, SAFETENSORS)

_ZIP = b'PK\x03\x04'
#: The number with which ``torch.save`` began before its files were zips, pickled by protocol 2 (any other: 3).
_LEGACY = re.compile(rb'\x80.(\x95.{8})?\x8a\n\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\.', re.DOTALL)
_LARGEST_HEADER = 100 << 20  # of safetensors, its own bound
_COMPRESSED = 'compressed with {0}: unpack it with {0} -d'
_MAGIC = {
    b'\x1f\x8b': _COMPRESSED.format('gzip'),
    b'BZh': _COMPRESSED.format('bzip2'),
    b'\xfd7zXZ\x00': _COMPRESSED.format('xz'),
    b'\x28\xb5\x2f\xfd': _COMPRESSED.format('zstd'),
    b'7z\xbc\xaf\x27\x1c': 'a 7z archive: unpack it',
    b'Rar!': 'a RAR archive: unpack it',
    b'\x89HDF': 'an HDF5 file (Keras?), not weights of PyTorch',
    b'\x93NUMPY': 'one NumPy array (.npy), not named weights',
    b'\x89PNG': 'a PNG image',
    b'\xff\xd8\xff': 'a JPEG image',
    b'%PDF': 'a PDF document',
    b'\x7fELF': 'a program',
    b'GGUF': 'a GGUF model, not weights of PyTorch',
}


def kind_of(head: bytes) -> str | None:
    """The kind of weights whose file begins with these bytes (512 or more, or the whole file), else None.

    A zip is taken for torch's; what is in it is seen by `problem_of` alone.
    """
    if head.startswith(_ZIP):
        return TORCH
    if _LEGACY.match(head):
        return LEGACY_TORCH
    if len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5:
        return PICKLE
    if len(head) > 9 and head[8:9] == b'{' and 2 <= struct.unpack('<Q', head[:8])[0] <= _LARGEST_HEADER:
        return SAFETENSORS
    if re.match(rb'\(d(p\d+\n|q)|\}(p\d+\n|q)|c[\w.]+\n\w+\n', head):
        return PICKLE  # of protocol 0 or 1, which begin with no mark
    return None


def describe(head: bytes, size: int | None = None) -> str:
    """What the beginning of a file that is no weights shows, in words."""
    if size == 0 or not head:
        return 'empty (0 bytes)'
    for magic, words in _MAGIC.items():
        if head.startswith(magic):
            return words
    if not head.strip(b'\0'):
        return f'{len(head)} zero bytes at its beginning: an interrupted copy or download'
    if head[257:262] == b'ustar':
        return f'a tar archive{_first_of_tar(head)}: unpack it'
    text = _text_of(head)
    if text is None:
        return f'no file of weights: it begins with the bytes {head[:8].hex(" ")}'
    if pointer := re.match(r'version https://git-lfs\S*\s+oid \S+\s+size (\d+)', text):
        return (
            f'a Git LFS pointer to a file of {int(pointer[1]):,} bytes, not the file: git lfs pull fetches it'
        )
    if '/annex/objects/' in text:
        return 'a git-annex pointer, not the file: git annex get fetches it'
    if re.match(r'(<!--.*?-->\s*)?<(!doctype\s+html|html|head|body)\b', text, re.IGNORECASE | re.DOTALL):
        title = re.search(r'<title[^>]*>\s*(.*?)\s*</title', text, re.IGNORECASE | re.DOTALL)
        named = f' ("{title[1][:80]}")' if title else ''
        return f'a web page (HTML){named}: the link leads to a page, not to the file'
    if text.startswith('<'):
        return f"XML (a server's answer?): {text[:80]!r}"
    return f'text, no file of weights: {text[:80]!r}'


def _first_of_tar(head: bytes) -> str:
    with contextlib.suppress(tarfile.TarError):
        first = tarfile.open(fileobj=io.BytesIO(head), mode='r:').next()
        return f' (its first file is {first.name})' if first else ''
    return ''


def _text_of(head: bytes) -> str | None:
    """The bytes as text, without a byte-order mark and leading blanks; None where they are none."""
    for mark, encoding in (
        (b'\xff\xfe', 'utf-16-le'),
        (b'\xfe\xff', 'utf-16-be'),
        (b'\xef\xbb\xbf', 'utf-8'),
    ):
        if head.startswith(mark):
            return head[len(mark) :].decode(encoding, 'replace').strip()
    text = head.decode('utf-8', 'replace')
    odd = sum(c == '\ufffd' or (not c.isprintable() and not c.isspace()) for c in text)
    return text.strip() if odd <= len(text) // 50 else None


def read_head(path: str | Path) -> bytes:
    with open(path, 'rb') as file:
        return file.read(4096)


def problem_of(path: str | Path) -> str:
    """Why a file cannot hold weights, as the end of a sentence; empty where its form is right.

    Of a zip the whole content is held against the checksums in it (about a second a gigabyte and core), which
    torch itself does not do: a bit that flipped on a disk would be other weights without an error. The other
    kinds hold no checksum.
    """
    head, size = read_head(path), os.path.getsize(path)
    kind = kind_of(head)
    if kind is None:
        return f'is {describe(head, size)}'
    return _problem_of_zip(path) if kind == TORCH else ''


def _problem_of_zip(path: str | Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, struct.error) as error:
        size = os.path.getsize(path)
        return f'is cut off or damaged: a zip of {size:,} bytes without its list of contents ({error})'
    names = [entry.filename for entry in entries]
    if any(name.endswith('/constants.pkl') for name in names):
        return 'is a TorchScript program, not weights: save the state dict of its model'
    if not any(name.endswith('data.pkl') for name in names):
        shown = ', '.join(names[:3]) + (', ...' if len(names) > 3 else '')
        return f'is a zip archive of {shown or "nothing"}, not a file of torch.save: unpack it'
    if len(set(names)) < len(names):
        return 'is damaged: two parts of it have one name'
    if packed := [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]:
        return f'is no file of torch.save, which compresses nothing ({packed[0]} is): save it anew'
    if not any(entry.CRC for entry in entries):  # torch.serialization.set_crc32_options(False)
        return ''
    with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        view = memoryview(content)
        try:
            with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
                for problem in pool.map(lambda entry: _problem_of_entry(view, entry), entries):
                    if problem:
                        return problem
        finally:
            view.release()
    return ''


def _problem_of_entry(content: memoryview, entry: zipfile.ZipInfo) -> str:
    header = bytes(content[entry.header_offset : entry.header_offset + 30])
    if len(header) < 30 or header[:4] != _ZIP:
        return f'is damaged: {entry.filename} is not where its list of contents says'
    name_size, extra_size = struct.unpack('<HH', header[26:30])
    start = entry.header_offset + 30
    raw = bytes(content[start : start + name_size])
    if raw.decode('utf-8', 'replace') != entry.orig_filename:
        return f'is damaged: {entry.filename} has another name inside'
    start += name_size + extra_size
    if start + entry.file_size > len(content):
        return f'is cut off inside {entry.filename}'
    crc, step = 0, 4 << 20
    for place in range(start, start + entry.file_size, step):
        crc = zlib.crc32(content[place : min(place + step, start + entry.file_size)], crc)
    if crc != entry.CRC:
        return (
            f'is damaged: the content of {entry.filename} does not have the checksum that was saved with it'
        )
    return ''
