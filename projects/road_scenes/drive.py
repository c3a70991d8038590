"""Road scenes seen from a car that drives and turns: videos whose objects have tracks."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from .objects import FREQUENCY, Parts, pedestrian
from .scene import Placed, Scene

#: Distances are in units of the nearest object's: a box of height h at distance 1 has h / z at z.
NEAREST, FARTHEST = 0.8, 8.0
CROWD = 'crowd'


def group_of_people(image, x, y, h, rng) -> Parts:
    """Five to eight persons close together, as one."""
    mask = np.zeros(image.shape[:2], np.uint8)
    for _ in range(rng.integers(5, 9)):
        step = rng.uniform(-0.9, 0.9) * h
        ((_, one),) = pedestrian(image, round(x + step), y, round(h * rng.uniform(0.85, 1.0)), rng)
        mask |= one
    return [('pedestrian', mask)]


class Drive(Scene):
    """A scene in motion: standing things come nearer and pass, road users keep their own pace, and the view turns from
    side to side, so that objects leave it and come back.

    Args:
        seed: Two drives of one seed are equal.
        size: (width, height) in pixels.
        frames: How many frames there are.
        stride: Moments between two frames: the larger, the less the boxes of an object overlap.
        ego: How much the camera moves; 0 is a camera that stands, with the objects in motion.
        crowd: Mean number of objects in sight.
    """

    def __init__(
        self,
        seed: int,
        size: tuple[int, int],
        frames: int = 40,
        stride: float = 1,
        ego: float = 1,
        crowd: float = 8,
    ) -> None:
        super().__init__(seed, size, crowd=crowd)
        rng = self.rng
        self.stride, self.ego = stride, ego
        self.pace = 0.05 * ego  # nearer by so much a moment
        self.turn = ego * rng.uniform(0.1, 0.28) * self.width
        self.phase, self.period = rng.uniform(0, 2 * np.pi), rng.uniform(24, 48)
        way = self.pace * stride * frames
        kinds, weights = list(FREQUENCY), np.array(list(FREQUENCY.values()))
        count = rng.poisson(crowd * way / (FARTHEST - 1))
        ahead = [self._place(str(kind)) for kind in rng.choice(kinds, count, p=weights / weights.sum())]
        if rng.random() < 0.4:
            spot = self._place('pedestrian')
            self.objects.append(Placed(CROWD, group_of_people, spot.x, spot.y, spot.height, spot.seed))
        distances = [*(None for _ in self.objects), *rng.uniform(FARTHEST, FARTHEST + way, count)]
        self.objects += ahead
        self._start = [self._where(thing, z) for thing, z in zip(self.objects, distances)]
        self._still: tuple[np.ndarray, np.ndarray] | None = None

    def _where(self, thing: Placed, distance: float | None) -> tuple[float, float, float, float, float]:
        """Distance at the first moment, place beside the middle of the road and height at distance 1, and the speed
        away from the camera and to the right, a moment."""
        z = (self.height - self.horizon) / (thing.y - self.horizon)
        beside, height = (thing.x - self.vanish) * z, thing.height * z
        stands = thing.kind.startswith('traffic') or thing.kind == CROWD
        away = 0.0 if stands else self.rng.uniform(-0.02, 0.08 * min(self.ego, 1))
        across = 0.0 if stands else self.rng.uniform(-0.05, 0.05) * height
        return (z if distance is None else distance), beside, height, away, across

    def _pan(self, moment: float) -> float:
        """Pixels that the view is turned to the left."""
        return self.turn * np.sin(self.phase + 2 * np.pi * moment / self.period)

    def _places(self, frame: int) -> Iterator[tuple[int, float, float, float]]:
        moment = frame * self.stride
        found = []
        for number, (start, beside, height, away, across) in enumerate(self._start):
            z = start + (away - self.pace) * moment
            if not NEAREST < z < FARTHEST + 1 or height / z < 6:
                continue
            x = self.vanish + (beside + across * moment) / z + self._pan(moment)
            y = self.horizon + (self.height - self.horizon) / z
            found.append((z, (number, x, y, height / z)))
        for _, place in sorted(found, key=lambda f: -f[0]):
            yield place

    def _seen(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        if self._still is None:
            self._still = self._background()
        shift = np.array([[1, 0, self._pan(frame * self.stride)], [0, 1, 0]])
        image, labels = (
            cv2.warpAffine(
                part, shift, (self.width, self.height), flags=flags, borderMode=cv2.BORDER_REFLECT_101
            )
            for part, flags in zip(self._still, (cv2.INTER_LINEAR, cv2.INTER_NEAREST))
        )
        return image, labels

    def is_crowd(self, track: int) -> bool:
        """Whether a track is a group of people."""
        return self.objects[track // 10].kind == CROWD
