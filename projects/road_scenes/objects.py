"""How the objects of a road scene are drawn.

A draw function paints one object on ``image`` (BGR) with its feet at (x, y) and its height h, in
pixels, and returns its parts, ``[(category, mask)]`` with uint8 masks of the image's size.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

Parts = list[tuple[str, np.ndarray]]
Draw = Callable[[np.ndarray, int, int, int, np.random.Generator], Parts]


class Pen:
    """Draws on the image and on a mask of what it has drawn."""

    def __init__(self, image: np.ndarray) -> None:
        self.image, self.mask = image, np.zeros(image.shape[:2], np.uint8)

    def box(self, x1: float, y1: float, x2: float, y2: float, color: tuple) -> None:
        corners = (round(x1), round(y1)), (round(x2), round(y2))
        cv2.rectangle(self.image, *corners, color, -1)
        cv2.rectangle(self.mask, *corners, 1, -1)

    def ellipse(self, x: float, y: float, a: float, b: float, color: tuple, angle: float = 0) -> None:
        size = max(round(a), 1), max(round(b), 1)
        for canvas, value in ((self.image, color), (self.mask, 1)):
            cv2.ellipse(canvas, (round(x), round(y)), size, angle, 0, 360, value, -1, cv2.LINE_8)

    def ring(self, x: float, y: float, r: float, color: tuple, thickness: float) -> None:
        for canvas, value in ((self.image, color), (self.mask, 1)):
            cv2.circle(canvas, (round(x), round(y)), max(round(r), 1), value, max(round(thickness), 1))

    def line(self, x1: float, y1: float, x2: float, y2: float, color: tuple, thickness: float) -> None:
        ends = (round(x1), round(y1)), (round(x2), round(y2))
        for canvas, value in ((self.image, color), (self.mask, 1)):
            cv2.line(canvas, *ends, value, max(round(thickness), 1))

    def polygon(self, points: list[tuple[float, float]], color: tuple) -> None:
        corners = np.array([[round(a), round(b)] for a, b in points], np.int32)
        cv2.fillPoly(self.image, [corners], color)
        cv2.fillPoly(self.mask, [corners], 1)


PAINTS = [
    (190, 190, 195),
    (40, 40, 45),
    (30, 30, 170),
    (150, 70, 30),
    (225, 225, 225),
    (60, 120, 60),
    (40, 110, 190),
]
CLOTHES = [
    (60, 50, 40),
    (40, 40, 150),
    (150, 90, 40),
    (60, 130, 60),
    (130, 60, 120),
    (200, 200, 205),
    (30, 150, 200),
]
DARK, GLASS, SKIN, METAL = (25, 25, 25), (110, 95, 70), (140, 170, 215), (120, 120, 125)


def _pick(rng: np.random.Generator, colors: list[tuple]) -> tuple:
    base = np.array(colors[rng.integers(len(colors))]) + rng.integers(-15, 16, 3)
    return tuple(int(c) for c in base.clip(0, 255))


def _wheels(pen: Pen, places: list[float], y: float, r: float) -> None:
    for x in places:
        pen.ellipse(x, y - r, r, r, DARK)
        pen.ellipse(x, y - r, r * 0.45, r * 0.45, METAL)


def car(image, x, y, h, rng) -> Parts:
    pen, paint = Pen(image), _pick(rng, PAINTS)
    if rng.random() < 0.5:  # from behind
        w = 1.15 * h
        pen.box(x - 0.48 * w, y - 0.2 * h, x - 0.3 * w, y, DARK)
        pen.box(x + 0.3 * w, y - 0.2 * h, x + 0.48 * w, y, DARK)
        pen.box(x - w / 2, y - 0.62 * h, x + w / 2, y - 0.12 * h, paint)
        pen.polygon(
            [
                (x - 0.42 * w, y - 0.6 * h),
                (x - 0.3 * w, y - h),
                (x + 0.3 * w, y - h),
                (x + 0.42 * w, y - 0.6 * h),
            ],
            paint,
        )
        pen.polygon(
            [
                (x - 0.33 * w, y - 0.64 * h),
                (x - 0.25 * w, y - 0.93 * h),
                (x + 0.25 * w, y - 0.93 * h),
                (x + 0.33 * w, y - 0.64 * h),
            ],
            GLASS,
        )
        for side in (-1, 1):
            pen.box(
                x + side * 0.4 * w - 0.07 * w,
                y - 0.5 * h,
                x + side * 0.4 * w + 0.07 * w,
                y - 0.4 * h,
                (40, 40, 230),
            )
    else:  # from the side
        w = 2.5 * h
        pen.box(x - w / 2, y - 0.62 * h, x + w / 2, y - 0.18 * h, paint)
        pen.polygon(
            [
                (x - 0.34 * w, y - 0.6 * h),
                (x - 0.2 * w, y - h),
                (x + 0.18 * w, y - h),
                (x + 0.34 * w, y - 0.6 * h),
            ],
            paint,
        )
        pen.polygon(
            [
                (x - 0.27 * w, y - 0.63 * h),
                (x - 0.17 * w, y - 0.92 * h),
                (x + 0.15 * w, y - 0.92 * h),
                (x + 0.27 * w, y - 0.63 * h),
            ],
            GLASS,
        )
        _wheels(pen, [x - 0.3 * w, x + 0.3 * w], y, 0.2 * h)
    return [('car', pen.mask)]


def truck(image, x, y, h, rng) -> Parts:
    pen, paint, cargo = (
        Pen(image),
        _pick(rng, PAINTS),
        _pick(rng, [(205, 205, 200), (90, 130, 160), (80, 80, 85)]),
    )
    w = 1.7 * h
    pen.box(x - w / 2, y - h, x + 0.18 * w, y - 0.14 * h, cargo)
    for k in range(1, 4):
        pen.line(
            x - w / 2 + k * 0.17 * w,
            y - h,
            x - w / 2 + k * 0.17 * w,
            y - 0.14 * h,
            tuple(int(c * 0.8) for c in cargo),
            1,
        )
    pen.box(x + 0.2 * w, y - 0.72 * h, x + w / 2, y - 0.14 * h, paint)
    pen.box(x + 0.32 * w, y - 0.66 * h, x + 0.47 * w, y - 0.42 * h, GLASS)
    _wheels(pen, [x - 0.36 * w, x - 0.2 * w, x + 0.35 * w], y, 0.12 * h)
    return [('truck', pen.mask)]


def bus(image, x, y, h, rng) -> Parts:
    pen, paint = Pen(image), _pick(rng, [(40, 190, 235), (40, 40, 190), (200, 120, 40)])
    w = 2.3 * h
    pen.box(x - w / 2, y - h, x + w / 2, y - 0.1 * h, paint)
    pen.box(x - w / 2, y - 0.36 * h, x + w / 2, y - 0.3 * h, (230, 230, 230))
    for k in range(6):
        left = x - 0.46 * w + k * 0.155 * w
        pen.box(left, y - 0.86 * h, left + 0.11 * w, y - 0.5 * h, GLASS)
    _wheels(pen, [x - 0.32 * w, x + 0.32 * w], y, 0.13 * h)
    return [('bus', pen.mask)]


def train(image, x, y, h, rng) -> Parts:
    pen, paint = Pen(image), _pick(rng, [(150, 150, 155), (110, 60, 40), (60, 60, 150)])
    w = 3.6 * h
    pen.box(x - w / 2, y - 0.92 * h, x + w / 2, y - 0.1 * h, paint)
    pen.box(x - w / 2, y - h, x + w / 2, y - 0.9 * h, METAL)
    pen.box(x - w / 2, y - 0.4 * h, x + w / 2, y - 0.32 * h, (50, 190, 240))
    for k in range(9):
        left = x - 0.48 * w + k * 0.108 * w
        pen.box(left, y - 0.8 * h, left + 0.06 * w, y - 0.5 * h, GLASS)
    pen.box(x - w / 2, y - 0.1 * h, x + w / 2, y, DARK)
    return [('train', pen.mask)]


def _person(pen: Pen, x: float, y: float, h: float, rng, seated: bool = False) -> None:
    shirt, trousers = _pick(rng, CLOTHES), _pick(rng, CLOTHES[:4])
    pen.ellipse(x, y - 0.9 * h, 0.085 * h, 0.1 * h, SKIN)
    pen.ellipse(x, y - 0.62 * h, 0.15 * h, 0.2 * h, shirt)
    if seated:
        pen.line(x, y - 0.45 * h, x + 0.18 * h, y - 0.3 * h, trousers, 0.12 * h)
        pen.line(x + 0.18 * h, y - 0.3 * h, x + 0.1 * h, y - 0.08 * h, trousers, 0.09 * h)
        return
    step = rng.uniform(0.02, 0.13) * h
    pen.line(x - 0.04 * h, y - 0.45 * h, x - step, y, trousers, 0.1 * h)
    pen.line(x + 0.04 * h, y - 0.45 * h, x + step, y, trousers, 0.1 * h)


def pedestrian(image, x, y, h, rng) -> Parts:
    pen = Pen(image)
    _person(pen, x, y, h, rng)
    return [('pedestrian', pen.mask)]


def _bicycle(pen: Pen, x: float, y: float, h: float, rng) -> None:
    paint, r = _pick(rng, CLOTHES), 0.34 * h
    left, right = x - 0.52 * h, x + 0.52 * h
    for wheel in (left, right):
        pen.ring(wheel, y - r, r, DARK, 0.08 * h)
    for a, b in (
        ((left, y - r), (x, y - 0.75 * h)),
        ((x, y - 0.75 * h), (right, y - r)),
        ((left, y - r), (x, y - r)),
        ((x, y - r), (right - 0.1 * h, y - 0.85 * h)),
        ((right - 0.1 * h, y - 0.95 * h), (right, y - r)),
    ):
        pen.line(*a, *b, paint, 0.07 * h)


def bicycle(image, x, y, h, rng) -> Parts:
    pen = Pen(image)
    _bicycle(pen, x, y, h, rng)
    return [('bicycle', pen.mask)]


def _motorcycle(pen: Pen, x: float, y: float, h: float, rng) -> None:
    paint, r = _pick(rng, PAINTS), 0.3 * h
    _wheels(pen, [x - 0.55 * h, x + 0.55 * h], y, r)
    pen.ellipse(x, y - 0.5 * h, 0.6 * h, 0.18 * h, paint)
    pen.box(x - 0.55 * h, y - 0.72 * h, x - 0.05 * h, y - 0.58 * h, DARK)
    pen.line(x + 0.3 * h, y - 0.5 * h, x + 0.25 * h, y - 0.95 * h, METAL, 0.09 * h)


def motorcycle(image, x, y, h, rng) -> Parts:
    pen = Pen(image)
    _motorcycle(pen, x, y, h, rng)
    return [('motorcycle', pen.mask)]


def cyclist(image, x, y, h, rng) -> Parts:
    vehicle, person = Pen(image), Pen(image)
    name, draw = ('bicycle', _bicycle) if rng.random() < 0.6 else ('motorcycle', _motorcycle)
    draw(vehicle, x, y, 0.6 * h, rng)
    _person(person, x - 0.06 * h, y - 0.12 * h, 0.88 * h, rng, seated=True)
    vehicle.mask[person.mask > 0] = 0
    return [(name, vehicle.mask), ('rider', person.mask)]


def traffic_light(image, x, y, h, rng) -> Parts:
    pole, pen = Pen(image), Pen(image)
    pole.line(x, y, x, y - 0.75 * h, METAL, 0.035 * h)
    w = 0.15 * h
    pen.box(x - w / 2, y - h, x + w / 2, y - 0.64 * h, (20, 30, 30))
    lit = rng.integers(3)
    for k, color in enumerate([(40, 40, 245), (40, 200, 250), (90, 230, 60)]):
        shade = color if k == lit else tuple(c // 5 for c in color)
        pen.ellipse(x, y - h + (0.06 + 0.12 * k) * h, 0.048 * h, 0.048 * h, shade)
    pole.mask[pen.mask > 0] = 0
    return [('pole', pole.mask), ('traffic light', pen.mask)]


def traffic_sign(image, x, y, h, rng) -> Parts:
    pole, pen = Pen(image), Pen(image)
    pole.line(x, y, x, y - 0.75 * h, METAL, 0.035 * h)
    r, cy, kind = 0.17 * h, y - 0.83 * h, rng.integers(4)
    if kind == 0:
        pen.ellipse(x, cy, r, r, (40, 40, 210))
        pen.ellipse(x, cy, 0.7 * r, 0.7 * r, (235, 235, 235))
    elif kind == 1:
        pen.polygon([(x, cy - r), (x - r, cy + 0.8 * r), (x + r, cy + 0.8 * r)], (40, 40, 210))
        pen.polygon(
            [(x, cy - 0.5 * r), (x - 0.55 * r, cy + 0.55 * r), (x + 0.55 * r, cy + 0.55 * r)], (235, 235, 235)
        )
    elif kind == 2:
        pen.box(x - r, cy - 0.8 * r, x + r, cy + 0.8 * r, (170, 90, 30))
        pen.box(x - 0.6 * r, cy - 0.3 * r, x + 0.6 * r, cy + 0.3 * r, (235, 235, 235))
    else:
        pen.polygon([(x, cy - r), (x - r, cy), (x, cy + r), (x + r, cy)], (30, 200, 240))
    pole.mask[pen.mask > 0] = 0
    return [('pole', pole.mask), ('traffic sign', pen.mask)]


# Objects of no class. Those to train with and those to test with are of different kinds.


def ball(image, x, y, h, rng) -> Parts:
    pen, paint = Pen(image), _pick(rng, [(40, 140, 240), (200, 60, 200), (60, 220, 220)])
    pen.ellipse(x, y - h / 2, h / 2, h / 2, paint)
    pen.ellipse(x - 0.15 * h, y - 0.65 * h, 0.12 * h, 0.12 * h, (240, 240, 240))
    return [('ood', pen.mask)]


def table(image, x, y, h, rng) -> Parts:
    pen, wood = Pen(image), _pick(rng, [(50, 90, 140), (170, 170, 60)])
    pen.box(x - 0.8 * h, y - h, x + 0.8 * h, y - 0.82 * h, wood)
    for leg in (-0.65, 0.65):
        pen.line(x + leg * h, y - 0.82 * h, x + leg * h, y, wood, 0.12 * h)
    return [('ood', pen.mask)]


def star(image, x, y, h, rng) -> Parts:
    pen, paint = Pen(image), _pick(rng, [(200, 200, 40), (140, 40, 220), (60, 60, 230)])
    angles = np.arange(10) * np.pi / 5 - np.pi / 2
    radii = np.where(np.arange(10) % 2, 0.22, 0.55) * h
    pen.polygon([(x + r * np.cos(a), y - h / 2 + r * np.sin(a)) for a, r in zip(angles, radii)], paint)
    return [('ood', pen.mask)]


def kite(image, x, y, h, rng) -> Parts:
    pen, a, b = (
        Pen(image),
        _pick(rng, [(60, 60, 230), (200, 60, 160)]),
        _pick(rng, [(60, 220, 240), (220, 200, 60)]),
    )
    pen.polygon([(x, y - h), (x - 0.4 * h, y - 0.6 * h), (x, y)], a)
    pen.polygon([(x, y - h), (x + 0.4 * h, y - 0.6 * h), (x, y)], b)
    return [('ood', pen.mask)]


def animal(image, x, y, h, rng) -> Parts:
    pen, fur = Pen(image), _pick(rng, [(60, 90, 140), (90, 90, 95), (190, 200, 205)])
    pen.ellipse(x, y - 0.6 * h, 0.55 * h, 0.22 * h, fur)
    for leg in (-0.42, -0.3, 0.3, 0.42):
        pen.line(x + leg * h, y - 0.5 * h, x + leg * h, y, fur, 0.1 * h)
    pen.line(x + 0.45 * h, y - 0.65 * h, x + 0.62 * h, y - 0.88 * h, fur, 0.14 * h)
    pen.ellipse(x + 0.7 * h, y - 0.9 * h, 0.16 * h, 0.1 * h, fur)
    pen.line(x - 0.52 * h, y - 0.65 * h, x - 0.7 * h, y - 0.5 * h, fur, 0.06 * h)
    return [('ood', pen.mask)]


def carton(image, x, y, h, rng) -> Parts:
    pen, paper = Pen(image), _pick(rng, [(90, 140, 180), (110, 155, 190)])
    pen.box(x - 0.6 * h, y - 0.8 * h, x + 0.35 * h, y, paper)
    dark = tuple(int(c * 0.75) for c in paper)
    pen.polygon(
        [(x + 0.35 * h, y - 0.8 * h), (x + 0.6 * h, y - h), (x + 0.6 * h, y - 0.2 * h), (x + 0.35 * h, y)],
        dark,
    )
    pen.polygon(
        [
            (x - 0.6 * h, y - 0.8 * h),
            (x - 0.35 * h, y - h),
            (x + 0.6 * h, y - h),
            (x + 0.35 * h, y - 0.8 * h),
        ],
        paper,
    )
    pen.line(x - 0.12 * h, y - 0.8 * h, x - 0.12 * h, y, (150, 190, 220), 0.06 * h)
    return [('ood', pen.mask)]


def barrel(image, x, y, h, rng) -> Parts:
    pen, paint = Pen(image), _pick(rng, [(40, 110, 240), (150, 70, 40), (60, 160, 60)])
    pen.box(x - 0.32 * h, y - 0.9 * h, x + 0.32 * h, y - 0.08 * h, paint)
    pen.ellipse(x, y - 0.08 * h, 0.32 * h, 0.08 * h, paint)
    pen.ellipse(x, y - 0.9 * h, 0.32 * h, 0.08 * h, tuple(int(c * 0.7) for c in paint))
    for k in (0.32, 0.62):
        pen.box(x - 0.32 * h, y - (k + 0.05) * h, x + 0.32 * h, y - (k - 0.05) * h, (230, 230, 230))
    return [('ood', pen.mask)]


#: kind -> (draw, height relative to a pedestrian, where it stands)
KINDS: dict[str, tuple[Draw, float, str]] = {
    'car': (car, 0.85, 'road'),
    'truck': (truck, 1.75, 'road'),
    'bus': (bus, 1.75, 'road'),
    'train': (train, 2.0, 'far'),
    'pedestrian': (pedestrian, 1.0, 'walk'),
    'cyclist': (cyclist, 1.1, 'edge'),
    'bicycle': (bicycle, 0.62, 'walk'),
    'motorcycle': (motorcycle, 0.65, 'edge'),
    'traffic light': (traffic_light, 2.2, 'walk'),
    'traffic sign': (traffic_sign, 1.7, 'walk'),
}
#: How often each of them is drawn.
FREQUENCY = dict(zip(KINDS, (0.26, 0.09, 0.08, 0.04, 0.14, 0.12, 0.06, 0.06, 0.07, 0.08), strict=True))
OOD_TRAIN: dict[str, Draw] = {'ball': ball, 'table': table, 'star': star, 'kite': kite}
OOD_TEST: dict[str, Draw] = {'animal': animal, 'carton': carton, 'barrel': barrel}
