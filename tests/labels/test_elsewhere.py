"""Sets of labels as values of other libraries."""

import msgspec
import numpy as np
import pytest

import mmroad
from mmroad.labels.elsewhere import fiftyone_samples, to_pandas, to_supervision
from mmroad.labels.form import Box, Image, LabelSet
from mmroad.labels.formats import write


def test_pandas_has_a_row_a_box(sets):
    pytest.importorskip('pandas')
    table = to_pandas(sets['train'])
    assert table.category.tolist() == ['forklift', 'forklift', 'traffic cone', 'person', 'person']
    assert (
        table.x2[0] == 11.0625 and table.id[0] == '7' and table.crowd.sum() == 1 and table.score.isna().all()
    )
    assert table['attribute.lane'].dropna().tolist() == [3] and table['image.weather'][0] == 'rain'
    empty = to_pandas(sets['train'].of([]))
    assert len(empty) == 0 and 'score' in empty


def test_supervision_has_detections_by_image(sets, folder):
    sv = pytest.importorskip('supervision')
    found = to_supervision(sets['train'])
    assert list(found) == ['hall/one.png', 'hall/zwö.jpg'] and isinstance(
        found['hall/one.png'], sv.Detections
    )
    assert found['hall/one.png'].class_id.tolist() == [0, 0, 2] and found['hall/one.png'].confidence is None
    assert found['hall/zwö.jpg'].data['class_name'].tolist() == ['person', 'person']
    boxes = [Box('a', 1, 2, 3, 4, score=0.5), Box('a', 2, 2, 9, 9, score=0.25)]
    scored = to_supervision(LabelSet([Image('x', boxes), Image('y')], ('a',), 'made'))
    np.testing.assert_array_equal(scored['x'].confidence, [0.5, 0.25])
    assert len(scored['y']) == 0 and scored['x'].area.tolist() == [4, 49]


def test_fiftyone_has_samples_with_boxes_in_parts_of_the_image(sets, folder):
    pytest.importorskip('fiftyone')
    truth = sets['train']
    first = [msgspec.structs.replace(truth.images[0].boxes[0], score=0.5)]
    samples = fiftyone_samples(truth, truth.of([msgspec.structs.replace(truth.images[0], boxes=first)]))
    boxes = samples[0]['ground_truth'].detections
    assert [box.label for box in boxes] == ['forklift', 'forklift', 'traffic cone'] and boxes[1].iscrowd == 1
    assert boxes[1].bounding_box == [0, 0, 30 / 32, 1] and samples[0]['weather'] == 'rain'
    assert [box.confidence for box in samples[0]['predictions'].detections] == [0.5]
    assert samples[1]['predictions'].detections == []


def test_labels_are_read_from_python(sets, folder, tmp_path):
    write(sets, 'coco', tmp_path)
    assert len(mmroad.read_labels(tmp_path, 'val', images=folder)) == 2
    with pytest.raises(ValueError, match=r"split=None; there are 'train', 'val'"):
        mmroad.read_labels(tmp_path)
