"""Small results with errors of every kind, and a browser to look at their reports."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / 'bdd100k' / 'eval')]

from browser import Browser, missing  # noqa: E402
from worlds import NAMES, detections, report_of  # noqa: E402


@pytest.fixture(scope='session')
def world(tmp_path_factory):
    """Folder with gt.json, first/det.json, second/det.json and the images, names with blanks."""
    folder = tmp_path_factory.mktemp('a world')
    for name, seed, miss in (('first', 1, 0.1), ('second', 2, 0.3)):
        truth, found = detections(seed, miss=miss)
        (folder / name).mkdir()
        (folder / name / 'det.json').write_text(json.dumps(found))
    (folder / 'gt.json').write_text(json.dumps(truth))
    (folder / 'images' / 'drive one').mkdir(parents=True)
    for i, frame in enumerate(truth):
        Image.fromarray(np.full((192, 320, 3), 60 + i, np.uint8)).save(folder / 'images' / frame['name'])
    return folder


@pytest.fixture(scope='session')
def browser():
    if why := missing():
        pytest.skip(why)
    window = Browser()
    yield window
    window.close()


@pytest.fixture(scope='session')
def report(world):
    """The folder of a report of both, with thumbnails."""
    out = world / 'the report'
    report_of(world, out, '--thumbnails', '100')
    return out


@pytest.fixture(scope='session')
def results(world):
    """The ground truth, and both results matched with it."""
    from mmroad.bdd100k.columns import read_columns
    from mmroad.bdd100k.eval.det import align
    from mmroad.report.det_scores import match_result

    gt = read_columns(world / 'gt.json')
    return gt, [match_result(align(gt, read_columns(world / name / 'det.json'))) for name in NAMES]


@pytest.fixture(scope='session')
def names(results):
    """The images in the report's order."""
    gt, found = results
    return [gt.names[row] for row in found[0].data.frames]
