"""Time a model's inference: python tools/analysis_tools/benchmark.py CONFIG [--checkpoint FILE]"""

import argparse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, or name of a model of the zoo')
    parser.add_argument('--checkpoint', help='file or "published" (default: untrained)')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--shape', type=int, nargs=2, default=(720, 1280), metavar=('H', 'W'))
    parser.add_argument('--images', type=int, default=10, help='images timed (default: %(default)s)')
    parser.add_argument('--warm-up', type=int, default=2)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    import time

    import numpy as np
    import torch

    import mmroad

    detect = mmroad.inferencer(args.config, args.checkpoint, device=args.device)
    image = np.random.default_rng(0).integers(0, 256, (*args.shape, 3), np.uint8)
    times = []
    for _ in range(args.warm_up + args.images):
        if args.device != 'cpu':
            torch.cuda.synchronize()
        start = time.perf_counter()
        detect(image)
        times.append(time.perf_counter() - start)
    times = np.array(times[args.warm_up :]) * 1000
    device = (
        torch.cuda.get_device_name() if args.device != 'cpu' else f'CPU, {torch.get_num_threads()} threads'
    )
    print(
        f'{args.images} images of {args.shape[1]}x{args.shape[0]} on {device}: median {np.median(times):.1f} ms,'
    )
    print(f'from {times.min():.1f} to {times.max():.1f} ms an image, with loading steps and drawing')


if __name__ == '__main__':
    main()
