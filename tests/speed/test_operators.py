"""Operators give the same for any memory layout, and compute bfloat16 inputs in float32."""

import inspect

import pytest
import torch
from mmcv import ops

from mmroad.runtime.speed.operators import guard_operators

BOXES = torch.tensor([[0, 1.0, 2.0, 9.0, 8.0], [1, 3.0, 0.0, 12.0, 11.0]])


def offsets(n):
    return torch.randn(2, n, 10, 12, generator=torch.Generator().manual_seed(1))


FAMILIES = {
    'RoIAlign': lambda x: ops.roi_align(x, BOXES.to(x.dtype), (3, 3), 0.5, 2),
    'RoIAlign, most': lambda x: ops.roi_align(x, BOXES.to(x.dtype), (3, 3), 0.5, 2, 'max'),
    'RoIPool': lambda x: ops.roi_pool(x, BOXES.to(x.dtype), (3, 3), 0.5),
    'DeformConv2d': lambda x: ops.deform_conv2d(x, offsets(18).to(x.dtype), weight().to(x.dtype), 1, 1),
    'ModulatedDeformConv2d': lambda x: ops.modulated_deform_conv2d(
        x,
        offsets(18).to(x.dtype),
        offsets(9).to(x.dtype).sigmoid(),
        weight().to(x.dtype),
        None,
        1,
        1,
        1,
        1,
        1,
    ),
}


def weight():
    return torch.randn(4, 8, 3, 3, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def maps():
    guard_operators()
    guard_operators()  # again changes nothing
    return torch.randn(2, 8, 10, 12, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize('family', FAMILIES)
def test_both_layouts_and_their_gradients(family, maps):
    results = []
    for memory in (torch.contiguous_format, torch.channels_last):
        x = maps.clone(memory_format=memory).requires_grad_()
        if family == 'RoIPool' and not x.is_cuda:
            pytest.skip('mmcv has RoIPool for GPUs alone')
        out = FAMILIES[family](x)
        (out * torch.arange(out.numel()).view_as(out)).sum().backward()
        results.append((out.detach(), x.grad))
    assert results[0][0].std() > 0
    for plain, last in zip(*results):
        assert torch.equal(plain, last)


@pytest.mark.parametrize('family', [f for f in FAMILIES if f != 'RoIPool'])
def test_bfloat16_is_computed_in_float32(family, maps):
    low = maps.bfloat16()
    x = low.clone().requires_grad_()
    out = FAMILIES[family](x)
    out.sum().backward()
    assert out.dtype == torch.float32 and x.grad.dtype == torch.bfloat16
    if family.startswith('RoI'):
        torch.testing.assert_close(out, FAMILIES[family](low.float()))


def test_layouts_differ_without_the_guard(maps):
    """What the guard is for: RoIAlign misreads the layout without an error."""
    unguarded = inspect.unwrap(ops.roi_align.__self__.forward)

    class Context:
        def save_for_backward(self, *_):
            pass

    x = maps.contiguous(memory_format=torch.channels_last)
    misread = unguarded(Context(), x, BOXES, (3, 3), 0.5, 2)
    assert not torch.allclose(misread, ops.roi_align(maps, BOXES, (3, 3), 0.5, 2))


@pytest.mark.parametrize('soft', [False, True])
def test_suppression_of_low_precision(maps, soft):
    boxes = torch.tensor([[0, 0, 10, 10], [1, 0, 10, 10], [20, 20, 30, 30.0]]).bfloat16()
    scores = torch.tensor([0.5, 0.75, 0.25]).bfloat16()
    suppress = ops.soft_nms if soft else ops.nms
    assert (
        suppress(boxes, scores, 0.5)[1].tolist() == suppress(boxes.float(), scores.float(), 0.5)[1].tolist()
    )
