"""Train a model: python tools/train.py CONFIG [options]. CONFIG is a file or a name of the zoo."""

import argparse

from mmroad.cli import add_common_arguments


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
    from mmroad.cli import build_runner, load_config, say_device

    say_device(args.launcher)
    cfg = load_config(args)
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise SystemExit(
                f'{cfg.filename} has no auto_scale_lr.base_batch_size: the batch its lr is meant for'
            )
        cfg.auto_scale_lr.enable = True
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    import mmroad.class_order_hook  # noqa: F401
    from mmroad.loader import install_safe_loader

    install_safe_loader(trust=args.trust_checkpoint)
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='mmengine.ClassOrderHook')]
    build_runner(cfg).train()


if __name__ == '__main__':
    main()
