"""Box heads with a learned temperature."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

pytest.importorskip('mmdet')

from mmdet.models.task_modules.samplers import SamplingResult  # noqa: E402
from mmdet.registry import MODELS  # noqa: E402

from mmroad.abet.det import LearnedTemperatureLinear, ood_score  # noqa: E402

PARITY = Path(__file__).parents[2] / '../shared/parity'
TEST_CFG = ConfigDict(score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=100)
META = dict(img_shape=(480, 640), scale_factor=(1, 1))


@pytest.fixture(autouse=True)
def mmdet_scope():
    init_default_scope('mmdet')


def build(kind='AbeTShared2FCBBoxHead', **kwargs):
    defaults = dict(
        in_channels=8,
        fc_out_channels=32,
        num_classes=3,
        loss_bbox=dict(type='L1Loss'),
        temperature=dict(type='LearnedTemperatureLinear'),
    )
    return MODELS.build(dict(type=kind, **(defaults | kwargs)))


def test_classifier_by_hand():
    torch.manual_seed(0)
    layer = LearnedTemperatureLinear(4, 3).eval()
    x = torch.randn(5, 4)
    temperature = torch.sigmoid((x @ layer.linear.weight.T + layer.linear.bias) / (1 + 1e-5) ** 0.5)
    w = layer.cosine.weight
    g = (x / (x.norm(dim=1, keepdim=True) + 1e-4)) @ (w / (w.norm(dim=1, keepdim=True) + 1e-4)).T
    torch.testing.assert_close(layer(x), g / temperature)


def test_head_initialization_leaves_the_temperature_alone():
    head = build()
    head.init_weights()
    assert head.fc_cls.bn.weight.item() == 1
    assert 0.005 < head.fc_cls.cosine.weight.std() < 0.02
    assert head.fc_cls.linear.weight.std() > 0.05


def test_one_box_can_be_trained_on():
    layer = LearnedTemperatureLinear(4, 3).train()
    layer(torch.randn(1, 4)).sum().backward()
    assert layer.bn.training and layer.linear.weight.grad.isfinite().all()


@pytest.mark.parametrize('kind', ['AbeTShared2FCBBoxHead', 'AbeTShared4Conv1FCBBoxHead'])
@pytest.mark.parametrize('agnostic', [False, True])
@pytest.mark.parametrize('temperature', [None, dict(type='LearnedTemperatureLinear')])
def test_every_kept_box_carries_the_score_of_its_roi(kind, agnostic, temperature):
    torch.manual_seed(0)
    norm = dict(norm_cfg=None) if '4Conv' in kind else {}
    head = build(kind, reg_class_agnostic=agnostic, temperature=temperature, **norm).eval()
    head.init_weights()
    with torch.no_grad():
        logits, deltas = head(torch.randn(20, 8, 7, 7))
    logits = logits * 3
    corner = torch.rand(20, 2) * 300
    rois = torch.cat([torch.zeros(20, 1), corner, corner + 40], 1)
    plain = type(head).__mro__[2]._predict_by_feat_single(head, rois, logits, deltas, META, False, TEST_CFG)
    results = head.predict_by_feat((rois,), (logits,), (deltas,), [META], TEST_CFG)[0]
    torch.testing.assert_close(results.bboxes, plain.bboxes)
    torch.testing.assert_close(results.scores, plain.scores)
    assert len(results) > 3
    probability = logits.softmax(1)
    for score, label, ood in zip(results.scores, results.labels, results.ood_scores, strict=True):
        roi = (probability[:, label] - score).abs().argmin()
        torch.testing.assert_close(ood, -logits[roi, :-1].logsumexp(0))


def test_no_proposals_and_no_detections():
    head = build().eval()
    empty = head.predict_by_feat(
        (torch.zeros(0, 5),), (torch.zeros(0, 4),), (torch.zeros(0, 12),), [META], TEST_CFG
    )[0]
    assert empty.ood_scores.shape == (0,) and empty.scores.shape == (0,)
    sure = torch.tensor([[0.0, 0, 0, 50]])
    none = head.predict_by_feat((torch.ones(1, 5),), (sure,), (torch.zeros(1, 12),), [META], TEST_CFG)[0]
    assert len(none) == 0 and none.ood_scores.shape == (0,)


def test_scores():
    logits = torch.tensor([[1.0, 2, 0], [-5, -5, 5]])
    assert ood_score(logits)[1] > ood_score(logits)[0]
    want = 1 - logits.softmax(1)[:, :2].amax(1)
    torch.testing.assert_close(ood_score(logits, 'msp'), want)
    with pytest.raises(ValueError, match='energy or msp'):
        ood_score(logits, 'magic')


@pytest.mark.skipif(not PARITY.is_dir(), reason='the shared parity cases are not here')
def test_parity_with_the_published_box_predictor():
    sys.path.insert(0, str(PARITY))
    import compare
    import fill

    from mmroad.converters import abet_det, rename

    case = fill.load('abet_fasterrcnn_head')
    golden = {k: torch.from_numpy(np.asarray(v)) for k, v in case['golden'].items()}
    head = build(fc_out_channels=1024, num_classes=20)
    state = {k: torch.from_numpy(v) for k, v in fill.state_dict(case).items()}
    state, _ = rename(abet_det.prepare(state), abet_det.RULES)
    state = {k.removeprefix('roi_head.bbox_head.'): v for k, v in state.items()}
    report = head.load_state_dict(state, strict=False)
    assert not report.unexpected_keys and all(k.startswith('shared_fcs') for k in report.missing_keys)

    rois = torch.cat([torch.zeros(64, 1), golden['proposals']], 1)
    x = golden['features']
    head.eval()
    with torch.no_grad():
        g, temperature = head.fc_cls.parts(x)
        logits, deltas = head.fc_cls(x), head.fc_reg(x)
        meta = dict(img_shape=tuple(case['input']['image_size']), scale_factor=(1, 1))
        found = head.predict_by_feat((rois,), (logits,), (deltas,), [meta], TEST_CFG)[0]
    out = dict(T=temperature, g=g, logits=logits, deltas=deltas, scores=logits.softmax(1))
    out |= dict(abet=-ood_score(logits), det_boxes=found.bboxes, det_scores=found.scores)
    roi = (found.ood_scores[:, None] == ood_score(logits)).int().argmax(1)  # the scores tell proposals apart
    out |= dict(det_labels=found.labels, det_abet=-found.ood_scores, det_roi=roi)

    head.train()
    x = x.clone().requires_grad_()
    train = head.fc_cls(x)
    truth = InstanceData(bboxes=golden['gt_boxes'], labels=golden['gt_classes'])
    foreground = golden['gt_classes'] < 20
    sample = SamplingResult.__new__(SamplingResult)
    sample.__dict__.update(
        pos_inds=foreground.nonzero()[:, 0],
        neg_inds=(~foreground).nonzero()[:, 0],
        pos_priors=golden['proposals'][foreground],
        neg_priors=golden['proposals'][~foreground],
        pos_gt_bboxes=truth.bboxes[foreground],
        pos_gt_labels=truth.labels[foreground],
    )
    order = torch.cat([sample.pos_inds, sample.neg_inds])
    losses = head.loss_and_target(
        train[order], head.fc_reg(x.detach())[order], rois[order], [sample], ConfigDict(pos_weight=-1)
    )['loss_bbox']
    losses['loss_cls'].backward()
    layer = head.fc_cls
    out |= dict(train_logits=train, loss_cls=losses['loss_cls'], loss_bbox=losses['loss_bbox'])
    out |= dict(grad_features=x.grad, grad_cls_weight=layer.cosine.weight.grad)
    out |= dict(grad_temperature_weight=layer.linear.weight.grad)
    out |= dict(grad_temperature_bn=torch.stack([layer.bn.weight.grad[0], layer.bn.bias.grad[0]]))
    out |= dict(train_bn=torch.stack([layer.bn.running_mean[0], layer.bn.running_var[0]]))
    rows = compare.compare(case, {k: v.detach().numpy() for k, v in out.items()})
    print(compare.table(rows))
    assert all(row.ok for row in rows), compare.table(rows)
