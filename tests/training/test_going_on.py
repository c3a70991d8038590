"""A training that was stopped and gone on with equals one that was not, bit by bit; checkpoints survive."""

import os
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from mmengine.dataset import InfiniteSampler
from mmengine.hooks import CheckpointHook
from mmengine.logging import HistoryBuffer
from tiny_training import Stopped, differences, run_tiny

from mmroad.runtime.training.resume import newest_checkpoint
from mmroad.zoo.checkpoint import CheckpointError

SEED = dict(randomness=dict(seed=3))


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """The uninterrupted trainings, by epochs and by iterations: their last checkpoints."""
    root = tmp_path_factory.mktemp('whole')
    run_tiny(root / 'epochs', **SEED)
    run_tiny(root / 'iters', by_epoch=False, **SEED)
    return {True: root / 'epochs/epoch_4.pth', False: root / 'iters/iter_24.pth'}


def at(hook, iteration):
    return lambda runner, name: name == hook and runner.iter >= iteration


STOPS = {
    'in an epoch': at('after_train_iter', 12),
    'before the validation': at('after_train_epoch', 11),
    'in the validation': lambda runner, name: name == 'after_val_iter' and runner.iter >= 12,
    'after the validation': at('after_val_epoch', 12),
    'before the first checkpoint': at('after_train_iter', 1),
}


@pytest.mark.parametrize('where', STOPS)
def test_epochs_go_on(whole, tmp_path, where):
    run_tiny(tmp_path, stop=STOPS[where], **SEED)
    run_tiny(tmp_path, 'auto', **(SEED if 'first' in where else {}))
    assert differences(whole[True], tmp_path / 'epoch_4.pth') == []
    best = [p.name for p in Path(whole[True]).parent.glob('best_*')]
    assert [p.name for p in tmp_path.glob('best_*')] == best and len(best) == 1
    assert sorted(p.name for p in tmp_path.glob('epoch_*')) == ['epoch_3.pth', 'epoch_4.pth']


@pytest.mark.parametrize('where', [k for k in STOPS if k != 'before the validation'])
def test_iterations_go_on(whole, tmp_path, where):
    run_tiny(tmp_path, stop=STOPS[where], by_epoch=False, **SEED)
    run_tiny(tmp_path, 'auto', by_epoch=False, **(SEED if 'first' in where else {}))
    assert differences(whole[False], tmp_path / 'iter_24.pth') == []


def test_the_seed_that_was_drawn_is_that_of_the_checkpoint(tmp_path):
    run_tiny(tmp_path / 'a', stop=STOPS['in an epoch'])
    shutil.copytree(tmp_path / 'a', tmp_path / 'b')
    one, _ = run_tiny(tmp_path / 'a', 'auto')
    other, said = run_tiny(tmp_path / 'b', 'auto', randomness=dict(seed=1))
    assert one.seed == other.seed and any('randomness.seed=1 is not taken' in line for line in said)
    assert differences(tmp_path / 'a/epoch_4.pth', tmp_path / 'b/epoch_4.pth') == []


def test_a_checkpoint_inside_an_epoch(whole, tmp_path):
    """24 images in batches of 4: six iterations an epoch, a checkpoint every four."""
    hooks = dict(
        checkpoint=dict(
            type='CheckpointHook', by_epoch=False, interval=4, save_best='tiny/right', rule='greater'
        )
    )
    run_tiny(tmp_path / 'whole', default_hooks=hooks, **SEED)
    run_tiny(tmp_path / 'a', stop=at('after_train_iter', 9), default_hooks=hooks, **SEED)
    runner, _ = run_tiny(tmp_path / 'a', 'auto', default_hooks=hooks)
    assert differences(tmp_path / 'whole/iter_24.pth', tmp_path / 'a/iter_24.pth') == []
    # of the second epoch, 2 of 6 batches were done: the first four batches that are loaded are the others
    assert len(runner.train_dataloader.dataset.loaded) == 24 * 4 - 8 * 4


def test_no_image_is_loaded_again(tmp_path):
    run_tiny(tmp_path, by_epoch=False, stop=at('after_train_iter', 19), **SEED)
    runner, _ = run_tiny(tmp_path, 'auto', by_epoch=False)
    loaded = runner.train_dataloader.dataset.loaded
    stream = InfiniteSampler(runner.train_dataloader.dataset, seed=3)
    want = [next(stream.indices) for _ in range(24 * 4)]
    assert loaded == want[18 * 4 :]


@pytest.mark.parametrize('by_epoch', [True, False])
def test_workers_make_no_difference(whole, tmp_path, by_epoch):
    """Nor does it matter that the training of `whole` had none: the model's own draws do not follow the data's."""
    run_tiny(tmp_path, workers=2, by_epoch=by_epoch, stop=at('after_train_iter', 11), **SEED)
    run_tiny(tmp_path, 'auto', workers=1, by_epoch=by_epoch)
    last = 'epoch_4.pth' if by_epoch else 'iter_24.pth'
    assert differences(whole[by_epoch], tmp_path / last) == []


def test_a_checkpoint_is_plain(whole):
    for path in whole.values():
        globals_ = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        assert globals_ == []
        content = torch.load(path, weights_only=True)
        loss = content['message_hub']['log_scalars']['train/loss']
        assert len(loss['history']) == len(loss['counts']) == 24
        assert content['meta']['seed'] == 3 and content['progress']['world_size'] == 1


def old_checkpoint(path, out):
    """As mmengine alone writes it: the log in objects, no place in the training."""
    content = torch.load(path, weights_only=True)
    del content['progress']
    scalars = content['message_hub']['log_scalars']
    for key, value in scalars.items():
        scalars[key] = HistoryBuffer(value['history'].numpy(), value['counts'].numpy())
    out.parent.mkdir(exist_ok=True)
    torch.save(content, out)


@pytest.mark.parametrize('trust', [True, False])
def test_an_old_checkpoint_is_gone_on_from(whole, tmp_path, trust):
    run_tiny(tmp_path / 'a', stop=STOPS['after the validation'], **SEED)
    old_checkpoint(tmp_path / 'a/epoch_2.pth', tmp_path / 'b/epoch_2.pth')
    runner, said = run_tiny(tmp_path / 'b', 'auto', trust=trust)
    assert said == [f'going on from {tmp_path / "b/epoch_2.pth"}']
    assert runner.iter == 24
    left_out = (
        'time',
        'cfg',
        'experiment_name',
        '_ckpt',
        *(() if trust else ('history', 'counts', 'resumed_keys')),
    )
    assert [
        d for d in differences(whole[True], tmp_path / 'b/epoch_4.pth', left_out) if 'message' not in d
    ] == []


class Harm:
    def __reduce__(self):
        return os.mkdir, ('/tmp/mmroad-harm-of-a-checkpoint',)


def test_going_on_runs_nothing(whole, tmp_path):
    content = torch.load(whole[True], weights_only=True)
    content['message_hub']['runtime_info']['harm'] = Harm()
    torch.save(content, tmp_path / 'epoch_3.pth')
    with pytest.raises(CheckpointError):
        run_tiny(tmp_path, 'auto')
    assert not os.path.exists('/tmp/mmroad-harm-of-a-checkpoint')


# which checkpoint


@pytest.fixture
def folder(whole, tmp_path):
    """Three checkpoints and a best one, named by last_checkpoint."""
    source = Path(whole[True])
    for epoch in (9, 10, 11):
        shutil.copy(source, tmp_path / f'epoch_{epoch}.pth')
    shutil.copy(source, tmp_path / 'best_tiny_right_epoch_30.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_11.pth'))
    return tmp_path


def torn(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def flipped(path):
    with zipfile.ZipFile(path) as file:
        info = max(file.infolist(), key=lambda i: i.file_size)
    data = bytearray(path.read_bytes())
    data[info.header_offset + 200] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize(
    'spoil, word',
    [
        (torn, 'cut off'),
        (flipped, 'damaged'),
        (lambda p: p.write_bytes(b''), 'empty'),
        (lambda p: p.unlink(), 'missing'),
        (lambda p: p.write_text('<html>'), 'web page'),
    ],
)
def test_the_newest_that_reads(folder, spoil, word):
    spoil(folder / 'epoch_11.pth')
    path, content, passed = newest_checkpoint(folder)
    assert path == folder / 'epoch_10.pth' and content['meta']['epoch'] == 4
    assert len(passed) == 1 and 'epoch_11.pth' in passed[0] and word in passed[0]


@pytest.mark.parametrize('text', ['', ' \n', '\udcff\udcc0', 'epoch_99.pth', '/no/where/epoch_11.pth', None])
def test_a_pointer_that_points_nowhere(folder, text):
    pointer = folder / 'last_checkpoint'
    if text is None:
        pointer.unlink()
    else:
        pointer.write_bytes(text.encode('utf-8', 'surrogateescape'))
    path, _, passed = newest_checkpoint(folder)
    assert path == folder / 'epoch_11.pth'
    assert passed == ([f'{folder / "epoch_99.pth"} is missing'] if text == 'epoch_99.pth' else [])


def test_the_pointer_decides_among_those_that_read(folder):
    (folder / 'last_checkpoint').write_text('epoch_9.pth\n')  # a new training in an old folder
    assert newest_checkpoint(folder)[0] == folder / 'epoch_9.pth'


def test_a_folder_that_was_moved_is_not_left_for_the_old_place(folder, tmp_path):
    moved = tmp_path / 'moved'
    shutil.copytree(folder, moved, ignore=shutil.ignore_patterns('moved'))
    assert newest_checkpoint(moved)[0] == moved / 'epoch_11.pth'


def test_nothing_to_go_on_from(tmp_path):
    _, said = run_tiny(tmp_path, 'auto', train_cfg=dict(type='IterBasedTrainLoop', max_iters=1), val_cfg=None,
                       val_dataloader=None, val_evaluator=None)  # fmt: skip
    assert said == [f'no checkpoint in {tmp_path} to go on from: the training begins']


def test_what_cannot_be_gone_on_from_is_refused(whole, tmp_path):
    content = torch.load(whole[True], weights_only=True)
    torch.save(dict(state_dict=content['state_dict'], meta={}), tmp_path / 'weights.pth')
    with pytest.raises(CheckpointError, match='weights.pth is no checkpoint of a training.*optimizer'):
        run_tiny(tmp_path, str(tmp_path / 'weights.pth'))
    with pytest.raises(FileNotFoundError, match='gone.pth'):
        run_tiny(tmp_path, str(tmp_path / 'gone.pth'))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='no checkpoint in .*empty'):
        run_tiny(tmp_path, str(tmp_path / 'empty'))


# files that survive


def test_a_kill_while_writing_leaves_the_old_ones(tmp_path, monkeypatch):
    """Neither a checkpoint nor the best one is deleted before the next is whole, also with max_keep_ckpts=1."""
    import mmengine.runner.runner as runner_module

    hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=1, save_best='tiny/right',
                                 rule='greater'))  # fmt: skip
    save, seen = runner_module.save_checkpoint, []

    def half(checkpoint, filename, **kwargs):
        save(checkpoint, filename, **kwargs)
        here = sorted(p.name for p in tmp_path.glob('*.pth') if not p.name.startswith('.'))
        seen.append((checkpoint['meta']['epoch'], here))
        for path in here:
            assert zipfile.is_zipfile(tmp_path / path)
        if checkpoint['meta']['epoch'] == 3 and checkpoint['progress']['validated'] and 'best' in filename:
            torn(Path(filename))
            raise Stopped

    monkeypatch.setattr(runner_module, 'save_checkpoint', half)
    with pytest.raises(Stopped):
        run_tiny(
            tmp_path, val_evaluator=dict(type='TinyMetric', scores=[1, 2, 3, 4]), default_hooks=hooks, **SEED
        )
    assert sorted(p.name for p in tmp_path.glob('*.pth')) == [
        'best_tiny_right_epoch_2.pth', 'epoch_2.pth', 'epoch_3.pth']  # fmt: skip
    assert seen[0] == (1, []) and (3, ['best_tiny_right_epoch_2.pth', 'epoch_1.pth', 'epoch_2.pth']) in seen
    monkeypatch.setattr(runner_module, 'save_checkpoint', save)
    whole = (tmp_path / 'epoch_2.pth').read_bytes()
    for name, content in dict(cut=whole[:2000], empty=b'', zeros=bytes(5000)).items():
        (tmp_path / f'best_{name}.pth').write_bytes(content)  # by an older version
    torch.save(dict(w=torch.ones(1)), tmp_path / 'best_own.pth', _use_new_zipfile_serialization=False)
    run_tiny(tmp_path, 'auto', val_evaluator=dict(type='TinyMetric', scores=[3, 4]), default_hooks=hooks)
    assert sorted(p.name for p in tmp_path.glob('*.pth')) == [
        'best_own.pth', 'best_tiny_right_epoch_4.pth', 'epoch_3.pth', 'epoch_4.pth']  # fmt: skip
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_4.pth')


def test_what_a_kill_left_over_is_deleted_later(tmp_path):
    """Killed between the new checkpoint and the deletion of the old one."""
    real = Path.unlink

    def stop(runner, name):
        return name == 'after_train_epoch' and runner.epoch == 2

    def kept(self, missing_ok=False):
        if self.suffix != '.pth' or self.name.startswith('.part'):
            real(self, missing_ok)

    Path.unlink = kept
    try:
        run_tiny(tmp_path, stop=stop, **SEED)
    finally:
        Path.unlink = real
    assert len(list(tmp_path.glob('epoch_*.pth'))) == 3
    run_tiny(tmp_path, 'auto')
    assert sorted(p.name for p in tmp_path.glob('epoch_*.pth')) == ['epoch_3.pth', 'epoch_4.pth']


def test_no_room_names_the_file(tmp_path, monkeypatch):
    import mmengine.fileio.backends.local_backend as backend

    def full(self, data, path):
        Path(path).write_bytes(data[:1000])
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(backend.LocalBackend, 'put', full)
    with pytest.raises(OSError, match=r'no room .*epoch_1\.pth') as raised:
        run_tiny(tmp_path, **SEED)
    assert raised.value.errno == 28 and raised.value.filename == str(tmp_path / 'epoch_1.pth')
    assert not list(tmp_path.glob('*.pth')) and not list(tmp_path.glob('.part*'))


def test_objects_in_a_checkpoint_are_told(tmp_path, caplog):
    def stop(runner, name):
        runner.message_hub.update_info('mine', CheckpointHook)
        return name == 'after_val_epoch'

    run_tiny(tmp_path, stop=stop, **SEED)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    with pytest.raises(CheckpointError):
        run_tiny(tmp_path, 'auto')
    assert run_tiny(tmp_path, 'auto', trust=True)[0].iter == 24
