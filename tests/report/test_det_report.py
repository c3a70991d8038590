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
