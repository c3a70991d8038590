"""``--cfg-options KEY=VALUE``: what a value on the command line means."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.config import Config

_WORDS = {'true': True, 'false': False, 'none': None}
_NUMBERS = {'inf', '-inf', '+inf', 'nan'}
_BARE = re.compile(r'[\w.+-]+')
_OPENING = {'[': ']', '(': ')', '{': '}'}


def parse_value(text: str, instead_of: Any = None) -> Any:
    """The value of a text: a Python literal where it is one, else the text as it is, blanks and commas included.

    ``true``, ``false`` and ``none`` in any case, ``inf`` and ``nan`` are values too. As mmengine documents,
    ``1,2`` and ``a,b`` (words without blanks or slashes) are lists and ``[a,b]``, ``(a,b)`` need no quotes.

    Args:
        text: The text after the ``=``.
        instead_of: The value that it replaces. Where that is a text, so is ``a,b``: a path may hold commas. Where
            it is a path, so is a number: folders are called 2024.
    """
    try:
        value = ast.literal_eval(text.strip())
        if type(value) in (int, float) and isinstance(instead_of, str) and '/' in instead_of:
            return text
        return list(value) if isinstance(value, tuple) and not text.strip().startswith('(') else value
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        pass
    bare = text.strip()
    if bare.lower() in _WORDS:
        return _WORDS[bare.lower()]
    if bare.lower() in _NUMBERS:
        return float(bare)
    if bare[:1] in ('[', '(') and bare[-1:] == _OPENING[bare[0]]:
        parts = _split(bare[1:-1])
        if parts is not None:
            values = [parse_value(part.strip()) for part in parts if part.strip()]
            return values if bare[0] == '[' else tuple(values)
    parts = _split(text)
    words = parts if parts and all(_BARE.fullmatch(part) for part in parts if part) else []
    if len(words) > 1 and not isinstance(instead_of, str):
        return [parse_value(part) for part in words if part]
    return text


def _split(text: str) -> list[str] | None:
    """A text at the commas that are outside brackets and quotes; None where those do not close."""
    parts, begin, closing, quote = [], 0, [], ''
    for i, letter in enumerate(text):
        if quote:
            quote = '' if letter == quote else quote
        elif letter in '\'"':
            quote = letter
        elif letter in _OPENING:
            closing.append(_OPENING[letter])
        elif closing and letter == closing[-1]:
            closing.pop()
        elif letter in ')]}':
            return None
        elif letter == ',' and not closing:
            parts.append(text[begin:i])
            begin = i + 1
    return None if closing or quote else [*parts, text[begin:]]


def merge_options(cfg: Config, options: list[str] | None) -> None:
    """Merge ``key=value`` texts into a config."""
    values = {}
    for option in options or []:
        key, text = option.split('=', 1)
        values[key.strip()] = parse_value(text, _value_at(cfg, key.strip()))
    if values:
        cfg.merge_from_dict(values)


def _value_at(cfg: Any, key: str) -> Any:
    for part in key.split('.'):
        try:
            cfg = cfg[int(part)] if isinstance(cfg, (list, tuple)) else cfg[part]
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            return None
    return cfg


def add_import(cfg: Config, module: str) -> None:
    """Let a config import a module where it is built, and where its dump is."""
    imports = dict(cfg.get('custom_imports') or dict(allow_failed_imports=False))
    names = imports.get('imports') or []
    names = list(names) if isinstance(names, (list, tuple)) else [names]
    cfg.custom_imports = dict(imports, imports=[*names, *([module] if module not in names else [])])
