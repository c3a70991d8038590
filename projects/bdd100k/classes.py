"""The classes of a detector in BDD100K's names."""

from __future__ import annotations

from collections.abc import Sequence

from .scalabel import DET_CLASSES, NAME_MAPPING


def known_classes(names: Sequence[str] | str) -> tuple[str, ...]:
    """Names of today for the classes of a model or data set, in its order; those of 2018 are mapped.

    Args:
        names: Class names; one text is one class.

    Raises:
        ValueError: A name that is no class of BDD100K detection, two names of one class, or none.
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    known = tuple(NAME_MAPPING.get(name, name) for name in names)
    unknown = [name for name, now in zip(names, known) if now not in DET_CLASSES]
    if unknown or not names:
        raise ValueError(
            f'{", ".join(map(repr, unknown)) or "an empty list"}: no class of BDD100K detection, which has '
            f'{", ".join(DET_CLASSES)} (and of 2018: {", ".join(f"{a} for {b}" for a, b in NAME_MAPPING.items())})'
        )
    twice = next((now for now in known if known.count(now) > 1), None)
    if twice:
        same = [name for name, now in zip(names, known) if now == twice]
        raise ValueError(f'{" and ".join(map(repr, same))} are one class, {twice!r}: give it once')
    return known
