"""Batch normalization folded into convolutions changes outputs by rounding alone."""

import copy

import pytest
import torch
from mmcv.cnn import ConvModule
from mmdet.models.backbones import ResNet
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmroad.runtime.speed.fold import PointConv2d, fold_batch_norm, use_point_convolutions


def lived_in(model):
    """Norms as after training: every number counts."""
    g = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean.copy_(torch.randn(module.num_features, generator=g))
            module.running_var.copy_(torch.rand(module.num_features, generator=g) + 0.3)
            if module.affine:
                module.weight.data = torch.rand(module.num_features, generator=g) + 0.5
                module.bias.data = torch.randn(module.num_features, generator=g)
    model.eval()  # mmdet's backbones return nothing here
    return model


def norms(model):
    return sum(isinstance(module, _BatchNorm) for module in model.modules())


MODELS = {
    'ResNet-50': lambda: ResNet(50, base_channels=8),
    'ResNet-18': lambda: ResNet(18, base_channels=8),
    'deep stem': lambda: ResNet(50, base_channels=8, deep_stem=True, avg_down=True),
    'ConvModule': lambda: ConvModule(3, 4, 3, norm_cfg=dict(type='BN')),
    'sequence': lambda: nn.Sequential(
        nn.Conv2d(3, 6, 3, groups=3), nn.BatchNorm2d(6, affine=False), nn.ReLU()
    ),
}


@pytest.mark.parametrize('name', MODELS)
def test_outputs_change_by_rounding(name):
    torch.manual_seed(0)
    model = lived_in(MODELS[name]()).double()
    folded, x = copy.deepcopy(model), torch.rand(2, 3, 64, 96).double()
    count = norms(model)
    assert fold_batch_norm(folded) == count > 0 == norms(folded)
    with torch.no_grad():
        want, got = model(x), folded(x)
    for a, b in zip(want if isinstance(want, tuple) else [want], got if isinstance(got, tuple) else [got]):
        assert a.std() > 0
        torch.testing.assert_close(b, a, rtol=1e-9, atol=1e-9 * float(a.abs().max()))


LEFT_ALONE = {
    'norm first': lambda: ConvModule(3, 4, 3, norm_cfg=dict(type='BN'), order=('norm', 'conv', 'act')),
    'activation between': lambda: ConvModule(
        3, 4, 3, norm_cfg=dict(type='BN'), order=('conv', 'act', 'norm')
    ),
    'another between': lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)),
    'group norm': lambda: ConvModule(3, 4, 3, norm_cfg=dict(type='GN', num_groups=2)),
    'transposed': lambda: nn.Sequential(nn.ConvTranspose2d(3, 4, 3), nn.BatchNorm2d(4)),
}


@pytest.mark.parametrize('name', LEFT_ALONE)
def test_what_is_no_pair_is_left_alone(name):
    torch.manual_seed(0)
    model, x = lived_in(LEFT_ALONE[name]()), torch.rand(1, 3, 9, 9)
    want = model(x)
    assert fold_batch_norm(model) == 0 and torch.equal(model(x), want)


def test_a_convolution_that_two_norms_share_is_left_alone():
    """RetinaNet's heads on some pyramids: one convolution for all levels, a norm for each."""
    conv = nn.Conv2d(3, 4, 3)
    model = lived_in(nn.ModuleList(nn.Sequential(conv, nn.BatchNorm2d(4)) for _ in range(2)))
    assert fold_batch_norm(model) == 0 and norms(model) == 2


def test_a_model_in_training_is_refused():
    with pytest.raises(ValueError, match='eval'):
        fold_batch_norm(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))


@pytest.mark.parametrize('options', [dict(), dict(stride=2, bias=False), dict(groups=2), dict(padding=1)])
def test_point_convolutions(options):
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 4, 1, **options).to(memory_format=torch.channels_last)
    own = copy.deepcopy(conv)
    use_point_convolutions(own)
    assert type(own) is PointConv2d and own.state_dict().keys() == conv.state_dict().keys()
    for x in (
        torch.randn(2, 8, 5, 7),
        torch.randn(8, 5, 7),
        torch.randn(2, 8, 5, 7).to(memory_format=torch.channels_last),
    ):
        with torch.inference_mode():
            torch.testing.assert_close(own(x), conv(x))
            with torch.autocast('cpu', torch.bfloat16):
                assert own(x).dtype == torch.bfloat16
    x = torch.randn(2, 8, 5, 7, requires_grad=True)
    want = torch.autograd.grad(conv(x).square().sum(), x)[0]
    torch.testing.assert_close(torch.autograd.grad(own(x).square().sum(), x)[0], want)


def test_other_convolutions_stay():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1, padding='same'), nn.Linear(4, 4))
    use_point_convolutions(model)
    assert not any(isinstance(module, PointConv2d) for module in model)
