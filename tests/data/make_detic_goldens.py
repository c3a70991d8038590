"""Writes detic_goldens.json: Detic's mask, caption and wsddn losses from their formulas, by numpy and pycocotools.

python tests/data/make_detic_goldens.py

- Mask targets: the outlines of an object, moved to a region's corner and scaled to 28 cells a side (sides of at least
  0.1 pixels), rasterized by COCO's code and united; the region is not clipped. The loss is the mean BCE over cells.
- Caption: BCE of the last region's logit with each caption of all ranks, own + weight * others; mean over images,
  times caption_weight and image_loss_weight (0.1) at each stage.
- wsddn: sum over regions of sigmoid(logits) * softmax over regions(proposal scores), BCE, mean over the C + 1 columns;
  mean over an image's labels, then over images, times image_loss_weight.

Logits are sines, so that the file holds numbers that the test cannot take from anywhere else.
"""

import json
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

SIZE = 28
#: Outlines of three objects (the second of two parts, the third beyond the image of 40 x 60) and regions of them.
OUTLINES = [
    [[5.5, 4, 30, 6, 28, 25.25, 7, 22]],
    [[2, 2, 12, 2, 12, 9, 2, 9], [14.5, 3, 21, 3, 18, 12.75]],
    [[40, 20, 66, 18, 64, 47, 41, 44]],
]
REGIONS = [
    [5, 4, 30, 25, 0],
    [-6.5, -3, 22.25, 18, 0],
    [1, 1, 22, 13, 1],
    [8.3, 2.2, 8.35, 9, 1],
    [38, 15, 67.5, 46.5, 2],
    [50, 30, 58, 39, 2],
]


def sines(*shape: int, step: float) -> np.ndarray:
    return 3 * np.sin(step * np.arange(1, np.prod(shape) + 1)).reshape(shape)


def bce(logits: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, logits) - target * logits


def mask_loss() -> dict:
    targets = []
    for x1, y1, x2, y2, index in REGIONS:
        scale = SIZE / max(x2 - x1, 0.1), SIZE / max(y2 - y1, 0.1)
        parts = []
        for outline in OUTLINES[index]:
            x, y = np.array(outline[0::2], float), np.array(outline[1::2], float)
            parts.append(np.stack([(x - x1) * scale[0], (y - y1) * scale[1]], 1).ravel().tolist())
        targets.append(coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(parts, SIZE, SIZE))))
    targets = np.stack(targets)
    loss = bce(sines(len(REGIONS), SIZE, SIZE, step=0.37), targets).mean()
    return dict(outlines=OUTLINES, regions=REGIONS, cells=targets.sum((1, 2)).tolist(), loss=loss)


def caption_loss(regions=3, classes=4, captions=5, first=2, images=2, stages=3) -> dict:
    logits = sines(stages, images, regions, classes + 1 + captions, step=0.61)
    found = {}
    for weight, negative in ((1.0, 1.0), (1.0, 0.125), (2.0, 0.5)):
        per_stage = []
        for stage in logits:
            losses = []
            for i, image in enumerate(stage):
                target = np.eye(captions)[first + i]
                each = bce(image[-1, -captions:], target)
                losses.append((each * target).sum() + negative * (each * (1 - target)).sum())
            per_stage.append(0.1 * weight * float(np.mean(losses)))
        found[f'{weight} {negative}'] = per_stage
    return dict(shape=logits.shape, captions=captions, first=first, losses=found)


def wsddn(regions=4, classes=6, stages=3) -> dict:
    labels = [[1, 4], [0]]
    logits = sines(stages, len(labels), regions, classes + 1, step=0.83)
    proposals = sines(stages, len(labels), regions, classes + 1, step=0.29)
    per_stage = []
    for stage, prop in zip(logits, proposals):
        losses = []
        for score, p, own in zip(stage, prop, labels):
            softmax = np.exp(p) / np.exp(p).sum(0)
            whole = (softmax / (1 + np.exp(-score))).sum(0)
            each = [
                -np.mean(np.where(np.arange(classes + 1) == label, np.log(whole), np.log(1 - whole)))
                for label in own
            ]
            losses.append(np.mean(each))
        per_stage.append(0.1 * float(np.mean(losses)))
    return dict(shape=logits.shape, labels=labels, losses=per_stage)


if __name__ == '__main__':
    goldens = dict(mask=mask_loss(), caption=caption_loss(), wsddn=wsddn())
    path = Path(__file__).with_name('detic_goldens.json')
    path.write_text(json.dumps(goldens, indent=1) + '\n')
