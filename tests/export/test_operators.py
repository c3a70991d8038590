"""mmcv's operators in ONNX's: the same numbers."""

import mmcv.ops
import pytest
import torch
import torch.nn.functional as F
from mmdet.models.backbones.swin import ShiftWindowMSA
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

from mmroad.export.boxes import best, paste, pool, suppress, table
from mmroad.export.image import Prepared
from mmroad.export.operators import adaptive_max_pool, deform_conv, standard_operators
from mmroad.export.segmentors import as_given


@pytest.mark.parametrize('groups, deform_groups', [(1, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize('stride, dilation', [(1, 1), (2, 2)])
def test_deformable_convolution(groups, deform_groups, stride, dilation):
    torch.manual_seed(0)
    x, weight, bias = torch.randn(2, 8, 11, 9), torch.randn(6, 8 // groups, 3, 3), torch.randn(6)
    h, w = F.conv2d(x, torch.randn(1, 8, 3, 3), stride=stride, padding=2, dilation=dilation).shape[2:]
    offset = torch.randn(2, deform_groups * 18, h, w) * 3
    mask = torch.rand(2, deform_groups * 9, h, w)
    pairs = [(stride, stride), (2, 2), (dilation, dilation)]
    want = mmcv.ops.modulated_deform_conv2d(
        x, offset, mask, weight, bias, stride, 2, dilation, groups, deform_groups
    )
    assert torch.allclose(
        deform_conv(x, offset, mask, weight, bias, *pairs, groups, deform_groups), want, atol=1e-4
    )
    if groups == 1:
        want = mmcv.ops.deform_conv2d(x, offset, weight, stride, 2, dilation, groups, deform_groups)
        got = deform_conv(x, offset, None, weight, None, *pairs, groups, deform_groups)
        assert torch.allclose(got, want, atol=1e-4)


def test_offsets_of_larger_maps_are_read_as_mmcv_reads_them():
    torch.manual_seed(0)
    x, weight = torch.randn(1, 4, 5, 6), torch.randn(3, 4, 3, 3)
    offset, mask = torch.randn(1, 18, 10, 12), torch.rand(1, 9, 10, 12)
    want = mmcv.ops.modulated_deform_conv2d(x, offset, mask, weight, None, 1, 1, 1, 1, 1)
    got = deform_conv(x, offset, mask, weight, None, (1, 1), (1, 1), (1, 1), 1, 1)
    assert got.shape == (1, 3, 5, 6) and torch.allclose(got, want, atol=1e-5)


def test_adaptive_pooling():
    x = torch.randn(2, 3, 13, 50)
    for size in ((4, 13), (13, 50), (1, 7), (26, 100)):
        assert torch.equal(adaptive_max_pool(x, size), F.adaptive_max_pool2d(x, size))
    own = F.adaptive_max_pool2d
    with standard_operators():
        assert F.adaptive_max_pool2d is not own
        assert torch.tensor([2.0, 5.0, 3.0]).argsort(descending=True, stable=True).tolist() == [1, 2, 0]
    assert F.adaptive_max_pool2d is own


def test_pooling_of_any_size_as_a_file(tmp_path):
    """Recorded at one size, run at others."""
    pytest.importorskip('onnx')
    onnxruntime = pytest.importorskip('onnxruntime')

    class Pool(torch.nn.Module):
        def forward(self, x, like):
            return adaptive_max_pool(x, like.shape[2:])

    axes = {name: {0: f'{name} batch', 2: f'{name} h', 3: f'{name} w'} for name in ('x', 'like')}
    torch.onnx.export(
        Pool(), (torch.randn(2, 3, 24, 40), torch.randn(2, 3, 6, 10)), str(tmp_path / 'm.onnx'), dynamo=False,
        opset_version=17, input_names=['x', 'like'], dynamic_axes=axes,
    )  # fmt: skip
    session = onnxruntime.InferenceSession(str(tmp_path / 'm.onnx'))
    for size, new in (((96, 80), (24, 20)), ((3, 5), (6, 10)), ((25, 41), (6, 10)), ((1, 1), (3, 2))):
        x, like = torch.randn(1, 3, *size), torch.zeros(1, 3, *new)
        (got,) = session.run(None, dict(x=x.numpy(), like=like.numpy()))
        assert torch.equal(torch.from_numpy(got), F.adaptive_max_pool2d(x, new))


@pytest.mark.parametrize('shift', [0, 3])
def test_windows_of_any_size(shift):
    """With and without padding, of one image and of two."""
    torch.manual_seed(0)
    block = ShiftWindowMSA(8, 2, 7, shift).eval()
    torch.nn.init.normal_(block.w_msa.relative_position_bias_table)
    for batch, height, width in ((1, 14, 21), (2, 9, 16), (1, 3, 7), (2, 5, 4)):
        x = torch.randn(batch, height * width, 8)
        want = block(x, (height, width))
        with standard_operators():
            assert torch.allclose(block(x, (height, width)), want, atol=1e-6)


def test_regions_are_pooled_as_mmdet_pools_them():
    torch.manual_seed(0)
    extractor = SingleRoIExtractor(
        dict(type='RoIAlign', output_size=7, sampling_ratio=0), out_channels=4, featmap_strides=[4, 8, 16, 32]
    )
    maps = [torch.randn(2, 4, 256 // s, 256 // s) for s in (4, 8, 16, 32)]
    corner = torch.rand(2, 30, 2) * 200
    boxes = torch.cat([corner, corner + torch.rand(2, 30, 2) ** 3 * 250], 2)
    boxes[1, -3:] = 0  # an image with fewer regions
    rois = torch.cat([torch.arange(2.0).repeat_interleave(30)[:, None], boxes.flatten(0, 1)], 1)
    assert torch.allclose(pool(maps, boxes, extractor), extractor(maps, rois), atol=1e-5)


def test_masks_are_drawn_as_mmdet_draws_them():
    torch.manual_seed(0)
    probs = torch.rand(6, 1, 14, 14)
    corner = torch.rand(2, 3, 2) * 30 - 5
    boxes = torch.cat([corner, corner + 1 + torch.rand(2, 3, 2) * 20], 2)
    want = _do_paste_mask(probs, boxes.flatten(0, 1), 33, 41, skip_empty=False)[0] >= 0.5
    assert (
        torch.equal(paste(probs, boxes, (33, 41), 0.5), want.unflatten(0, (2, 3)))
        and 0.02 < want.float().mean() < 0.5
    )
    assert not paste(probs, boxes.mean(2, keepdim=True).expand(-1, -1, 4), (33, 41), 0.5).any()  # empty boxes


def test_masks_of_none_as_a_file(tmp_path):
    """An image on which nothing is found, alone."""
    pytest.importorskip('onnx')
    onnxruntime = pytest.importorskip('onnxruntime')

    class Paste(torch.nn.Module):
        def forward(self, probs, boxes):
            return paste(probs, boxes, (20, 30), 0.5)

    torch.onnx.export(
        Paste(), (torch.rand(6, 1, 7, 7), torch.rand(2, 3, 4)), str(tmp_path / 'm.onnx'), dynamo=False,
        opset_version=17, input_names=['probs', 'boxes'], dynamic_axes={'probs': {0: 'n'}, 'boxes': {0: 'b', 1: 'm'}},
    )  # fmt: skip
    session = onnxruntime.InferenceSession(str(tmp_path / 'm.onnx'))
    for images, most in ((1, 0), (3, 0), (1, 2), (3, 2)):
        boxes = torch.tensor([3.0, 2, 20, 15]).expand(images, most, 4) + torch.arange(most)[:, None]
        probs = torch.rand(images * most, 1, 7, 7)
        (got,) = session.run(None, dict(probs=probs.numpy(), boxes=boxes.numpy()))
        assert got.shape == (images, most, 20, 30)
        assert torch.equal(torch.from_numpy(got), paste(probs, boxes, (20, 30), 0.5)) and got.any() == bool(
            most
        )


@pytest.mark.parametrize('align_corners', [False, True])
def test_maps_at_the_size_of_the_image(align_corners):
    x, size = torch.randn(2, 3, 9, 14), (9, 14)
    for given in ((20, 31), (5, 7), (9, 20)):
        want = F.interpolate(x, given, mode='bilinear', align_corners=align_corners)
        assert torch.allclose(as_given(x, Prepared(x, size, given, x, x), align_corners), want, atol=1e-5)
    assert as_given(x, Prepared(x, size, (9, 14), x, x)) is x


def test_suppression_is_batched_nms():
    torch.manual_seed(0)
    corner = torch.rand(3, 60, 2) * 40
    boxes = torch.cat([corner, corner + 5 + torch.rand(3, 60, 2) * 20], 2)
    scores, labels = torch.rand(3, 60), torch.randint(0, 3, (3, 60))
    scores[1, 20:] = 0  # no candidates
    scores[2] = 0
    kept, valid = suppress(boxes, scores, labels, 0.5, 25)
    assert valid.sum(1).tolist() == [25, int(valid[1].sum()), 0] and kept.shape == (3, 25)
    for i in range(2):
        own = (scores[i] > 0).nonzero()[:, 0]
        cfg = dict(type='nms', iou_threshold=0.5)
        want = own[mmcv.ops.batched_nms(boxes[i, own], scores[i, own], labels[i, own], cfg)[1][:25]]
        assert kept[i][valid[i]].tolist() == want.tolist()


def test_the_best_and_the_table():
    values, index = best(torch.tensor([[0.1, 0.9, 0.5]]), 5)
    assert torch.allclose(values, torch.tensor([[0.9, 0.5, 0.1, 0.0, 0.0]])) and index[0, :3].tolist() == [
        1,
        2,
        0,
    ]
    assert index.max() <= 2
    rows, there = table(torch.tensor([0, 0, 2]), torch.tensor([7, 8, 9]), 3, 4)
    assert rows.tolist() == [[7, 8], [0, 0], [9, 0]] and there.tolist() == [[1, 1], [0, 0], [1, 0]]
