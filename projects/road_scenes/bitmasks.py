"""Bitmasks of a drawn scene: its instances, and its panoptic segments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..bdd100k.bitmasks import TRUNCATED, bitmask
from ..bdd100k.eval import ins_seg, pan_seg
from .scene import SEM_SEG_IDS, Rendered


def bitmasks(scene: Rendered) -> dict[str, np.ndarray]:
    """Bitmasks (H, W, 4) of ``ins_seg`` (8 classes, ids from 1) and of ``pan_seg`` (40 classes; stuff has its category
    as id, things count from 31)."""
    things = ['person' if part == 'pedestrian' else part for part in scene.parts]
    stuff, segment = [], np.zeros_like(scene.instances)
    for name in SEM_SEG_IDS:
        if name in pan_seg.STUFF:
            stuff.append(pan_seg.CLASSES.index(name) + 1)
            segment[scene.sem_seg == SEM_SEG_IDS[name]] = len(stuff)
    return dict(
        ins_seg=_with_objects(scene, scene.parts, ins_seg.CLASSES, [], np.zeros_like(scene.instances), 1),
        pan_seg=_with_objects(scene, things, pan_seg.CLASSES, stuff, segment, len(pan_seg.STUFF) + 1),
    )


def _with_objects(
    scene: Rendered,
    names: Sequence[str],
    classes: Sequence[str],
    below: list[int],
    segment: np.ndarray,
    first: int,
) -> np.ndarray:
    """The bitmask of segments, their categories being their ids, with the visible objects of some classes on them."""
    categories, ids, attributes = list(below), list(below), [0] * len(below)
    for row, name in enumerate(names, 1):
        seen = scene.instances == row
        if name not in classes or name in pan_seg.STUFF or not seen.any():
            continue
        edges = seen[0].any() or seen[-1].any() or seen[:, 0].any() or seen[:, -1].any()
        categories.append(classes.index(name) + 1)
        ids.append(first + len(ids) - len(below))
        attributes.append(TRUNCATED * int(edges))
        segment[seen] = len(ids)
    return bitmask(segment, categories, ids, np.array(attributes))
