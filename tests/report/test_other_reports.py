"""Reports of anomaly maps and of semantic segmentation."""

import numpy as np
import pytest
from PIL import Image
from reading import data as read

from mmroad.anomaly.layouts import find_pairs
from mmroad.anomaly.report import FolderScores
from mmroad.bdd100k.eval.seg import CLASSES, evaluate_seg
from mmroad.commands import main
from mmroad.report.anomaly_draws import Counts, measures
from mmroad.report.postings import levels


@pytest.fixture(scope='module')
def maps(tmp_path_factory):
    """A data set of masks with an object in each image, and two methods' maps: the second misses the first object
    and sees one that is none in the third image."""
    root = tmp_path_factory.mktemp('maps of')
    rng = np.random.default_rng(0)
    for part in ('images', 'masks', 'one', 'two'):
        (root / part).mkdir()
    for i in range(4):
        mask = np.zeros((48, 80), np.uint8)
        mask[20:30, 10 + 10 * i : 22 + 10 * i] = 1
        mask[:4] = 255
        Image.fromarray(np.full((48, 80, 3), 90, np.uint8)).save(root / f'images/{i}.png')
        Image.fromarray(mask).save(root / f'masks/{i}.png')
        values = rng.random((48, 80)).astype(np.float32) / 4
        good = values + (mask == 1) * 0.6
        bad = good.copy()
        if i == 0:
            bad[mask == 1] = values[mask == 1] / 10
        if i == 2:
            bad[38:46, 60:70] += 2
        for name, scores in (('one', good), ('two', bad)):
            np.savez_compressed(root / f'{name}/{i}.npz', anomaly=scores)
    return root


@pytest.fixture(scope='module')
def anomaly(maps):
    out = maps / 'report'
    main(
        [
            'report',
            '-t',
            'anomaly',
            '-g',
            str(maps),
            '-r',
            f'{maps}/one',
            '-r',
            f'{maps}/two',
            '--draws',
            '30',
            '--out',
            str(out),
        ]
    )
    return out


def test_anomaly_numbers_are_the_evaluators(maps, anomaly):
    shown, index = read(anomaly, 'report'), read(anomaly, 'images')
    for i, name in enumerate(('one', 'two')):
        official = FolderScores(find_pairs('masks', maps), 'masks', maps / name)
        summary = official.scores.summary()
        assert [item['values'][i] for item in shown['headline']] == [
            summary[k] for k in ('AP', 'AUROC', 'FPR95')
        ]
        column = next(c for c in index['columns'] if c['title'] == f'AP, {name}')
        for row in official.images:
            assert column['values'][index['names'].index(row[0])] == pytest.approx(100 * row[2], abs=1e-3)


def test_ranges_of_maps_are_those_of_drawn_images(maps, anomaly):
    shown = read(anomaly, 'report')
    assert shown['draws'] == 30
    for i in range(2):
        for item in shown['headline']:
            low, high = item['intervals'][i]
            assert low - 0.3 <= item['values'][i] <= high + 0.3
    pairs = find_pairs('masks', maps)
    for name in ('one', 'two'):  # of all images the thinned curve gives nearly the exact numbers
        official = FolderScores(pairs, 'masks', maps / name).scores
        counts = Counts(official)
        for image, mask in pairs:
            values = np.load(maps / name / f'{image.stem}.npz')['anomaly']
            counts.add(values, np.asarray(Image.open(mask)))
        found = measures(sum(counts._above), np.sum(counts._pixels, 0))
        summary = official.summary()
        np.testing.assert_allclose(found, [summary[k] for k in ('AP', 'AUROC', 'FPR95')], atol=0.3)
    differences = shown['headline'][0]['differences']
    assert differences[0] == [0, 0] and differences[1][1] <= 1e-9  # the second method is never better


def test_worst_false_alarm_and_miss_are_found(anomaly):
    lists = {part['key']: part['rows'] for part in read(anomaly, 'report')['lists']}
    assert lists['alarms0'] == [] and lists['misses0'] == []
    (miss,) = lists['misses1']
    assert miss[:4] == [0, [10, 20, 12, 10], 100.0, 120]
    image, box, size, _ = lists['alarms1'][0]
    x, y, w, h = box
    assert image == 2 and x <= 60 and y <= 38 and x + w >= 70 and y + h >= 46 and size >= 80


def test_anomaly_page(anomaly, browser):
    browser.go(anomaly, 'tab=errors')
    browser.until('return document.querySelector("[data-list=misses1] tbody a")')
    browser.click('[data-list=misses1] tbody a')
    browser.until('return document.querySelector(".stage .layer[data-layer=h0]")')
    assert browser.run('return document.querySelector("#viewer h2").textContent') == '0.png'
    assert browser.run('return Number(document.querySelector(".stage").dataset.zoom)') > 1
    assert browser.run('return document.querySelectorAll(".stage .box[data-of=truth]").length') == 1
    browser.run(
        'const s = document.querySelector("#viewer-score"); s.value = 50; s.dispatchEvent(new Event("input"))'
    )
    table = browser.run('return document.getElementById("above-table").getAttribute("tableValues")').split()
    assert table.index('1') == 128  # half of 255, the brightest gray
    for tab in ('scores', 'curves', 'images'):
        browser.go(anomaly, f'tab={tab}')
        browser.until('return document.getElementById("main").children.length')
    browser.until('return document.querySelector(".picture img.layer")?.naturalWidth === 80')
    assert browser.run('return Gallery.rows[0]') == 0 or browser.run('return Gallery.rows.length') == 4
    assert browser.console() == []


@pytest.fixture(scope='module')
def masks(tmp_path_factory):
    """Ten masks of a few classes; the second result takes the car (13) for a truck (14) in the first three."""
    root = tmp_path_factory.mktemp('masks of')
    rng = np.random.default_rng(1)
    for part in ('images', 'gt', 'one', 'two'):
        (root / part).mkdir()
    for i in range(10):
        truth = np.zeros((40, 64), np.uint8)
        truth[:15], truth[20:30, 10:40] = 10, 13
        truth[35:] = 255
        one = np.where(rng.random(truth.shape) < 0.02 * i, 2, truth).astype(np.uint8)
        one[one == 255] = 0
        two = one.copy()
        if i < 3:
            two[22:30, 10:40] = 14
        Image.fromarray(np.full((40, 64, 3), 100, np.uint8)).save(root / f'images/{i}.jpg')
        for name, values in (('gt', truth), ('one', one), ('two', two)):
            Image.fromarray(values).save(root / f'{name}/{i}.png')
    return root


@pytest.fixture(scope='module')
def sem_seg(masks):
    out = masks / 'report'
    main(
        ['report', '-t', 'sem_seg', '-g', f'{masks}/gt', '-r', f'{masks}/one', '-r', f'{masks}/two', '--images',
         f'{masks}/images', '--draws', '20', '--out', str(out)]
    )  # fmt: skip
    return out


def test_sem_seg_numbers_are_the_official_ones(masks, sem_seg):
    shown = read(sem_seg, 'report')
    for i, name in enumerate(('one', 'two')):
        official = evaluate_seg(masks / 'gt', masks / name)
        want = [
            official['IoU'][1]['AVERAGE'],
            official['Acc'][1]['AVERAGE'],
            official['fIoU'],
            official['pAcc'],
        ]
        assert [item['values'][i] for item in shown['headline']] == pytest.approx(want)
        (rows,) = (g['rows'] for g in shown['scores']['groups'] if g['key'] == 'class')
        for row in rows:
            if row['counts'][1]:
                assert row['values'][i][0] == pytest.approx(official['IoU'][0][row['name']])
            else:
                assert row['values'][i] == [None] * 4


def test_sem_seg_page(sem_seg, browser):
    car, truck = (CLASSES['sem_seg'].index(name) for name in ('car', 'truck'))
    browser.go(sem_seg, 'tab=confusion&of=1&counts=number')
    selector = f'#matrix tbody tr:nth-child({car + 1}) td:nth-child({truck + 2}) a'
    browser.until('return document.querySelector(arguments[0])', selector)
    assert browser.run('return document.querySelector(arguments[0]).textContent', selector) == str(3 * 240)
    browser.click(selector)
    rows = browser.until('return document.querySelector("#gallery[data-drawn]") && Gallery.rows')
    assert sorted(rows) == [0, 1, 2]
    browser.go(sem_seg, 'tab=images')
    rows = browser.until('return document.querySelector("#gallery[data-drawn]") && Gallery.rows')
    assert rows[0] == 9 and rows[-1] == 0  # the lowest IoU first
    browser.until('return document.querySelector(".picture img.layer:not([hidden])")?.naturalWidth === 64')
    assert browser.console() == []


def test_levels_stand_for_thresholds():
    score = np.concatenate(
        [np.arange(101) / 100, np.nextafter(np.arange(1, 101) / 100, 0), np.random.default_rng(0).random(500)]
    )
    for threshold in range(101):
        np.testing.assert_array_equal(levels(score) >= threshold, score >= threshold / 100)


def test_a_mask_of_another_task_is_named(masks, tmp_path):
    (tmp_path / 'gt').mkdir()
    Image.fromarray(np.full((40, 64), 77, np.uint8)).save(tmp_path / 'gt/0.png')
    with pytest.raises(SystemExit) as end:
        main(
            [
                'report',
                '-t',
                'sem_seg',
                '-g',
                f'{tmp_path}/gt',
                '-r',
                f'{masks}/one',
                '--out',
                f'{tmp_path}/out',
            ]
        )
    assert 'gt/0.png: pixel value 77' in str(end.value)
