"""Train a model: python tools/train.py CONFIG [options]. CONFIG is a file or a name of the zoo."""

import argparse

from mmroad.commands.running import add_common_arguments


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, or name of a model of the zoo')
    parser.add_argument('--amp', action='store_true', help='mixed precision')
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate to the batch of this run'
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='go on from this checkpoint, or from the last one of the work folder',
    )
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmroad.commands.running import build_runner, load_config, room_in, say, say_device

    say_device(args.launcher)
    cfg = load_config(args)
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise SystemExit(
                f'{cfg.filename} has no auto_scale_lr.base_batch_size: the batch its lr is meant for'
            )
        cfg.auto_scale_lr.enable = True
    from mmroad.runtime.training import DivergedError, go_on, make_resumable
    from mmroad.zoo.checkpoint import CheckpointError
    from mmroad.zoo.class_order import ClassOrderError
    from mmroad.zoo.loader import install_safe_loader

    install_safe_loader(trust=args.trust_checkpoint)
    make_resumable(cfg)
    try:
        said = go_on(cfg, args.resume, trust=args.trust_checkpoint)
    except (CheckpointError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error
    say(said)
    try:
        with room_in(cfg.work_dir):
            build_runner(cfg).train()
    except (CheckpointError, ClassOrderError, DivergedError) as error:
        raise SystemExit(str(error)) from error


if __name__ == '__main__':
    main()
