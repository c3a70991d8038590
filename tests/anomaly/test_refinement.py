"""Maps refined by boxes: in the metric, by the command, and by hand."""

import json

import numpy as np
import pytest
from mmseg.registry import TASK_UTILS

from mmroad.anomaly.io import load_map, save_map
from mmroad.anomaly.refinement import BoxRefinement
from mmroad.commands import main
from mmroad.files.boxes import iou


def boxes_file(folder, frames):
    """A Scalabel file: of each frame (category, score, (x1, y1, x2, y2)), corners with exclusive x2 and y2."""
    content = [
        dict(
            name=name,
            labels=[
                dict(id=str(i), category=c, score=s, box2d=dict(x1=x1, y1=y1, x2=x2 - 1, y2=y2 - 1))
                for i, (c, s, (x1, y1, x2, y2)) in enumerate(rows)
            ],
        )
        for name, rows in frames.items()
    ]
    (folder / 'det.json').write_text(json.dumps(content))
    return folder / 'det.json'


def test_inside_of_unknown_boxes_is_raised(tmp_path):
    path = boxes_file(
        tmp_path, {'a/1.jpg': [('dog', 0.9, (2, 1, 5, 4)), ('dog', 0.2, (8, 0, 10, 2))], '2.jpg': []}
    )
    anomaly = np.arange(60, dtype=np.float32).reshape(6, 10) / 100
    refine = TASK_UTILS.build(dict(type='BoxRefinement', boxes=str(path), boost=0.5))
    expected = anomaly.copy()
    expected[1:4, 2:5] += 0.5  # a score of 0.2 is not above 0.2
    assert np.array_equal(refine('other/1.png', anomaly), expected)
    assert np.array_equal(refine('2', anomaly), anomaly)
    assert refine('1', np.ones((6, 10), np.uint8)).dtype == np.float32
    with pytest.raises(KeyError, match='no frame of 3; run the detector'):
        refine('3', anomaly)


@pytest.mark.parametrize(
    ('score', 'stays'),
    [(0.55, False), (0.4, True)],  # above 0.5 the car counts with 1.1, else with its own 0.4
)
def test_a_sure_known_object_is_not_unknown_what_else_covers_it(tmp_path, score, stays):
    path = boxes_file(
        tmp_path, {'1.jpg': [('dog', 0.8, (0, 0, 4, 4)), ('car_(automobile)', score, (0, 0, 4, 5))]}
    )
    assert len(BoxRefinement(path).boxes['1']) == stays


def test_known_boxes_elsewhere_and_weaker_unknown_ones(tmp_path):
    frames = {
        '1.jpg': [
            ('person', 0.9, (20, 0, 24, 4)),
            ('dog', 0.8, (0, 0, 4, 4)),
            ('cat', 0.7, (0, 0, 4, 5)),  # the same object
            ('box', 0.6, (0, 0, 4, 8)),  # IoU 0.5 is not above it
            ('road', 0.3, (30, 0, 40, 8)),
            ('cone', 0.5, (30, 0, 40, 8)),  # 0.3 is enough for the road
        ]
    }
    path = boxes_file(tmp_path, frames)
    assert BoxRefinement(path).boxes['1'].tolist() == [[0, 0, 4, 4], [0, 0, 4, 8]]
    own = BoxRefinement(path, known=['dog', 'pedestrian'], min_score=0.4).boxes['1'].tolist()
    assert own == [[0, 0, 4, 8], [30, 0, 40, 8]]
    assert iou(np.array([0, 0, 4, 4]), np.array([[0, 0, 4, 8], [9, 9, 10, 10]])).tolist() == [0.5, 0]


def test_files_that_cannot_be_used_are_named(tmp_path):
    with pytest.raises(ValueError, match='det.json: several frames are called 1'):
        BoxRefinement(boxes_file(tmp_path, {'a/1.jpg': [], 'b/1.png': []}))
    with pytest.raises(ValueError, match='det.json: no box has a score'):
        BoxRefinement(boxes_file(tmp_path, {'1.jpg': [('dog', None, (0, 0, 4, 4))]}))


def test_the_command_writes_refined_maps(tmp_path, capsys):
    for name in 'ab':
        save_map(tmp_path / f'maps/{name}', np.full((6, 8), -0.5, np.float32))
    path = boxes_file(tmp_path, {'a.jpg': [('dog', 0.9, (0, 0, 4, 3))], 'b.jpg': []})
    main(['scores', 'refine', str(tmp_path / 'maps'), str(path), '--out', str(tmp_path / 'out')])
    assert '2 maps, 1 boxes of unknown objects' in capsys.readouterr().out
    refined = load_map(tmp_path / 'out/a.npz')
    assert (refined[:3, :4] == 0.5).all() and refined.sum() == 12 * 0.5 - 36 * 0.5
    assert (load_map(tmp_path / 'out/b.npz') == -0.5).all()
    for arguments, message in (
        ((str(tmp_path / 'maps'), '--out', str(tmp_path / 'maps')), 'a.npz'),
        ((str(tmp_path), '--out', str(tmp_path / 'other')), 'no anomaly map'),
    ):
        with pytest.raises(SystemExit) as error:
            main(['scores', 'refine', arguments[0], str(path), *arguments[1:]])
        assert message in str(error.value)
    path = boxes_file(tmp_path, {'a.jpg': []})
    with pytest.raises(SystemExit, match='no frame of b .1 of 2'):
        main(['scores', 'refine', str(tmp_path / 'maps'), str(path), '--out', str(tmp_path / 'other')])
    assert not (tmp_path / 'other').exists()
