"""Trainings that are killed at random moments go on and equal the training that was not; torn checkpoints are
passed by."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import sys
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from children import Attempt, finish, fork, leftovers, ranks_of

sys.path.insert(0, str(Path(__file__).parents[1] / 'training'))

INTERVAL = 3  # iterations between checkpoints; six make an epoch, so some are inside one
STEPS = 24
LAST = f'iter_{STEPS}.pth'


def config(by_epoch: bool, workers: int, ranks: int) -> dict:
    from tiny_training import tiny_config

    checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=INTERVAL, max_keep_ckpts=1,
                      save_best='tiny/right', rule='greater')  # fmt: skip
    hooks = dict(checkpoint=checkpoint, logger=dict(type='LoggerHook', interval=1))
    hooks = {**tiny_config('', by_epoch)['default_hooks'], **hooks}
    model = dict(type='TinyModel', ballast=2**19)
    changes = dict(by_epoch=by_epoch, workers=workers, default_hooks=hooks, model=model, launcher='none')
    if by_epoch:  # 24 images in batches of 4 a rank
        changes['train_cfg'] = dict(
            type='EpochBasedTrainLoop', max_epochs=STEPS * 4 * ranks // 24, val_interval=1
        )
    return changes


def train(work_dir: Path, rank: int, ranks: int, port: int, resume: str | None, **changes) -> None:
    """One process of a training; notes in ``steps`` how far it came and where it began."""
    from mmengine.runner import runner as runner_module
    from tiny_training import run_tiny

    runner_module.collect_env = dict
    if ranks > 1:
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(ranks), LOCAL_RANK=str(rank),
                          MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))  # fmt: skip
        from mmroad.commands.running import _join_over_gloo

        _join_over_gloo('pytorch', 60)
        changes['launcher'] = 'pytorch'
        changes['env_cfg'] = dict(dist_cfg=dict(backend='gloo'))
        changes['model_wrapper_cfg'] = dict(
            type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False
        )
    notes = open(work_dir / f'steps-{rank}', 'a', buffering=1)

    def note(runner, name):
        if name == 'before_train':
            notes.write(f'from {runner.iter}\n')
        elif name == 'before_train_iter':
            notes.write(f'{runner.iter}\n')
        return False

    run_tiny(work_dir, resume, watch=note, **changes)


def start(work_dir: Path, ranks: int, resume: str | None, **changes) -> list[int]:
    """Fork the processes of a training (torch is imported already): their ids."""
    return [
        fork(
            partial(train, work_dir, place['RANK'], ranks, place['MASTER_PORT'], resume, **changes),
            work_dir / f'log-{place["RANK"]}',
        )
        for place in ranks_of(ranks)
    ]


def wait(children: list[int]) -> bool:
    return not any([finish(child) for child in children])


def kill(children: list[int], work_dir: Path, while_writing: bool, rng: random.Random) -> bool | None:
    """Kill a training, at a random moment or while it writes a checkpoint.

    Returns:
        Whether a checkpoint was being written; None where the training ended before.
    """
    steps, after = work_dir / 'steps-0', rng.randrange(1, STEPS - 1)
    parts = lambda: [p for p in work_dir.glob('.part-*.pth')]  # noqa: E731
    while not (steps.exists() and steps.read_text().count('\n') > after):
        if os.waitpid(children[0], os.WNOHANG)[0]:
            wait(children[1:])
            return None
        time.sleep(0.0005)
    if while_writing:
        deadline = time.time() + 5
        while not parts() and time.time() < deadline:
            pass
        time.sleep(rng.random() * 0.002)
    else:
        time.sleep(rng.random() * 0.03)
    for child in rng.sample(children, len(children)):
        os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)
    return bool(parts())


def killed_trainings(ranks: int, root: Path, rng: random.Random) -> Iterator[Attempt]:
    """Kill one training after another, half of them while a checkpoint is written, and go on with each."""
    from tiny_training import differences

    seed = dict(randomness=dict(seed=3))
    for i in itertools.count():
        by_epoch, workers = bool(i % 2), 2 * (i % 4 == 2)
        changes = config(by_epoch, workers, ranks)
        whole = root / f'whole-{by_epoch}'
        if not whole.exists():
            assert wait(start(whole, ranks, None, **seed, **config(by_epoch, 0, ranks)))
        work = root / f'killed-{i}'
        children = start(work, ranks, None, **seed, **changes)
        writing = kill(children, work, i % 2 == i // 2 % 2, rng)
        if writing is None:
            yield Attempt('ended before')
            continue
        done = int((work / 'steps-0').read_text().split('\n')[-2].removeprefix('from '))
        resumable = any(work.glob('iter_*.pth'))
        broken = []
        if not wait(start(work, ranks, 'auto', **({} if resumable else seed), **changes)):
            broken.append(f'it cannot go on: {(work / "log-0").read_text()[-800:]}')
        lines = (work / 'steps-0').read_text().split('\n')
        begun = [int(line[5:]) for line in lines if line.startswith('from ')][-1]
        if done - begun > INTERVAL:
            broken.append(f'{done - begun} iterations lost')
        broken += [f'{p.name} is half' for p in work.glob('*.pth') if not zipfile.is_zipfile(p)]
        broken += leftovers(work)
        if not broken:
            broken += [f'{name} differs' for name in differences(whole / LAST, work / LAST)[:5]]
            best = {p.name for p in work.glob('best_*')} ^ {p.name for p in whole.glob('best_*')}
            broken += [f'another best checkpoint: {best}'] if best else []
        yield Attempt('while a checkpoint is written' if writing else 'elsewhere', broken)
        if not broken:
            shutil.rmtree(work)


def spoiled_folders(root: Path, rng: random.Random) -> Iterator[Attempt]:
    """A torn, empty, missing or moved ``last_checkpoint`` or checkpoints: the newest whole one is gone on from."""
    from mmroad.runtime.training.resume import newest_checkpoint

    source = root / 'source'
    hooks = config(False, 0, 1)['default_hooks']
    hooks['checkpoint']['max_keep_ckpts'] = 5
    assert wait(
        start(source, 1, None, randomness=dict(seed=3), **{**config(False, 0, 1), 'default_hooks': hooks})
    )
    steps = sorted(int(path.stem[5:]) for path in source.glob('iter_*.pth'))
    whole = (source / LAST).read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    spoilt = (whole[: len(whole) // 2], b'', bytes(5000), b'<!DOCTYPE html>', bytes(flipped), None)
    pointers = ('', 'gone/iter_99.pth', f'/elsewhere/{LAST}', LAST, '\0\xff', None)
    for i in itertools.count():
        work = root / f'spoiled-{i}'
        shutil.copytree(source, work)
        first, bad = rng.choice(pointers), rng.randrange(len(steps) + 1)
        (work / 'last_checkpoint').unlink()
        if first is not None:
            (work / 'last_checkpoint').write_bytes(first.encode('latin1'))
        for step in steps[len(steps) - bad :]:
            content, path = rng.choice(spoilt), work / f'iter_{step}.pth'
            path.unlink() if content is None else path.write_bytes(content)
        want = work / f'iter_{steps[-1 - bad]}.pth' if bad < len(steps) else None
        got, _, passed = newest_checkpoint(work)
        wrong = [name for name in work.glob('iter_*.pth') if int(name.stem[5:]) > steps[-1 - bad] and not any(
            name.name in line for line in passed)] if want else []  # fmt: skip
        broken = [f'{got} instead of {want}'] if got != want else []
        yield Attempt('work folders', broken + [f'{name} is passed by without a word' for name in wrong])
        if not broken:
            shutil.rmtree(work)
