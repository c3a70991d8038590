"""Train a model.

mmroad train faster_rcnn_r50_fpn_1x_det_bdd100k
bash tools/dist_train.sh CONFIG 8               on several GPUs
mmroad train faster_rcnn_r50_fpn_1x_det_bdd100k --data data/forklifts      your images, your classes
"""

from __future__ import annotations

import argparse

from ..labels.own import options
from ..runtime.speed import training_options
from .running import add_common_arguments, build_runner, load_config, room_in, say, say_device
from .shared import add_config

TRACKERS = ('tensorboard', 'wandb', 'mlflow', 'clearml', 'neptune', 'dvclive', 'aim')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate to the batch of this run'
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='go on from this checkpoint, or from the last one of the work folder',
    )
    parser.add_argument(
        '--tracker',
        nargs='+',
        choices=TRACKERS,
        help='also tell these trackers what is logged and drawn; each needs its package',
    )
    parser.add_argument(
        '--val-loss',
        action='store_true',
        help='compute the loss of the validation images at each validation too',
    )
    training_options.add_arguments(parser)
    add_common_arguments(parser)
    options.add_arguments(parser)


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    options.check(parser, args)


def run(args: argparse.Namespace) -> None:
    if args.tracker:
        from ..runtime.training.trackers import check_trackers

        check_trackers(args.tracker)
    say_device(args.launcher)
    if options.is_own(args):
        from ..labels.own.own_config import write_own_config

        args.config, said = write_own_config(args)
        args.config = str(args.config)
        say(said)
    cfg = load_config(args)
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise SystemExit(
                f'{cfg.filename} has no auto_scale_lr.base_batch_size: the batch its lr is meant for'
            )
        cfg.auto_scale_lr.enable = True
    say(training_options.change(cfg, args))
    from ..runtime.training import DivergedError, add_trackers, add_val_loss, go_on, make_resumable
    from ..zoo.checkpoint import CheckpointError
    from ..zoo.class_order import ClassOrderError
    from ..zoo.loader import install_safe_loader

    install_safe_loader(trust=args.trust_checkpoint)
    make_resumable(cfg)
    if args.tracker:
        add_trackers(cfg, args.tracker)
    if args.val_loss:
        add_val_loss(cfg)
    say(go_on(cfg, args.resume, trust=args.trust_checkpoint))
    args.debug = True  # from here on an error that is none of these has a traceback
    try:
        with room_in(cfg.work_dir):
            build_runner(cfg).train()
    except (CheckpointError, ClassOrderError, DivergedError) as error:
        raise SystemExit(str(error)) from error
