"""Steps of a long run, kept beside its output until that is written: an interrupted run goes on where it was."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..files import write_bytes, write_json
from ..files.arrays import write_arrays
from ..files.json_files import read_json

Progress = Callable[..., Iterable]  # of what is gone through and a title


def parts_of(out: str | Path) -> Path:
    """The folder of an output's steps."""
    return Path(out).with_name(f'.{Path(out).name}.parts')


def state_of(*files: str | Path) -> list[list]:
    """What identifies files: place, size and time of the last change (of folders the place alone)."""
    found = []
    for file in map(Path, files):
        status = file.stat()
        where = str(file.resolve())
        found.append([where, status.st_size, status.st_mtime_ns] if file.is_file() else [where])
    return found


def resumable(
    steps: Sequence[str],
    folder: Path,
    make: Callable[[str], Any],
    progress: Progress,
    what: str,
    inputs: Any = None,
) -> Iterator[tuple[str, Any]]:
    """The result of each step, kept in a folder: what an interrupted run has made is not made again.

    Args:
        steps: Names of the steps, which become names of files.
        folder: The folder, see ``parts_of``.
        make: The result of a step: what JSON can hold, or a mapping of arrays.
        progress: Wraps the steps, with ``what`` as their name.
        inputs: What the results depend on (see ``state_of``): those of other inputs are made anew.
    """
    _begin(folder, inputs)
    for step in progress(steps, what):
        arrays, values = folder / f'{step}.npz', folder / f'{step}.json'
        if not arrays.is_file() and not values.is_file():
            result = make(step)
            if isinstance(result, Mapping) and all(isinstance(v, np.ndarray) for v in result.values()):
                write_arrays(arrays, **result)
            else:
                write_json(values, result)
        if values.is_file():
            yield step, read_json(values)
        else:
            with np.load(arrays) as file:
                yield step, dict(file)


def _begin(folder: Path, inputs: Any) -> None:
    """An empty folder, or that of an interrupted run of the same inputs."""
    told, own = folder / '.inputs.json', msgspec.json.encode(inputs)
    if folder.is_dir() and not (told.is_file() and told.read_bytes() == own):
        remove_parts(folder)
    if not folder.is_dir():
        folder.mkdir(parents=True)
        write_bytes(told, own)


def remove_parts(folder: Path) -> None:
    """Delete what ``resumable`` has kept."""
    shutil.rmtree(folder, ignore_errors=True)


def keep_sources(out: str | Path, suffix: str, *sources: str | Path) -> None:
    """Check, before the work, that an output has its suffix and is none of the sources.

    Raises:
        ValueError: It has another suffix, or would replace a source.
    """
    out = Path(out)
    if out.suffix != suffix:
        raise ValueError(f'{out}: the output is a {suffix} file; name it so')
    for source in sources:
        if out.exists() and os.path.exists(source) and os.path.samefile(out, source):
            raise ValueError(f'{out} would replace the source {source}: give another output')
