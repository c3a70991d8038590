"""``data_root`` at the top of a config is the root of all its data sets: one place to change."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.config import Config


def follow_data_root(cfg: Config, before: str | None = None) -> None:
    """Move the data sets of a config, and all else below their root, to its ``data_root`` where that was changed
    alone: in a child of a config, or by ``--cfg-options data_root=...``.

    Text configs copy the value into every data set when the file is read, so that a change at the top would
    have no effect.

    Args:
        cfg: Changed in place.
        before: What ``data_root`` was before it was changed, where that is known; None for the one that all
            data sets have.

    Raises:
        ValueError: The data sets have several roots and ``data_root`` is none of them.
    """
    new = cfg.get('data_root')
    roots = sorted({value for key, value in _texts(cfg) if key == 'data_root' and value != ''})
    if not isinstance(new, str) or new.rstrip('/') in {root.rstrip('/') for root in roots} or not roots:
        return
    if before is not None:
        roots = [before]
    if len({root.rstrip('/') for root in roots}) > 1:
        raise ValueError(
            f'data_root={new!r}: the data sets have several roots, {", ".join(roots)}: change each where it is set '
            '(such as train_dataloader.dataset.data_root)'
        )
    old, new = roots[0].rstrip('/'), new.rstrip('/')
    for key, value in list(cfg.items()):
        if key != 'data_root':
            cfg[key] = _moved(value, old, new)


def _texts(node: Any, top: bool = True) -> Iterator[tuple[str, str]]:
    """Keys and values of all texts below the top."""
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from _texts(value, False)
    elif hasattr(node, 'items'):
        for key, value in node.items():
            if isinstance(value, str) and not top:
                yield key, value
            else:
                yield from _texts(value, False)


def _moved(node: Any, old: str, new: str) -> Any:
    if isinstance(node, str):
        return new + node[len(old) :] if node == old or node.startswith(f'{old}/') else node
    if isinstance(node, (list, tuple)):
        return type(node)(_moved(value, old, new) for value in node)
    if isinstance(node, MutableMapping):
        for key, value in node.items():
            node[key] = _moved(value, old, new)
    return node
