"""One road scene: background, objects from far to near, boxes and labels of what stays visible, weather."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .objects import FREQUENCY, KINDS, OOD_TEST, Draw

#: Label values of the 19 classes (Cityscapes' and BDD100K's train ids); 255 is no class.
SEM_SEG_IDS = {
    'road': 0,
    'sidewalk': 1,
    'building': 2,
    'wall': 3,
    'fence': 4,
    'pole': 5,
    'traffic light': 6,
    'traffic sign': 7,
    'vegetation': 8,
    'terrain': 9,
    'sky': 10,
    'pedestrian': 11,
    'rider': 12,
    'car': 13,
    'truck': 14,
    'bus': 15,
    'train': 16,
    'motorcycle': 17,
    'bicycle': 18,
}
TIMES = {'daytime': 0.6, 'night': 0.25, 'dawn/dusk': 0.15}
WEATHERS = ('clear', 'overcast', 'rainy', 'foggy')
PLACES = ('city street', 'residential', 'highway')


@dataclass
class Placed:
    """An object to draw: its kind, feet (x, y) and height in pixels, and its own random state."""

    kind: str
    draw: Draw
    x: float
    y: float
    height: float
    seed: int
    speed: float = 0.0  # pixels a frame, to the right


@dataclass
class Rendered:
    """A drawn scene."""

    image: np.ndarray  #: (H, W, 3) uint8 BGR
    sem_seg: np.ndarray  #: (H, W) uint8 of ``SEM_SEG_IDS``, 255 on objects of no class
    boxes: list[
        dict
    ]  #: category ('ood': of no class), id of the track, box2d (inclusive), occluded, truncated
    ood: np.ndarray  #: (H, W) bool, objects of no class
    drivable: np.ndarray  #: (H, W) uint8, 0 the lane of one's own, 1 the rest of the road, 2 what is no road
    instances: (
        np.ndarray
    )  #: (H, W) int32, the visible object of a pixel, a row of ``parts`` plus one; 0 is none
    parts: list[str]  #: their categories


class Scene:
    """A random scene that can be drawn at any time of its motion.

    Args:
        seed: Two scenes of one seed are equal.
        size: (width, height) in pixels.
        ood: Draw functions of objects of no class, one or two of which are placed.
        crowd: Mean number of objects.
    """

    def __init__(
        self, seed: int, size: tuple[int, int], ood: dict[str, Draw] | None = None, crowd: float = 6
    ) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.width, self.height = size
        self.horizon = round(self.height * rng.uniform(0.36, 0.46))
        self.vanish = self.width * rng.uniform(0.35, 0.65)
        self.timeofday = str(rng.choice(list(TIMES), p=list(TIMES.values())))
        self.weather = str(rng.choice(WEATHERS))
        self.place = str(rng.choice(PLACES))
        self.background_seed = int(rng.integers(1 << 31))
        kinds, weights = list(FREQUENCY), np.array(list(FREQUENCY.values()))
        objects = [
            self._place(str(kind))
            for kind in rng.choice(kinds, rng.poisson(crowd) + 1, p=weights / weights.sum())
        ]
        if ood:
            for kind in rng.choice(list(ood), rng.integers(1, 3)):
                objects.append(self._place_ood(str(kind), ood[str(kind)]))
        self.objects = sorted(objects, key=lambda o: o.y)

    def _scale(self, y: float) -> float:
        """Pixels of a pedestrian that stands at row y."""
        return 0.55 * self.height * (y - self.horizon) / (self.height - self.horizon)

    def _road(self, y: float) -> tuple[float, float]:
        t = (y - self.horizon) / (self.height - self.horizon)
        return self.vanish + t * (-0.12 * self.width - self.vanish), self.vanish + t * (
            1.12 * self.width - self.vanish
        )

    def _place(self, kind: str) -> Placed:
        rng = self.rng
        draw, relative, where = KINDS[kind]
        depth = rng.uniform(0.12, 1.0) ** 1.3
        if where == 'far':
            depth = rng.uniform(0.1, 0.22)
        y = self.horizon + depth * (self.height - self.horizon)
        left, right = self._road(y)
        if where == 'road':
            x = rng.uniform(left + 0.12 * (right - left), right - 0.12 * (right - left))
        elif where == 'edge':
            x = rng.uniform(left, right)
        else:
            margin = 0.25 * (right - left)
            x = rng.uniform(left - margin, left) if rng.random() < 0.5 else rng.uniform(right, right + margin)
            x = float(np.clip(x, 0.02 * self.width, 0.98 * self.width))
        height = relative * self._scale(y) * rng.uniform(0.9, 1.1)
        speed = 0.0 if kind.startswith('traffic') else rng.uniform(-0.05, 0.05) * height
        return Placed(kind, draw, x, y, max(height, 6), int(rng.integers(1 << 31)), speed)

    def _place_ood(self, kind: str, draw: Draw) -> Placed:
        y = self.horizon + self.rng.uniform(0.35, 0.95) * (self.height - self.horizon)
        left, right = self._road(y)
        x = self.rng.uniform(max(left, 0.1 * self.width), min(right, 0.9 * self.width))
        height = 0.6 * self._scale(y) * self.rng.uniform(0.8, 1.2)
        return Placed(kind, draw, x, y, max(height, 8), int(self.rng.integers(1 << 31)))

    def render(self, frame: int = 0) -> Rendered:
        """The scene after ``frame`` steps of motion."""
        image, sem_seg = self._seen(frame)
        instances = np.zeros(sem_seg.shape, np.int32)
        parts, ood = [], np.zeros(sem_seg.shape, bool)
        for number, x, y, height in self._places(frame):
            thing = self.objects[number]
            rng = np.random.default_rng(thing.seed)
            for part, (category, mask) in enumerate(
                thing.draw(image, round(x), round(y), round(height), rng)
            ):
                drawn = mask > 0
                if not drawn.any():
                    continue
                sem_seg[drawn] = SEM_SEG_IDS.get(category, 255)
                ood[drawn] = category == 'ood'
                parts.append((category, drawn, 10 * number + part + 1))
                instances[drawn] = len(parts)
        boxes = [box for i, part in enumerate(parts, 1) if (box := self._box(*part, instances == i))]
        categories, drivable = [part[0] for part in parts], self._drivable(sem_seg)
        return Rendered(self._light(image, frame), sem_seg, boxes, ood, drivable, instances, categories)

    def _drivable(self, sem_seg: np.ndarray) -> np.ndarray:
        left, right = self._road(self.height)
        drivable = np.ones(sem_seg.shape, np.uint8)
        lane = [(self.vanish, self.horizon), *((left + k / 3 * (right - left), self.height) for k in (2, 1))]
        cv2.fillPoly(drivable, [np.array(lane, np.int32)], 0)
        drivable[sem_seg != SEM_SEG_IDS['road']] = 2
        return drivable

    def _seen(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """The background's image and labels."""
        return self._background()

    def _places(self, frame: int) -> Iterator[tuple[int, float, float, float]]:
        """Where objects are, from far to near: their number, feet x and y, and height, in pixels."""
        for number, thing in enumerate(self.objects):
            yield number, thing.x + frame * thing.speed, thing.y, thing.height

    def _box(self, category: str, drawn: np.ndarray, track: int, visible: np.ndarray) -> dict | None:
        """The box of an object's visible pixels; None for poles and where too little is seen."""
        if category == 'pole' or visible.sum() < max(0.3 * drawn.sum(), 12):
            return None
        rows, columns = np.flatnonzero(visible.any(1)), np.flatnonzero(visible.any(0))
        x1, y1, x2, y2 = (int(v) for v in (columns[0], rows[0], columns[-1], rows[-1]))
        if x2 - x1 < 3 or y2 - y1 < 3:
            return None
        return dict(
            category=category,
            id=track,
            box2d=dict(x1=x1, y1=y1, x2=x2, y2=y2),
            occluded=bool(visible.sum() < 0.9 * drawn.sum()),
            truncated=x1 == 0 or y1 == 0 or x2 == self.width - 1 or y2 == self.height - 1,
        )

    def _background(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(self.background_seed)
        w, h, horizon = self.width, self.height, self.horizon
        image = np.empty((h, w, 3), np.uint8)
        top, low = np.array([205, 150, 100]) + rng.integers(-20, 20, 3), np.array([225, 215, 205])
        image[:] = (top + (low - top) * np.linspace(0, 1.6, h)[:, None].clip(0, 1))[:, None]
        sem_seg = np.full((h, w), SEM_SEG_IDS['sky'], np.uint8)

        def region(points: list, color: Sequence[int] | np.ndarray, name: str) -> None:
            corners = np.array(points, np.int32)
            cv2.fillPoly(image, [corners], tuple(int(c) for c in color))
            cv2.fillPoly(sem_seg, [corners], SEM_SEG_IDS[name])

        x = -20
        while x < w:  # a row of houses, trees and gaps
            width, height = int(rng.integers(w // 14, w // 5)), int(rng.integers(h // 8, int(0.9 * horizon)))
            kind = rng.random()
            if kind < 0.5:
                color = np.array(
                    [[120, 130, 150], [90, 100, 140], [150, 150, 150]][rng.integers(3)]
                ) + rng.integers(-15, 16, 3)
                region(
                    [
                        (x, horizon),
                        (x, horizon - height),
                        (x + width, horizon - height),
                        (x + width, horizon),
                    ],
                    color,
                    'building',
                )
                for wy in range(horizon - height + 4, horizon - 6, 9):
                    for wx in range(x + 4, x + width - 5, 9):
                        cv2.rectangle(
                            image,
                            (wx, wy),
                            (wx + 4, wy + 4),
                            (70, 60, 50) if rng.random() < 0.6 else (150, 200, 220),
                            -1,
                        )
            elif kind < 0.85:
                crown = (x + width // 2, horizon - height // 2), (width // 2, max(height // 2, 4))
                green = tuple(int(c) for c in np.array([50, 110, 60]) + rng.integers(-15, 16, 3))
                for canvas, value in ((image, green), (sem_seg, SEM_SEG_IDS['vegetation'])):
                    cv2.ellipse(canvas, *crown, 0, 0, 360, value, -1)
            x += width + int(rng.integers(0, w // 20))
        if rng.random() < 0.5:
            name, shade = ('wall', (125, 125, 135)) if rng.random() < 0.5 else ('fence', (90, 120, 140))
            high = horizon - h // 18
            region([(0, horizon), (0, high), (w, high), (w, horizon)], shade, name)
        region(
            [(0, horizon), (w, horizon), (w, h), (0, h)],
            np.array([70, 120, 100]) + rng.integers(-12, 13, 3),
            'terrain',
        )
        left, right = self._road(h)
        reach = 0.3 * w
        region([(self.vanish, horizon), (right + reach, h), (left - reach, h)], (165, 165, 170), 'sidewalk')
        road = np.array([95, 92, 90]) + rng.integers(-10, 11)
        region([(self.vanish, horizon), (right, h), (left, h)], road, 'road')
        for lane in (1 / 3, 2 / 3):
            for a in np.arange(0.1, 1.0, 0.18).tolist():
                ends = []
                for t in (a, min(a + 0.07, 1)):
                    y = horizon + t * (h - horizon)
                    lo, hi = self._road(y)
                    ends.append((round(lo + lane * (hi - lo)), round(y)))
                cv2.line(image, ends[0], ends[1], (215, 215, 215), max(1, round(3 * a)))
        return image, sem_seg

    def _light(self, image: np.ndarray, frame: int) -> np.ndarray:
        """Time of day, weather and sensor noise."""
        rng = np.random.default_rng([self.background_seed, frame])
        out = image.astype(np.float32)
        if self.timeofday == 'night':
            bright = out.max(-1, keepdims=True) > 225
            out = np.where(bright, out, out * 0.42 * np.array([1.15, 1.0, 0.9], np.float32))
        elif self.timeofday == 'dawn/dusk':
            out *= np.array([0.72, 0.82, 1.0], np.float32)
        if self.weather == 'foggy':
            rows = np.linspace(0.55, 0.1, self.height, dtype=np.float32)[:, None, None]
            out = out * (1 - rows) + (190 if self.timeofday != 'night' else 70) * rows
        elif self.weather == 'overcast':
            out = 0.85 * out + 0.15 * out.mean(-1, keepdims=True)
        out += rng.normal(0, 3, out.shape).astype(np.float32)
        out = out.clip(0, 255).astype(np.uint8)
        if self.weather == 'rainy':
            for x, y in rng.integers(0, (self.width, self.height), (self.width // 4, 2)):
                cv2.line(out, (int(x), int(y)), (int(x) - 1, int(y) + 5), (200, 200, 200), 1)
        return out


__all__ = ['OOD_TEST', 'SEM_SEG_IDS', 'Rendered', 'Scene']
