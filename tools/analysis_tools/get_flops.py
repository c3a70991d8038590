"""Parameters and FLOPs of a model: python tools/analysis_tools/get_flops.py CONFIG [--shape 720 1280]"""

import argparse


def parse_args() -> argparse.Namespace:
    from mmroad.commands.running import Options

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, or name of a model of the zoo')
    parser.add_argument('--shape', type=int, nargs=2, default=(720, 1280), metavar=('H', 'W'))
    parser.add_argument('--cfg-options', nargs='+', action=Options, metavar='KEY=VALUE')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmroad.commands.running import merge_options
    from mmroad.zoo.configs import get_config
    from mmroad.zoo.flops import count

    cfg = get_config(args.config)
    merge_options(cfg, args.cfg_options)
    counted = count(cfg, tuple(args.shape))
    print(f'input {args.shape[1]}x{args.shape[0]} (padded to {counted.width}x{counted.height})')
    print(f'parameters {counted.parameters / 1e6:.2f} M')
    print(f'multiply-adds {counted.multiply_adds / 1e9:.1f} G')


if __name__ == '__main__':
    main()
