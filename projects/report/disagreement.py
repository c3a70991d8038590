"""How much two detectors disagree on each image."""

from __future__ import annotations

import numpy as np

from ..bdd100k.eval.det import Matchable
from ..bdd100k.eval.matching import overlapping, ranks, take_turns


def disagreement(a: Matchable, b: Matchable) -> np.ndarray:
    """(images,) the sum of differences of scores, 0 where two results are the same.

    Boxes of ``a``, best first, are paired with the free box of ``b`` of the same class that they overlap most, from
    an IoU of 0.5 on. A pair adds the difference of its scores; a box without a partner adds its score.
    """
    pairs = overlapping(a.dt_image, a.dt_bbox, b.dt_image, b.dt_bbox, lowest=0.5)
    pairs = pairs.where(a.dt_category[pairs.first] == b.dt_category[pairs.second])
    rank = ranks(a.dt_score, a.dt_category, a.dt_image)
    (match,) = take_turns(pairs, rank, len(b.dt_image), np.array([0.5]))
    paired = np.flatnonzero(match >= 0)
    alone_a, alone_b = match < 0, np.ones(len(b.dt_image), bool)
    alone_b[match[paired]] = False
    differences = np.abs(a.dt_score[paired] - b.dt_score[match[paired]])
    total = np.bincount(a.dt_image[paired] - 1, differences, a.num_images)
    total += np.bincount(a.dt_image[alone_a] - 1, a.dt_score[alone_a], a.num_images)
    return total + np.bincount(b.dt_image[alone_b] - 1, b.dt_score[alone_b], a.num_images)
