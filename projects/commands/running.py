"""What `mmroad train` and `mmroad test` share. Heavy imports are inside the functions."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..zoo.options import add_import, merge_options
from .shared import add_cfg_options, add_trust

# Read when torch starts its threads: waiting ones sleep instead of spinning, which on cores shared with
# dataloader workers or other ranks makes small steps several times faster.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--work-dir', help='where logs and results go (default: work_dirs/CONFIG)')
    add_cfg_options(parser)
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    add_trust(parser)


def load_config(args: argparse.Namespace) -> Config:
    """The config of the command line: options merged, launcher and work folder set."""
    import torch
    from mmengine.utils import import_modules_from_strings

    from ..zoo.configs import get_config
    from ..zoo.data_root import follow_data_root

    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = get_config(args.config)
    follow_data_root(cfg)
    root = cfg.get('data_root')
    merge_options(cfg, args.cfg_options)
    follow_data_root(cfg, root)
    if cfg.get('custom_imports'):
        import_modules_from_strings(**cfg.custom_imports)
    for name in ('train', 'val', 'test'):
        loader = cfg.get(f'{name}_dataloader')
        if loader and not loader.get('num_workers'):  # torch refuses workers that stay where there are none
            loader.persistent_workers = False
    cfg.launcher = args.launcher
    name = os.path.splitext(os.path.basename(cfg.filename))[0]
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or os.path.join('work_dirs', name)
    if not torch.cuda.is_available():
        _prepare_for_cpu(cfg)
    if args.launcher != 'none':
        from ..runtime.ranks import MEETING, watch

        dist = dict((cfg.get('env_cfg') or {}).get('dist_cfg') or {})
        timeout = dist.get('timeout')
        if not torch.cuda.is_available():
            _join_over_gloo(args.launcher, timeout)
        elif args.launcher == 'pytorch':  # mmengine joins
            dist.setdefault('init_method', MEETING)
            cfg.env_cfg = dict(cfg.get('env_cfg') or {}, dist_cfg=dist)
        add_import(cfg, 'mmroad.runtime.ranks')
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='RankWatchHook')]
        watch(timeout)
    return cfg


def _join_over_gloo(launcher: str, timeout: float | None) -> None:
    """Join the other processes. mmengine would set a CUDA device first, which a CPU-only torch lacks.

    Args:
        launcher: Who started them.
        timeout: Seconds that one waits for another (``env_cfg.dist_cfg.timeout``); None takes torch's 30 minutes.
    """
    from datetime import timedelta

    from torch.distributed import init_process_group

    from ..runtime.ranks import MEETING, watch

    if timeout is not None and (
        isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout <= 0
    ):
        raise SystemExit(f'env_cfg.dist_cfg.timeout is in seconds, above 0, not {timeout!r}')
    if launcher == 'slurm':
        os.environ.setdefault('MASTER_PORT', '29500')
        if 'MASTER_ADDR' not in os.environ:
            import subprocess

            nodes = ['scontrol', 'show', 'hostname', os.environ['SLURM_NODELIST']]
            os.environ['MASTER_ADDR'] = subprocess.check_output(nodes, text=True).split()[0]
        names = dict(RANK='SLURM_PROCID', WORLD_SIZE='SLURM_NTASKS', LOCAL_RANK='SLURM_LOCALID')
        os.environ.update({name: os.environ[slurm] for name, slurm in names.items()})
    elif launcher == 'mpi':
        names = dict(RANK='COMM_WORLD_RANK', WORLD_SIZE='COMM_WORLD_SIZE', LOCAL_RANK='COMM_WORLD_LOCAL_RANK')
        os.environ.update({name: os.environ[f'OMPI_{mpi}'] for name, mpi in names.items()})
        os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
        os.environ.setdefault('MASTER_PORT', '29500')
    watch(timeout)
    wait = None if timeout is None else timedelta(seconds=timeout)
    init_process_group('gloo', init_method=MEETING, timeout=wait)


def _prepare_for_cpu(cfg: Config) -> None:
    """Processes talk over gloo, a config's mixed precision waits for ``--amp``, BatchNorm is plain."""
    env = dict(cfg.get('env_cfg') or {})
    cfg.env_cfg = dict(env, dist_cfg=dict(env.get('dist_cfg') or {}, backend='gloo'))
    if cfg.get('optim_wrapper', {}).get('type') == 'AmpOptimWrapper':
        say(['the mixed precision of the config is for GPUs: float32, or bfloat16 with --amp'])
        cfg.optim_wrapper.type = 'OptimWrapper'
        for key in ('loss_scale', 'dtype'):
            cfg.optim_wrapper.pop(key, None)
    wrapper = dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.model_wrapper_cfg = dict(cfg.get('model_wrapper_cfg') or wrapper, device_ids=None)
    if int(os.environ.get('WORLD_SIZE', 1)) == 1:
        from mmengine.config import ConfigDict

        def plain(node):
            for key, value in list(node.items()) if isinstance(node, dict) else enumerate(node):
                if isinstance(value, (dict, list)):
                    plain(value)
                elif key == 'type' and value == 'SyncBN':
                    node[key] = 'BN'

        plain(cfg.model if isinstance(cfg.model, (dict, ConfigDict)) else {})


def say(lines: list[str]) -> None:
    """Print lines, from the first process alone."""
    if int(os.environ.get('RANK', os.environ.get('SLURM_PROCID', 0))) == 0:
        for line in lines:
            print(line, flush=True)


def say_device(launcher: str) -> None:
    """The first line of a run: the device that it runs on."""
    import torch

    world = int(os.environ.get('WORLD_SIZE', os.environ.get('SLURM_NTASKS', 1)))
    processes = f'{world} process{"es" if world > 1 else ""}'
    if torch.cuda.is_available():
        say([f'running on {torch.cuda.get_device_name()}, {processes}'])
    else:
        over = ' over gloo' if launcher != 'none' else ''
        say([f'no GPU found: running on the CPU, {processes}{over}'])


def build_runner(cfg: Config) -> Runner:
    """mmengine's runner, or the one that the config names."""
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


@contextlib.contextmanager
def room_in(*folders: str | Path | None) -> Iterator[None]:
    """End a run whose disk is full with a sentence; mmengine's logs and dumps do not name what they could not write.

    Args:
        folders: Where the run writes; None among them is skipped.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        from ..files.replacing import is_no_room

        if not is_no_room(error):
            raise
        if isinstance(error, OSError) and error.filename:
            raise SystemExit(f'{error.filename}: {error.strerror}') from error
        free = [
            f'{folder} ({shutil.disk_usage(folder).free / 2**20:.1f} MiB free)'
            for folder in dict.fromkeys(map(str, filter(None, folders)))
            if os.path.isdir(folder)
        ]
        raise SystemExit(
            f'no room to write what the run logs or finds, in {" or ".join(free)}: {error}. Make room and run it '
            'again, a training with --resume'
        ) from error


def write_predictions(cfg: Config, folder: str, only: bool) -> None:
    """Let the metrics of a test write prediction files below a folder.

    Metrics of mmroad do that by their own names, mmdet's as COCO results (``results.bbox.json``,
    ``results.segm.json``), mmseg's as masks (``IMAGE.png``).

    Args:
        cfg: Changed in place.
        folder: Where the files go.
        only: Score nothing; metrics that write no files are left out.

    Raises:
        SystemExit: No metric of the config can write files.
    """
    from mmengine.registry import METRICS, init_default_scope

    evaluator = cfg.test_evaluator
    several_sets = isinstance(evaluator, dict) and 'metrics' in evaluator  # one metric for each test set
    metrics = (
        evaluator['metrics'] if several_sets else evaluator if isinstance(evaluator, list) else [evaluator]
    )
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    writers = []
    with METRICS.switch_scope_and_registry(None) as registry:
        for metric in metrics:
            options = _init_arguments(registry.get(metric['type']))
            if 'format_dir' in options:
                metric.update(format_dir=folder)
            elif 'outfile_prefix' in options:
                metric.update(outfile_prefix=os.path.join(folder, 'results'))
            elif 'output_dir' in options:
                metric.update(output_dir=folder)
            else:
                continue
            metric['format_only'] = only
            writers.append(metric)
    names = ', '.join(metric['type'] for metric in metrics)
    if not writers or (several_sets and len(writers) < len(metrics)):
        raise SystemExit(
            f'--format-dir: {names} of {os.path.basename(cfg.filename)} writes no prediction files. --out FILE.pkl '
            'keeps all predictions; --cfg-options test_evaluator.type=... takes another metric'
        )
    if only and not several_sets:
        cfg.test_evaluator = writers


def _init_arguments(metric: type) -> set[str]:
    """Names of a class's arguments, with those that it hands to its parents by ``**kwargs``."""
    import inspect

    names: set[str] = set()
    for cls in metric.__mro__:
        if '__init__' in vars(cls):
            parameters = inspect.signature(vars(cls)['__init__']).parameters
            names |= parameters.keys()
            if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
                break
    return names


def refuse_same_names(runner: Runner, show_dir: str | None = None) -> None:
    """Masks of mmseg's metrics and pictures of mmdet's hook are named by their images alone: two images of one name,
    and pictures onto images, are refused before the first is run.

    Args:
        runner: With the test data and evaluator.
        show_dir: Where mmdet's hook writes pictures; what will be there is noted where that is among the images.

    Raises:
        SystemExit: Names both images, or the one that would be replaced.
    """
    masks = [m.output_dir for m in runner.test_evaluator.metrics if getattr(m, 'output_dir', None)]
    if not masks and not show_dir:
        return
    from ..files.outputs import OutputNames, note_outputs

    dataset = runner.test_dataloader.dataset
    path_of = getattr(dataset, 'img_path', lambda i: dataset.get_data_info(i)['img_path'])
    paths = [path_of(i) for i in range(len(dataset))]
    places: list[tuple[OutputNames, str | None]] = [(OutputNames(folder), '.png') for folder in masks]
    places += [(OutputNames(show_dir, paths), None)] if show_dir else []
    try:
        for names, suffix in places:
            for path in paths:
                names.path(os.path.basename(path), suffix, source=path)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    if show_dir:
        base = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])
        note_outputs(Path(show_dir), Path(base), map(os.path.basename, paths))
