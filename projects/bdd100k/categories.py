"""Which categories a label file may hold: BDD100K's ten classes with their other spellings, or any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .scalabel import DET_CLASSES, IGNORE_MAPPING, NAME_MAPPING

#: Categories that are ignored in a class carry its code plus this.
IGNORED = 1 << 14


class _Growing(dict):
    """Codes of names in the order in which they are asked for."""

    def __missing__(self, name: Any) -> int:
        if not isinstance(name, str) or not name:
            raise KeyError(name)
        self[name] = len(self)
        return self[name]


@dataclass(frozen=True)
class Categories:
    """How the categories of a label file become classes.

    Args:
        classes: The classes; None takes those that the file has, in the order of the alphabet (of a COCO file,
            in the order of its ``categories``).
        spellings: Other names of the classes.
        ignored: Categories that are not evaluated, and the class in which they are ignored.
        mark: Tells the caches of different readings apart.
    """

    classes: tuple[str, ...] | None = None
    spellings: Mapping[str, str] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)
    mark: str = ''

    def codes(self) -> dict[Any, int]:
        """The code of each category: the row of its class, plus ``IGNORED`` where it is ignored there."""
        if self.classes is None:
            return _Growing()
        codes: dict[Any, int] = {name: row for row, name in enumerate(self.classes)}
        codes |= {old: codes[new] for old, new in self.spellings.items()}
        return codes | {old: codes[new] + IGNORED for old, new in self.ignored.items()}

    def sorted(self, codes: Mapping[Any, int], category: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
        """The classes, and (n,) codes as rows of them."""
        if self.classes is not None:
            return self.classes, category
        names = sorted(codes)
        rows = np.zeros(len(codes), np.int16)
        rows[[codes[name] for name in names]] = np.arange(len(names))
        return tuple(names), rows[category]


BDD100K = Categories(DET_CLASSES, NAME_MAPPING, IGNORE_MAPPING)
#: Whatever the file has.
ANY = Categories(mark='.any')


def unknown(category: Any, codes: Mapping[Any, int]) -> str:
    """What to say of a category that has no code."""
    if isinstance(codes, _Growing):
        return f'{category!r}; every box needs the name of its class'
    return (
        f'{category!r}, which is no BDD100K detection category; known are {", ".join(map(str, codes))}. Is this the '
        'label file of another task or data set? Files with classes of your own are read by ScalabelDetDataset, '
        'ScalabelDetMetric and the evaluator with --classes'
    )
