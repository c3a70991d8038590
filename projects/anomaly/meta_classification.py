"""Meta classification of segments: which of them are false positives (Chan et al., "Meta-OOD", arXiv 2012.06575).

Segments of high entropy get 75 features (with 19 classes), a logistic regression says for each
whether it is on an unknown object, and segments that it denies are removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

EIGHT = np.ones((3, 3), bool)


class Segments(NamedTuple):
    """Segments of one image.

    Attributes:
        label: (H, W) int, 0 where there is none, else the segment's number from 1.
        features: (n, 56 + C) float.
        true: (n,) bool, on an unknown object; ``None`` without a mask.
    """

    label: np.ndarray
    features: np.ndarray
    true: np.ndarray | None


def dispersion(probs: np.ndarray) -> np.ndarray:
    """Entropy (normalized), probability margin and variation ratio of (C, H, W): (3, H, W) in [0, 1]."""
    probs = np.asarray(probs, np.float64)
    entropy = -(probs * np.log(np.clip(probs, 1e-12, None))).sum(0) / np.log(len(probs))
    top = np.sort(np.partition(probs, -2, axis=0)[-2:], axis=0)
    return np.stack([entropy, 1 - top[1] + top[0], 1 - top[1]])


def segments(probs: np.ndarray, threshold: float = 0.7, mask: np.ndarray | None = None) -> Segments:
    """8-connected segments of normalized entropy at or above the threshold, with their features.

    Per segment: of entropy, margin and variation ratio the mean and variance over all of it, its
    interior and its boundary, and the first two times its relative sizes (30); its sizes (5), its
    center (2), the mean class probabilities (C) and the shares of predicted classes around it (C).

    Args:
        probs: Class probabilities (C, H, W).
        threshold: On the entropy, 0 to 1.
        mask: (H, W), 1 on unknown objects.

    Raises:
        ValueError: Probabilities are not finite.
    """
    probs = np.asarray(probs, np.float64)
    if not np.isfinite(probs).all():
        raise ValueError(f'{(~np.isfinite(probs)).sum()} class probabilities are not finite')
    heat = dispersion(probs)
    label, n = ndimage.label(heat[0] >= threshold, EIGHT)
    size = np.bincount(label.ravel(), minlength=n + 1)[1:].astype(float)
    # a pixel is interior if all its neighbors are of its segment
    low = ndimage.minimum_filter(label, footprint=EIGHT, mode='constant')
    high = ndimage.maximum_filter(label, footprint=EIGHT, mode='constant')
    interior = (low == label) & (high == label) & (label > 0)
    inner = np.where(interior, label, 0)
    border = np.where(interior, 0, label)
    size_in, size_bd = (np.bincount(x.ravel(), minlength=n + 1)[1:].astype(float) for x in (inner, border))
    relative, relative_in = size / size_bd, size_in / size_bd
    columns = [size, size_in, size_bd, relative, relative_in]
    for values in heat:
        for moment in (_means, _variances):
            whole, inside, around = (moment(values, x, n) for x in (label, inner, border))
            columns += [whole, inside, around, whole * relative, inside * relative_in]
    y, x = np.indices(label.shape)
    columns += [_means(y, label, n) / label.shape[0], _means(x, label, n) / label.shape[1]]
    columns += [_means(p, label, n) for p in probs]
    columns += list(_neighbors(label, probs.argmax(0), len(probs), n))
    true = None
    if mask is not None:
        true = np.zeros(n, bool)
        true[np.unique(label[(mask == 1) & (label > 0)]) - 1] = True
    return Segments(label, np.stack(columns, 1) if n else np.zeros((0, 37 + 2 * len(probs))), true)


def _means(values: np.ndarray, label: np.ndarray, n: int) -> np.ndarray:
    """Mean of the values per segment, 0 for one without pixels."""
    count = np.bincount(label.ravel(), minlength=n + 1)[1:]
    return np.bincount(label.ravel(), values.ravel(), n + 1)[1:] / np.maximum(count, 1)


def _variances(values: np.ndarray, label: np.ndarray, n: int) -> np.ndarray:
    means = np.append(0, _means(values, label, n))
    return _means((values - means[label]) ** 2, label, n)


def _neighbors(label: np.ndarray, classes: np.ndarray, num_classes: int, n: int) -> np.ndarray:
    """Shares of the predicted classes among the pixels just outside each segment: (C, n)."""
    shares = np.zeros((num_classes, n))
    for i, (rows, columns) in enumerate(ndimage.find_objects(label)):
        window = (
            slice(max(rows.start - 1, 0), rows.stop + 1),
            slice(max(columns.start - 1, 0), columns.stop + 1),
        )
        own = label[window] == i + 1
        ring = ndimage.binary_dilation(own, EIGHT) & ~own
        if ring.any():
            shares[:, i] = np.bincount(classes[window][ring], minlength=num_classes) / ring.sum()
    return shares


def leave_one_out(images: list[Segments], names: Sequence[str] | None = None) -> list[np.ndarray]:
    """Each image's segments judged by a logistic regression on the other images' segments.

    Args:
        images: Of each image its segments, with ``true``.
        names: The images' names, for errors.

    Returns:
        Per image the probability of every segment to be on an unknown object, (n,).

    Raises:
        ValueError: There is a single image, no segment at all, or the segments of the images without one are all
            on unknown objects or none is.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names = names or [f'image {i}' for i in range(len(images))]
    if len(images) < 2:
        raise ValueError(
            f'{names[0] if images else "no image"}: each image is judged by what the others teach; at least two '
            f'images are needed, with segments of both kinds'
        )
    if not any(len(image.features) for image in images):
        raise ValueError(f'no segment in any of {len(images)} images: lower the threshold on the entropy')
    results = []
    for i, image in enumerate(images):
        if not len(image.features):
            results.append(np.zeros(0))
            continue
        rest = [other for j, other in enumerate(images) if j != i]
        true = np.concatenate([other.true for other in rest])
        if not len(true) or true.all() or not true.any():
            raise ValueError(
                f'{names[i]} cannot be judged: of {len(true)} segments in the other {len(rest)} images, {true.sum()} '
                f'are on unknown objects, so that there is nothing to learn; add images with segments of both '
                f'kinds, or change the threshold on the entropy'
            )
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(np.concatenate([other.features for other in rest]), true)
        results.append(model.predict_proba(image.features)[:, 1])
    return results
