"""Kill trainings at random moments, go on, and compare with the training that was not killed.

    python tests/reliability/kills.py [KILLS] [RANKS] [SEED]     (50 kills, 1 rank)

Half of the kills come while a checkpoint is written. Prints one line a kill and the counts; exits 1 where a training
could not go on, was not equal bit by bit, lost more than one interval, or left a half file.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
import zipfile
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')
sys.path.insert(0, str(Path(__file__).parents[1] / 'training'))

INTERVAL = 3  # iterations between checkpoints; six make an epoch, so some are inside one
STEPS = 24


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
        from mmroad.cli import _join_over_gloo

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
    work_dir.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(ranks):
        child = os.fork()
        if not child:
            status = 1
            try:
                log = os.open(work_dir / f'log-{rank}', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.dup2(log, 1)
                os.dup2(log, 2)
                train(work_dir, rank, ranks, port, resume, **changes)
                status = 0
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(status)
        children.append(child)
    return children


def wait(children: list[int]) -> bool:
    return all([os.waitpid(child, 0)[1] == 0 for child in children])


def kill(children: list[int], work_dir: Path, while_writing: bool, rng: random.Random) -> bool:
    """Kill a training, at a random moment or while it writes a checkpoint.

    Returns:
        Whether a checkpoint was being written.
    """
    steps, after = work_dir / 'steps-0', rng.randrange(1, STEPS - 1)
    parts = lambda: [p for p in work_dir.glob('.part-*.pth')]  # noqa: E731
    while not (steps.exists() and steps.read_text().count('\n') > after):
        if os.waitpid(children[0], os.WNOHANG)[0]:
            raise RuntimeError(f'the training ended by itself: {(work_dir / "log-0").read_text()[-2000:]}')
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


def soak(kills: int, ranks: int, seed: int, root: Path, say=print) -> dict[str, int]:
    """Counts of what was tried and what failed."""
    from tiny_training import differences

    rng = random.Random(seed)
    counts = dict(kills=0, while_writing=0, gone_on=0, equal=0, beyond_one_interval=0, half_files=0)
    whole = {}
    for i in range(kills):
        by_epoch, workers = bool(i % 2), 2 * (i % 4 == 2)
        changes = config(by_epoch, workers, ranks)
        if by_epoch not in whole:
            whole[by_epoch] = root / f'whole-{by_epoch}'
            assert wait(
                start(whole[by_epoch], ranks, None, randomness=dict(seed=3), **config(by_epoch, 0, ranks))
            )
        work = root / f'killed-{i}'
        children = start(work, ranks, None, randomness=dict(seed=3), **changes)
        try:
            writing = kill(children, work, i % 2 == i // 2 % 2, rng)
        except (RuntimeError, ChildProcessError):
            say(f'{i}: ended before it was killed')
            shutil.rmtree(work)
            continue
        done = int((work / 'steps-0').read_text().split('\n')[-2].removeprefix('from '))
        resumable = any(work.glob('iter_*.pth'))
        on = wait(
            start(work, ranks, 'auto', **({} if resumable else dict(randomness=dict(seed=3))), **changes)
        )
        begun = [
            int(line[5:]) for line in (work / 'steps-0').read_text().split('\n') if line.startswith('from ')
        ][-1]
        lost = done - begun
        last = f'iter_{STEPS}.pth'
        differ = differences(whole[by_epoch] / last, work / last) if on else ['nothing to compare']
        half = [p.name for p in work.glob('*.pth') if not zipfile.is_zipfile(p)]
        half += [p.name for p in work.glob('.part-*')]
        best = {p.name for p in work.glob('best_*')} ^ {p.name for p in whole[by_epoch].glob('best_*')}
        counts['kills'] += 1
        counts['while_writing'] += writing
        counts['gone_on'] += on
        counts['equal'] += not differ and not best
        counts['beyond_one_interval'] += lost > INTERVAL
        counts['half_files'] += bool(half)
        say(
            f'{i}: killed at iteration {done}{" while writing" if writing else ""}, from {begun}, '
            f'{"equal" if not differ and not best else f"different: {differ[:5]} {best}"} {half or ""}'
        )
        if on and not differ and not half:
            shutil.rmtree(work)
    return counts


def kept(counts: dict[str, int]) -> bool:
    """Whether every promise was kept."""
    every = counts['kills'] == counts['gone_on'] == counts['equal']
    return every and not counts['beyond_one_interval'] and not counts['half_files']


if __name__ == '__main__':
    kills, ranks, seed = (int(a) for a in (sys.argv[1:] + ['50', '1', '0'][len(sys.argv) - 1 :])[:3])
    with tempfile.TemporaryDirectory() as folder:
        found = soak(kills, ranks, seed, Path(folder))
    print(', '.join(f'{k.replace("_", " ")} {v}' for k, v in found.items()))
    sys.exit(not kept(found))
