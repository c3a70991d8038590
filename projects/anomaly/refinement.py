"""Refining anomaly maps by boxes of unknown objects, as DetSeg-R does (ICCV 2025, huachao0124/DetSeg-official@37bc4ad).

A detector of any objects, such as one of an open vocabulary, says where objects are. Those that the segmentation model
was trained on are not unknown, and neither is what they cover. What is left raises the map inside its boxes; all else
falls behind by as much, which is most false alarms at the borders of classes.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from mmseg.registry import TASK_UTILS

from ..bdd100k.scalabel import NAME_MAPPING
from ..files.boxes import iou
from .detection_files import read_detection_file

#: The classes of Cityscapes, and from which score on a box of theirs is taken for sure.
KNOWN = dict.fromkeys(
    ('road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light', 'traffic sign')
    + ('vegetation', 'terrain', 'sky'),
    0.2,
) | dict.fromkeys(('person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle'), 0.5)


@TASK_UTILS.register_module()
class BoxRefinement:
    """Raises anomaly maps inside the boxes of unknown objects.

    Boxes of one image suppress one another at an IoU of 0.5, whatever their classes; sure boxes of known classes count
    with twice their score. Of the boxes that stay, those of other classes and above ``min_score`` raise the map.

    Args:
        boxes: A Scalabel file, such as ``det.json`` of ``mmroad infer``, or a folder of them (`load_frames`). Frames
            and images are one by their names without folder and suffix; a frame without boxes must be there too.
        known: Names of the classes that are not unknown, maybe each with the score from which it is sure (default
            0.5). The default is Cityscapes'. Other spellings are the same: pedestrian, motor, car_(automobile).
        min_score: Boxes of unknown objects must score more.
        boost: What is added inside, in the map's units. DetSeg's 1 is the range of scores of mask classifiers;
            where scores span more, the order inside and outside mixes.

    Raises:
        OSError, ValueError: The file cannot be used, two frames have one name, or no box has a score.
    """

    def __init__(
        self,
        boxes: str | Path,
        known: Mapping[str, float] | Sequence[str] = KNOWN,
        min_score: float = 0.2,
        boost: float = 1.0,
    ) -> None:
        self.path, self.min_score, self.boost = boxes, min_score, boost
        scores = known if isinstance(known, Mapping) else dict.fromkeys(known, 0.5)
        self.known = {plain_name(name): score for name, score in scores.items()}
        frames, rows = read_detection_file(boxes, need_score=False)
        if len(rows.score) and not rows.score.any():
            raise ValueError(f'{boxes}: no box has a score; boxes of a detector have one')
        names = [Path(frame).stem for frame in frames]
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(f'{boxes}: several frames are called {twice[0]}')
        of = defaultdict(list)
        for index, image in enumerate(rows.image):
            of[Path(image).stem].append(index)
        self.boxes = {
            name: self._unknown(rows.xyxy[of[name]], rows.score[of[name]], rows.label[of[name]])
            for name in names
        }

    def _unknown(self, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The boxes (n, 4) of unknown objects of one image."""
        sure = np.array([self.known.get(plain_name(label), np.inf) for label in labels]).reshape(-1)
        order = np.argsort(-np.where(scores > sure, 2 * scores, scores), kind='stable')
        stay = np.ones(len(boxes), bool)
        for place, index in enumerate(order):
            if stay[index]:
                rest = order[place + 1 :]
                stay[rest] &= iou(boxes[index], boxes[rest]) <= 0.5
        unknown = np.isinf(sure)
        return boxes[stay & unknown & (scores > self.min_score)]

    def __call__(self, name: str, anomaly: np.ndarray) -> np.ndarray:
        """The refined map (H, W) of an image, float32 where the map is of integers.

        Args:
            name: The image's name; folder and suffix do not matter.
            anomaly: Its map (H, W).

        Raises:
            KeyError: The boxes have no such frame.
        """
        if (stem := Path(name).stem) not in self.boxes:
            raise KeyError(f'{self.path}: no frame of {stem}; run the detector on all images of the maps')
        refined = anomaly.astype(np.float32 if anomaly.dtype.kind != 'f' else anomaly.dtype)
        inside = np.zeros(anomaly.shape, bool)
        for x1, y1, x2, y2 in np.ceil(self.boxes[stem].clip(0)).astype(int):
            inside[y1:y2, x1:x2] = True
        refined[inside] += self.boost
        return refined


def plain_name(name: str) -> str:
    """A class as it is compared: LVIS's ``traffic_light`` and ``car_(automobile)`` without ``_`` and addition, and
    BDD100K's other spellings as its own."""
    plain = re.sub(r'\(.*\)', '', name).replace('_', ' ').strip().lower()
    return NAME_MAPPING.get(plain, plain)
