"""OoDIS' files: written, checked, and their AP beside values by hand."""

import json
import zipfile

import cv2
import numpy as np
import pytest

from mmroad.anomaly.instances import Instance, average_precision, find_instances, match
from mmroad.anomaly.io import save_map
from mmroad.commands import main

SIZE = (24, 32)
LAF = '04_Maurener_Weg_8_000001_000100'
LISTS = [
    f'fishyscapes/{LAF}_gtCoarse_instanceIds_pred.txt',
    'roadanomaly/cow0001_instanceIds_pred.txt',
    'roadobstacle/gravel_boot_1_instanceIds_pred.txt',
]
STEMS = [f'{LAF}_leftImg8bit', 'cow0001', 'gravel_boot_1']


def run(capsys, *command):
    """Exit status (of an error its text) and what was printed, the error included."""
    try:
        main([*map(str, command)])
        status = 0
    except SystemExit as end:
        status = end.code
    said = capsys.readouterr()
    return status, f'{said.out}{said.err}{status}'


@pytest.fixture
def data(tmp_path):
    """The three data sets in small, and maps: two objects, one, none."""
    for path in (
        f'laf/leftImg8bit/train/Maurener/{STEMS[0]}.png',
        'smiyc/dataset_AnomalyTrack/images/cow0001.jpg',
        'smiyc/dataset_AnomalyTrack/images/validation0000.jpg',
        'smiyc/dataset_ObstacleTrack/images/gravel_boot_1.webp',
    ):
        (tmp_path / 'data' / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'data' / path).touch()
    maps = np.zeros((3, *SIZE), np.float32)
    maps[0, 2:6, 2:6], maps[0, 10:20, 10:20], maps[1, 5:9, 5:9] = 0.9, 0.7, 0.8
    for stem, values in zip(STEMS, maps):
        save_map(tmp_path / 'maps' / stem, values)
    (tmp_path / 'expected.txt').write_text('\n'.join(LISTS) + '\n')
    return tmp_path


def write(capsys, root, *more, kind='oodis'):
    command = ['submit', kind, root / 'maps', '--threshold', '0.5', '--out', root / f'{kind}.zip', *more]
    return *run(capsys, *command), root / f'{kind}.zip'


def test_instances_are_masks_of_255_in_the_folders_of_the_benchmark(data, capsys):
    status, said, out = write(capsys, data, '--data', data / 'data', '--method', 'Mine')
    assert status == 0 and '3 lists, 4 masks: 0 problems' in said and 'which has 2239' in said
    with zipfile.ZipFile(out) as archive:
        assert {'fishyscapes/', 'roadanomaly/', 'roadobstacle/'} < set(archive.namelist())
        lines = archive.read(LISTS[0]).decode().splitlines()
        scores = [float(line.split()[2]) for line in lines]
        assert lines[0].startswith(f'{LAF}_gtCoarse_instanceIds_0_1.png 1 ')
        assert scores == pytest.approx([0.9, 0.7])
        mask = cv2.imdecode(np.frombuffer(archive.read(f'fishyscapes/{lines[0].split()[0]}'), np.uint8), -1)
        assert mask.shape == SIZE and mask[2:6, 2:6].min() == 255 and np.count_nonzero(mask) == 16
        assert archive.read(LISTS[2]).decode() == 'gravel_boot_1_instanceIds_0_1.png 1 0.0\n'
        assert b'name: Mine\n' in archive.read('description.txt')
    status, said = run(capsys, 'submit', 'oodis', out, '--check', '--annotations', data / 'expected.txt')
    assert status == 0, said


def test_boxes_have_every_image_and_nothing_beside(data, capsys):
    status, said, out = write(capsys, data, '--annotations', data / 'expected.txt', kind='oodis-det')
    assert status == 0 and '4 boxes: 0 problems' in said
    with zipfile.ZipFile(out) as archive:
        assert set(archive.namelist()) == {'fishyscapes.json', 'roadanomaly.json', 'roadobstacle.json'}
        first, second = json.loads(archive.read('fishyscapes.json'))
        assert (first['image_id'], first['bbox'], second['bbox']) == (
            f'{STEMS[0]}.png',
            [2, 2, 4, 4],
            [10, 10, 10, 10],
        )
        (empty,) = json.loads(archive.read('roadobstacle.json'))
        assert empty == dict(image_id='gravel_boot_1.png', category_id=1, bbox=[0, 0, 1, 1], score=-1)


def test_a_detectors_boxes_cut_maps_into_instances(data, capsys):
    boxes = [dict(x1=0, y1=0, x2=31, y2=12), dict(x1=0, y1=0, x2=31, y2=23)]
    labels = [
        dict(id=str(i), category='car', score=score, box2d=box)
        for i, (box, score) in enumerate(zip(boxes, (0.9, 0.4)))
    ]
    (data / 'det.json').write_text(json.dumps([dict(name=f'{STEMS[0]}.png', labels=labels)]))
    status, said, out = write(capsys, data, '--data', data / 'data', '--boxes', data / 'det.json')
    assert status == 0, said
    with zipfile.ZipFile(out) as archive:
        lines = archive.read(LISTS[0]).decode().splitlines()
        scores = [float(line.split()[2]) for line in lines]
        # the surer box has the small object and three rows of the large one
        assert scores == pytest.approx([(16 * 0.9 + 30 * 0.7) / 46, 0.7])
        assert archive.read(LISTS[1]).decode().endswith(' 1 0.0\n')  # no box there
    more = ['--threshold', '0.5', '--data', data / 'data', '--out', out]
    status, said = run(capsys, 'submit', 'oodis-det', data / 'det.json', *more)
    assert status and 'these are boxes' in said


def test_a_detectors_boxes_carry_their_ood_score(data, capsys):
    box = dict(x1=2, y1=3, x2=9, y2=9)
    label = dict(id='0', category='car', score=0.6, ood_score=-3.5, box2d=box)
    frames = [dict(name=f'{stem}.png', labels=[label]) for stem in STEMS[:2]]
    (data / 'det.json').write_text(json.dumps(dict(frames=frames)))
    out = data / 'det.zip'
    status, said = run(
        capsys, 'submit', 'oodis-det', data / 'det.json', '--data', data / 'data', '--out', out
    )
    assert status == 0, said
    with zipfile.ZipFile(out) as archive:
        (found,) = json.loads(archive.read('roadanomaly.json'))
    assert (found['bbox'], found['score']) == ([2, 3, 8, 7], -3.5)
    frames[0]['name'] = 'other.png'
    (data / 'det.json').write_text(json.dumps(dict(frames=frames)))
    status, said = run(
        capsys, 'submit', 'oodis-det', data / 'det.json', '--data', data / 'data', '--out', out
    )
    assert status and 'other' in said


def test_missing_sets_maps_and_options_are_told(data, capsys):
    for path in (data / 'data/smiyc/dataset_ObstacleTrack/images').iterdir():
        path.unlink()
    status, said, _ = write(capsys, data, '--data', data / 'data')
    assert status and 'roadobstacle' in said and 'segmentmeifyoucan.com' in said
    status, said, _ = write(capsys, data)
    assert status and '--annotations' in said
    (data / 'maps/cow0001.npz').unlink()
    status, said, out = write(capsys, data, '--annotations', data / 'expected.txt')
    assert status and 'cow0001' in said and not out.exists()
    status, said = run(
        capsys, 'submit', 'oodis-det', data / 'maps', '--out', out, '--annotations', data / 'expected.txt'
    )
    assert status and '--threshold' in said


DAMAGES = {
    'no folder entry': (lambda f: f.pop('roadanomaly/'), 'the folder roadanomaly/ itself'),
    'no list': (lambda f: f.pop(LISTS[1]), '1 of 3 images are missing'),
    'no mask': (lambda f: f.pop('roadanomaly/cow0001_instanceIds_0_1.png'), 'no cow0001_instanceIds_0_1.png'),
    'an empty list': (lambda f: f.update({LISTS[1]: b''}), 'an empty line or list'),
    'no score': (
        lambda f: f.update({LISTS[1]: b'cow0001_instanceIds_0_1.png 1\n'}),
        'expected MASK.png CLASS SCORE',
    ),
    'a score of NaN': (
        lambda f: f.update({LISTS[1]: b'cow0001_instanceIds_0_1.png 1 nan\n'}),
        'not an integer and a finite',
    ),
    'another name': (lambda f: f.update({LISTS[1]: b'cow.png 1 0.5\n'}), 'the official check wants'),
    'a damaged mask': (
        lambda f: f.update({'roadanomaly/cow0001_instanceIds_0_1.png': b'no'}),
        'not a label map',
    ),
    'a mask in no list': (lambda f: f.update({'roadanomaly/x.png': b''}), '1 files are in no list'),
}


@pytest.mark.parametrize('damage', DAMAGES)
def test_damage_is_told(data, capsys, damage):
    *_, out = write(capsys, data, '--annotations', data / 'expected.txt')
    with zipfile.ZipFile(out) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    change, expected = DAMAGES[damage]
    change(content)
    with zipfile.ZipFile(out, 'w') as archive:
        for name, value in content.items():
            archive.writestr(name, value)
    status, said = run(capsys, 'submit', 'oodis', out, '--check', '--annotations', data / 'expected.txt')
    assert status == 1 and expected in said, said


def test_boxes_of_other_files_and_forms_are_told(data, capsys):
    *_, out = write(capsys, data, '--annotations', data / 'expected.txt', kind='oodis-det')
    bad = [dict(image_id='cow0001.png', category_id=2, bbox=[0, 0, 1, 1], score=0.5)]
    bad += [dict(bad[0], category_id=1, bbox=[0, 0, 0, 1])]
    with zipfile.ZipFile(out, 'w') as archive:
        archive.writestr('roadanomaly.json', json.dumps(bad))
        archive.writestr('fishyscapes.json', '{}')
        archive.writestr('description.txt', 'name: x')
    status, said = run(capsys, 'submit', 'oodis-det', out, '--check', '--annotations', data / 'expected.txt')
    assert status == 1
    for text in (
        'category 2',
        'box 1 is [0.0, 0.0, 0.0, 1.0]',
        'not a list of',
        'description.txt',
        'roadobstacle',
    ):
        assert text in said


def test_components_and_boxes_cut_a_map():
    values = np.zeros(SIZE)
    values[2:6, 2:6], values[6:10, 6:10], values[20:22, 20:22] = 0.9, 0.7, 1.0
    (one,) = find_instances(values, 0.5)  # joined at a corner; four pixels are too few
    assert one.score == pytest.approx(0.8) and one.xyxy() == (2, 2, 10, 10)
    boxes = [[0, 0, 8, 8], [-5, 0, 99.6, 99]]
    first, second = find_instances(values, 0.5, boxes)
    assert first.mask.sum() == 20 and first.score == pytest.approx((16 * 0.9 + 4 * 0.7) / 20)
    assert (
        second.mask.sum() == 16 and not (first.mask & second.mask).any()
    )  # four of them the object of four pixels
    assert len(find_instances(values, 0.5, boxes, most=1)) == 1 and not find_instances(values, 2)


def rectangle(y1, y2, x1, x2, score):
    mask = np.zeros(SIZE, bool)
    mask[y1:y2, x1:x2] = True
    return Instance(mask, score)


def test_average_precision_by_hand():
    truth = np.full(SIZE, 7, np.int32)
    truth[0:4, 0:10], truth[10:14, 0:10] = 26000, 26001
    truth[20:24, 0:10], truth[20:22, 20:24], truth[10:14, 20:30] = 26, 26002, 0  # group, small, void
    hit = rectangle(0, 4, 0, 8, 0.9)  # IoU 0.8
    twice = rectangle(0, 4, 0, 7, 0.5)  # IoU 0.7: false, because its object is found already
    left_out = [
        rectangle(20, 24, 0, 10, 0.99),
        rectangle(20, 22, 20, 24, 0.98),
        rectangle(10, 14, 20, 30, 0.97),
    ]
    found = match(truth, [hit, twice, *left_out, Instance(np.zeros(SIZE, bool), 5)])
    # recall from 0.5 of the two: curve (precision, recall) = (0.5, 0.5), (1, 0.5), (1, 0)
    at50 = (0.5 * 0 + 1 * 0.5 + 1 * 0.5) / 2
    assert average_precision([found])['AP50'] == pytest.approx(at50)
    # IoU 0.8 does not exceed 0.8; at 0.7 (0.7000000000000002) and 0.75 the second mask is a plain false one
    assert average_precision([found])['AP'] == pytest.approx(6 * at50 / 10)
    assert average_precision([match(truth, left_out)]) == dict(AP=0, AP50=0)
    assert np.isnan(average_precision([match(np.full(SIZE, 7, np.uint8), [hit])])['AP'])
    with pytest.raises(ValueError, match='class 24'):
        match(np.full(SIZE, 24001), [hit])


def test_eval_oodis_scores_what_submit_wrote(data, capsys):
    *_, out = write(capsys, data, '--data', data / 'data')
    truth = np.full(SIZE, 7, np.int32)
    truth[2:6, 2:6], truth[10:20, 10:20] = 26000, 26001
    (data / 'gt').mkdir()
    cv2.imwrite(str(data / f'gt/{LAF}_gtCoarse_instanceIds.png'), truth.astype(np.uint16))
    status, said = run(capsys, 'eval-oodis', out, '--gt', data / 'gt', '--out', data / 'scores.json')
    assert status == 0 and json.loads((data / 'scores.json').read_text()) == dict(AP=1, AP50=1), said
    status, said = run(capsys, 'eval-oodis', out, '--gt', data / 'gt', '--dataset', 'roadanomaly')
    assert status and f'no roadanomaly/{LAF}' in said
    *_, out = write(capsys, data, '--data', data / 'data', kind='oodis-det')
    images = [dict(id=f'{STEMS[0]}.png', width=SIZE[1], height=SIZE[0])]
    boxes = [[2, 2, 4, 4], [10, 10, 10, 10], [25, 0, 5, 5]]
    annotations = [
        dict(id=i, image_id=f'{STEMS[0]}.png', category_id=1, bbox=b, area=b[2] * b[3], iscrowd=0)
        for i, b in enumerate(boxes, 1)
    ]
    label = dict(images=images, annotations=annotations, categories=[dict(id=1, name='anomaly')])
    (data / 'label.json').write_text(json.dumps(label))
    status, said = run(capsys, 'eval-oodis', out, '--gt', data / 'label.json', '--out', data / 'scores.json')
    scores = json.loads((data / 'scores.json').read_text())
    assert status == 0 and scores['AP50'] == pytest.approx(67 / 101)  # recall 2/3 at 101 points
    assert [scores[k] for k in ('AR1', 'AR10', 'AR100')] == pytest.approx([1 / 3, 2 / 3, 2 / 3])
