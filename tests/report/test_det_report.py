"""The report of detectors as it is written."""

import json

import numpy as np
import pytest
from reading import data as read
from worlds import NAMES, report_of

from mmroad.bdd100k.eval.det import scores_of
from mmroad.bdd100k.scalabel import DET_CLASSES
from mmroad.commands import main


def test_numbers_are_the_official_ones(report, results):
    shown = read(report, 'report')
    assert shown['results'] == list(NAMES)
    for i, result in enumerate(results[1]):
        official = scores_of(result.data, 'pycocotools')
        for item in shown['headline']:
            want = official[item['key']][1]['OVERALL']
            if np.isnan(want):  # no box is so large
                assert item['key'] == 'APl' and item['values'][i] is None
                continue
            assert item['values'][i] == pytest.approx(want, abs=1e-9)
            low, high = item['intervals'][i]
            assert low <= high
        rows = next(g for g in shown['scores']['groups'] if g['key'] == 'class')['rows']
        for row, name in zip(rows, DET_CLASSES, strict=True):
            want = official['AP50'][0][name]
            value = row['values'][i][1]
            assert (value is None) == np.isnan(want) and (
                value is None or value == pytest.approx(want, abs=1e-9)
            )
    assert all(item['differences'][0] in ([0, 0], [None, None]) for item in shown['headline'])


def test_a_second_run_replaces_the_report_alone(world, report, tmp_path):
    out = tmp_path / 'out'
    report_of(world, out)
    (out / 'mine.txt').write_text('kept')
    (out / 'data' / 'images-99.js').write_text('of a larger set')
    report_of(world, out, '--names', 'a', 'b')
    assert (out / 'mine.txt').read_text() == 'kept' and not (out / 'data' / 'images-99.js').exists()
    assert read(out, 'report')['results'] == ['a', 'b'] and not (out / 'pictures').exists()
    assert sorted(p.name for p in out.iterdir()) == ['data', 'index.html', 'mine.txt', 'page']


def test_what_is_no_report_stays(world, tmp_path, capsys):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / 'set.json').write_text('precious')
    with pytest.raises(SystemExit) as end:
        report_of(world, tmp_path)
    assert f'{tmp_path}/data is there' in str(end.value)
    assert [p.name for p in tmp_path.rglob('*')] == ['data', 'set.json']


def test_images_that_cannot_be_used_are_named(world, tmp_path, capsys):
    images = tmp_path / 'images'
    (images / 'drive one').mkdir(parents=True)
    for i in range(88):
        (images / f'drive one/{i:03}.jpg').write_bytes((world / f'images/drive one/{i:03}.jpg').read_bytes())
    (images / 'drive one/003.jpg').write_bytes(b'no image')
    with pytest.raises(SystemExit) as end:
        report_of(world, tmp_path / 'out', '--images', str(images))
    assert end.value.code == 1
    said = capsys.readouterr()
    assert '3 images are left out' in said.err and '003.jpg' in said.err and '089.jpg' in said.err
    files = read(tmp_path / 'out', 'images')['pictures']['files']
    assert [i for i, file in enumerate(files) if file is None] == [3, 88, 89]


@pytest.mark.parametrize(
    'more, said',
    [
        (['--images', 'nowhere'], 'nowhere: no such folder of images'),
        (['-r', 'gone.json'], 'gone.json: no such file or folder'),
        (['--names', 'one'], '1 names (one) for 2 results'),
    ],
)
def test_mistakes_are_one_sentence(world, tmp_path, more, said):
    with pytest.raises(SystemExit) as end:
        report_of(world, tmp_path / 'out', *more)
    assert said in str(end.value) and '\n' not in str(end.value)
    assert not (tmp_path / 'out' / 'index.html').exists()


def test_results_without_boxes_have_a_report(world, tmp_path):
    for name, frames in (('gt', [dict(name='a.jpg', labels=[])]), ('det', [])):
        (tmp_path / f'{name}.json').write_text(json.dumps(frames))
    args = ['-g', str(tmp_path / 'gt.json'), '-r', str(tmp_path / 'det.json'), '--out', str(tmp_path / 'out')]
    main(['report', '-t', 'det', *args])
    assert read(tmp_path / 'out', 'report')['headline'][0]['values'] == [None]


def test_page_is_small_and_carries_no_address(report):
    size = sum(
        p.stat().st_size for p in (*report.glob('page/*'), *report.glob('data/[!i]*'), report / 'index.html')
    )
    assert size < 3e6
    for file in report.glob('page/*'):
        assert 'http' not in file.read_text().replace('http://www.w3.org/2000/svg', '')


def test_classes_of_a_coco_file(tmp_path):
    """Its own classes, ids and areas: the numbers are those of the evaluator."""
    rng = np.random.default_rng(3)
    images = [dict(id=7 * i, file_name=f'{i}.jpg', width=640, height=480) for i in range(12)]
    truth, found = [], []
    for image in images:
        for _ in range(4):
            x, y, w, h = (float(v) for v in rng.uniform((0, 0, 10, 10), (400, 300, 200, 150)))
            category = int(rng.choice([3, 5, 90]))
            more = dict(id=len(truth) + 1, iscrowd=0, area=w * h / 2)
            truth.append(dict(image_id=image['id'], category_id=category, bbox=[x, y, w, h], **more))
            box = [x + 0.05 * w * float(rng.normal()), y, w, h]
            found.append(
                dict(image_id=image['id'], category_id=category, bbox=box, score=float(rng.random()))
            )
    categories = [dict(id=k, name=name) for k, name in ((3, 'forklift'), (5, 'cone'), (90, 'person'))]
    (tmp_path / 'gt.json').write_text(
        json.dumps(dict(images=images, annotations=truth, categories=categories))
    )
    (tmp_path / 'found.json').write_text(json.dumps(found))
    paths = ['-g', str(tmp_path / 'gt.json'), '-r', str(tmp_path / 'found.json')]
    main(['report', '-t', 'det', *paths, '--draws', '5', '--out', str(tmp_path / 'out')])
    main(['eval', '-q', '-t', 'det', *paths, '--out-file', str(tmp_path / 'scores.json')])
    official, shown = json.loads((tmp_path / 'scores.json').read_text()), read(tmp_path / 'out', 'report')
    for item in shown['headline']:
        want = official[item['key']][1]['OVERALL']
        assert item['values'] == [None if np.isnan(want) else pytest.approx(want, abs=1e-9)]
    rows = {group['key']: group['rows'] for group in shown['scores']['groups']}
    assert [row['name'] for row in rows['class']] == list(official['AP'][0])
    assert 'weather' not in rows and 'occluded' not in rows
    assert read(tmp_path / 'out', 'images')['classes']['names'] == list(official['AP'][0])


def test_text_files_of_yolo_take_the_sizes_of_the_images(world, tmp_path):
    frames = json.loads((world / 'first/det.json').read_text())
    folder = tmp_path / 'labels'
    (folder / 'drive one').mkdir(parents=True)
    for frame in frames:
        lines = []
        for label in frame['labels']:
            x1, y1, x2, y2 = (label['box2d'][k] for k in ('x1', 'y1', 'x2', 'y2'))
            w, h = x2 - x1 + 1, y2 - y1 + 1
            shares = (x1 + w / 2) / 320, (y1 + h / 2) / 192, w / 320, h / 192
            lines.append(' '.join(map(str, (DET_CLASSES.index(label['category']), *shares, label['score']))))
        (folder / frame['name']).with_suffix('.txt').write_text('\n'.join(lines))
    args = ['-g', str(world / 'gt.json'), '-r', str(folder), '-r', str(world / 'first'), '--draws', '2']
    (tmp_path / 'names.txt').write_text('\n'.join(DET_CLASSES))
    args += ['--class-names', str(tmp_path / 'names.txt'), '--images', str(world / 'images')]
    main(['report', '-t', 'det', *args, '--out', str(tmp_path / 'out')])
    values = [item['values'] for item in read(tmp_path / 'out', 'report')['headline']]
    assert [a for a, _ in values] == pytest.approx([b for _, b in values])
