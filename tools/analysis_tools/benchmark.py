"""Time a model's inference: python tools/analysis_tools/benchmark.py CONFIG [--checkpoint FILE]"""

import argparse


def parse_args() -> argparse.Namespace:
    from mmroad.commands.running import Options

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, or name of a model of the zoo')
    parser.add_argument('--checkpoint', help='file or "published" (default: untrained)')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--shape', type=int, nargs=2, default=(720, 1280), metavar=('H', 'W'))
    parser.add_argument('--images', type=int, default=10, help='images timed (default: %(default)s)')
    parser.add_argument('--warm-up', type=int, default=2)
    parser.add_argument('--cfg-options', nargs='+', action=Options, metavar='KEY=VALUE')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    import time

    import numpy as np
    import torch
    from mmengine.dataset import Compose

    import mmroad
    from mmroad.commands.running import merge_options
    from mmroad.inference.base import array_pipeline

    cfg = mmroad.get_config(args.config)
    merge_options(cfg, args.cfg_options)
    model = mmroad.init_model(cfg, args.checkpoint, args.device)
    pipeline = Compose(array_pipeline(cfg))
    image = np.random.default_rng(0).integers(0, 256, (*args.shape, 3), np.uint8)
    times = []
    for _ in range(args.warm_up + args.images):
        start = time.perf_counter()
        data = pipeline(dict(img=image, img_id=0))
        with torch.no_grad():
            model.test_step(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))
        if args.device != 'cpu':
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    times = np.array(times[args.warm_up :]) * 1000
    device = (
        torch.cuda.get_device_name() if args.device != 'cpu' else f'CPU, {torch.get_num_threads()} threads'
    )
    print(
        f'{args.images} images of {args.shape[1]}x{args.shape[0]} on {device}: median {np.median(times):.1f} ms,'
    )
    print(f'from {times.min():.1f} to {times.max():.1f} ms an image, with its pipeline')


if __name__ == '__main__':
    main()
