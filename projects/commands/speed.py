"""Time a model's inference: mmroad speed CONFIG [--checkpoint FILE]"""

import argparse

from .shared import add_cfg_options, add_config, add_device, use_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument('--checkpoint', help='file or "published" (default: untrained)')
    add_device(parser)
    parser.add_argument('--shape', type=int, nargs=2, default=(720, 1280), metavar=('H', 'W'))
    parser.add_argument('--images', type=int, default=10, help='images timed (default: %(default)s)')
    parser.add_argument('--warm-up', type=int, default=2)
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> None:
    import time

    import numpy as np
    import torch
    from mmengine.dataset import Compose

    from ..inference.base import array_pipeline
    from ..zoo.configs import get_config
    from ..zoo.models import init_model
    from ..zoo.options import merge_options

    cfg = get_config(args.config)
    merge_options(cfg, args.cfg_options)
    device = use_device(args.device)
    model = init_model(cfg, args.checkpoint, device)
    pipeline = Compose(array_pipeline(cfg))
    image = np.random.default_rng(0).integers(0, 256, (*args.shape, 3), np.uint8)
    times = []
    for _ in range(args.warm_up + args.images):
        start = time.perf_counter()
        data = pipeline(dict(img=image, img_id=0))
        with torch.no_grad():
            model.test_step(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))
        if device != 'cpu':
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    milliseconds = np.array(times[args.warm_up :]) * 1000
    threads = '' if device != 'cpu' else f' with {torch.get_num_threads()} threads'
    size = f'{args.shape[1]}x{args.shape[0]}'
    print(f'{args.images} images of {size}{threads}: median {np.median(milliseconds):.1f} ms,')
    print(f'from {milliseconds.min():.1f} to {milliseconds.max():.1f} ms an image, with its pipeline')
