import json

import pytest

from mmroad.bdd100k.columns import read_columns
from mmroad.bdd100k.format import PartWriter, Prediction, merge_parts, read_parts
from mmroad.bdd100k.metric import to_columns

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


def test_files_hold_what_the_official_tools_read(tmp_path):
    write(tmp_path, [PREDICTIONS])
    merge_parts(tmp_path, 1, 4)
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
    assert [p.name for p in tmp_path.iterdir()] in (
        ['det.json', 'det.coco.json'],
        ['det.coco.json', 'det.json'],
    )


def test_scalabels_own_reader_takes_the_file(tmp_path):
    from scalabel.label.io import load

    write(tmp_path, [PREDICTIONS])
    merge_parts(tmp_path, 1, 4)
    frames = load(str(tmp_path / 'det.json'), 1).frames
    assert [len(f.labels) for f in frames] == [2, 0, 1, 1] and frames[0].labels[0].box2d.x2 == 10.75


def test_any_number_of_ranks_gives_the_same_bytes(tmp_path):
    a, b, c, d = PREDICTIONS
    for name, ranks in dict(one=[[a, b, c, d]], two=[[a, c], [b, d]], three=[[a, d], [b, a], [c, b]]).items():
        write(tmp_path / name, ranks)  # with three, samplers repeat the first images
        merge_parts(tmp_path / name, len(ranks), 4)
    for name in ('det.json', 'det.coco.json'):
        want = (tmp_path / 'one' / name).read_bytes()
        assert (tmp_path / 'two' / name).read_bytes() == want == (tmp_path / 'three' / name).read_bytes()


def test_a_missing_image_or_a_cut_part_leaves_no_file(tmp_path):
    write(tmp_path, [PREDICTIONS[:3]])
    with pytest.raises(RuntimeError, match='3 of 4 images have predictions'):
        merge_parts(tmp_path, 1, 4)
    part = tmp_path / '.parts/0'
    part.write_bytes(part.read_bytes()[:-3])
    with pytest.raises(OSError, match='ends inside a record'):
        list(read_parts(tmp_path, 1))
    with pytest.raises(FileNotFoundError, match='no predictions of rank 1; all machines must reach'):
        merge_parts(tmp_path, 2, 4)
    assert [p.name for p in tmp_path.iterdir()] == ['.parts']


def test_columns_in_memory_are_those_of_the_file(tmp_path):
    write(tmp_path, [PREDICTIONS])
    merge_parts(tmp_path, 1, 4)
    file, memory = read_columns(tmp_path / 'det.json'), to_columns([*PREDICTIONS[::-1], PREDICTIONS[0]])
    assert list(memory.names) == list(file.names) and memory.frame.tolist() == file.frame.tolist()
    assert memory.xyxy.tolist() == file.xyxy.tolist() and memory.score.tolist() == file.score.tolist()
    assert memory.category.tolist() == file.category.tolist()
