"""Gradients of several iterations in one step: the training of the large batch."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS
from tiny_training import run_tiny, tiny_config
from torch.utils.data import Dataset

from mmroad.runtime.training.accumulation import accumulate_gradients


@DATASETS.register_module()
class PlainDataset(Dataset):
    """Points without noise."""

    metainfo = dict(classes=('left', 'right'))

    def __init__(self, size=24):
        self.points = torch.randn(size, 3, generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return len(self.points)

    def __getitem__(self, index):
        return dict(inputs=self.points[index], label=float(index % 2))


@MODELS.register_module()
class PlainModel(BaseModel):
    """Linear, without anything that depends on the batch."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(3, 1)
        torch.nn.init.ones_(self.net.weight)
        torch.nn.init.zeros_(self.net.bias)

    def forward(self, inputs, label, mode='tensor'):
        inputs, label = (
            torch.stack(list(v)) if not torch.is_tensor(v) else v for v in (inputs, torch.as_tensor(label))
        )
        return dict(loss=((self.net(inputs)[:, 0] - label.float()) ** 2).mean())


def changes(by_epoch, batch, shuffle=False):
    loader = dict(
        dataset=dict(type='PlainDataset'), batch_size=batch, num_workers=0,
        sampler=dict(type='DefaultSampler' if by_epoch else 'InfiniteSampler', shuffle=shuffle))  # fmt: skip
    first = dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=5)
    rest = (
        [
            dict(type='CosineAnnealingLR', begin=0, end=4, T_max=4, convert_to_iter_based=True),
            dict(type='MultiStepLR', by_epoch=True, milestones=[2], gamma=0.5),
        ]
        if by_epoch
        else [dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=12, T_max=12)]
    )
    loop = (
        dict(type='EpochBasedTrainLoop', max_epochs=4, val_interval=1)
        if by_epoch
        else dict(type='IterBasedTrainLoop', max_iters=12, val_interval=3)
    )
    return dict(
        model=dict(type='PlainModel'),
        train_dataloader=loader,
        train_cfg=loop,
        val_dataloader=None,
        val_cfg=None,
        val_evaluator=None,
        custom_hooks=[],
        param_scheduler=[first, *rest],
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook', by_epoch=by_epoch, interval=1 if by_epoch else 3, max_keep_ckpts=99
            ),
            logger=dict(type='LoggerHook', interval=1),
        ),
    )


def train(folder, by_epoch, batch, count=1):
    """The runner, and learning rate, weights after each step of the optimizer."""
    cfg = Config(tiny_config(folder, **changes(by_epoch, batch)))
    if count > 1:
        accumulate_gradients(cfg, count)
    steps = []

    def watch(runner, name):
        if name == 'after_train_iter':  # the schedules have moved on
            if runner.optim_wrapper.should_update():
                steps.append((runner.optim_wrapper.get_lr()['lr'][0], runner.model.net.weight.tolist()))

    kept = {k: v for k, v in cfg.to_dict().items() if k != 'work_dir'}
    runner, _ = run_tiny(folder, watch=watch, randomness=dict(seed=0), **kept)
    return runner, steps


@pytest.mark.parametrize('by_epoch', [True, False])
def test_steps_are_those_of_the_large_batch(by_epoch, tmp_path):
    _, large = train(tmp_path / 'large', by_epoch, batch=8)
    runner, small = train(tmp_path / 'small', by_epoch, batch=2, count=4)
    assert len(large) == 12 and runner.iter == 48
    rates, wanted = ([rate for rate, _ in steps[:-1]] for steps in (small, large))  # that a step is made with
    assert rates == pytest.approx(wanted, rel=1e-6) and len(set(wanted)) > 8
    for (_, weights), (_, want) in zip(small, large, strict=True):
        torch.testing.assert_close(torch.tensor(weights), torch.tensor(want), rtol=1e-5, atol=1e-6)
    names = [sorted(p.stem for p in (tmp_path / d).glob('*.pth')) for d in ('large', 'small')]
    assert names[0] == (
        [f'epoch_{i}' for i in range(1, 5)] if by_epoch else sorted(f'iter_{i}' for i in range(3, 13, 3))
    )
    assert names[1] == (names[0] if by_epoch else sorted(f'iter_{i}' for i in range(12, 49, 12)))


def test_going_on_inside_a_step_keeps_the_schedule(tmp_path):
    """Epochs of three iterations and steps of two: the second epoch begins inside a step."""

    def run(folder, resume=None):
        cfg = Config(tiny_config(folder, **changes(True, batch=8)))
        accumulate_gradients(cfg, 2)
        rates = []

        def watch(runner, name):
            if name == 'after_train_iter':
                rates.append(runner.optim_wrapper.get_lr()['lr'][0])

        kept = {k: v for k, v in cfg.to_dict().items() if k != 'work_dir'}
        run_tiny(folder, resume, watch=watch, randomness=dict(seed=0), **kept)
        return rates

    whole = run(tmp_path)
    assert len(whole) == 12
    for path in tmp_path.glob('epoch_[234].pth'):
        path.unlink()
    (tmp_path / 'last_checkpoint').unlink()
    assert run(tmp_path, 'auto') == whole[3:]


def test_numbers_of_a_config_in_iterations():
    cfg = Config(tiny_config('x', by_epoch=False, auto_scale_lr=dict(base_batch_size=32)))
    cfg.train_cfg.dynamic_intervals = [(12, 3)]
    said = accumulate_gradients(cfg, 4)
    assert said == 'gradients of 4 iterations in one step: 16 images a step, 96 iterations in all'
    assert cfg.train_cfg == dict(
        type='IterBasedTrainLoop', max_iters=96, val_interval=24, dynamic_intervals=[(48, 12)]
    )
    assert cfg.default_hooks.checkpoint.interval == 12 and cfg.auto_scale_lr.base_batch_size == 8
    assert cfg.optim_wrapper.accumulative_counts == 4
    assert cfg.default_hooks.param_scheduler == dict(type='StepSchedulerHook', in_epochs=[])


def test_a_config_that_accumulates_already():
    cfg = Config(tiny_config('x', by_epoch=False))
    cfg.optim_wrapper.accumulative_counts = 4
    before = cfg.to_dict()
    assert accumulate_gradients(cfg, 4).endswith('as the config has it')
    assert cfg.to_dict() == before


@pytest.mark.parametrize('count', [0, -1, 1.5, True])
def test_no_number_of_iterations(count):
    with pytest.raises(ValueError, match='at least 1, not'):
        accumulate_gradients(Config(tiny_config('x')), count)


def test_several_optimizers_are_refused():
    cfg = Config(tiny_config('x', optim_wrapper=dict(constructor='Two', one=dict(), two=dict())))
    with pytest.raises(ValueError, match='one optimizer'):
        accumulate_gradients(cfg, 2)
