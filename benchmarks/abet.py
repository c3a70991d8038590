"""Time and peak memory of AbeT's score at full resolution, beside the published order of work.

    python benchmarks/abet.py --size 1024 2048

The published head upsamples the 256-channel map to the image and computes norm, cosine and
temperature there; ours upsamples C + 5 channels in rows (mmroad/abet/temperature.py). Each runs
in a process of its own; memory is the peak above the process with the decoder's features loaded.
Also the training losses beside cross entropy.
"""

import argparse
import json
import resource
import subprocess
import sys
import time


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--size', type=int, nargs=2, default=(1024, 2048), help='height and width of the image'
    )
    parser.add_argument('--rows', type=int, default=128, help='rows per step of ours')
    parser.add_argument('--crop', type=int, default=896, help='crop of the losses')
    parser.add_argument('--repeat', type=int, default=3)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--folder', help=argparse.SUPPRESS)
    parser.add_argument('--one', choices=('published', 'ours', 'losses'), help=argparse.SUPPRESS)
    return parser.parse_args()


def peak() -> float:
    """Peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def published(layer, x, size):
    """The published order of work, from the paper's formulas."""
    import torch.nn.functional as F

    x = F.interpolate(x, size, mode='bilinear', align_corners=True)
    temperature = layer.bn(layer.conv(x)).sigmoid() + 1e-12
    x = x / (x.norm(dim=1, keepdim=True) + 1e-4)
    w = layer.cosine.weight
    return 1 - (F.conv2d(x, w / (w.norm(dim=1, keepdim=True) + 1e-4)) / temperature).logsumexp(1) / 19


def ours(layer, x, size, rows):
    """mmroad's, as ``AbeTSegmentor`` runs it."""
    import torch

    maps, out = layer.maps(x), torch.empty(len(x), *size)
    for start in range(0, size[0], rows):
        stop = min(start + rows, size[0])
        g, temperature = layer.rows(maps, size, start, stop, True)
        out[:, start:stop] = 1 - (g / temperature).logsumexp(1) / 19
    return out


def measure_score(kind: str, args: argparse.Namespace) -> dict:
    import torch

    from mmroad.abet.temperature import LearnedTemperature

    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    layer = LearnedTemperature(256, 19).eval()
    size = tuple(args.size)
    x = torch.randn(1, 256, size[0] // 2, size[1] // 2).relu_()
    before, times = peak(), []
    with torch.no_grad():
        for _ in range(args.repeat):
            start = time.perf_counter()
            out = published(layer, x, size) if kind == 'published' else ours(layer, x, size, args.rows)
            times.append(time.perf_counter() - start)
    torch.save(out, f'{args.folder}/{kind}.pt')
    return dict(seconds=min(times), megabytes=peak() - before)


def measure_losses(args: argparse.Namespace) -> dict:
    import torch
    import torch.nn.functional as F

    from mmroad.abet.losses import ImageWeightedLoss, JointWeightedBorderLoss

    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    crop = args.crop
    blocks = torch.randint(0, 19, (1, 1, 28, 28)).float()
    labels = F.interpolate(blocks, (crop, crop)).long()[:, 0]
    relaxed, off = JointWeightedBorderLoss(), JointWeightedBorderLoss()
    off.relax = False
    losses = {
        'cross entropy': lambda z: F.cross_entropy(z, labels, ignore_index=255),
        'image-weighted': lambda z: ImageWeightedLoss()(z, labels),
        'joint border, relaxed': lambda z: relaxed(z, labels),
        'joint border, relaxation off': lambda z: off(z, labels),
    }
    results = {}
    for name, loss in losses.items():
        times = []
        for _ in range(args.repeat):
            logits = torch.randn(1, 19, crop, crop, requires_grad=True)
            start = time.perf_counter()
            loss(logits).backward()
            times.append(time.perf_counter() - start)
        results[name] = min(times)
    return results


def main() -> None:
    args = parse_args()
    if args.one:
        result = measure_losses(args) if args.one == 'losses' else measure_score(args.one, args)
        print('RESULT' + json.dumps(result))
        return
    import tempfile

    import torch

    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ('published', 'ours', 'losses'):
            command = [sys.executable, *sys.argv, '--one', kind, '--folder', folder]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stderr)
            results[kind] = json.loads(done.stdout.split('RESULT')[1])
        a, b = (torch.load(f'{folder}/{kind}.pt') for kind in ('published', 'ours'))
    print(f'score of one {args.size[0]} x {args.size[1]} image from the decoder, {args.threads} threads')
    for kind in ('published', 'ours'):
        print(f'  {kind:10} {results[kind]["seconds"]:7.2f} s {results[kind]["megabytes"]:8.0f} MB')
    print(f'  largest difference {(a - b).abs().max():.1e}')
    print(f'loss and gradient of one {args.crop} x {args.crop} crop with 19 classes')
    for name, seconds in results['losses'].items():
        print(f'  {name:30} {seconds:6.3f} s')


if __name__ == '__main__':
    main()
