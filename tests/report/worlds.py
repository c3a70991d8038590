"""A small world, two detectors' results of it, and their report."""

import random

from mmroad.bdd100k.scalabel import DET_CLASSES
from mmroad.commands import main

NAMES = ('first', 'second')
WEATHER, SCENES, TIMES = ('clear', 'rainy', 'a, "b" | c'), ('highway', 'tunnel'), ('daytime', 'night')


def detections(seed, frames=90, miss=0.15, jitter=0.06, attributes=True):
    """Ground truth of a seedless world and one detector's predictions of it."""
    world, model = random.Random(0), random.Random(seed)
    truth, found = [], []
    for i in range(frames):
        labels, boxes = [], []
        for _ in range(world.randrange(7)):
            x, y, w, h = (
                world.uniform(0, 240),
                world.uniform(0, 140),
                world.uniform(6, 90),
                world.uniform(6, 60),
            )
            marks = dict(
                occluded=world.random() < 0.4, truncated=world.random() < 0.2, crowd=world.random() < 0.05
            )
            name = world.choice(DET_CLASSES[:8])
            box = dict(x1=x, y1=y, x2=x + w, y2=y + h)
            labels.append(
                dict(id=str(len(labels)), category=name, box2d=box, attributes=marks if attributes else {})
            )
            if model.random() < miss:
                continue
            for _ in range(1 + (model.random() < 0.2)):
                move = jitter if model.random() < 0.8 else 0.4
                near = {k: v + model.gauss(0, move) * (w if k[0] == 'x' else h) for k, v in box.items()}
                near['x2'], near['y2'] = max(near['x1'], near['x2']), max(near['y1'], near['y2'])
                category = name if model.random() < 0.85 else model.choice(DET_CLASSES)
                boxes.append(dict(category=category, box2d=near, score=model.random()))
        for _ in range(model.randrange(3)):
            x, y = model.uniform(0, 250), model.uniform(0, 150)
            box = dict(x1=x, y1=y, x2=x + 30, y2=y + 20)
            boxes.append(dict(category=model.choice(DET_CLASSES), box2d=box, score=0.6 * model.random()))
        frame = dict(weather=WEATHER[i % 3], scene=SCENES[i % 2], timeofday=TIMES[i // 45])
        truth.append(dict(name=f'drive one/{i:03}.jpg', attributes=frame, labels=labels))
        found.append(dict(name=f'drive one/{i:03}.jpg', labels=boxes))
    return truth, found


def report_of(world, out, *more):
    main(
        ['report', '-t', 'det', '-g', str(world / 'gt.json'), '-r', str(world / 'first'), '-r',
         str(world / 'second/det.json'), '--images', str(world / 'images'), '--draws', '20', '--out', str(out), *more]
    )  # fmt: skip
