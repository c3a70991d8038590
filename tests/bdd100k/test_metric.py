"""The metric on a folder of labels, beside the official evaluator on the files it writes."""

import contextlib
import io
import json
import math

import msgspec
import pytest
import torch

from mmroad.bdd100k.metric import BDD100KDetMetric
from mmroad.bdd100k.scalabel import DET_CLASSES

TRUTH = [(10, 20, 59, 49, 'car'), (100, 40, 139, 119, 'pedestrian'), (5, 5, 14, 24, 'traffic light')]


def samples(shift):
    """Three images: the objects a little off, one wrong class, nothing."""
    for index in range(3):
        boxes = [[x1 + shift, y1, x2 + 1, y2 + 1 - shift] for x1, y1, x2, y2, _ in TRUTH]
        labels = [DET_CLASSES.index(name) for *_, name in TRUTH]
        labels[0] = 3 if index == 1 else labels[0]
        kept = slice(0, 0) if index == 2 else slice(None)
        found = dict(
            bboxes=torch.tensor(boxes)[kept],
            scores=torch.tensor([0.9, 0.8, 0.7])[kept],
            labels=torch.tensor(labels)[kept],
        )
        yield dict(img_id=index, img_path=f'/images/{index}.jpg', pred_instances=found)


@pytest.fixture
def truth(tmp_path):
    labels = [
        dict(id=str(k), category=name, box2d=dict(x1=x1, y1=y1, x2=x2, y2=y2))
        for k, (x1, y1, x2, y2, name) in enumerate(TRUTH)
    ]
    path = tmp_path / 'truth/det_val.json'
    path.parent.mkdir()
    path.write_text(json.dumps([dict(name=f'{i}.jpg', labels=labels) for i in range(3)]))
    return path


def official(truth, pred):
    from bdd100k.eval.run import _load_frames, evaluate_det, load_bdd100k_config

    config = load_bdd100k_config('det')
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        result = evaluate_det(*_load_frames(str(truth), str(pred), config, 1), config.scalabel, nproc=1)
    return dict(iter(result))


def test_scores_are_the_official_evaluators_on_the_written_file(truth, tmp_path):
    metric = BDD100KDetMetric(ann_file=str(truth), format_dir=str(tmp_path / 'out'))
    for sample in samples(3.0):
        metric.process({}, [sample])
    scores = metric.evaluate(3)
    want = official(truth, tmp_path / 'out/det.json')
    assert set(scores) == {f'bdd100k/{key}' for key in want} | {f'bdd100k/AP/{name}' for name in DET_CLASSES}
    assert 0 < scores['bdd100k/AP'] < 100
    for key, (classes, overall) in want.items():
        assert scores[f'bdd100k/{key}'] == pytest.approx(overall['OVERALL'], abs=1e-9, nan_ok=True), key
        if key == 'AP':
            for name, value in classes.items():
                assert scores[f'bdd100k/AP/{name}'] == pytest.approx(value, abs=1e-9, nan_ok=True)
    assert math.isnan(scores['bdd100k/AP/bus']) and metric.results == []


def test_format_only_needs_no_labels_and_scores_nothing(tmp_path):
    metric = BDD100KDetMetric(format_only=True, format_dir=str(tmp_path))
    metric.process({}, list(samples(0.0)))
    assert metric.evaluate(3) == {}
    frames = msgspec.json.decode((tmp_path / 'det.json').read_bytes())['frames']
    assert [(f['name'], len(f['labels'])) for f in frames] == [('0.jpg', 3), ('1.jpg', 3), ('2.jpg', 0)]
    assert frames[0]['labels'][0]['box2d'] == dict(x1=10.0, y1=20.0, x2=59.0, y2=49.0)


def test_a_run_can_be_repeated_and_a_missing_image_is_an_error(tmp_path):
    metric = BDD100KDetMetric(format_only=True, format_dir=str(tmp_path))
    metric.process({}, list(samples(0.0)))
    metric.evaluate(3)
    first = (tmp_path / 'det.json').read_bytes()
    metric.process({}, list(samples(0.0))[:2])
    with pytest.raises(RuntimeError, match='2 of 3 images have predictions'):
        metric.evaluate(3)
    metric.process({}, list(samples(0.0)))
    metric.evaluate(3)
    assert (tmp_path / 'det.json').read_bytes() == first


def test_wrong_arguments_say_what_is_missing():
    with pytest.raises(ValueError, match='--format-dir OUT'):
        BDD100KDetMetric(format_only=True)
    with pytest.raises(ValueError, match='ann_file'):
        BDD100KDetMetric()
