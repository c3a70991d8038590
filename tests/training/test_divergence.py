"""A training that has diverged stops, says since when, and leaves its good checkpoints."""

import re

import pytest
import torch
from tiny_training import run_tiny

from mmroad.runtime.training import DivergedError

SEED = dict(randomness=dict(seed=3))


def finite(path):
    return all(torch.isfinite(v).all() for v in torch.load(path, weights_only=True)['state_dict'].values())


@pytest.mark.parametrize(
    'nan_from, end', [(8, 'last good checkpoint is .*epoch_1.pth'), (3, 'No checkpoint')]
)
def test_it_stops_and_says_since_when(tmp_path, nan_from, end):
    with pytest.raises(DivergedError) as raised:
        run_tiny(tmp_path, model=dict(type='TinyModel', nan_from=nan_from), **SEED)
    text = str(raised.value)
    assert f'the loss is NaN or infinite since iteration {nan_from} (loss_point)' in text
    assert 'optim_wrapper.optimizer.lr' in text and 'clip' in text
    assert re.search(end, text)
    left = sorted(p.name for p in tmp_path.glob('*.pth'))
    assert left == (['best_tiny_right_epoch_1.pth', 'epoch_1.pth'] if nan_from == 8 else [])
    assert all(finite(p) for p in tmp_path.glob('*.pth'))


def test_ten_in_a_row_and_the_names_of_the_losses(tmp_path, monkeypatch):
    """Gradients that are left out keep the weights, so nothing but the loss tells."""
    from mmengine.optim import OptimWrapper

    monkeypatch.setattr(OptimWrapper, 'update_params', lambda self, loss, **kwargs: self.zero_grad())
    with pytest.raises(DivergedError, match=r'infinite since iteration 8 \(loss_point\)') as raised:
        run_tiny(tmp_path, model=dict(type='TinyModel', nan_from=8), by_epoch=False, **SEED)
    assert 'iter_15.pth' in str(raised.value)  # stopped at 17


def test_one_that_ends_so_has_failed(tmp_path, monkeypatch):
    from mmengine.optim import OptimWrapper

    monkeypatch.setattr(OptimWrapper, 'update_params', lambda self, loss, **kwargs: self.zero_grad())
    with pytest.raises(DivergedError, match='since iteration 22'):
        run_tiny(tmp_path, model=dict(type='TinyModel', nan_from=22), by_epoch=False, **SEED)


def test_single_ones_pass(tmp_path, monkeypatch):
    """As mixed precision does: a step that is not finite is left out, and the training recovers."""
    from mmengine.optim import OptimWrapper

    update, steps = OptimWrapper.update_params, []

    def some(self, loss, **kwargs):
        steps.append(loss)
        return self.zero_grad() if not torch.isfinite(loss) else update(self, loss, **kwargs)

    monkeypatch.setattr(OptimWrapper, 'update_params', some)
    from tiny_training import TinyModel

    forward = TinyModel.forward

    def sometimes(self, *args, mode='tensor', **kwargs):
        found = forward(self, *args, mode=mode, **kwargs)
        if mode == 'loss' and self.steps % 5 == 0:
            found['loss_point'] = found['loss_point'] * float('inf')
        return found

    monkeypatch.setattr(TinyModel, 'forward', sometimes)
    runner, _ = run_tiny(tmp_path, **SEED)
    assert runner.iter == 24 == len(steps) and finite(tmp_path / 'epoch_4.pth')


@pytest.mark.parametrize(
    'scores, best', [([float('nan'), 2, 1, float('inf')], 2), ([float('nan')] * 4, None)]
)
def test_a_score_that_is_not_a_number_is_never_the_best(tmp_path, scores, best):
    runner, _ = run_tiny(tmp_path, val_evaluator=dict(type='TinyMetric', scores=scores), **SEED)
    assert runner.message_hub.get_info('best_score') == best
    names = [p.name for p in tmp_path.glob('best_*')]
    assert names == ([] if best is None else [f'best_tiny_right_epoch_{scores.index(best) + 1}.pth'])


def test_a_score_that_is_not_there_is_named(tmp_path):
    hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1, save_best='tiny/AP', rule='greater'))
    with pytest.raises(KeyError, match="save_best='tiny/AP' is none of the scores.*tiny/right"):
        run_tiny(tmp_path, default_hooks=hooks, **SEED)
