"""What several results are called, by their paths or by names that are given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_PLAIN = {'det', 'det.json', 'results', 'masks', 'maps', 'sem_seg', 'predictions', 'scores'}


def named_results(paths: Sequence[str | Path], names: Sequence[str] | None = None) -> list[str]:
    """A short name for each result, no two alike.

    Args:
        paths: Files or folders. Of those called like all results (``det.json``), the folder's name is taken too.
        names: Names that were given instead.

    Raises:
        ValueError: Not as many names as results, or two alike.
    """
    if names:
        if len(names) != len(paths) or len(set(names)) < len(names) or not all(names):
            raise ValueError(
                f'{len(names)} names ({", ".join(names)}) for {len(paths)} results: give each its own'
            )
        return list(names)
    found = []
    for path in map(Path, paths):
        path = path.absolute()
        stem = path.stem if path.suffix == '.json' else path.name
        found.append(path.parent.name if stem in _PLAIN and path.parent.name else stem)
    if len(set(found)) < len(found):
        found = [f'{Path(path).absolute().parent.name}/{Path(path).name}' for path in paths]
    if len(set(found)) < len(found):
        found = [str(path) for path in paths]
    if len(set(found)) < len(found):
        raise ValueError(
            f'{found[0]} is given twice, or two results have one path: give each its own --names'
        )
    return found
