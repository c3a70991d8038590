"""Time reading labels and feeding images, beside the official reader and mmdet's stock pipeline.

    python benchmarks/data.py LABELS.json [--images DIR] [--to-coco] [--workers N]

Every reader runs in a process of its own; CPU seconds and peak memory are the process's. The memory of
dataloader workers is the proportional set size (shared pages divided among their users) of all
processes together, after every worker has read its share of the samples, minus that before they start.
"""

import argparse
import json
import os
import subprocess
import sys

READERS = {
    'mmroad, first time': 'from mmroad.bdd100k.columns import read_columns as read',
    'mmroad, from the cache': 'from mmroad.bdd100k.index import indexed_columns as read',
    'scalabel.label.io.load': 'from scalabel.label.io import load\ndef read(path): return load(path, 1)',
    'scalabel to_coco, CocoDataset': """
import json, tempfile
from bdd100k.common.utils import load_bdd100k_config
from bdd100k.label.to_scalabel import bdd100k_to_scalabel
from mmdet.datasets import CocoDataset
from scalabel.label.io import load
from scalabel.label.to_coco import scalabel2coco_detection
def read(path):
    config = load_bdd100k_config('det')
    coco = scalabel2coco_detection(bdd100k_to_scalabel(load(path, 1).frames, config), config.scalabel)
    with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
        json.dump(coco, file)
        file.flush()
        return CocoDataset(ann_file=file.name, data_prefix=dict(img='.'), pipeline=[])
""",
}
MEASURE = """
import json, os, resource, sys, time
with open(os.devnull, 'w') as quiet:
    os.dup2(quiet.fileno(), 2)
{code}
start, wall = time.process_time(), time.time()
kept = read(sys.argv[1])
cpu, wall = time.process_time() - start, time.time() - wall
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
after = int(open('/proc/self/statm').read().split()[1]) * 4096 / 2**20
print(json.dumps(dict(cpu=cpu, wall=wall, peak=peak, after=after)))
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('labels', help='Scalabel label file')
    parser.add_argument('--images', help='folder of images for the pipelines')
    parser.add_argument('--to-coco', action='store_true', help='time to_coco and CocoDataset too (slow)')
    parser.add_argument('--workers', type=int, default=4, help='dataloader workers whose memory to measure')
    return parser.parse_args()


def readers(labels: str, to_coco: bool) -> None:
    subprocess.run([sys.executable, '-c', MEASURE.format(code=READERS['mmroad, from the cache']), labels], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    print(f'{labels}: {os.path.getsize(labels) / 1e6:.0f} MB')
    print(f'{"reader":32}{"CPU s":>9}{"wall s":>9}{"peak MiB":>10}{"after MiB":>11}{"ratio":>8}')
    rows = {}
    for name, code in READERS.items():
        if 'to_coco' in name and not to_coco:
            continue
        command = [sys.executable, '-c', MEASURE.format(code=code), labels]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows[name] = row = json.loads(out.splitlines()[-1])
        ratio = row['cpu'] / rows['mmroad, first time']['cpu']
        numbers = f'{row["cpu"]:9.2f}{row["wall"]:9.2f}{row["peak"]:10.0f}{row["after"]:11.0f}{ratio:8.2f}'
        print(f'{name:32}{numbers}', flush=True)


def pss(pids: list[int]) -> float:
    """Proportional set size of processes in MiB."""
    lines = (line for pid in pids for line in open(f'/proc/{pid}/smaps_rollup'))
    return sum(int(line.split()[1]) for line in lines if line.startswith('Pss:')) / 1024


def workers(labels: str, number: int) -> None:
    """Memory that dataloader workers add, over all samples and over a few."""
    import tempfile
    from pathlib import Path

    from torch.utils.data import DataLoader

    from mmroad.bdd100k.dataset import BDD100KDetDataset
    from mmroad.bdd100k.index import indexed_columns

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, indexed_columns(labels).names[0]).touch()  # the dataset looks for its first image
        data = BDD100KDetDataset(
            ann_file=labels, data_prefix=dict(img=folder), image_size=(1280, 720), pipeline=[]
        )
        data.full_init()
    for samples in (data.get_subset(100), data):
        before = pss([os.getpid()])
        loader = DataLoader(
            samples, batch_size=4, num_workers=number, collate_fn=len, persistent_workers=True
        )
        running = iter(loader)
        for _ in running:
            pass
        added = pss([os.getpid(), *(w.pid for w in running._workers)]) - before
        print(f'{number} workers over {len(samples)} samples add {added:.0f} MiB')
        del running, loader


def pipelines(folder: str, repeats: int = 60) -> None:
    import time
    from pathlib import Path

    import cv2
    from mmdet.utils import register_all_modules
    from mmengine.dataset import Compose

    import mmroad.bdd100k.det  # noqa: F401 (registers)
    from mmroad.files import is_image

    register_all_modules()
    cv2.setNumThreads(0)
    images = sorted(p for p in Path(folder).rglob('*') if is_image(p))[:repeats]
    instance = dict(bbox=[10, 10, 60, 50], bbox_label=2, ignore_flag=0)
    times = {}
    for pack in ('PackDetInputs', 'FastPackDetInputs'):
        steps = [
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='Resize', scale=(1280, 720), keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
            dict(type=pack),
        ]
        run = Compose(steps)
        best = []
        for _ in range(3):
            start = time.process_time()
            for i, path in enumerate(images):
                run(dict(img_path=str(path), img_id=i, instances=[dict(instance) for _ in range(18)]))
            best.append((time.process_time() - start) / len(images))
        times[pack] = min(best)
        print(f'training pipeline with {pack:18}{1000 * min(best):8.2f} ms an image')
    print(f'ratio {times["PackDetInputs"] / times["FastPackDetInputs"]:.2f}')


def main() -> None:
    args = parse_args()
    readers(args.labels, args.to_coco)
    workers(args.labels, args.workers)
    if args.images:
        pipelines(args.images)


if __name__ == '__main__':
    main()
