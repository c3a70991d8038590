"""Images per second of training and inference on one GPU, plain and accelerated, and the wait for data.

    python benchmarks/gpu.py [--models NAME ...] [--out FILE.json] [--seconds 2]

"raw" is the plain loop of mmdet or mmseg: the same modules, ``train_step`` or ``test_step``, float32 as torch is set
(convolutions may use TF32), no options. The rows below it are ours. Inputs lie on the GPU, so that the network alone is
timed; the last table feeds JPEG files of 1280x720 through the pipelines. Weights are random, images noise.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import NamedTuple


class Case(NamedTuple):
    """A model and its published sizes (height, width) and images a GPU."""

    name: str
    test_size: tuple[int, int]
    train_size: tuple[int, int]
    batch: int


CASES = [
    Case('faster_rcnn_r50_fpn_3x_det_bdd100k', (720, 1280), (720, 1280), 4),
    Case('cascade_rcnn_swin-t_fpn_3x_det_bdd100k', (720, 1280), (720, 1280), 4),
    Case('rba_swin_b_1dl_cityscapes', (1024, 2048), (512, 1024), 2),
    Case('abet_deepv3plus_wrn38_cityscapes', (1024, 2048), (896, 896), 2),
    Case('BoxSup-C2_L_CLIP_R5021k_640b64_4x', (800, 1333), (640, 640), 8),
    Case('rankseg_swin_b_bdd100k', (720, 1280), (512, 1024), 2),
]
#: amp, channels_last, compile
VARIANTS = {
    'raw': (None, False, False),
    'channels_last': (None, True, False),
    'bfloat16': ('bfloat16', False, False),
    'bfloat16, channels_last': ('bfloat16', True, False),
    'bfloat16, channels_last, compile': ('bfloat16', True, True),
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--models', nargs='+', default=[case.name for case in CASES])
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--seconds', type=float, default=2, help='time measured a row (default: %(default)s)')
    parser.add_argument('--scale', type=float, default=1, help='of the sizes, to try the script')
    parser.add_argument('--deadline', type=float, default=300, help='seconds after which no row is begun')
    parser.add_argument('--out', help='write the figures to this JSON file')
    return parser.parse_args()


def batch_of(model, cfg, size: tuple[int, int], count: int, device: str) -> dict:
    """Noise and made labels of a task, already on the device."""
    import torch
    from mmengine.structures import InstanceData, PixelData

    g = torch.Generator().manual_seed(0)
    meta = dict(ori_shape=size, img_shape=size, scale_factor=(1.0, 1.0), img_path='noise.jpg', img_id=0)
    samples = []
    for _ in range(count):
        if cfg.default_scope == 'mmdet':
            from mmdet.structures import DetDataSample
            from mmdet.structures.mask import BitmapMasks

            corner = torch.rand(18, 2, generator=g) * 0.7 * torch.tensor([size[1], size[0]])
            sides = (0.02 + 0.25 * torch.rand(18, 2, generator=g)) * size[0]
            truth = InstanceData(
                bboxes=torch.cat([corner, corner + sides], 1), labels=torch.randint(0, 10, (18,), generator=g)
            ).to(device)
            if getattr(model, 'with_mask', False):
                masks = BitmapMasks([_box_mask(box, size) for box in truth.bboxes.int().tolist()], *size)
                truth.masks = masks
            sample = DetDataSample(
                gt_instances=truth, ignored_instances=InstanceData(bboxes=truth.bboxes[:0])
            )
            sample.set_metainfo(dict(meta, ann_type='box', captions=[], image_labels=[]))
        else:
            from mmseg.structures import SegDataSample

            coarse = torch.randint(0, 19, (1, 1, 8, 8), generator=g).float()
            labels = torch.nn.functional.interpolate(coarse, size)[0].long().to(device)
            sample = SegDataSample(gt_sem_seg=PixelData(data=labels), metainfo=meta)
        samples.append(sample)
    images = [torch.randint(0, 256, (3, *size), generator=g, dtype=torch.uint8).to(device) for _ in samples]
    return dict(inputs=images, data_samples=samples)


def _box_mask(box: list[int], size: tuple[int, int]):
    import numpy as np

    mask = np.zeros(size, np.uint8)
    mask[box[1] : box[3], box[0] : box[2]] = 1
    return mask


def built(case: Case, variant: str, device: str, training: bool):
    """The model, ready, and its config."""
    import numpy as np
    import torch
    from mmengine.utils import import_modules_from_strings

    import mmroad
    from mmroad.runtime.speed.accelerate import accelerate
    from mmroad.zoo.models import build_model

    cfg = mmroad.get_config(case.name)
    import_modules_from_strings(**cfg.custom_imports)
    classifier = cfg.model.get('roi_head', {}).get('bbox_head', {})
    if isinstance(classifier, dict) and 'classifier' in classifier:
        folder = Path(tempfile.gettempdir())
        np.save(
            folder / 'noise_embeddings.npy',
            np.random.default_rng(0).normal(size=(1203, 512)).astype(np.float32),
        )
        classifier.classifier.embeddings = str(folder / 'noise_embeddings.npy')
        counts = [dict(id=i + 1, image_count=1 + i % 50) for i in range(1203)]
        (folder / 'noise_counts.json').write_text(json.dumps(counts))
        classifier.image_counts = str(folder / 'noise_counts.json')
    torch.manual_seed(0)
    model = build_model(cfg)
    model.init_weights()
    if device == 'cpu':
        from mmengine.model import revert_sync_batchnorm

        model = revert_sync_batchnorm(model)
    amp, channels_last, compile = VARIANTS[variant]
    if variant != 'raw':
        dtype = getattr(torch, amp) if amp and not training else None
        accelerate(model, channels_last=channels_last, amp=dtype, compile=compile)
    return model.to(device).train(training), cfg


def rate(step, count: int, seconds: float, device: str) -> float:
    """Images per second: steps for ``seconds`` after three that do not count."""
    import torch

    def wait() -> None:
        if device != 'cpu':
            torch.cuda.synchronize()

    for _ in range(3):
        step()
    wait()
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds or steps < 3:
        step()
        wait()
        steps += 1
    return count * steps / (time.perf_counter() - start)


def inference(case: Case, variant: str, args: argparse.Namespace) -> float:
    import copy

    import torch

    model, cfg = built(case, variant, args.device, training=False)
    size = scaled(case.test_size, args)
    batch = batch_of(model, cfg, size, 1, args.device)
    with torch.inference_mode():
        return rate(lambda: model.test_step(copy.copy(batch)), 1, args.seconds, args.device)


def training(case: Case, variant: str, args: argparse.Namespace) -> float:
    import copy

    from mmengine.optim import build_optim_wrapper

    model, cfg = built(case, variant, args.device, training=True)
    amp = VARIANTS[variant][0]
    optim = dict(cfg.optim_wrapper, type='OptimWrapper')
    for key in ('loss_scale', 'dtype'):
        optim.pop(key, None)
    if amp:
        optim.update(type='AmpOptimWrapper', dtype=amp)
        if amp == 'float16':
            optim.update(loss_scale='dynamic')
    wrapper = build_optim_wrapper(model, optim)
    batch = batch_of(model, cfg, scaled(case.train_size, args), case.batch, args.device)
    return rate(lambda: model.train_step(copy.copy(batch), wrapper), case.batch, args.seconds, args.device)


def scaled(size: tuple[int, int], args: argparse.Namespace) -> tuple[int, int]:
    return tuple(max(int(side * args.scale) // 32 * 32, 64) if args.scale != 1 else side for side in size)


def feeding(args: argparse.Namespace, root: Path) -> list[tuple[str, float, float]]:
    """Training of Faster R-CNN from files: images per second and the share of time spent waiting for data."""
    import itertools
    import os

    import torch
    from mmengine.optim import build_optim_wrapper
    from mmengine.runner import Runner

    from mmroad.road_scenes.write import write_dataset

    size = scaled((720, 1280), args)
    write_dataset(root, train=64, val=1, ood=1, size=(size[1], size[0]))
    case, rows = CASES[0], []
    for pack, variant in (('PackDetInputs', 'raw'), ('FastPackDetInputs', 'raw'),
                          ('FastPackDetInputs', 'bfloat16, channels_last')):  # fmt: skip
        model, cfg = built(case, variant, args.device, training=True)
        loader = cfg.train_dataloader
        loader.update(batch_size=8, num_workers=min(14, os.cpu_count() or 1), persistent_workers=True)
        loader.dataset.update(data_root=f'{root}/', image_size=(size[1], size[0]))
        loader.dataset.pipeline[-1].type = pack
        for step in loader.dataset.pipeline:
            if step.type == 'RandomChoiceResize':
                step.scales = [(size[1], size[0])]
            elif step.type == 'Resize':
                step.scale = (size[1], size[0])
        loader.dataset = dict(type='RepeatDataset', times=100, dataset=loader.dataset)
        amp = (
            dict(type='AmpOptimWrapper', dtype='bfloat16')
            if 'bfloat16' in variant
            else dict(type='OptimWrapper')
        )
        wrapper = build_optim_wrapper(model, dict(optimizer=cfg.optim_wrapper.optimizer, **amp))
        batches = iter(Runner.build_dataloader(loader, seed=0))
        waited, began, images = 0.0, None, 0
        for number in itertools.count():
            if number == 5:
                began, waited, images = time.perf_counter(), 0.0, 0
            start = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - start
            model.train_step(batch, wrapper)
            if args.device != 'cpu':
                torch.cuda.synchronize()
            images += len(batch['inputs'])
            if began and time.perf_counter() - began > 2 * args.seconds and number > 8:
                break
        spent = time.perf_counter() - began
        rows.append((f'{pack}, {variant}', images / spent, waited / spent))
        del batches, model
    return rows


def main() -> None:
    args = parse_args()
    import warnings

    import torch
    from mmengine.logging import MMLogger

    from mmroad.files import write_json
    from mmroad.runtime.speed.operators import guard_operators

    warnings.filterwarnings('ignore')
    MMLogger.get_instance('mmengine', log_level='ERROR')
    guard_operators()
    device = torch.cuda.get_device_name() if args.device != 'cpu' else 'CPU'
    print(f'{device}, torch {torch.__version__}', flush=True)
    figures, began = dict(device=device, torch=torch.__version__, rows=[]), time.perf_counter()

    def save() -> None:
        if args.out:
            write_json(args.out, figures, indent=1)

    with tempfile.TemporaryDirectory() as folder:
        figures['feeding'] = feeding(args, Path(folder) / 'scenes')
    print('training Faster R-CNN R50 from JPEG files')
    for name, number, share in figures['feeding']:
        print(f'{name:54}{number:9.2f} images/s, {100 * share:5.1f} % of the time waiting for data')
    print(f'{"model":42}{"what":12}{"variant":36}{"images/s":>9}{"ratio":>7}{"MiB":>8}')
    for case in (case for case in CASES if case.name in args.models):
        for what, measure in (('inference', inference), ('training', training)):
            raw = None
            for variant, (*_, compiled) in VARIANTS.items():
                if time.perf_counter() - began > args.deadline:
                    print(
                        f'{args.deadline:.0f} s are over: {case.name} {what} {variant} and later are left out'
                    )
                    save()
                    return
                if compiled and 'faster_rcnn' not in case.name:
                    continue
                if what == 'training' and variant == 'channels_last':
                    continue
                if args.device != 'cpu':
                    torch.cuda.empty_cache()
                    torch.cuda.reset_peak_memory_stats()
                try:
                    number, note = measure(case, variant, args), ''
                except Exception as error:  # one variant that fails does not cost the others' figures
                    number, note = (
                        float('nan'),
                        f'  {type(error).__name__}: {str(error).splitlines()[0][:150]}',
                    )
                peak = torch.cuda.max_memory_allocated() / 2**20 if args.device != 'cpu' else float('nan')
                raw = number if variant == 'raw' else raw
                row = dict(
                    model=case.name, what=what, variant=variant, rate=number, ratio=number / raw, peak=peak
                )
                figures['rows'].append(row)
                print(
                    f'{case.name[:40]:42}{what:12}{variant:36}{number:9.2f}{number / raw:7.2f}{peak:8.0f}{note}',
                    flush=True,
                )
                save()
    save()


if __name__ == '__main__':
    main()
