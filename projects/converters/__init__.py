"""One engine that turns published checkpoints into this package's, one table of rules per source.

A source is a module of this package with

``RULES``     a list of ``(regex, replacement)`` or ``(regex, replacement, function)``. Every rule whose
              regex is found in a key is applied to it, in order, as ``re.sub`` does (so the replacement
              may be a function of the match); ``None`` as the replacement drops the key; the function
              changes the tensor.
``CONFIG``    optional: the config the result is checked against when none is named.
``PREFIX``    optional: the part of the model the source holds, such as ``'backbone.'`` (default: all of it).
``SUPPLIED``  optional: regexes of target keys that are taken from the built model where the source
              lacks them (default: counters and index tables that a model derives itself).
``prepare``   optional: a function from the whole source state dict to another, for what a rule per key
              cannot say.
``meta``      optional: a function from the model and the names of its classes (or None) to further meta
              data of the written file.
``fit``       optional: a function from the converted state dict and the built model to another, for what
              depends on the model: the head's name, the order of classes.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..files import replacing

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Rule = tuple

#: Buffers that published models do not save or that a model derives itself.
DERIVED = (r'num_batches_tracked$', r'relative_position_index$')


class ConversionError(ValueError):
    """A checkpoint does not fit its source's rules or the model; the message lists the keys."""


@dataclass
class Report:
    """What became of the keys of one checkpoint."""

    state_dict: dict[str, Tensor]
    dropped: list[str]  # source keys that a rule drops
    supplied: list[str] = field(default_factory=list)  # target keys taken from the built model
    missing: list[str] = field(default_factory=list)  # target keys that nothing gives
    unexpected: list[str] = field(default_factory=list)  # converted keys that the model lacks
    mismatched: list[str] = field(default_factory=list)  # both have the key, in two shapes

    @property
    def ok(self) -> bool:
        return not (self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        lines = [
            f'{len(self.state_dict)} tensors converted, {len(self.dropped)} source keys dropped by rule, '
            f'{len(self.supplied)} supplied by the model'
        ]
        for name in ('missing', 'unexpected', 'mismatched'):
            keys = getattr(self, name)
            lines.append(f'{name}: {len(keys)}')
            lines += [f'  {key}' for key in keys[:20]]
            lines += [f'  ... and {len(keys) - 20} more'] if len(keys) > 20 else []
        return '\n'.join(lines)


def sources() -> list[str]:
    """The names of the sources, one per module of this package (nothing is imported)."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith('_'))


def rename(state: Mapping[str, Tensor], rules: Sequence[Rule]) -> tuple[dict[str, Tensor], list[str]]:
    """Apply a table of rules to a state dict.

    Returns:
        The renamed state dict and the source keys that a rule dropped.

    Raises:
        ConversionError: Two source keys become one.
    """
    compiled = [(re.compile(regex), *rest) for regex, *rest in rules]
    renamed: dict[str, Tensor] = {}
    origin: dict[str, str] = {}
    dropped = []
    for source, value in state.items():
        key: str | None = source
        for regex, replacement, *function in compiled:
            if not regex.search(key):
                continue
            if replacement is None:
                key = None
                break
            key = regex.sub(replacement, key)
            for f in function:
                value = f(value)
        if key is None:
            dropped.append(source)
        elif key in renamed:
            raise ConversionError(f'{source} and {origin[key]} both become {key}: one rule is too wide')
        else:
            renamed[key], origin[key] = value, source
    return renamed, dropped


def convert(state: Mapping[str, Tensor], source: str | ModuleType, model: nn.Module | None = None) -> Report:
    """Convert a state dict by its source's rules, and hold it against a model.

    Args:
        state: The published checkpoint's flat state dict.
        source: A name of `sources()` or a module of that form.
        model: The built model; None leaves missing and unexpected keys unknown.
    """
    rules = importlib.import_module(f'{__name__}.{source}') if isinstance(source, str) else source
    prepare: Callable[[Mapping], Mapping] = getattr(rules, 'prepare', lambda state: state)
    converted, dropped = rename(prepare(dict(state)), rules.RULES)
    if model is not None and hasattr(rules, 'fit'):
        converted = rules.fit(converted, model)
    report = Report(converted, dropped)
    if model is not None:
        prefix = getattr(rules, 'PREFIX', '')
        target = {k: v for k, v in model.state_dict().items() if k.startswith(prefix)}
        _hold_against(report, target, getattr(rules, 'SUPPLIED', DERIVED))
    return report


def _hold_against(report: Report, target: Mapping[str, Tensor], supplied: Iterable[str]) -> None:
    state = report.state_dict
    for key, value in target.items():
        if key not in state and any(re.search(pattern, key) for pattern in supplied):
            state[key] = value.clone()
            report.supplied.append(key)
    report.missing = [k for k in target if k not in state]
    report.unexpected = [k for k in state if k not in target]
    report.mismatched = [
        f'{k}: source {tuple(v.shape)}, model {tuple(target[k].shape)}'
        for k, v in state.items()
        if k in target and v.shape != target[k].shape
    ]


def flatten(content: Mapping[str, Any], path: str | Path = 'the file') -> dict[str, torch.Tensor]:
    """The flat state dict inside what a checkpoint file holds, numpy arrays as tensors.

    Looks under ``model`` and ``state_dict``; else the file itself is the state dict. Entries of a flat
    file that are no arrays (``__author__``, ``matching_heuristics``) are left out.

    Raises:
        ConversionError: There is no tensor in it.
    """
    import numpy as np
    import torch

    for key in ('model', 'state_dict'):
        if isinstance(content.get(key), Mapping):
            content = content[key]
    state = {}
    for key, value in content.items():
        if isinstance(value, torch.Tensor):
            state[str(key)] = value
        elif isinstance(value, np.ndarray) and value.dtype.kind in 'biufc':
            state[str(key)] = torch.from_numpy(value.copy())
    if not state:
        raise ConversionError(f'{path}: no tensors; the entries are {", ".join(map(str, content))[:200]}')
    return state


def build(config: str | Path) -> nn.Module:
    """Build a config's model without reading initialization weights.

    Args:
        config: A config's name (see ``mmroad.list_models``) or the path of a config file.
    """
    from ..zoo.configs import get_config
    from ..zoo.models import build_model

    return build_model(get_config(str(config)))


def convert_file(
    source: str,
    path: str | Path,
    out: str | Path,
    config: str | Path | None = None,
    classes: str | Path | None = None,
) -> Report:
    """Convert a checkpoint file, check it against the config's model and write it.

    The output is a weights-only .pth: ``dict(state_dict=..., meta=dict(source, config))``, which appears when it is
    whole. ``classes`` names the classes of the classifier, where the source keeps names
    (``detic``).

    Raises:
        ConversionError: Keys are missing, left over or of another shape; nothing is written.
        CheckpointError: The file cannot be read safely.
        OSError: There is no room for the output; the message names it and how much is free.
    """
    import torch

    from ..zoo.checkpoint import load_state_file

    rules = importlib.import_module(f'{__name__}.{source}')
    config = config or getattr(rules, 'CONFIG', None)
    if config is None:
        raise ConversionError(f'{source} holds weights of several models: name the config with --config')
    if classes is not None and not hasattr(rules, 'meta'):
        raise ConversionError(f'{source} keeps no class names')
    if Path(out).exists() and Path(out).samefile(path):
        raise ConversionError(f'{out} is the checkpoint that is converted: name another file for the result')
    model = build(config)
    report = convert(flatten(load_state_file(path), path), rules, model)
    if not report.ok:
        raise ConversionError(f'{path} does not fit {source} and {config}\n{report}')
    state = {k: v.contiguous() for k, v in report.state_dict.items()}
    meta = dict(source=source, config=str(config))
    if hasattr(rules, 'meta'):
        meta |= rules.meta(model, classes)
    with replacing(out) as part, open(part, 'wb') as file:  # torch would write the path's name into the file
        torch.save(dict(state_dict=state, meta=meta), file)
    return report
