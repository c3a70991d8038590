"""Two small sets with everything in them that a format may or may not hold."""

import cv2
import msgspec
import numpy as np
import pytest

from mmroad.labels.form import Box, Image, LabelSet

BOXES = [
    Box('forklift', 1.25, 2.5, 11.0625, 20.1, id='7', attributes={'occluded': True, 'load': 'two pallets'}),
    Box('forklift', 0, 0, 30, 24, crowd=True, attributes={'truncated': False, 'note': 'true'}),
    Box('traffic cone', 3, 3, 4, 5.5, id='b-01', attributes={'lane': 3, 'weight': 1.5}),
    Box('person', 20, 1, 31.5, 23.75, ignored=True),
    Box('person', 1 / 3, 2 / 3, 10 / 3, 20 / 3),
]
CLASSES = ('forklift', 'person', 'traffic cone')


@pytest.fixture(scope='session')
def folder(tmp_path_factory):
    """Images of several sizes, in a folder whose name has a blank."""
    folder = tmp_path_factory.mktemp('own data')
    rng = np.random.default_rng(0)
    for i, name in enumerate(('hall/one.png', 'hall/zwö.jpg', 'three 3.png', 'four.jpg')):
        (folder / name).parent.mkdir(exist_ok=True)
        image = rng.integers(0, 255, (24 + i, 32, 3), np.uint8)
        (folder / name).write_bytes(cv2.imencode(name[-4:], image)[1].tobytes())
    return folder


@pytest.fixture
def sets(folder):
    """Splits train (two images) and val (two, one without a box)."""
    copies = msgspec.convert(msgspec.to_builtins(BOXES), list[Box])
    train = [
        Image('hall/one.png', copies[:3], 32, 24, {'weather': 'rain', 'night': True}, 'drive', 4),
        Image('hall/zwö.jpg', copies[3:], 32, 25),
    ]
    val = [
        Image('three 3.png', [msgspec.structs.replace(copies[0], id=None)], 32, 26),
        Image('four.jpg', [], 32, 27),
    ]
    return {
        'train': LabelSet(train, CLASSES, 'made', folder),
        'val': LabelSet(val, CLASSES, 'made', folder),
    }
