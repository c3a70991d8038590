"""The files of a report: made in a hidden folder and put in place when all are there.

Data lies in scripts (``Report.put("name", {...})``), because a page that is opened from a disk may load scripts and
pictures, and nothing else.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from ..files.replacing import own_name, remove_dead_parts

#: What a report consists of; nothing else in its folder is touched.
PARTS = ('data', 'page', 'pictures', 'index.html')
#: Images whose boxes or layers lie in one script.
CHUNK = 40


@contextmanager
def report_folder(out: str | Path) -> Iterator[Page]:
    """A page to be filled; at the end without an error it takes the place of the report that was there.

    Raises:
        ValueError: There is something in the folder that is no report's; names it.
    """
    out = Path(out)
    check_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    remove_dead_parts(out)
    part = out / own_name('report')
    part.mkdir()
    try:
        yield Page(part)
        source = files(__package__) / 'page'
        (part / 'page').mkdir()
        for file in source.iterdir():
            if file.name.endswith(('.js', '.css')):
                (part / 'page' / file.name).write_bytes(file.read_bytes())
        (part / 'index.html').write_bytes((source / 'index.html').read_bytes())
        for name in PARTS:
            _swap(part / name, out / name)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_folder(out: str | Path) -> None:
    """Refuse a folder in which a report would replace what is none.

    Raises:
        ValueError: Names what is there.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise ValueError(f'{out} is a file: the report needs a folder of its own')
    found = [out / name for name in PARTS if (out / name).exists()]
    if found and not (out / 'data' / 'report.js').is_file():
        raise ValueError(
            f'{found[0]} is there and belongs to no report, which would replace it: choose another folder'
        )


def _swap(new: Path, place: Path) -> None:
    """Put a file or folder in place of what is there; without a new one the place is emptied."""
    if place.exists():
        old = new.with_name(f'{new.name}.old')
        os.replace(place, old)
    if new.exists():
        os.replace(new, place)


class Page:
    """Writes the data of a report below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / 'data').mkdir()

    def put(self, name: str, content: Any) -> None:
        """Write a script that gives the page some content; what is not a finite number becomes null."""
        text = json.dumps(plain(content), separators=(',', ':'), allow_nan=False)
        path = self.folder / 'data' / f'{name}.js'
        path.write_text(f'Report.put({json.dumps(name)},{text});\n', encoding='ascii')

    def put_chunks(self, images: list) -> None:
        """Write what there is of every image, `CHUNK` images a script."""
        for number, first in enumerate(range(0, len(images), CHUNK)):
            self.put(f'images-{number}', images[first : first + CHUNK])

    def picture(self, name: str) -> Path:
        """The place of a picture; its folder is made."""
        path = self.folder / 'pictures' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def plain(value: Any) -> Any:
    """Content for JSON: lists instead of arrays, None instead of NaN and infinities."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        if value.dtype.kind == 'f' and not np.isfinite(value).all():
            return plain(value.tolist())
        return value.tolist()
    if isinstance(value, (list, tuple)):
        if value and all(type(part) in (int, str) for part in value):
            return value
        return [plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def rounded(values: np.ndarray, digits: int = 4) -> np.ndarray:
    """Numbers that are drawn or listed, rounded to take less room."""
    return np.round(np.asarray(values, float), digits)


def summary_sentence(images: int, what: str, labels: Sequence[str], draws: int) -> str:
    """What a report is about, in one sentence."""
    joined = labels[0] if len(labels) == 1 else f'{", ".join(labels[:-1])} and {labels[-1]}'
    return (
        f'{joined} on {images:,} images with {what}. Ranges hold 95 % of {draws:,} draws of as many images '
        'with replacement (bootstrap).'
    )
