"""What a comparison lets through: ties, and nothing else."""

import numpy as np
import pytest
import torch

from mmroad.export import check
from mmroad.export.check import TOLERANCES, Difference, compare, ties


def test_what_the_other_side_may_lack():
    scores, other = np.array([0.9, 0.50004, 0.3, 0.05006]), np.array([0.8, 0.5])
    tied = [ties(scores, other, t, 1e-4).tolist() for t in ({}, dict(score_thr=0.05))]
    assert tied == [[False] * 4, [False] * 3 + [True]]
    assert ties(scores, other, dict(score_thr=0.05, max_per_img=2), 1e-4).tolist() == [
        False,
        True,
        True,
        True,
    ]
    assert not ties(scores, other, dict(max_per_img=3), 1e-4).any()
    assert not ties(scores, np.zeros(0), dict(max_per_img=-1), 1e-4).any()


def _detections(scores, **fields):
    boxes = np.array([[10.0 * i, 0, 10 * i + 8, 8] for i in range(len(scores))])
    return dict(boxes=boxes, scores=np.array(scores), labels=np.zeros(len(scores), int), **fields)


def _compared(monkeypatch, got, want, model=None, half=False):
    """`compare` where a file gives ``got`` and PyTorch ``want``."""

    class Session:
        metadata = dict(thresholds='{"score_thr": 0.05, "max_per_img": 12}')

        def __call__(self, images):
            return [np.asarray(v)[None] for v in got.values()]

    monkeypatch.setattr('mmroad.export.session.open_session', lambda path: Session())
    monkeypatch.setattr(
        check, 'torch_predictions', lambda model: want if callable(want) else lambda image: dict(want)
    )
    graph = torch.nn.Module()
    graph.names = tuple(got)
    return compare('m.onnx', graph, model or torch.nn.Module(), [np.zeros((4, 4, 3), np.uint8)], half)


def test_a_detection_that_is_missing(monkeypatch):
    want = _detections([0.9, 0.6, 0.05005])
    found = _compared(monkeypatch, _detections([0.9, 0.6]), want)
    assert not found.problems and found.numbers['ties'] == 1 and found.numbers['unpaired'] == 0
    (problem,) = _compared(monkeypatch, _detections([0.9]), want).problems
    assert problem.startswith('1 of 3 detections are not among the others')
    (problem,) = _compared(monkeypatch, _detections([0.9, 0.6002]), _detections([0.9, 0.6])).problems
    assert problem == 'scores by 0.0002, allowed is 0.0001'
    (problem,) = _compared(monkeypatch, _detections([]), _detections([])).problems
    assert problem.startswith('nothing was found')
    unknown = _detections([0.9]) | dict(ood_scores=np.zeros(1, np.float32))
    (problem,) = _compared(monkeypatch, _detections([0.9]), unknown).problems
    assert problem == 'PyTorch gives ood_scores, the file does not'
    ten, nine = _detections(np.linspace(0.9, 0.2, 10)), _detections(np.linspace(0.9, 0.2, 10)[:9])
    assert (
        _compared(monkeypatch, nine, ten).problems
        and not _compared(monkeypatch, nine, ten, half=True).problems
    )


def test_a_pixel_of_another_class(monkeypatch):
    model = torch.nn.Module()
    model.decode_head, model.test_cfg = None, {}
    logits = np.zeros((2, 4, 4))
    logits[0, 0, :2] = 0.00009, 0.2
    want = dict(classes=np.zeros((4, 4), int), logits=logits)

    def predict(image):
        assert model.test_cfg == dict(keep_logits=True)
        return want

    for pixel, share in ((0, 0), (1, 1 / 16)):
        got = np.zeros((4, 4), np.uint8)
        got[0, pixel] = 1
        found = _compared(monkeypatch, dict(classes=got), predict, model)
        assert found.numbers == dict(classes=share, ties=1 - pixel) and len(found.problems) == pixel
    assert model.test_cfg == {}


def test_a_pixel_of_a_mask(monkeypatch):
    model, probability = torch.nn.Module(), np.array([[[0.9, 0.4995], [0.2, 0.498]]])
    model.roi_head = torch.nn.Module()
    model.roi_head.test_cfg = dict(mask_thr_binary=0.5)

    def predict(image):
        return _detections([0.9], masks=probability > model.roi_head.test_cfg['mask_thr_binary'])

    for column, row, allowed in ((1, 0, True), (1, 1, False), (0, 1, False)):
        masks = probability > 0.5
        masks[0, row, column] ^= True
        found = _compared(monkeypatch, _detections([0.9], masks=masks), predict, model)
        assert (not found.problems) == allowed, found
        assert found.numbers['masks'] == (0 if allowed else 0.25)


def test_what_is_no_number_differs():
    found = Difference()
    found.note('boxes', float('nan'))
    found.note('boxes', 0.0)
    assert not found.numbers['boxes'] <= TOLERANCES['boxes']
    found.note('scores', 0.1)
    found.note('scores', 0.05)
    assert found.numbers['scores'] == pytest.approx(0.1)
