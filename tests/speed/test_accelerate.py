"""The same predictions, faster."""

import copy

import pytest
import torch

import mmroad
from mmroad.inference.base import array_pipeline
from mmroad.runtime.speed import accelerate as accelerating
from mmroad.runtime.speed.accelerate import accelerate


@pytest.fixture(scope='module')
def detector():
    torch.manual_seed(0)
    model = mmroad.init_model('faster_rcnn_r18_fpn_quickstart')
    model.init_weights()
    return model


@pytest.fixture(scope='module')
def batch(detector):
    from mmengine.dataset import Compose, pseudo_collate

    image = torch.randint(0, 256, (96, 160, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return pseudo_collate([Compose(array_pipeline(detector.cfg))(dict(img=image.numpy(), img_id=0))])


def found(model, batch):
    with torch.no_grad():
        return model.test_step(copy.deepcopy(batch))[0].pred_instances


def test_channels_last_changes_rounding_alone(detector, batch):
    want = found(detector, batch)
    model = accelerate(copy.deepcopy(detector), channels_last=True)
    got = found(model, batch)
    assert model.backbone.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    maps = model.extract_feat(torch.rand(1, 3, 96, 160))
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x in maps)  # as the heads like them
    assert len(want) > 5 and (want.labels == got.labels).all()
    torch.testing.assert_close(got.bboxes, want.bboxes, atol=1e-3, rtol=0)
    torch.testing.assert_close(got.scores, want.scores, atol=1e-5, rtol=0)
    assert model.state_dict().keys() == detector.state_dict().keys()


def test_low_precision_ends_in_float32(detector, batch):
    model = accelerate(copy.deepcopy(detector), channels_last=True, amp=torch.bfloat16)
    seen = {}
    model.roi_head.bbox_roi_extractor.register_forward_hook(
        lambda m, args, out: seen.update(regions=out.dtype)
    )
    model.backbone.layer1.register_forward_hook(lambda m, args, out: seen.update(body=out.dtype))
    got, want = found(model, batch), found(detector, batch)
    assert seen == dict(regions=torch.float32, body=torch.bfloat16)
    assert got.bboxes.dtype == got.scores.dtype == torch.float32
    assert abs(got.scores.max() - want.scores.max()) < 0.02


def test_low_precision_trains_and_regions_keep_their_places(detector, batch):
    """mmdet's own extractor rounds regions to bfloat16 and cannot write its operator's float32 result."""
    extractor = copy.deepcopy(detector.roi_head.bbox_roi_extractor)
    accelerate(copy.deepcopy(detector))
    maps = [torch.randn(1, 64, 192 // s, 320 // s).bfloat16().requires_grad_() for s in (4, 8, 16, 32)]
    rois = torch.tensor([[0, 301.3, 100.2, 319.1, 131.7], [0, 11.1, 7.7, 290.3, 180.9]])
    out = extractor(maps, rois)
    torch.testing.assert_close(out, extractor([x.float() for x in maps], rois))
    out.sum().backward()
    assert maps[0].grad.dtype == torch.bfloat16 and maps[0].grad.abs().sum() > 0


@pytest.mark.parametrize('amp', [None, torch.bfloat16])
def test_folded_models_find_the_same(detector, batch, amp):
    model = accelerate(copy.deepcopy(detector), fold=True, channels_last=True, amp=amp)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())
    assert model.backbone.layer1[0].conv1.weight.dtype == (amp or torch.float32)
    got, want = found(model, batch), found(detector, batch)
    assert got.bboxes.dtype == got.scores.dtype == torch.float32
    if amp:
        assert abs(got.scores.max() - want.scores.max()) < 0.02
    else:
        torch.testing.assert_close(got.bboxes, want.bboxes, atol=1e-3, rtol=0)
        torch.testing.assert_close(got.scores, want.scores, atol=1e-5, rtol=0)
        assert (got.labels == want.labels).all()


def test_a_detector_trains_in_bfloat16(detector):
    """Proposals are suppressed, regions aligned and losses computed in what the operators take."""
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    model = accelerate(copy.deepcopy(detector)).train()
    truth = InstanceData(
        bboxes=torch.tensor([[10, 10, 60, 50], [70, 20, 140, 90.0]]), labels=torch.tensor([1, 2])
    )
    sample = DetDataSample(gt_instances=truth, metainfo=dict(img_shape=(96, 160), pad_shape=(96, 160)))
    image = torch.rand(1, 3, 96, 160, generator=torch.Generator().manual_seed(0))
    totals = []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            total, _ = model.parse_losses(model(image, [copy.deepcopy(sample)], mode='loss'))
        total.backward()
        totals.append(float(total))
    assert totals[1] == pytest.approx(totals[0], rel=0.05)
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_a_processor_without_bfloat16_computes_in_float32(detector, batch, monkeypatch):
    monkeypatch.setattr(accelerating, 'cpu_has_bfloat16', lambda: False)
    with pytest.warns(UserWarning, match='no bfloat16: computing in float32'):
        model = accelerating.for_inference(copy.deepcopy(detector), torch.bfloat16)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert torch.equal(
        found(model, batch).scores, found(accelerating.for_inference(copy.deepcopy(detector)), batch).scores
    )
