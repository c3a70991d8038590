"""Time and peak memory of RbA on one image: bands of rows against upsampling all masks at once.

    python benchmarks/rba.py --size 1024 2048

Weights are random. Each step runs in a process of its own, of which peak resident memory is reported:
the network up to the queries, then the class and anomaly map from them in each way.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS = ('network', 'bands', 'whole')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--config', default='configs/rba/rba_swin_b_1dl_cityscapes.py')
    parser.add_argument('--size', type=int, nargs=2, default=(1024, 2048), metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--repeat', type=int, default=3, help='the fastest of this many runs is reported')
    parser.add_argument('--step', choices=STEPS, help=argparse.SUPPRESS)  # in the subprocess
    parser.add_argument('--folder', type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def peak_memory() -> float:
    """Peak resident memory of this process so far, in MiB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def whole(class_logits, masks, size) -> tuple:
    """Upstream's order: all masks to full size, their sigmoid, one sum."""
    import torch
    import torch.nn.functional as F

    probs = F.interpolate(masks[None], size, mode='bilinear', align_corners=False)[0].sigmoid()
    seg = torch.einsum('qc,qhw->chw', class_logits.softmax(-1)[:, :-1], probs)
    return seg.argmax(0), -seg.tanh().sum(0)


def run_network(args: argparse.Namespace) -> dict:
    """Time and peak memory of everything up to the queries; writes these."""
    import torch

    from mmroad.converters import build

    torch.manual_seed(0)
    model = build(args.config).eval()
    size = tuple(args.size)
    image = torch.randn(1, 3, *size)
    before = peak_memory()
    seconds = []
    for _ in range(args.repeat):
        start = time.perf_counter()
        logits, masks = model.decode_head.predict_queries(model.extract_feat(image), [dict(img_shape=size)])
        seconds.append(time.perf_counter() - start)
    masks = 20 * masks / masks.std()  # as a trained model's
    torch.save((logits[0], masks[0]), args.folder / 'queries.pt')
    return dict(seconds=min(seconds), peak=peak_memory(), added=peak_memory() - before)


def run_maps(args: argparse.Namespace) -> dict:
    """Time and added memory of the maps from the queries."""
    import torch

    from mmroad.rba.scores import get_score
    from mmroad.rba.segmentor import anomaly_maps

    size = tuple(args.size)
    logits, masks = torch.load(args.folder / 'queries.pt')
    torch.nn.functional.interpolate(masks[None, :1], size).sum()  # what torch allocates once
    score = get_score('rba')
    before = peak_memory()
    seconds = []
    for _ in range(args.repeat):
        start = time.perf_counter()
        if args.step == 'bands':
            maps = anomaly_maps(logits, masks, score, logits.shape[1] - 1, size)
            classes, anomaly = maps['pred_sem_seg'][0], maps['anomaly_map'][0]
        else:
            classes, anomaly = whole(logits, masks, size)
        seconds.append(time.perf_counter() - start)
    torch.save((classes, anomaly), args.folder / f'{args.step}.pt')
    return dict(seconds=min(seconds), peak=peak_memory(), added=peak_memory() - before)


def main() -> None:
    args = parse_args()
    import torch

    if args.step:
        torch.set_num_threads(args.threads)
        with torch.no_grad():
            print(json.dumps(run_network(args) if args.step == 'network' else run_maps(args)))
        return
    print('| step | seconds | memory added, MiB | peak of its process, MiB |\n|---|---|---|---|')
    with tempfile.TemporaryDirectory() as folder:
        for step in STEPS:
            command = [sys.executable, __file__, *sys.argv[1:], '--step', step, '--folder', folder]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stderr)
            r = json.loads(done.stdout.splitlines()[-1])
            print(f'| {step} | {r["seconds"]:.2f} | {r["added"]:.0f} | {r["peak"]:.0f} |')
        classes, anomaly = torch.load(Path(folder) / 'bands.pt')
        other, reference = torch.load(Path(folder) / 'whole.pt')
    print(
        f'largest difference of the anomaly map: {(anomaly - reference).abs().max():.1e}; '
        f'pixels of another class: {int((classes != other).sum())}'
    )


if __name__ == '__main__':
    main()
