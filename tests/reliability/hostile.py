"""Checkpoints that would run code: every trick in every form of file and at every place of it.

Each file, once unpickled without care, makes a file of its own name in a folder of signs (`write_hostile`). What
the tricks call does nothing else.
"""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch


def _call(module: str, name: str, *args) -> bytes:
    """Opcodes (protocol 2) that call ``module.name`` with plain arguments."""
    arguments = pickle.dumps(args, 2)[2:-1]
    return b'c' + f'{module}\n{name}\n'.encode() + arguments + b'R'


def _touch(sign: str) -> str:
    return f"open({sign!r}, 'w').close()"


def _getattr_chain(sign: str) -> bytes:
    """``getattr(__import__('pathlib').Path(sign), 'touch')()``, name by name."""
    path = b'cpathlib\nPath\n' + pickle.dumps((sign,), 2)[2:-1] + b'R'
    return b'cbuiltins\ngetattr\n(' + path + pickle.dumps('touch', 2)[2:-1] + b'tR)R'


def _through_the_log(sign: str) -> bytes:
    """From mmengine's logged values to the globals of their module, and from there to ``eval``."""

    def attribute(of: bytes, name: str) -> bytes:
        return b'cbuiltins\ngetattr\n(' + of + pickle.dumps(name, 2)[2:-1] + b'tR'

    init = attribute(b'cmmengine.logging.history_buffer\nHistoryBuffer\n', '__init__')
    get = attribute(attribute(init, '__globals__'), 'get')
    builtins = get + pickle.dumps(('__builtins__',), 2)[2:-1] + b'R'
    evaluate = attribute(builtins, 'get') + pickle.dumps(('eval',), 2)[2:-1] + b'R'
    return evaluate + pickle.dumps((_touch(sign),), 2)[2:-1] + b'R'


def _stack_global(sign: str) -> bytes:
    """Protocol 4 takes the names from the stack, so that they may be put together there."""
    return b'\x8c\x08builtins\x8c\x04eval\x93' + pickle.dumps((_touch(sign),), 2)[2:-1] + b'R'


def _text(text: str) -> bytes:
    return b'X' + struct.pack('<I', len(text.encode())) + text.encode()


def _nested_pickle(sign: str) -> bytes:
    return _call('pickle', 'loads', b'\x80\x02' + _call('builtins', 'eval', _touch(sign)) + b'.')


def _nested_torch(sign: str) -> bytes:
    """torch's own reader of a storage's bytes, which is not weights-only."""
    inner = b'\x80\x02' + _call('builtins', 'eval', _touch(sign)) + b'.'
    return _call('torch.storage', '_load_from_bytes', zipped(inner))


#: Trick -> opcodes that leave one object on the stack.
TRICKS: dict[str, Callable[[str], bytes]] = {
    'eval': lambda sign: _call('builtins', 'eval', _touch(sign)),
    'exec': lambda sign: _call('builtins', 'exec', _touch(sign)),
    'eval_py2': lambda sign: _call('__builtin__', 'eval', _touch(sign)),
    'os_system': lambda sign: _call('os', 'system', f'touch {sign}'),
    'posix_system': lambda sign: _call('posix', 'system', f'touch {sign}'),
    'os_mkdir': lambda sign: _call('os', 'mkdir', sign),
    'subprocess': lambda sign: _call('subprocess', 'check_call', ['touch', sign]),
    'open': lambda sign: _call('io', 'open', sign, 'w'),
    'mknod': lambda sign: _call('os', 'mknod', sign),
    'runpy': lambda sign: _call('runpy', '_run_code', _touch(sign), {}),
    'numpy_runstring': lambda sign: _call('numpy.testing._private.utils', 'runstring', _touch(sign), {}),
    'numpy_tofile': lambda sign: _call('numpy', 'savetxt', sign, [1.0]),
    'torch_save': lambda sign: _call('torch', 'save', 1, sign),
    'torch_exec': lambda sign: _call('torch.jit.unsupported_tensor_ops', 'execWrapper', _touch(sign), {}, {}),
    'mmengine_dump': lambda sign: _call('mmengine.fileio', 'dump', {}, sign, 'json'),
    'copy': lambda sign: _call('shutil', 'copyfile', '/dev/null', sign),
    'getattr': _getattr_chain,
    'through_the_log': _through_the_log,
    'stack_global': _stack_global,
    'nested_pickle': _nested_pickle,
    'nested_torch': _nested_torch,
    'inst': lambda sign: b'(' + _text(_touch(sign)) + b'ibuiltins\neval\n',
    'obj': lambda sign: b'(cbuiltins\neval\n' + _text(_touch(sign)) + b'o',
    'newobj': lambda sign: b'cio\nFileIO\n' + pickle.dumps((sign, 'w'), 2)[2:-1] + b'R',
    'build': lambda sign: (
        b'ccollections\nOrderedDict\n)R}' + _text('__x') + _call('os', 'mkdir', sign) + b'sb'
    ),
    'object_array': lambda sign: _object_array(_call('builtins', 'eval', _touch(sign))),
    'partial': lambda sign: b'cfunctools\npartial\n(cbuiltins\neval\n' + _text(_touch(sign)) + b'tR)R',
    'ordered_dict_of': lambda sign: (
        b'ccollections\nOrderedDict\n(](' + _text('w') + _call('builtins', 'eval', _touch(sign)) + b'tatR'
    ),
}


def _object_array(item: bytes) -> bytes:
    """A NumPy array of objects whose only object is made by ``item``."""
    head = pickle.dumps(np.array([None], dtype=object), 2)[2:-1]
    place = head.rindex(b'N')
    return head[:place] + item + head[place + 1 :]


def _at(place: str, trick: bytes) -> bytes:
    """A whole pickle of a checkpoint with the object somewhere."""
    name = _text
    if place == 'root':
        body = trick
    elif place == 'meta':
        body = b'}(' + name('state_dict') + b'}' + name('meta') + b'}' + name('x') + trick + b'su'
    elif place == 'weight':
        body = b'}' + name('state_dict') + b'}' + name('w') + trick + b'ss'
    elif place == 'key':
        body = b'}' + trick + b'K\x01s'
    else:
        body = b'}' + name('a') + b'](' + b']' + trick + b'a' + b'K\x01es'
    return b'\x80\x02' + body + b'.'


PLACES = ('root', 'meta', 'weight', 'list', 'key')


def zipped(content: bytes) -> bytes:
    """A file of ``torch.save`` with this pickle in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_STORED) as archive:
        archive.writestr('archive/data.pkl', content)
        archive.writestr('archive/byteorder', 'little')
        archive.writestr('archive/version', '3\n')
    return file.getvalue()


def legacy(content: bytes) -> bytes:
    """A file of ``torch.save`` before it wrote zips, with this pickle in it."""
    heads = (0x1950A86A20F9469CFC6C, 1001, dict(protocol_version=1001, little_endian=True, type_sizes={}))
    return b''.join(pickle.dumps(head, 2) for head in heads) + content + pickle.dumps([], 2)


def tarred(content: bytes) -> bytes:
    """A file of ``torch.save`` of 2016, a tar archive, with this pickle in it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode='w') as archive:
        parts = dict(
            sys_info=pickle.dumps({}, 2),
            pickle=content,
            storages=pickle.dumps(0, 2),
            tensors=pickle.dumps(0, 2),
        )
        for name, part in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(part)
            archive.addfile(entry, io.BytesIO(part))
    return file.getvalue()


#: Form -> (suffix, bytes of a pickle -> bytes of a file).
FORMS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    'zip': ('.pth', zipped),
    'legacy': ('.pth', legacy),
    'pickle': ('.pkl', bytes),
    'pickle_as_pth': ('.pth', bytes),
    'zip_as_pkl': ('.pkl', zipped),
    'tar': ('.pth.tar', tarred),
    'pickle_as_safetensors': ('.safetensors', bytes),
}


def write_hostile(folder: Path, signs: Path) -> dict[Path, Path]:
    """Write every hostile file; returns the sign that each would make (the place rotates with the trick)."""
    folder.mkdir(parents=True, exist_ok=True)
    signs.mkdir(parents=True, exist_ok=True)
    written = {}
    for number, (trick, make) in enumerate(TRICKS.items()):
        for turn, (form, (suffix, wrap)) in enumerate(FORMS.items()):
            for place in (PLACES[(number + turn) % 4], PLACES[(number + turn + 2) % 5]):
                name = f'{trick}-{form}-{place}'
                sign, path = signs / name, folder / f'{name}{suffix}'
                path.write_bytes(wrap(_at(place, make(str(sign)))))
                written[path] = sign
    return written


def write_odd(folder: Path) -> list[Path]:
    """Files that hold no code but headers made to hurt: sizes beyond the file, deep nesting, doubled names."""
    folder.mkdir(parents=True, exist_ok=True)
    headers = {
        'beyond': b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16000000]}}',
        'overflow': b'{"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,16]}}',
        'negative': b'{"w":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}}',
        'deep': b'{"w":' + b'[' * 100_000 + b']' * 100_000 + b'}',
        'no_json': b'{' + b'\xff' * 64,
        'no_dtype': b'{"w":{"dtype":"__import__(\'os\')","shape":[4],"data_offsets":[0,16]}}',
        'no_table': b'{"w":1}',
    }
    files = {f'{name}.safetensors': struct.pack('<Q', len(h)) + h + bytes(16) for name, h in headers.items()}
    files['longer_header.safetensors'] = struct.pack('<Q', 1 << 26) + b'{"w":1}'
    deep = b'\x80\x02' + b'(' * 200_000 + b'.'
    files |= {'marks.pkl': deep, 'marks.pth': zipped(deep), 'lists.pkl': b'\x80\x02' + b']' * 100_000 + b'.'}
    files['huge_text.pkl'] = b'\x80\x04\x8d' + struct.pack('<Q', 1 << 62) + b'a.'
    files['huge_array.pkl'] = _of_size(1 << 62)
    files['memo.pkl'] = b'\x80\x02h\xff.'
    files['persistent.pkl'] = b'\x80\x02Pwhere\n.'
    files['extension.pkl'] = b'\x80\x02\x82\x01.'
    files['memo.pth'] = zipped(b'\x80\x02h\xff.')
    files['no_archive.pth'] = b'PK\x05\x06' + bytes(18)
    files['storage_twice.pth'] = _twice()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


def _of_size(size: int) -> bytes:
    """A NumPy array that claims to be huge."""
    return b'\x80\x02' + b'cnumpy\nndarray\n(' + pickle.dumps(size, 2)[2:-1] + b'\x85tR.'


def _twice() -> bytes:
    file = io.BytesIO()
    torch.save(OrderedDict(w=torch.ones(4)), file)
    with zipfile.ZipFile(file, 'a') as archive:
        name = next(n for n in archive.namelist() if n.endswith('data/0'))
        archive.writestr(name, bytes(16))
    return file.getvalue()
