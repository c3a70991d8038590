"""Print a config with everything it inherits: python tools/analysis_tools/print_config.py CONFIG"""

import argparse


def parse_args() -> argparse.Namespace:
    from mmroad.commands.running import Options

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, or name of a model of the zoo')
    parser.add_argument('--save-path', help='write it here too')
    parser.add_argument('--cfg-options', nargs='+', action=Options, metavar='KEY=VALUE')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmroad.commands.running import merge_options
    from mmroad.zoo.configs import get_config

    cfg = get_config(args.config)
    merge_options(cfg, args.cfg_options)
    print(cfg.pretty_text)
    if args.save_path:
        cfg.dump(args.save_path)


if __name__ == '__main__':
    main()
