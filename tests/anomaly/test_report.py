"""The tool on saved maps: data.json, the table of images, the picture, further protocols."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmroad.anomaly.io import load_map, save_map
from mmroad.anomaly.layouts import find_pairs
from mmroad.anomaly.pixel import PixelMetrics
from mmroad.anomaly.report import FolderScores, further_numbers

TOOL = Path(__file__).parents[2] / 'tools/analysis_tools/eval_anomaly.py'


@pytest.fixture
def saved(tmp_path):
    """Three images: an easy one, a hard one, one without outliers; each map in another form."""
    images = []
    for i, (shift, outliers) in enumerate([(3, True), (0.2, True), (0, False)]):
        rng = np.random.default_rng(i)
        labels = np.zeros((40, 50), np.uint8)
        labels[10:25, 10:25] = outliers
        labels[:2] = 255
        scores = (rng.normal(0, 0.1, labels.shape) + 0.4 + 0.1 * shift * (labels == 1)).astype(np.float32)
        images.append((scores, labels))
        for folder, value in dict(images=np.zeros((40, 50, 3), np.uint8), masks=labels).items():
            (tmp_path / 'set' / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / f'set/{folder}/{i}.png'), value)
    (tmp_path / 'maps').mkdir()
    np.save(tmp_path / 'maps/0.npy', images[0][0])
    for i in (1, 2):
        save_map(tmp_path / f'maps/{i}', images[i][0])
    return tmp_path, images


def test_everything_is_written(saved):
    folder, images = saved
    command = [sys.executable, TOOL, folder / 'maps', 'masks', folder / 'set', '--out-dir', folder / 'out']
    command += ['--smiyc', 'obstacle', '--legacy-hist']
    done = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    assert 'SMIYC: AP' in done.stdout and 'legacy_hist: AUROC' in done.stdout
    data = json.loads((folder / 'out/data.json').read_text())
    whole = PixelMetrics()
    for image in images:
        whole.add(*image)
    want = whole.compute()
    assert data['AP'] == 100 * want.ap and data['threshold95'] == want.fpr95.threshold
    assert data['pixels'] | dict(note='') == dict(
        inliers=5250, outliers=450, ignored=300, note=data['pixels']['note']
    )
    # the kept points draw the curve: its area is the AUROC to the width of a cell
    roc = data['roc_curve']
    fpr, tpr = np.append(roc['fpr'], 1), np.append(roc['tpr'], 1)
    area = np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2)
    assert area == pytest.approx(want.auroc, abs=4e-3) and (np.diff(fpr) >= 0).all()
    assert data['pr_curve']['recall'][-1] == 1
    assert data['pr_curve']['precision'][-1] == pytest.approx(450 / (450 + 5250 * fpr[-2]))
    assert [sum(data['histogram'][key]) for key in ('inlier', 'outlier')] == [5250, 450]
    assert [row['image'] for row in data['images']] == ['1.png', '0.png', '2.png']
    easy = data['images'][1]
    scores, labels = images[0]
    assert easy['tpr'] == (scores[labels == 1] >= want.fpr95.threshold).mean()
    assert data['images'][2]['ap'] is None and data['images'][2]['fpr'] > 0
    assert data['legacy_hist']['dropped_fraction'] < 0.01 and data['smiyc']['tp_25'] >= 1
    with open(folder / 'out/images.csv') as file:
        assert [row['image'] for row in csv.DictReader(file)] == ['1.png', '0.png', '2.png']
    assert cv2.imread(str(folder / 'out/curves.png')).shape[1] > 1000


def test_scores_outside_the_legacy_histogram_leave_the_other_numbers(saved):
    folder, images = saved
    for i, (scores, _) in enumerate(images):
        (folder / f'maps/{i}.npz').unlink(missing_ok=True)
        np.save(folder / f'maps/{i}.npy', scores - 10)
    pairs = find_pairs('masks', folder / 'set')
    plain = FolderScores(pairs, 'masks', folder / 'maps')
    found = FolderScores(pairs, 'masks', folder / 'maps', legacy=True)
    assert found.scores == plain.scores and plain.legacy == {}
    assert 'scores in [0, 1]' in found.legacy['note']
    assert further_numbers({}, found.legacy) == found.legacy['note']


def test_maps_of_other_makers(tmp_path):
    raw = np.arange(6, dtype=np.uint16).reshape(2, 3) * 10000
    cv2.imwrite(str(tmp_path / 'a.png'), raw)
    assert load_map(tmp_path / 'a.png').dtype == np.uint16 and (load_map(tmp_path / 'a.png') == raw).all()
    np.savez(tmp_path / 'a.npz', scores=raw)
    with pytest.raises(KeyError, match='no array "anomaly"; there are scores'):
        load_map(tmp_path / 'a.npz')
