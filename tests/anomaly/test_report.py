"""The tool on saved maps: data.json, the table of images, the picture, further protocols."""

import csv
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from mmroad.anomaly import report
from mmroad.anomaly.io import load_map, save_map
from mmroad.anomaly.layouts import find_pairs
from mmroad.anomaly.legacy import LegacyHistogram
from mmroad.anomaly.pixel import PixelMetrics
from mmroad.anomaly.report import FolderScores, further_numbers, plain, write
from mmroad.anomaly.smiyc import SmiycPixels, component_scores, components, join
from mmroad.commands import main


@pytest.fixture
def saved(tmp_path):
    """Three images: one without outliers, an easy one, a hard one; each map in another form."""
    images = []
    for i, (shift, outliers) in enumerate([(0, False), (3, True), (0.2, True)]):
        rng = np.random.default_rng((2, 0, 1)[i])
        labels = np.zeros((40, 50), np.uint8)
        labels[10:25, 10:25] = outliers
        labels[:2] = 255
        scores = (rng.normal(0, 0.1, labels.shape) + 0.4 + 0.1 * shift * (labels == 1)).astype(np.float32)
        images.append((scores, labels))
        for folder, value in dict(images=np.zeros((40, 50, 3), np.uint8), masks=labels).items():
            (tmp_path / 'set' / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / f'set/{folder}/{i}.png'), value)
    (tmp_path / 'maps').mkdir()
    np.save(tmp_path / 'maps/1.npy', images[1][0])
    for i in (0, 2):
        save_map(tmp_path / f'maps/{i}', images[i][0])
    return tmp_path, images


def test_everything_is_written(saved):
    folder, images = saved
    command = [
        sys.executable,
        '-m',
        'mmroad',
        'eval-anomaly',
        folder / 'maps',
        'masks',
        folder / 'set',
        '--out',
        folder / 'out',
    ]
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
    assert [row['image'] for row in data['images']] == ['2.png', '1.png', '0.png']
    easy = data['images'][1]
    scores, labels = images[1]
    assert easy['tpr'] == (scores[labels == 1] >= want.fpr95.threshold).mean()
    assert data['images'][2]['ap'] is None and data['images'][2]['fpr'] > 0
    assert data['legacy_hist']['dropped_fraction'] < 0.01 and data['smiyc']['tp_25'] >= 1
    official, found = SmiycPixels(), []  # from float16 scores
    halves = [(scores.astype(np.float16), labels) for scores, labels in images]
    for half in halves:
        official.add(*half)
    curve = official.compute()
    found = join(components(*half, curve.best_f1_threshold, 'obstacle') for half in halves)
    assert data['smiyc'] == pytest.approx(curve._asdict() | component_scores(found), abs=1e-12)
    with open(folder / 'out/images.csv') as file:
        assert [row['image'] for row in csv.DictReader(file)] == ['2.png', '1.png', '0.png']
    assert cv2.imread(str(folder / 'out/curves.png')).shape[1] > 1000


def test_files_hold_what_was_found(saved, monkeypatch):
    monkeypatch.setattr(report, 'draw', lambda path, data: path.write_bytes(b'picture'))
    folder, images = saved
    found = FolderScores(
        find_pairs('masks', folder / 'set'), 'masks', folder / 'maps', 'obstacle', legacy=True
    )
    data = found.data() | found.scores.summary()
    roc, pr = data['roc_curve'], data['pr_curve']
    assert [roc[key][0] for key in ('fpr', 'tpr', 'threshold')] == [0, 0, None]  # above the highest score
    assert roc['fpr'][1:] == [p.fpr for p in found.scores.curve] and roc['tpr'][1:] == pr['recall']
    assert data['tpr95'] == found.scores.fpr95.tpr >= 0.95
    point = found.scores.curve[-1]
    assert pr['precision'][-1] == pytest.approx(450 * point.tpr / (450 * point.tpr + 5250 * point.fpr))
    bins = LegacyHistogram()
    for image in images:
        bins.add(*image)
    assert data['legacy_hist'] == pytest.approx(bins.compute()._asdict())
    assert data['histogram']['inlier'] == found.histogram[0].tolist()
    assert data['histogram']['edges'] == found.edges.tolist() and len(found.edges) == 101
    assert [row['image'] for row in data['images']] == ['2.png', '1.png', '0.png']  # the hardest first
    write(folder / 'out', data)
    assert json.loads((folder / 'out/data.json').read_text()) == data
    with open(folder / 'out/images.csv') as file:
        rows = list(csv.DictReader(file))
    for row, want in zip(rows, data['images'], strict=True):
        assert row == {key: '' if value is None else str(value) for key, value in want.items()}
    assert (folder / 'out/curves.png').read_bytes() == b'picture'
    write(folder / 'bare', data | dict(threshold95=None))
    assert sorted(path.name for path in (folder / 'bare').iterdir()) == ['data.json', 'images.csv']
    official = SmiycPixels()
    for scores, labels in images:
        official.add(scores.astype(np.float16), labels)
    assert data['smiyc']['best_f1_threshold'] == official.compute().best_f1_threshold
    assert plain([float('nan'), float('-inf'), (1.5, 'x')]) == [None, None, [1.5, 'x']]


def test_further_numbers_as_text():
    smiyc = dict(ap=0.5, auroc=0.25, fpr95=0.125, siou_gt=0.75, ppv=0.375, f1_mean=0.625)
    text = 'SMIYC: AP 50.00, AUROC 25.00, FPR95 12.50, sIoU 75.00, PPV 37.50, mean F1 62.50'
    assert further_numbers(smiyc, {}) == text and further_numbers({}, {}) == ''
    legacy = dict(
        auroc=0.5, auprc=0.25, meta_ood_fpr95=0.125, meta_ood_tpr95=0.95, abet_fpr95=0.1, abet_tpr95=0.9
    )
    assert further_numbers(smiyc, legacy | dict(dropped_fraction=0.01)) == (
        f'{text}\nlegacy_hist: AUROC 50.00%, AUPRC 25.00%, FPR95 12.50% at TPR 95.00% (AbeT: 10.00% at 90.00%); '
        '1.00% of the pixels are outside [0, 1] and dropped'
    )


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


def test_infinite_scores_are_in_the_histogram_and_beyond_smiyc(saved):
    folder, images = saved
    (folder / 'maps/1.npy').unlink()
    scores, labels = images[1]
    scores[5, 5], scores[15, 15] = -np.inf, np.inf
    np.save(folder / 'maps/1.npy', scores)
    found = FolderScores(find_pairs('masks', folder / 'set'), 'masks', folder / 'maps', track='obstacle')
    assert found.histogram.sum(1).tolist() == [5250, 450] and np.isfinite(found.edges).all()
    assert found.histogram[0, 0] >= 1 and found.histogram[1, -1] >= 1
    assert found.smiyc == dict(note='SMIYC keeps scores as float16, which those of 1.png are beyond')
    assert further_numbers(found.smiyc, {}) == found.smiyc['note']


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.int64, bool])
@pytest.mark.parametrize('form', ['npy', 'png'])
def test_integer_maps_score_as_the_same_numbers_do(saved, dtype, form):
    """Gray PNGs and integer arrays that other tools save."""
    folder, images = saved
    if form == 'png' and dtype == np.int64:
        pytest.skip('PNG has no such values')
    pairs = find_pairs('masks', folder / 'set')
    (folder / 'whole').mkdir()
    (folder / 'float').mkdir()
    for i, (scores, _) in enumerate(images):
        whole = (scores > 0.4) if dtype is bool else (scores.clip(0, 1) * 200).round().astype(dtype)
        np.save(folder / f'float/{i}.npy', whole.astype(np.float32))
        if form == 'npy':
            np.save(folder / f'whole/{i}.npy', whole)
        else:
            Image.fromarray(whole).save(folder / f'whole/{i}.png')
    got, want = (
        FolderScores(pairs, 'masks', folder / name, track='obstacle', legacy=True)
        for name in ('whole', 'float')
    )
    assert got.scores.summary() == pytest.approx(want.scores.summary(), abs=1e-12)
    for key in ('ap', 'auroc', 'fpr95', 'threshold95', 'best_f1'):
        assert got.smiyc[key] == pytest.approx(want.smiyc[key], abs=1e-12), key
    assert got.legacy == pytest.approx(want.legacy, nan_ok=True)
    assert np.array_equal(got.histogram, want.histogram)


def test_what_cannot_be_scored_is_told_before_anything_is_read(saved):
    folder, images = saved
    pairs = find_pairs('masks', folder / 'set')

    def read(path):
        raise AssertionError('read')

    (folder / 'maps/2.npz').unlink()
    with pytest.raises(FileNotFoundError, match=r'maps/2: no anomaly map .* \(1 of 3 images have none\)'):
        FolderScores(pairs, 'masks', folder / 'maps', progress=read)
    save_map(folder / 'maps/2', images[2][0][:-1])
    with pytest.raises(
        ValueError, match=r'maps/2\.npz: the map is \(39, 50\), its mask .*2\.png is \(40, 50\)'
    ):
        FolderScores(pairs, 'masks', folder / 'maps')
    with pytest.raises(ValueError, match=r'0\.png: images has no masks, so nothing can be scored'):
        FolderScores(find_pairs('images', folder / 'set'), 'images', folder / 'maps')


def test_the_tool_fails_where_less_was_scored_than_asked(saved, capsys):
    folder, _ = saved
    arguments = [folder / 'maps', 'masks', folder / 'set', '--out-file', folder / 'out.json']
    command = ['eval-anomaly', *map(str, arguments)]
    main(command)
    for mask in (folder / 'set/masks').iterdir():  # outliers of 255, as many write them, are left out
        cv2.imwrite(str(mask), np.where(cv2.imread(str(mask), 0) == 1, 255, 0).astype(np.uint8))
    with pytest.raises(SystemExit, match=r'error: no outlier pixels: .*; 450 are left out \(255 in masks\)'):
        main(command)
    assert json.loads((folder / 'out.json').read_text())['AP'] is None and 'inlier' in capsys.readouterr().out


def test_maps_of_other_makers(tmp_path):
    raw = np.arange(6, dtype=np.uint16).reshape(2, 3) * 10000
    cv2.imwrite(str(tmp_path / 'a.png'), raw)
    assert load_map(tmp_path / 'a.png').dtype == np.uint16 and (load_map(tmp_path / 'a.png') == raw).all()
    np.savez(tmp_path / 'a.npz', scores=raw)
    with pytest.raises(KeyError, match='no array "anomaly"; there are scores'):
        load_map(tmp_path / 'a.npz')
