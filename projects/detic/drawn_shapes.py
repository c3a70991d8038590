"""A small LVIS-like set of drawn shapes: base classes with boxes, novel classes with image labels alone."""

from __future__ import annotations

import contextlib
from pathlib import Path

import cv2
import numpy as np

from ..files import replacing, write_image, write_json
from .lvis_style import read_categories

COLORS = dict(red=(60, 60, 220), green=(70, 190, 70), blue=(220, 120, 50), yellow=(60, 210, 230))
SHAPES = ('disc', 'square', 'triangle')
#: Classes without boxes to learn from; every color and shape occurs among the others.
NOVEL = ('yellow disc', 'blue triangle')
CLASSES = tuple(f'{color} {shape}' for color in COLORS for shape in SHAPES)


def draw(image: np.ndarray, name: str, x: int, y: int, size: int) -> list[list[float]]:
    """Draw a shape whose box is x, y, size, size; returns its outline as LVIS's polygons."""
    color, shape = name.split()
    r = size / 2
    if shape == 'disc':
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        outline = np.stack([x + r + r * np.cos(angles), y + r + r * np.sin(angles)], 1)
    elif shape == 'square':
        outline = np.array([[x, y], [x + size, y], [x + size, y + size], [x, y + size]], float)
    else:
        outline = np.array([[x + r, y], [x + size, y + size], [x, y + size]], float)
    cv2.fillPoly(image, [outline.round().astype(np.int32)], COLORS[color], cv2.LINE_AA)
    return [outline.ravel().tolist()]


def embeddings(seed: int = 0, dim: int = 512) -> np.ndarray:
    """(classes, dim) as a text encoder might place them: color, shape and something of their own."""
    rng = np.random.default_rng(seed)
    words = {w: rng.normal(size=dim) for w in (*COLORS, *SHAPES)}
    own = rng.normal(size=(len(CLASSES), dim))
    parts = np.array([words[c.split()[0]] + words[c.split()[1]] for c in CLASSES])
    return (0.5 * parts + own).astype(np.float32)


def write_shapes(
    root: str | Path, train: int = 300, weak: int = 240, val: int = 100, size: int = 96, seed: int = 0
) -> None:
    """Write ``train.json`` (boxes of base classes; novel shapes do not occur), ``weak.json`` (one large shape an
    image, its class as ``pos_category_ids``), ``val.json`` (all classes), their images and ``embeddings.npy``.

    Raises:
        ValueError: No images are asked for, or the folder holds annotations of another data set.
        OSError: A file cannot be written.
    """
    root = Path(root)
    if min(train, weak, val) < 1:
        raise ValueError(f'each part needs an image: {train} (train), {weak} (weak), {val} (val)')
    for split in ('train', 'weak', 'val'):
        _keep_others(root / f'{split}.json')
    rng = np.random.default_rng(seed)
    base = [c for c in CLASSES if c not in NOVEL]
    categories = [
        dict(id=i + 1, name=c, frequency='r' if c in NOVEL else 'f', image_count=0 if c in NOVEL else train)
        for i, c in enumerate(CLASSES)
    ]
    first = 1
    for split, count, names in (('train', train, base), ('weak', weak, CLASSES), ('val', val, CLASSES)):
        (root / split).mkdir(parents=True, exist_ok=True)
        images, annotations = [], []
        for i in range(count):
            image = _background(rng, size)
            if split == 'weak':
                # novel classes as often as all others together
                name = str(rng.choice(NOVEL if i % 2 else base))
                side = int(rng.integers(size // 3, size * 3 // 4))
                x, y = (int(v) for v in rng.integers(0, size - side, 2))
                draw(image, name, x, y, side)
                shapes, present = [], [name]
            else:
                shapes = _scatter(rng, image, names, size)
                present = [s[0] for s in shapes]
            record = dict(id=first + i, width=size, height=size, file_name=f'{split}/{i:05}.jpg')
            record['pos_category_ids'] = sorted({CLASSES.index(n) + 1 for n in present})
            record['neg_category_ids'] = [c['id'] for c in categories if c['name'] not in present]
            record['not_exhaustive_category_ids'] = []
            images.append(record)
            for name, box, outline in shapes:
                annotations.append(
                    dict(id=len(annotations) + 1, image_id=first + i, category_id=CLASSES.index(name) + 1,
                         bbox=box, area=box[2] * box[3], iscrowd=0, segmentation=outline)
                )  # fmt: skip
            write_image(root / record['file_name'], image)
        first += count
        content = dict(images=images, annotations=annotations, categories=categories)
        write_json(root / f'{split}.json', content)
    with replacing(root / 'embeddings.npy') as part:
        np.save(part, embeddings())


def _keep_others(path: Path) -> None:
    """Refuse to replace a file that is not of drawn shapes."""
    if not path.is_file():
        return
    with contextlib.suppress(ValueError):
        if tuple(c.name for c in read_categories(path)[0]) == CLASSES:
            return
    raise ValueError(f'{path} is of another data set: give a folder of its own')


def _background(rng: np.random.Generator, size: int) -> np.ndarray:
    coarse = rng.integers(60, 200, (6, 6, 1), np.uint8).repeat(3, 2)
    noise = rng.normal(0, 8, (size, size, 3))
    return np.clip(cv2.resize(coarse, (size, size)) + noise, 0, 255).astype(np.uint8)


def _scatter(rng: np.random.Generator, image: np.ndarray, names, size: int) -> list[tuple]:
    shapes: list[tuple] = []
    for _ in range(int(rng.integers(2, 5))):
        side = int(rng.integers(size // 6, size // 3))
        x, y = (int(v) for v in rng.integers(0, size - side, 2))
        apart = all(
            x + side < b[0] or b[0] + b[2] < x or y + side < b[1] or b[1] + b[3] < y for _, b, _ in shapes
        )
        if apart:
            name = str(rng.choice(names))
            shapes.append((name, [x, y, side, side], draw(image, name, x, y, side)))
    return shapes
