"""Finding the checkpoint that a training goes on from."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...zoo.checkpoint import CheckpointError, load_state_file
from ...zoo.file_kind import problem_of

_STEP = re.compile(r'_(\d+)\.pth$')


def candidates(work_dir: str | Path) -> Iterator[Path]:
    """Files to go on from, the best one first: the one that ``last_checkpoint`` names, then the newest.

    The name is looked for in the folder itself first, since the folder may have been moved since, and then
    where it says. Newest is the highest number; between epochs and iterations the time of writing decides.
    """
    folder = Path(work_dir)
    pointer = folder / 'last_checkpoint'
    try:
        named = Path(pointer.read_text(encoding='utf-8').strip())
    except (OSError, UnicodeDecodeError):
        named = Path()
    seen = set()
    if named.name:
        here = folder / named.name
        first = here if here.exists() or not named.exists() else named
        seen.add(first)
        yield first
    found = [p for p in folder.glob('*.pth') if _STEP.search(p.name) and not p.name.startswith('best_')]
    kinds: dict[str, list[Path]] = {}
    for path in found:
        kinds.setdefault(_STEP.sub('', path.name), []).append(path)
    for kind in kinds.values():
        kind.sort(key=lambda p: int(_STEP.search(p.name)[1]), reverse=True)
    for paths in sorted(kinds.values(), key=lambda paths: paths[0].stat().st_mtime_ns, reverse=True):
        yield from (p for p in paths if p not in seen)


def newest_checkpoint(
    work_dir: str | Path, *, since: float = 0, trust: bool = False
) -> tuple[Path | None, dict[str, Any], list[str]]:
    """The checkpoint that a training in this folder goes on from.

    Args:
        work_dir: The folder.
        since: Leave out files written before (seconds of ``time.time()``).
        trust: Unpickle anything.

    Returns:
        The file or None, its content, and a line for each better one that was passed by.

    Raises:
        CheckpointError: A whole file holds objects that are not read without ``trust``, or no training.
    """
    passed = []
    for path in candidates(work_dir):
        if path.is_file() and path.stat().st_mtime < since:
            continue
        if wrong := problem_of(path) if path.is_file() else 'is missing':
            passed.append(f'{path} {wrong}')
            continue
        return path, read_training(path, trust=trust), passed
    return None, {}, passed


def read_training(path: str | Path, *, trust: bool = False) -> dict[str, Any]:
    """What a checkpoint of a training holds.

    Raises:
        FileNotFoundError: No such file.
        CheckpointError: It is damaged, needs ``trust``, or holds weights alone.
    """
    content = load_state_file(path, trust=trust)
    missing = [k for k in ('meta', 'state_dict', 'optimizer', 'message_hub') if k not in content]
    meta = content.get('meta')
    if not missing and not (isinstance(meta, dict) and {'epoch', 'iter'} <= meta.keys()):
        missing = ['epoch and iter of its meta data']
    if missing:
        raise CheckpointError(
            f'{path} is no checkpoint of a training to go on with: {", ".join(missing)} '
            f'{"is" if len(missing) == 1 else "are"} missing. Weights alone are started from with '
            f'--cfg-options load_from={os.fspath(path)}'
        )
    return content
