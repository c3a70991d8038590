"""Draws examples/warehouse: twelve pictures of a warehouse with three classes, labeled in COCO's format.

python examples/make_warehouse.py
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mmroad.files import write_image
from mmroad.labels.form import Box, Image, LabelSet
from mmroad.labels.formats import write

CLASSES = ('forklift', 'cone', 'person')
WIDTH, HEIGHT = 320, 192


def forklift(picture: np.ndarray, x: int, y: int, size: float, rng: np.random.Generator) -> tuple:
    """A side view whose lower left corner is (x, y); returns its box."""
    w, h = round(58 * size), round(48 * size)
    color = (20 + int(rng.integers(40)), 170 + int(rng.integers(50)), 235)
    top = y - h
    cv2.rectangle(picture, (x, y - round(0.55 * h)), (x + round(0.62 * w), y - round(0.14 * h)), color, -1)
    cv2.rectangle(
        picture, (x + round(0.1 * w), top), (x + round(0.5 * w), y - round(0.55 * h)), (60, 60, 60), 2
    )
    cv2.rectangle(picture, (x + round(0.66 * w), top), (x + round(0.72 * w), y - 2), (70, 70, 70), -1)
    cv2.rectangle(picture, (x + round(0.66 * w), y - 4), (x + w - 1, y - 2), (90, 90, 90), -1)
    radius = round(0.14 * h)
    for part in (0.14, 0.5):
        cv2.circle(picture, (x + round(part * w), y - radius - 1), radius, (30, 30, 30), -1)
    return x, top, x + w, y


def cone(picture: np.ndarray, x: int, y: int, size: float, rng: np.random.Generator) -> tuple:
    w, h = round(22 * size), round(30 * size)
    points = np.array([[x + w // 2, y - h], [x + 2, y - 3], [x + w - 2, y - 3]])
    cv2.fillPoly(picture, [points], (30, 90, 250))
    cv2.rectangle(picture, (x, y - 4), (x + w - 1, y - 1), (20, 70, 220), -1)
    cv2.rectangle(picture, (x + w // 3, y - h // 2), (x + 2 * w // 3, y - h // 3), (240, 240, 240), -1)
    return x, y - h, x + w, y


def person(picture: np.ndarray, x: int, y: int, size: float, rng: np.random.Generator) -> tuple:
    w, h = round(18 * size), round(50 * size)
    vest = [(40, 230, 230), (60, 160, 60), (180, 90, 40)][rng.integers(3)]
    head = round(0.09 * h)
    cv2.circle(picture, (x + w // 2, y - h + head), head, (150, 180, 220), -1)
    cv2.rectangle(picture, (x, y - h + 2 * head), (x + w - 1, y - round(0.42 * h)), vest, -1)
    for part in (0.08, 0.58):
        left = x + round(part * w)
        cv2.rectangle(picture, (left, y - round(0.42 * h)), (left + round(0.3 * w), y - 1), (80, 50, 40), -1)
    return x, y - h, x + w, y


def scene(rng: np.random.Generator) -> tuple[np.ndarray, list[Box]]:
    """A picture (HEIGHT, WIDTH, 3) BGR and its boxes; objects do not overlap."""
    floor = int(rng.integers(60, 90))
    picture = np.full((HEIGHT, WIDTH, 3), 190, np.uint8)
    picture[floor:] = rng.integers(110, 150)
    for x in range(0, WIDTH, 40):
        shade = tuple(int(v) for v in rng.integers(90, 200, 3))
        cv2.rectangle(picture, (x + 3, 12), (x + 36, floor - 6), shade, -1)
    picture = np.clip(picture.astype(int) + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)
    draw, boxes, taken = (forklift, cone, person), [], []
    for kind in (0, 1, 2, *rng.integers(0, 3, 2)):
        for _ in range(20):
            y = int(rng.integers(floor + 15, HEIGHT - 3))
            size = 0.8 + 0.9 * (y - floor) / (HEIGHT - floor)
            x = int(rng.integers(2, WIDTH - round(60 * size) - 2))
            w = round((58, 22, 18)[kind] * size) + 4
            h = round((48, 30, 50)[kind] * size) + 4
            corners = x, y - h, x + w, y
            if (
                all(x > o[2] or corners[2] < o[0] or y < o[1] or corners[1] > o[3] for o in taken)
                and y - h > 2
            ):
                taken.append(corners)
                boxes.append(Box(CLASSES[kind], *map(float, draw[kind](picture, x, y, size, rng))))
                break
    return picture, boxes


def main(number: int = 12, seed: int = 0) -> None:
    folder = Path(__file__).with_name('warehouse')
    rng, images = np.random.default_rng(seed), []
    for i in range(number):
        picture, boxes = scene(rng)
        name = f'hall_{i:02}.jpg'
        write_image(folder / 'images' / name, picture)
        images.append(Image(name, boxes, WIDTH, HEIGHT))
    write({'': LabelSet(images, CLASSES, 'drawn', folder / 'images')}, 'coco', folder / 'labels.json')


if __name__ == '__main__':
    main()
