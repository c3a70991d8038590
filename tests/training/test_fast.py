"""Options that make a training faster or smaller, and that it stays the same training."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from tiny_training import run_tiny, tiny_config

import mmroad
from mmroad.runtime.speed import training_options
from mmroad.runtime.speed.precision import cpu_has_bfloat16, each, losses_in_float32
from mmroad.runtime.training.fast_hook import BFloat16OptimWrapper, FastTrainingHook, checkpoint_activations


def change(cfg, **options):
    defaults = dict(amp=False, amp_dtype=None, compile=False, accumulate=None, checkpoint_activations=False)
    return training_options.change(cfg, SimpleNamespace(**{**defaults, **options}))


HOOK = dict(type='FastTrainingHook', amp=False, compile=False, checkpoint_activations=False)


@pytest.fixture
def processor(monkeypatch):
    """Makes this a machine without a GPU, whose processor has bfloat16 or not."""

    def make(bfloat16=True):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
        monkeypatch.setattr(
            'mmroad.runtime.speed.precision.cpu_has_bfloat16', lambda cpuinfo='/proc/cpuinfo': bfloat16
        )

    return make


@pytest.mark.parametrize(
    'text, has',
    [
        ('processor\t: 0\nflags\t\t: fpu sse2 avx512f avx512_bf16 avx512vl\n', True),
        ('flags : fpu amx_bf16 amx_tile', True),
        ('Features\t: fp asimd bf16 i8mm\n', True),
        ('flags\t\t: fpu sse2 avx2 avx512f\n', False),
        ('model name: bf16\nflags : sse2', False),
        ('', False),
    ],
)
def test_what_the_processor_has(tmp_path, text, has):
    (tmp_path / 'cpuinfo').write_text(text)
    assert cpu_has_bfloat16(tmp_path / 'cpuinfo') is has
    assert cpu_has_bfloat16(tmp_path / 'none') is False


def test_amp_on_a_cpu(processor):
    processor()
    cfg = Config(tiny_config('x'))
    cfg.optim_wrapper.update(loss_scale='dynamic', dtype='float16', type='AmpOptimWrapper')
    (said,) = change(cfg, amp=True)
    assert said == 'mixed precision: backbone, neck and heads in bfloat16, losses in float32'
    assert cfg.optim_wrapper.type == 'BFloat16OptimWrapper'
    assert not {'loss_scale', 'dtype'} & cfg.optim_wrapper.keys()
    assert cfg.custom_hooks[-1] == dict(HOOK, amp=True)
    assert 'mmroad.runtime.training' in cfg.custom_imports['imports']
    again = copy.deepcopy(cfg)
    change(again, amp=True)
    assert again.to_dict() == cfg.to_dict()


def test_a_cpu_without_bfloat16_trains_in_float32(processor):
    processor(bfloat16=False)
    cfg = Config(tiny_config('x'))
    (said,) = change(cfg, amp=True)
    assert 'this processor has no bfloat16' in said and 'float32' in said
    assert cfg.optim_wrapper.type == 'OptimWrapper' and cfg.custom_hooks[-1] == HOOK


@pytest.mark.parametrize(
    'own, asked, wrapper',
    [
        ({}, None, dict(type='AmpOptimWrapper', dtype='float16', loss_scale='dynamic')),
        (dict(loss_scale=8.0), 'float16', dict(type='AmpOptimWrapper', dtype='float16', loss_scale=8.0)),
        (dict(dtype='bfloat16', loss_scale=8.0), None, dict(type='BFloat16OptimWrapper')),
        ({}, 'bfloat16', dict(type='BFloat16OptimWrapper')),
    ],
)
def test_amp_on_a_gpu(monkeypatch, own, asked, wrapper):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    cfg = Config(tiny_config('x'))
    cfg.optim_wrapper.update(own)
    change(cfg, amp=True, amp_dtype=asked)
    del cfg.optim_wrapper.optimizer
    assert cfg.optim_wrapper == wrapper


def test_what_cannot_be_is_refused(processor, monkeypatch):
    processor()
    with pytest.raises(ValueError, match='float16 needs a GPU'):
        change(Config(tiny_config('x')), amp=True, amp_dtype='float16')
    with pytest.raises(ValueError, match='give --amp too'):
        change(Config(tiny_config('x')), amp_dtype='bfloat16')
    with pytest.raises(ValueError, match='optim_wrapper.type ApexOptimWrapper'):
        change(Config(tiny_config('x', optim_wrapper=dict(type='ApexOptimWrapper'))), amp=True)
    backbone = dict(type='TinyModel', detector=dict(backbone=dict(type='mmdet.ResNet')))
    with pytest.raises(ValueError, match='Swin and ConvNeXt; the config has the backbone mmdet.ResNet'):
        change(Config(tiny_config('x', model=backbone)), checkpoint_activations=True)
    backbone['detector']['backbone']['type'] = 'mmpretrain.ConvNeXt'
    cfg = Config(tiny_config('x', model=backbone))
    assert change(cfg, checkpoint_activations=True) == []
    assert cfg.custom_hooks[-1] == dict(HOOK, checkpoint_activations=True)
    from torch._inductor import cpp_builder

    def none():
        raise RuntimeError('no compiler')

    monkeypatch.setattr(cpp_builder, 'get_cpp_compiler', none)
    with pytest.raises(ValueError, match='a C.. compiler on the PATH'):
        change(Config(tiny_config('x')), compile=True)


@pytest.mark.parametrize(
    'optimizer, fused',
    [
        (dict(type='SGD', lr=0.1), True),
        (dict(type='AdamW', lr=0.1), True),
        (dict(type='AdamW', lr=0.1, foreach=True), None),
        (dict(type='SGD', lr=0.1, fused=False), False),
        (dict(type='Rprop', lr=0.1), None),  # torch has none that is fused
        (dict(type='Mine', lr=0.1), None),
    ],
)
def test_optimizers_are_fused_where_torch_can(optimizer, fused):
    cfg = Config(tiny_config('x', optim_wrapper=dict(optimizer=optimizer)))
    change(cfg)
    assert cfg.optim_wrapper.optimizer.get('fused') is fused


def weights(runner):
    return torch.cat([p.detach().flatten() for p in runner.model.parameters()])


def test_a_fused_training_is_the_same(tmp_path):
    ends = []
    for fused in (False, True):
        optimizer = dict(type='SGD', lr=0.02, momentum=0.9, fused=fused)
        runner, _ = run_tiny(
            tmp_path / str(fused), optim_wrapper=dict(optimizer=optimizer), randomness=dict(seed=0)
        )
        assert runner.optim_wrapper.optimizer.defaults['fused'] is fused
        ends.append(weights(runner))
    torch.testing.assert_close(*ends, rtol=1e-4, atol=1e-6)


def test_what_has_nothing_to_change_is_not_copied():
    inner = InstanceData(bboxes=torch.ones(2, 4, dtype=torch.bfloat16))
    value = [1, 'a', (None, inner), dict(x=torch.ones(1))]
    assert each(value, lambda x: x) is value
    halves = each(dict(a=[torch.ones(1, dtype=torch.bfloat16)], b=value), torch.Tensor.float)
    assert halves['a'][0].dtype == torch.float32 and halves['b'] is value


@pytest.fixture(scope='module')
def detector():
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = mmroad.init_model('faster_rcnn_r18_fpn_quickstart')
    return model.train()


def batch():
    from mmdet.structures import DetDataSample

    truth = InstanceData(
        bboxes=torch.tensor([[10, 10, 60, 50], [70, 20, 140, 90.0]]), labels=torch.tensor([1, 2])
    )
    sample = DetDataSample(gt_instances=truth, metainfo=dict(img_shape=(96, 160), pad_shape=(96, 160)))
    image = torch.randint(0, 256, (3, 96, 160), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return dict(inputs=[image], data_samples=[sample])


def step(model, wrapper, **hook):
    """Total loss of one training step of `batch`, through the hook."""
    model = copy.deepcopy(model)
    wrapper = wrapper(torch.optim.SGD(model.parameters(), lr=0.01))
    FastTrainingHook(**hook).before_train(SimpleNamespace(model=model, logger=SimpleNamespace(info=print)))
    seen = {}
    model.backbone.register_forward_hook(lambda m, args, out: seen.update(backbone=out[0].dtype))
    for name, head in (('rpn', model.rpn_head), ('rcnn', model.roi_head.bbox_head)):
        loss = head.loss_cls.forward
        head.loss_cls.forward = lambda pred, *args, _name=name, _loss=loss, **kwargs: (
            seen.update({_name: (pred.dtype, torch.is_autocast_enabled('cpu'))}),
            _loss(pred, *args, **kwargs),
        )[1]
    torch.manual_seed(0)
    log = model.train_step(batch(), wrapper)
    return float(log['loss']), seen, model


def test_a_step_in_bfloat16(detector):
    from mmengine.optim import OptimWrapper

    full, seen, _ = step(detector, OptimWrapper)
    assert seen['backbone'] == seen['rpn'][0] == torch.float32
    low, seen, model = step(detector, BFloat16OptimWrapper, amp=True)
    assert seen == dict(backbone=torch.bfloat16, rpn=(torch.float32, False), rcnn=(torch.float32, False))
    assert low == pytest.approx(full, rel=0.05) and low != full
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    moved = [not torch.equal(a, b) for a, b in zip(model.parameters(), detector.parameters())]
    assert all(moved[-4:])


def test_regions_are_proposed_from_float32(detector):
    model = copy.deepcopy(detector)
    losses_in_float32(model)
    seen = []
    predict = model.rpn_head.predict_by_feat
    model.rpn_head.predict_by_feat = lambda scores, deltas, *args, **kwargs: (
        seen.extend(x.dtype for x in (*scores, *deltas)),
        predict(scores, deltas, *args, **kwargs),
    )[1]
    with torch.autocast('cpu', torch.bfloat16):
        model.loss(torch.randn(1, 3, 96, 160), batch()['data_samples'])
    assert set(seen) == {torch.float32} and len(seen) == 10


def test_compiled_backbone_and_neck(detector, monkeypatch):
    from mmengine.optim import OptimWrapper

    full, _, plain = step(detector, OptimWrapper)
    compiled = []
    monkeypatch.setattr(torch.nn.Module, 'compile', lambda self: compiled.append(type(self).__name__))
    fast, _, _ = step(detector, OptimWrapper, compile=True)
    assert compiled == ['ResNet', 'FPN'] and fast == pytest.approx(full, rel=1e-5)


@pytest.mark.slow
def test_a_compiled_backbone_computes_the_same():
    torch.manual_seed(0)
    body = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU())
    model = torch.nn.ModuleDict(dict(backbone=body, neck=torch.nn.Conv2d(4, 2, 1)))
    plain, image = copy.deepcopy(model), torch.randn(2, 3, 9, 11)
    said = []
    runner = SimpleNamespace(model=model, logger=SimpleNamespace(info=said.append))
    hook = FastTrainingHook(compile=True)
    hook.before_train(runner)
    for m in (model, plain):
        m['neck'](m['backbone'](image)).square().sum().backward()
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-4)
    assert model['backbone']._compiled_call_impl is not None
    for _ in range(2):
        hook.after_train_iter(runner)
    (line,) = said
    assert line.startswith('the first iteration, with its compilation, took ')


def swin():
    from mmdet.models import SwinTransformer

    return SwinTransformer(
        embed_dims=24, depths=(1, 1, 2, 1), num_heads=(1, 1, 2, 2), drop_path_rate=0.3, with_cp=True
    )


def convnext():
    from mmroad.runtime.convnext import ConvNeXt

    return ConvNeXt(
        arch=dict(depths=[1, 1, 2, 1], channels=[8, 16, 24, 32]), out_indices=[0, 1, 2, 3],
        gap_before_final_norm=False, drop_path_rate=0.3)  # fmt: skip


@pytest.mark.parametrize('make', [swin, convnext])
@pytest.mark.parametrize('low', [False, True])
def test_activations_computed_twice(make, low):
    torch.manual_seed(0)
    plain = make()
    plain.train()
    for module in plain.modules():
        if hasattr(module, 'with_cp'):
            module.with_cp = False
    other = copy.deepcopy(plain)
    model = SimpleNamespace(backbone=other)
    assert checkpoint_activations(model) == 5
    image = torch.randn(2, 3, 64, 64)
    results = []
    kept = []

    def keep(x):
        kept.append(x.nbytes)
        return x

    for backbone in (plain, other):
        kept.clear()
        torch.manual_seed(1)
        with (
            torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x),
            torch.autocast('cpu', torch.bfloat16, enabled=low),
        ):
            total = sum(x.float().square().mean() for x in backbone(image))
        total.backward()
        results.append((total, [p.grad for p in backbone.parameters()], sum(kept)))
    assert torch.equal(results[0][0], results[1][0])
    for a, b in zip(results[0][1], results[1][1]):
        assert torch.equal(a, b)
    assert results[1][2] < 0.5 * results[0][2]
    for backbone in (plain, other):
        backbone.eval()
    with torch.no_grad():
        assert torch.equal(other(image)[0], plain(image)[0])


def test_blocks_with_batch_normalization_are_refused(detector):
    with pytest.raises(ValueError, match='is for Swin and ConvNeXt: ResNet has no blocks'):
        checkpoint_activations(detector)


def test_the_command_line(capsys):
    import argparse

    parser = argparse.ArgumentParser()
    training_options.add_arguments(parser)
    args = parser.parse_args(['--amp', '--compile', '--checkpoint-activations'])
    assert vars(args) == dict(amp=True, amp_dtype=None, compile=True, checkpoint_activations=True)
    assert vars(parser.parse_args([])) == dict(
        amp=False, amp_dtype=None, compile=False, checkpoint_activations=False
    )
