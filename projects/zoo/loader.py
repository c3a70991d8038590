"""One reader behind mmengine's ``CheckpointLoader``: whoever reads weights in this process reads them by it.

On its own mmengine unpickles anything once weights-only reading fails, and files from the network are cached without
a checksum. All ways lead through that class: ``load_from``, ``resume``, ``init_cfg=dict(type='Pretrained')`` and the
backbones of mmdet, mmseg and mmpretrain that call it themselves. So its loaders are replaced, whatever the prefix:
a name becomes a file (of the cache, a mirror or the network, checked), and the file is read by
`mmroad.zoo.checkpoint.load_state_file`, which runs no code.

Importing ``mmroad`` is enough (`install_when_imported`).
"""

from __future__ import annotations

import functools
import importlib
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from .when_imported import when_imported

if TYPE_CHECKING:
    import ast

_MODULE = 'mmengine.runner.checkpoint'
_trust = False


def install_safe_loader(trust: bool | None = None) -> None:
    """Let mmengine read all weights by `read`.

    Args:
        trust: Whether code in weights may run (``--trust-checkpoint``); None leaves it as it is (at first: no).
    """
    global _trust
    _trust = _trust if trust is None else trust
    loader = importlib.import_module(_MODULE).CheckpointLoader
    prefixes = [
        '',
        *(f'{scheme}://' for scheme in _SCHEMES),
        r'(\S+\:)?s3://',
        r'(\S+\:)?petrel://',
        'pavi://',
    ]
    loader.register_scheme(prefixes, load_from_mmroad, force=True)


def install_when_imported() -> None:
    """`install_safe_loader` now where mmengine's reader is imported already, else when it is."""
    when_imported(_MODULE, _install)


def _install(module: Any) -> None:
    install_safe_loader()


def load_from_mmroad(filename: str | os.PathLike, map_location: Any = None) -> Mapping[str, Any]:
    """mmengine's loader: the content of a checkpoint by path, URL or name, tensors on the CPU.

    ``map_location`` is ignored: whoever loads weights into a model or an optimizer copies them to its device.
    """
    return read(str(filename), trust=_trust)


def read(name: str, trust: bool = False) -> Mapping[str, Any]:
    """What a checkpoint holds.

    Args:
        name: A path, or ``SCHEME://...`` of ``http``, ``https``, ``file``, ``imagenet``, ``torchvision``,
            ``modelzoo``, ``open-mmlab``, ``openmmlab`` and ``mmcls`` as mmengine has them.
        trust: Run code that the file may hold.

    Raises:
        ValueError: A scheme that is not read here, or an unknown name; says which there are.
        CheckpointError, DownloadError, FileNotFoundError: The file is not available or cannot be read.
    """
    from .checkpoint import load_state_file

    scheme, _, rest = name.partition('://') if '://' in name else ('', '', name)
    content = load_state_file(locate(name), trust=trust)
    if scheme.lower() == 'imagenet':
        content = renamed_vit(dict(content))
    if scheme.lower() == 'mmcls':
        from mmengine.runner.checkpoint import _process_mmcls_checkpoint

        content = _process_mmcls_checkpoint(content)
    return content if trust else without_programs(content)


#: Parts of timm's keys of a ViT and mmseg's for them.
_VIT = (
    (r'^blocks\.', 'layers.'), (r'\.norm(\d)\.', r'.ln\1.'), (r'^norm\.', 'ln1.'),
    (r'attn\.qkv\.', 'attn.attn.in_proj_'), (r'attn\.proj\.', 'attn.attn.out_proj.'),
    (r'mlp\.fc1\.', 'ffn.layers.0.0.'), (r'mlp\.fc2\.', 'ffn.layers.1.'),
    (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
)  # fmt: skip


def renamed_vit(content: dict[str, Any]) -> dict[str, Any]:
    """A ViT's or DeiT's weights of timm under the keys of mmseg's ``VisionTransformer``, without the classifier; other
    content as it is."""
    state = content.get('model', content)
    if 'blocks.0.attn.qkv.weight' not in state:
        return content
    renamed = {}
    for key, value in state.items():
        if not key.startswith('head'):
            for pattern, replacement in _VIT:
                key = re.sub(pattern, replacement, key)
            renamed[key] = value
    return dict(state_dict=renamed)


def locate(name: str) -> Path:
    """The local file of a checkpoint by path, URL or name, fetched where it is not in the cache."""
    if '://' not in name:
        return Path(name).expanduser()
    scheme, _, rest = name.partition('://')
    find = _SCHEMES.get(scheme.lower())
    if find is None:
        raise ValueError(
            f'{name}: weights are not read from {scheme}://. Download the file and give its path; what is read: '
            f'paths, {", ".join(f"{s}://" for s in _SCHEMES)}'
        )
    return find(name, rest)


def _by_url(url: str, rest: str = '') -> Path:
    """A file by URL; the cache has it below its host and path, for many files are named ``epoch_12.pth``."""
    from . import weights

    parts = urlsplit(url)
    folders = [re.sub(r'[^\w.@+-]', '_', unquote(part)) for part in parts.path.split('/') if part]
    if not folders or set(folders) & {'.', '..'}:
        raise ValueError(f'{url} names no file')
    name = folders[-1]
    if name in weights.IMAGENET:  # OpenMMLab's names are the same file on each of its hosts
        return weights.fetch(url, weights.home() / 'imagenet' / name)
    if parts.query:
        stem, dot, suffix = name.rpartition('.')
        query = re.sub(r'[^\w.+-]', '_', parts.query)[-80:]
        folders[-1] = f'{stem or suffix}-{query}{dot and "." + suffix}' if stem else f'{name}-{query}'
    host = re.sub(r'[^\w.-]', '_', parts.netloc.rpartition('@')[2])
    return weights.fetch(url, weights.home().joinpath('hub', host, *folders))


def _by_imagenet(name: str, rest: str) -> Path:
    from . import weights

    return weights.imagenet(rest)


def _by_table(table: Callable[[str], Mapping[str, str]], name: str, rest: str) -> Path:
    urls = table(rest)
    if rest not in urls:
        import difflib

        near = difflib.get_close_matches(rest, urls, 5, 0.4)
        raise ValueError(f'{name}: there are no such weights; near: {", ".join(near) or "none"}')
    url = urls[rest]
    if '://' in url:
        return _by_url(url)
    from mmengine.runner.checkpoint import _get_mmengine_home

    return Path(_get_mmengine_home()) / url


def _torchvision(name: str) -> Mapping[str, str]:
    """mmengine's table; torchvision's own names (``resnet50.imagenet1k_v1``) where it is installed."""
    import json

    import mmengine
    from mmengine.runner.checkpoint import get_torchvision_models

    urls = json.loads((Path(mmengine.__file__).parent / 'hub/torchvision_0.12.json').read_text())
    try:
        return urls if name in urls else get_torchvision_models()
    except ImportError:
        return urls


def _openmmlab(name: str) -> Mapping[str, str]:
    from mmengine.runner.checkpoint import get_deprecated_model_names, get_external_models

    urls = get_external_models()
    return urls | {old: urls[new] for old, new in get_deprecated_model_names().items() if new in urls}


def _mmcls(name: str) -> Mapping[str, str]:
    from mmengine.runner.checkpoint import get_mmcls_models

    return get_mmcls_models()


_SCHEMES: dict[str, Callable[[str, str], Path]] = {
    'http': _by_url,
    'https': _by_url,
    'file': lambda name, rest: Path(unquote(urlsplit(name).path)),
    'imagenet': _by_imagenet,
    'torchvision': functools.partial(_by_table, _torchvision),
    'modelzoo': functools.partial(_by_table, _torchvision),
    'open-mmlab': functools.partial(_by_table, _openmmlab),
    'openmmlab': functools.partial(_by_table, _openmmlab),
    'mmcls': functools.partial(_by_table, _mmcls),
}


def without_programs(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """A checkpoint without the config texts in it that are more than values.

    mmengine runs such a text as Python (``resume`` reads ``meta['config']``, inference from weights alone
    ``message_hub``'s ``cfg``), so that a checkpoint of plain weights could still bring a program along.
    """
    for place, key in ((('meta',), 'config'), (('meta',), 'cfg'), (('message_hub', 'runtime_info'), 'cfg')):
        holder: Any = content
        for name in place:
            holder = holder.get(name) if isinstance(holder, Mapping) else None
        if isinstance(holder, dict) and key in holder and not _is_plain_config(holder[key]):
            from mmengine.logging import print_log

            print_log(
                f"the checkpoint's {'.'.join(place)}.{key} is a program, not a config of values: it is left out",
                logger='current',
                level=30,
            )
            del holder[key]
    return content


def _is_plain_config(text: Any) -> bool:
    """Whether a config's text is assignments of values alone, which imports no module that is not there yet."""
    if not isinstance(text, str):
        return not isinstance(text, bytes)
    import ast

    try:
        body = ast.parse(text).body
        return all(
            isinstance(node, ast.Assign)
            and all(
                isinstance(name, ast.Name)
                and name.id != '_base_'
                and (name.id != 'custom_imports' or _are_imported(node.value))
                for name in node.targets
            )
            and _is_value(node.value)
            for node in body
        )
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _is_value(node: ast.expr) -> bool:
    import ast

    if isinstance(node, ast.Call):
        plain = isinstance(node.func, ast.Name) and node.func.id in ('dict', 'list', 'tuple')
        keywords = all(k.arg is not None and _is_value(k.value) for k in node.keywords)
        return plain and keywords and all(map(_is_value, node.args))
    if isinstance(node, ast.Dict):
        return all(key is not None and _is_value(key) for key in node.keys) and all(
            map(_is_value, node.values)
        )
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return all(map(_is_value, node.elts))
    if isinstance(node, ast.UnaryOp):
        return _is_value(node.operand)
    return isinstance(node, ast.Constant)


def _are_imported(node: ast.expr) -> bool:
    import ast

    texts = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return all(text in sys.modules for text in texts if text != 'imports')
