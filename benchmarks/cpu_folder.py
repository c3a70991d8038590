"""Images a second of a folder, one by one and side by side, in one run.

    python benchmarks/cpu_folder.py [--config NAME] [--images 64] [--rounds 2] [--amp]

Crops of photographs of 1280x720 are read, run, drawn and written by ``mmroad.inferencer(...).run``: with one worker and
one thread, with one worker that uses all of torch's threads, with the workers of `default_workers` that share them, and
these with batches. Wall
seconds mean something on a machine with nothing else to do; CPU seconds say how much work it was. Weights are random,
and the same for all.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path

from training_pipeline import photographs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--config', default='faster_rcnn_r50_fpn_3x_det_bdd100k')
    parser.add_argument('--images', type=int, default=64)
    parser.add_argument('--rounds', type=int, default=2)
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--amp', action='store_true')
    args = parser.parse_args()

    import torch

    import mmroad

    warnings.filterwarnings('ignore')
    infer = mmroad.inferencer(args.config, device='cpu', amp=args.amp)
    ways = {
        'one by one, one thread': dict(workers=1),
        'one by one': dict(workers=1),
        'side by side': {},
        f'side by side, batches of {args.batch_size}': dict(batch_size=args.batch_size),
    }
    threads = torch.get_num_threads()
    best = dict.fromkeys(ways, (float('inf'), 0.0))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, 'images')
        source.mkdir()
        photographs(source, args.images)
        list(infer.run(sorted(source.iterdir())[:2], progress=False))  # warms up
        for number in range(args.rounds):
            for name, options in ways.items():
                torch.set_num_threads(1 if name.endswith('one thread') else threads)
                wall, cpu = time.perf_counter(), time.process_time()
                count = len(
                    list(infer.run(source, Path(folder, f'{name}{number}'), progress=False, **options))
                )
                assert count == args.images
                best[name] = min(best[name], (time.perf_counter() - wall, time.process_time() - cpu))
    first = best['one by one, one thread'][0]
    print(f'{args.config}{", amp" if args.amp else ""}, {threads} threads, {args.images} images')
    for name, (wall, cpu) in best.items():
        print(
            f'{name:32}{wall:8.1f} s {cpu:8.1f} CPU s {args.images / wall:7.2f} images/s {first / wall:6.2f} times'
        )


if __name__ == '__main__':
    main()
