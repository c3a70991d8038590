"""RoIAlign as a gather beside mmcv's own CPU code, values and gradients."""

import inspect
import itertools

import pytest
import torch
from mmcv.ops import RoIAlign, roi_align

from mmroad.runtime.speed import roi_align as gather
from mmroad.runtime.speed.operators import guard_operators

MODES = list(itertools.product(('avg', 'max'), (True, False), (0, 1, 2, 3)))


@pytest.fixture(scope='module')
def mmcv_align():
    """mmcv's function as it was."""
    guard_operators()
    function = roi_align.__self__

    class Plain(torch.autograd.Function):
        forward = staticmethod(inspect.unwrap(function.forward))
        backward = staticmethod(inspect.unwrap(function.backward))

    assert Plain.forward is not function.forward and Plain.backward is not function.backward
    return Plain.apply


def problem(seed, dtype=torch.float32, boxes=40):
    """Maps of three images and boxes inside, across the border, outside, of no size and as large as the map."""
    g = torch.Generator().manual_seed(seed)
    h, w = torch.randint(1, 40, (2,), generator=g).tolist()
    maps = torch.randn(3, 5, h, w, generator=g, dtype=dtype)
    scale = [1.0, 0.25, 1 / 3, 1 / 16][seed % 4]
    extent = torch.tensor([w, h], dtype=dtype) / scale
    corner = (torch.rand(boxes, 2, generator=g, dtype=dtype) * 1.6 - 0.3) * extent
    side = torch.rand(boxes, 2, generator=g, dtype=dtype) ** 2 * extent
    side[:4] = torch.tensor([[0, 0], [0, 3], [1e-3, 1e-3], [2, 0]], dtype=dtype)
    corner[4], side[4] = -0.5 * extent, 2 * extent
    corner[5], side[5] = -9 * extent, extent  # wholly outside
    corner[6], side[6] = corner[6].round(), side[6].round()
    corner[7], side[7] = 0, extent
    image = torch.randint(0, 3, (boxes, 1), generator=g).to(dtype)
    return maps, torch.cat([image, corner, corner + side], 1), scale


def compare(align, maps, rois, *options):
    """Both functions' values and gradients are equal to rounding; the gradients' weights differ from bin to bin."""
    results = []
    for function in (align, roi_align):
        x = maps.clone().requires_grad_()
        out = function(x, rois, *options)
        out.backward(torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(7)))
        results.append((out.detach(), x.grad))
    (want, want_grad), (got, got_grad) = results
    tolerance = 2e-6 if maps.dtype == torch.float32 else 1e-13
    assert got.dtype == want.dtype and got.is_contiguous()
    torch.testing.assert_close(got, want, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(got_grad, want_grad, atol=10 * tolerance, rtol=tolerance)
    return want


@pytest.mark.parametrize('mode,aligned,ratio', MODES)
@pytest.mark.parametrize('seed', range(6))
def test_values_and_gradients_are_mmcvs(mmcv_align, seed, mode, aligned, ratio):
    maps, rois, scale = problem(seed)
    size = [(7, 7), 3, (2, 5), (1, 1)][seed % 4]
    want = compare(mmcv_align, maps, rois, size, scale, ratio, mode, aligned)
    assert want.std() > 0.01


def test_a_highest_sample_on_the_mark_of_none(mmcv_align):
    """mmcv gives one at y = -1 its value and no gradient."""
    box = torch.tensor([[0, 0.0, -2.0, 4.0, 0.0]])  # its only row of samples
    for aligned in (True, False):
        compare(mmcv_align, torch.rand(1, 2, 5, 6), box + 0.5 * aligned, (1, 2), 1.0, 1, 'max', aligned)


@pytest.mark.parametrize('mode', ['avg', 'max'])
def test_float64(mmcv_align, mode):
    maps, rois, _ = problem(1, torch.float64)
    for ratio in (0, 2):
        compare(mmcv_align, maps, rois, (3, 4), 0.3, ratio, mode, True)


def test_equal_samples_take_the_first_gradient(mmcv_align):
    _, rois, scale = problem(3)
    for value in (1.0, 0.0, -2e4):  # below what max pooling starts from: no gradient
        compare(mmcv_align, torch.full((3, 2, 9, 12), value), rois, (2, 2), scale, 0, 'max', True)


@pytest.mark.parametrize('mode', ['avg', 'max'])
def test_chunks_give_the_same(mmcv_align, mode, monkeypatch):
    maps, rois, scale = problem(2)
    monkeypatch.setattr(gather, 'CHUNK', 500)
    compare(mmcv_align, maps, rois, (7, 7), scale, 0, mode, True)


def test_chunks_bound_what_is_held(monkeypatch):
    maps, rois, scale = problem(2, boxes=300)
    options = gather.Options((7, 7), scale, 0, 'avg', True)
    monkeypatch.setattr(gather, 'CHUNK', 20_000)
    groups = list(gather._groups(maps.shape, rois, options))
    sizes = [gather._pixels(group, maps.shape[2:])[0].numel() for group in groups]
    assert max(s for s, group in zip(sizes, groups) if len(group.rows) > 1) <= 20_000
    rows = torch.cat([group.rows for group in groups])
    assert len(rows) == len(rows.unique()) and 290 < len(rows) <= 300  # those without a sample are left out


def test_a_box_far_larger_than_the_map_costs_no_more_than_the_map():
    maps, box = torch.rand(1, 2, 6, 8), torch.tensor([[0, -40000.0, -40000.0, 40000.0, 40000.0]])
    out = roi_align(maps, box, (2, 2), 1.0, 0, 'avg', True)
    group = next(gather._groups(maps.shape, box, gather.Options((2, 2), 1.0, 0, 'avg', True)))
    assert gather._pixels(group, (6, 8))[0].numel() <= 4 * 6 * 8
    assert (out > 0).all() and (out < 1e-3).all()  # almost all samples are outside, where they are zero


def test_no_regions(mmcv_align):
    maps = torch.rand(1, 4, 5, 6, requires_grad=True)
    out = RoIAlign((7, 7), 0.25, 0)(maps, torch.zeros(0, 5))
    assert out.shape == (0, 4, 7, 7)
    out.sum().backward()
    assert not maps.grad.any()


def test_regions_that_cannot_be_used():
    maps = torch.rand(2, 3, 8, 8)
    for box in ([0, 4, 0, 3, 5], [0, 0, 4, 5, 3]):
        with pytest.raises(RuntimeError, match='negative'):
            roi_align(maps, torch.tensor([box]).float(), 2, 1.0, 0, 'avg', True)
        roi_align(maps, torch.tensor([box]).float(), 2, 1.0, 0, 'avg', False)
    for box in ([0, 0, 0, float('nan'), 5], [0, 0, 0, float('inf'), 5], [2, 0, 0, 1, 1], [-1, 0, 0, 1, 1]):
        for aligned in (True, False):
            with pytest.raises(RuntimeError, match=r'RoIAlign.*0\.\.1'):
                roi_align(maps, torch.tensor([box]).float(), 2, 1.0, 0, 'avg', aligned)
    with pytest.raises(AssertionError):
        roi_align(maps, torch.zeros(1, 4), 2)


def test_a_pixel_beside_a_region_does_not_touch_it():
    maps = torch.rand(1, 1, 12, 12)
    want = roi_align(maps, torch.tensor([[0, 2.0, 2.0, 6.0, 6.0]]), 2, 1.0, 0, 'avg', True)
    maps[0, 0, 8], maps[0, 0, :, 0] = float('nan'), float('inf')
    assert torch.equal(roi_align(maps, torch.tensor([[0, 2.0, 2.0, 6.0, 6.0]]), 2, 1.0, 0, 'avg', True), want)


def test_traced_models_keep_mmcvs(mmcv_align, monkeypatch):
    """Export to ONNX replaces mmcv's node by its own."""
    maps, rois, _ = problem(0)
    called = []
    monkeypatch.setattr(gather, 'roi_align_forward', lambda *a: called.append(a))
    torch.jit.trace(lambda x, r: roi_align(x, r, (2, 2), 1.0, 2), (maps, rois), check_trace=False)
    assert not called
