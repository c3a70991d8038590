"""A folder in which every path of the documents is there, small."""

import json
import shutil
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from mmroad.labels.formats import read_sets, write

ROOT = Path(__file__).parents[2]


def boxes_as_results(labels):
    return [
        dict(
            image_id=image.id,
            category_id=labels.category_ids[b.category],
            bbox=[b.x1, b.y1, b.width, b.height],
            score=0.9,
        )
        for image, b in labels.boxes()
    ]


def bdd100k(root):
    rng = np.random.default_rng(0)
    box = dict(x1=100, y1=100, x2=300, y2=260)
    for split in ('train', 'val'):
        (root / 'images/100k' / split).mkdir(parents=True)
        (root / 'labels/det_20').mkdir(parents=True, exist_ok=True)
        frames = []
        for i, time in enumerate(('night', 'daytime', 'dawn/dusk')):
            image = cv2.resize(rng.integers(0, 255, (9, 16, 3), np.uint8), (1280, 720))
            cv2.imwrite(str(root / f'images/100k/{split}/{i}.jpg'), image)
            label = dict(id='0', category='car', box2d=box)
            frames.append(
                dict(name=f'{i}.jpg', attributes=dict(timeofday=time, weather='rainy'), labels=[label])
            )
        (root / f'labels/det_20/det_{split}.json').write_text(json.dumps(frames))
    return frames


def predictions(data, frames):
    """What other tools would have written for the frames."""
    table = dict(boxes=[[100, 100, 301, 261]], labels=[3], scores=[0.9])
    (data / 'torchvision.json').write_text(json.dumps({f['name']: table for f in frames}))
    (data / 'ultralytics/labels').mkdir(parents=True)
    line = f'2 {200.5 / 1280} {180.5 / 720} {201 / 1280} {161 / 720} 0.9'
    for frame in frames:
        (data / f'ultralytics/labels/{Path(frame["name"]).stem}.txt').write_text(line)
    rows = [f'100,100,301,261,0,0.9,{frame["name"]}' for frame in frames]
    (data / 'sink.csv').write_text('\n'.join(['x_min,y_min,x_max,y_max,class_id,confidence,image', *rows]))
    (data / 'names.txt').write_text('Automobile\n')
    (data / 'classes.json').write_text('{"Automobile": "car"}')
    found = [{**f, 'labels': [{**f['labels'][0], 'score': 0.9}]} for f in frames]
    (data / 'found').mkdir()
    (data / 'found/det.json').write_text(json.dumps(found))


def maps(root, outliers=False):
    for kind in ('images', 'masks'):
        (root / kind).mkdir(parents=True)
    for i in range(10):
        cv2.imwrite(str(root / f'images/{i}.jpg'), np.full((96, 160, 3), 20 * i, np.uint8))
        mask = np.zeros((96, 160), np.uint8)
        mask[30:60, 40:90] = 1
        cv2.imwrite(str(root / f'masks/{i}.png'), mask)
    if not outliers:
        (root / 'classes.txt').write_text('ground\nrail\n')


@pytest.fixture(scope='session')
def made_place(tmp_path_factory):
    """The folder, with ``tools`` and ``data``; copied for every test."""
    place = tmp_path_factory.mktemp('documents')
    data = place / 'data'
    shutil.copytree(ROOT / 'examples/warehouse', data / 'forklifts')
    labels = read_sets(data / 'forklifts')['']
    (data / 'forklifts_found.json').write_text(json.dumps(boxes_as_results(labels)))
    bare = [msgspec.structs.replace(image, width=None, height=None) for image in labels.images]
    write({'': labels.of(bare)}, 'scalabel', data / 'labels_only.json')
    predictions(data, bdd100k(data / 'bdd100k'))
    maps(data / 'rails')
    maps(data / 'outliers', outliers=True)
    shutil.copytree(data / 'forklifts/images', data / 'empty_halls')
    found = [
        dict(
            name='hall_00.jpg', labels=[dict(category='cone', score=0.8, box2d=dict(x1=1, y1=1, x2=9, y2=9))]
        )
    ]
    (data / 'empty_found.json').write_text(json.dumps(found))
    (data / 'coco_detector.pth').touch()
    (place / 'out').mkdir()
    (place / 'out/rba.pth').touch()
    return place


@pytest.fixture
def place(made_place, tmp_path, monkeypatch):
    folder = tmp_path / 'place'
    shutil.copytree(made_place, folder)
    monkeypatch.chdir(folder)
    return folder
