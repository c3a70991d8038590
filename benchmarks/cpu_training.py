"""CPU seconds of a training step, ours and ours with --amp beside raw mmdet, and the loss curves of all three.

    OMP_NUM_THREADS=1 python benchmarks/cpu_training.py [--config NAME] [--data-root DIR] [--steps 100] [--rounds 5]

"mmdet" is the config's model with the operators of mmcv and mmdet and torch's plain optimizer, "ours" what
`mmroad train` makes of it, "amp" the same with --amp. All begin with the same weights and see the same images; the
rounds of timing take turns. Without --data-root the images are synthetic road scenes, drawn first.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import tempfile
import time
from types import SimpleNamespace

from stock import stock_operators


def trainings(cfg, model) -> dict:
    """Name to what trains: the model, its optimizer's wrapper and the operators it runs with."""
    from mmengine.optim import build_optim_wrapper

    from mmroad.runtime.speed import training_options
    from mmroad.runtime.training.fast_hook import FastTrainingHook

    kinds = {}
    for name in ('mmdet', 'ours', 'amp'):
        this, own = copy.deepcopy(cfg), copy.deepcopy(model)
        if name != 'mmdet':
            options = argparse.Namespace(
                amp=name == 'amp',
                amp_dtype=None,
                compile=False,
                accumulate=None,
                checkpoint_activations=False,
            )
            training_options.change(this, options)
            hook = {k: v for k, v in this.custom_hooks[-1].items() if k != 'type'}
            FastTrainingHook(**hook).before_train(SimpleNamespace(model=own))
        wrapper = build_optim_wrapper(own, this.optim_wrapper)
        kinds[name] = own, wrapper, stock_operators if name == 'mmdet' else contextlib.nullcontext
    return kinds


def step(training, batch) -> float:
    model, wrapper, operators = training
    import torch

    torch.manual_seed(0)
    with operators():
        return float(model.train_step(copy.deepcopy(batch), wrapper)['loss'])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--config', default='faster_rcnn_r18_fpn_quickstart')
    parser.add_argument('--data-root', help='a data set in the layout of BDD100K')
    parser.add_argument('--steps', type=int, default=100, help='of the loss curves (default: %(default)s)')
    parser.add_argument(
        '--rounds', type=int, default=5, help='of timing, 4 steps each (default: %(default)s)'
    )
    args = parser.parse_args()

    import logging

    import torch
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import DATASETS, init_default_scope
    from mmengine.utils import import_modules_from_strings

    import mmroad
    from mmroad.road_scenes.write import write_dataset
    from mmroad.zoo.models import build_model, without_initial_weights

    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    cfg = mmroad.get_config(args.config)
    import_modules_from_strings(**cfg.custom_imports)
    init_default_scope('mmdet')
    cfg.model = without_initial_weights(cfg.model)
    with tempfile.TemporaryDirectory() as folder:
        root = args.data_root or f'{folder}/scenes'
        size = cfg.train_dataloader.batch_size
        if not args.data_root:
            write_dataset(root, train=args.steps * size, val=1, ood=1)
        cfg.train_dataloader.dataset.data_root = f'{root}/'
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        torch.manual_seed(0)
        batches = [
            pseudo_collate([dataset[(i * size + j) % len(dataset)] for j in range(size)])
            for i in range(max(args.steps, 4))
        ]
    torch.manual_seed(0)
    model = build_model(cfg)
    model.init_weights()
    kinds = trainings(cfg, model.train())
    best = dict.fromkeys(kinds, float('inf'))
    for turn in range(args.rounds + 1):
        for name, training in kinds.items():
            start = time.process_time()
            for batch in batches[:4]:
                step(training, batch)
            if turn:  # the first warms up
                best[name] = min(best[name], (time.process_time() - start) / 4)
    for name, seconds in best.items():
        ratio = best['mmdet'] / seconds
        print(f'{name:6} {seconds:.3f} CPU s a step of {size} images, {ratio:.2f} times', flush=True)
    curves = {name: [] for name in kinds}
    for name, training in trainings(cfg, model).items():
        curves[name] = [step(training, batch) for batch in batches[: args.steps]]
    print(f'mean loss of ten steps:   {"".join(f"{name:>9}" for name in curves)}')
    for i in range(0, args.steps, 10):
        means = [sum(curve[i : i + 10]) / len(curve[i : i + 10]) for curve in curves.values()]
        print(f'{i + 1:5} to {min(i + 10, args.steps):3}             {"".join(f"{m:9.3f}" for m in means)}')


if __name__ == '__main__':
    main()
