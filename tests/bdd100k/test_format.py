import json
import subprocess
import sys

import pytest

from mmroad.bdd100k.columns import read_columns
from mmroad.bdd100k.format import (
    PartWriter,
    Prediction,
    finite,
    not_finite,
    read_parts,
    write_predictions,
)
from mmroad.bdd100k.metric import to_columns
from mmroad.files.replacing import own_name

PREDICTIONS = [
    Prediction(
        0, 'a.jpg', [[1.5, 2.25, 11.75, 22.5], [0, 0, 5, 5]], [0.9, 0.1], [2, 0], {'ood_score': [0.5, -1.0]}
    ),
    Prediction(1, 'b.jpg', [], [], []),
    Prediction(2, 'c.jpg', [[3, 4, 5, 6]], [0.30000001192092896], [9], {}),
    Prediction(3, 'd.jpg', [[3, 4, 5, 6]], [1.0], [1], {}),
]


def write(folder, ranks):
    for rank, predictions in enumerate(ranks):
        writer = PartWriter(folder, rank)
        for prediction in predictions:
            writer.add(prediction)
        writer.close()


def merge(folder, ranks, run='.parts', size=4):
    return write_predictions(read_parts(folder, ranks, run), folder, size)


def test_files_hold_what_the_official_tools_read(tmp_path):
    write(tmp_path, [PREDICTIONS])
    merge(tmp_path, 1)
    content = json.loads((tmp_path / 'det.json').read_text())
    assert list(content) == ['frames', 'groups', 'config'] and content['groups'] is content['config'] is None
    assert [f['name'] for f in content['frames']] == ['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg']
    first = content['frames'][0]['labels'][0]
    assert first['box2d'] == dict(x1=1.5, y1=2.25, x2=1.5 + 10.25 - 1, y2=2.25 + 20.25 - 1)
    assert (first['id'], first['category'], first['score'], first['ood_score']) == ('0', 'car', 0.9, 0.5)
    assert content['frames'][1]['labels'] == []
    assert [label['id'] for f in content['frames'] for label in f['labels']] == ['0', '1', '2', '3']
    assert content['frames'][2]['labels'][0]['score'] == 0.30000001192092896
    coco = json.loads((tmp_path / 'det.coco.json').read_text())
    assert coco[0] == dict(image_id=1, category_id=3, bbox=[1.5, 2.25, 10.25, 20.25], score=0.9)
    assert [r['image_id'] for r in coco] == [1, 1, 3, 4] and coco[2]['category_id'] == 10
    assert {p.name for p in tmp_path.iterdir()} == {'.parts', 'det.json', 'det.coco.json'}


def test_a_rank_that_ended_early_is_told(tmp_path):
    write(tmp_path, [PREDICTIONS])
    with pytest.raises(RuntimeError, match=r'4 of 5 images have predictions: .*/det\.json is not written'):
        merge(tmp_path, 1, size=5)
    assert not list(tmp_path.glob('*.json'))


def test_scalabels_own_reader_takes_the_file(tmp_path):
    from scalabel.label.io import load

    write(tmp_path, [PREDICTIONS])
    merge(tmp_path, 1)
    frames = load(str(tmp_path / 'det.json'), 1).frames
    assert [len(f.labels) for f in frames] == [2, 0, 1, 1] and frames[0].labels[0].box2d.x2 == 10.75


def test_any_number_of_ranks_gives_the_same_bytes(tmp_path):
    a, b, c, d = PREDICTIONS
    for name, ranks in dict(one=[[a, b, c, d]], two=[[a, c], [b, d]], three=[[a, d], [b, a], [c, b]]).items():
        write(tmp_path / name, ranks)  # with three, samplers repeat the first images
        merge(tmp_path / name, len(ranks))
    for name in ('det.json', 'det.coco.json'):
        want = (tmp_path / 'one' / name).read_bytes()
        assert (tmp_path / 'two' / name).read_bytes() == want == (tmp_path / 'three' / name).read_bytes()


def test_a_missing_image_or_a_cut_part_leaves_no_file(tmp_path):
    write(tmp_path, [PREDICTIONS[:3]])
    with pytest.raises(RuntimeError, match='3 of 4 images have predictions'):
        merge(tmp_path, 1)
    part = tmp_path / '.parts/0'
    part.write_bytes(part.read_bytes()[:-3])
    with pytest.raises(OSError, match='ends inside a record'):
        list(read_parts(tmp_path, 1))
    with pytest.raises(FileNotFoundError, match='no predictions of rank 1; all machines must reach'):
        merge(tmp_path, 2)
    assert [p.name for p in tmp_path.iterdir()] == ['.parts']


def test_columns_in_memory_are_those_of_the_file(tmp_path):
    write(tmp_path, [PREDICTIONS])
    merge(tmp_path, 1)
    file, memory = read_columns(tmp_path / 'det.json'), to_columns([*PREDICTIONS[::-1], PREDICTIONS[0]])
    assert list(memory.names) == list(file.names) and memory.frame.tolist() == file.frame.tolist()
    assert memory.xyxy.tolist() == file.xyxy.tolist() and memory.score.tolist() == file.score.tolist()
    assert memory.category.tolist() == file.category.tolist()


def test_an_image_of_two_ranks_is_that_of_the_first_in_file_and_columns(tmp_path):
    other = Prediction(0, 'a.jpg', [[7, 7, 9, 9]], [0.2], [4], {})
    write(tmp_path, [PREDICTIONS[:2], [other, *PREDICTIONS[2:]]])
    merge(tmp_path, 2)
    file, memory = (
        read_columns(tmp_path / 'det.json'),
        to_columns([*PREDICTIONS[:2], other, *PREDICTIONS[2:]]),
    )
    assert len(file) == 4 and file.xyxy.tolist() == memory.xyxy.tolist()


def test_runs_of_their_own_do_not_mix_and_dead_ones_are_removed(tmp_path):
    code = (
        'import os, sys; from mmroad.files.replacing import own_name; from mmroad.bdd100k.format import *\n'
        f'writer = PartWriter({str(tmp_path)!r}, 0, own_name("parts"))\n'
        'writer.add(Prediction(0, "a.jpg", [], [], [])); print(writer.path.parent.name, flush=True); os._exit(9)'
    )
    dead = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout.strip()
    assert (tmp_path / dead / '0').is_file()
    (tmp_path / 'kept').mkdir()
    own, other = own_name('parts'), own_name('parts')
    writers = [PartWriter(tmp_path, 0, run) for run in (own, other)]
    assert {p.name for p in tmp_path.iterdir()} == {'kept', own, other}
    for writer, predictions in zip(writers, (PREDICTIONS, PREDICTIONS[:1])):
        for prediction in predictions:
            writer.add(prediction)
        writer.close()
    merge(tmp_path, 1, own)
    assert len(json.loads((tmp_path / 'det.json').read_text())['frames']) == 4
    assert {p.name for p in tmp_path.iterdir()} == {'kept', own, other, 'det.json', 'det.coco.json'}


def test_a_run_that_fails_leaves_no_parts(tmp_path):
    (tmp_path / 'det.json').write_text('older')
    code = (
        'import sys; from mmroad.bdd100k.format import PartWriter\n'
        f"writers = [PartWriter({str(tmp_path)!r}, rank, 'run') for rank in (0, 1)]\n"
        "sys.exit('failed')"
    )
    assert subprocess.run([sys.executable, '-c', code], capture_output=True).returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ['det.json']


def test_what_is_no_number_is_left_out_and_named(tmp_path):
    a, b, c, d = PREDICTIONS
    broken = [
        Prediction(
            0, 'a.jpg', [[1, 2, 3, 4], [0, float('nan'), 5, 5], [1, 2, 4, 4]], [0.9, 0.1, 0.5], [2, 0, 1]
        ),
        b,
        Prediction(2, 'c.jpg', [[3, 4, 5, 6]], [float('inf')], [9]),
        Prediction(3, 'd.jpg', [[3, 4, 5, 6]], [1.0], [1], {'ood_score': [float('-inf')]}),
    ]
    write(tmp_path, [broken])
    with pytest.raises(
        ValueError, match=r"det.json: 3 detections of 3 images .*'a.jpg' \(1\), 'c.jpg' \(1\), 'd"
    ):
        merge(tmp_path, 1)
    frames = json.loads((tmp_path / 'det.json').read_text())['frames']
    assert [[x['score'] for x in frame['labels']] for frame in frames] == [[0.9, 0.5], [], [], []]
    assert [x['category'] for x in frames[0]['labels']] == ['car', 'rider']
    coco = json.loads((tmp_path / 'det.coco.json').read_text())
    assert [x['score'] for x in coco] == [0.9, 0.5]
    assert finite(a) is a and finite(b) is b


def test_names_that_images_share_are_told(tmp_path):
    write(tmp_path, [[*PREDICTIONS[:3], Prediction(3, 'a.jpg', [], [], [])]])
    with pytest.raises(ValueError, match="det.json: 1 names are carried by several images, such as 'a.jpg'"):
        merge(tmp_path, 1)
    assert len(json.loads((tmp_path / 'det.json').read_text())['frames']) == 4


def test_a_failed_write_leaves_the_old_files(tmp_path):
    write(tmp_path, [PREDICTIONS])
    merge(tmp_path, 1)
    old = {p.name: p.read_bytes() for p in tmp_path.glob('det*')}
    for bad, error in (
        (PREDICTIONS[:2], RuntimeError),
        ([Prediction(0, 'a.jpg', [[1, 2, 3, 4]], [1], [10])], ValueError),
    ):
        with pytest.raises(error):
            write_predictions(iter(bad), tmp_path, 4)
        assert {p.name: p.read_bytes() for p in tmp_path.glob('det*')} == old


def test_the_first_rank_alone_clears_up(tmp_path):
    code = (
        'import os; from mmroad.files.replacing import own_name; from mmroad.bdd100k.format import PartWriter\n'
        f'PartWriter({str(tmp_path)!r}, 1, own_name("parts")); os._exit(9)'
    )
    subprocess.run([sys.executable, '-c', code])
    (dead,) = tmp_path.iterdir()
    PartWriter(tmp_path, 1, 'run').close()
    assert dead.exists()
    PartWriter(tmp_path, 0, 'run').close()
    assert not dead.exists() and sorted(p.name for p in (tmp_path / 'run').iterdir()) == ['0', '1']


@pytest.mark.parametrize('cut', [1, 7, 8, 9])
def test_a_part_that_ends_anywhere_inside_a_record_is_told(tmp_path, cut):
    write(tmp_path, [PREDICTIONS[:1]])
    part = tmp_path / '.parts/0'
    content = part.read_bytes()
    part.write_bytes(content + content[:cut])
    with pytest.raises(OSError, match=r'\.parts/0 ends inside a record'):
        list(read_parts(tmp_path, 1))


@pytest.mark.parametrize('count', [1, 3, 4])
def test_at_most_three_images_are_shown(count):
    counts = {f'{k}.jpg': k + 1 for k in range(count)}
    text = not_finite(counts, 'det.json')
    assert text.startswith(f'det.json: {sum(counts.values())} detections of {count} images have a NaN')
    shown = ', '.join(f"'{k}.jpg' ({k + 1})" for k in range(min(count, 3)))
    assert f'left out: {shown}{", ..." if count > 3 else ""}. Training' in text


def test_categories_of_other_classes_are_counted_by_them(tmp_path):
    found = [Prediction(4, 'a.jpg', [[0, 0, 5, 5]] * 3, [0.5, 0.25, 0.125], [0, 1, 2])]
    write_predictions(iter(found), tmp_path, 1, ('dog', 'car', 'cat'))
    coco = json.loads((tmp_path / 'det.coco.json').read_text())
    assert [(r['image_id'], r['category_id']) for r in coco] == [(5, 1), (5, 2), (5, 3)]
    for label in (-1, 3):
        with pytest.raises(ValueError, match=rf'a\.jpg: label {label} of 3 classes \(dog, car, cat\)'):
            bad = [Prediction(0, 'a.jpg', [[0, 0, 5, 5]], [0.5], [label])]
            write_predictions(iter(bad), tmp_path, 1, ('dog', 'car', 'cat'))


def test_nothing_at_all_is_two_empty_lists(tmp_path):
    write_predictions(iter([]), tmp_path / 'new', 0)
    assert json.loads((tmp_path / 'new/det.json').read_text()) == dict(frames=[], groups=None, config=None)
    assert json.loads((tmp_path / 'new/det.coco.json').read_text()) == []


def test_columns_of_no_predictions_and_of_boxes_without_area():
    empty = to_columns([])
    assert len(empty) == 0 and empty.xyxy.shape == (0, 4) and list(empty.names) == []
    columns = to_columns([PREDICTIONS[1], PREDICTIONS[0]])
    assert columns.has_labels.tolist() == [True, False] and columns.frame.tolist() == [0, 0]
    assert columns.xywh.tolist() == [[1.5, 2.25, 10.25, 20.25], [0, 0, 5, 5]]
    assert (
        not columns.ignored.any()
        and not columns.crowd.any()
        and columns.attributes['scene'].tolist() == [0, 0]
    )
    others = to_columns(PREDICTIONS[:1], ('car', 'bike', 'bus'))
    assert others.category.tolist() == [2, 0] and others.classes == ('car', 'bike', 'bus')
