"""Images a second and core of a config's training pipeline, ours beside mmdet's stock steps in one run.

    OMP_NUM_THREADS=1 python benchmarks/training_pipeline.py [--config NAME] [--images DIR] [--rounds 5]

Stock is the same pipeline with mmdet's ``PackDetInputs`` and mmcv's own decoding by OpenCV. Without --images, crops of
scikit-learn's two photographs at 1280x720. CPU seconds of one thread; rounds of both in turn, the best of each.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path


def photographs(folder: Path, count: int = 24) -> list[Path]:
    """JPEG files of 1280x720 at quality 90, varied crops of real photographs."""
    import cv2
    import numpy as np
    from sklearn.datasets import load_sample_images

    rng, sources, paths = np.random.default_rng(0), load_sample_images().images, []
    for i in range(count):
        image = sources[i % len(sources)][..., ::-1]
        top, left = int(rng.integers(0, 60)), int(rng.integers(0, 100))
        crop = image[top : top + 304, left : left + 540]
        crop = cv2.resize(crop, (1280, 720), interpolation=cv2.INTER_CUBIC)
        crop = (crop + rng.normal(size=crop.shape) * 4).clip(0, 255).astype(np.uint8)
        paths.append(folder / f'{i}.jpg')
        cv2.imwrite(str(paths[-1]), crop, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--config', default='faster_rcnn_r50_fpn_3x_det_bdd100k')
    parser.add_argument('--images', help='folder of images instead')
    parser.add_argument('--rounds', type=int, default=5)
    args = parser.parse_args()

    import cv2
    import mmcv
    from mmdet.utils import register_all_modules
    from mmengine.dataset import Compose
    from mmengine.utils import import_modules_from_strings

    import mmroad
    import mmroad.files.loading

    cv2.setNumThreads(0)
    register_all_modules()
    cfg = mmroad.get_config(args.config)
    import_modules_from_strings(**cfg.custom_imports)
    steps = [dict(step) for step in cfg.train_dataloader.dataset.pipeline]
    stock = [dict(s, type='PackDetInputs') if s['type'] == 'FastPackDetInputs' else s for s in steps]
    ours_decoder, stock_decoder = mmcv.imfrombytes, mmcv.imfrombytes.__wrapped__
    box = dict(bbox=[10, 10, 60, 50], bbox_label=2, ignore_flag=0)
    with tempfile.TemporaryDirectory() as folder:
        if args.images:
            paths = [p for p in sorted(Path(args.images).rglob('*')) if mmroad.files.is_image(p)]
        else:
            paths = photographs(Path(folder))
        variants = {
            'stock mmdet': (Compose(stock), stock_decoder),
            'stock mmdet, our decoder': (Compose(stock), ours_decoder),
            'ours': (Compose(steps), ours_decoder),
        }
        best = dict.fromkeys([*variants, 'OpenCV decoding', 'our decoding'], float('inf'))
        contents = [p.read_bytes() for p in paths]
        for _ in range(args.rounds):
            for name, (run, mmcv.imfrombytes) in variants.items():
                start = time.process_time()
                for i, path in enumerate(paths):
                    run(dict(img_path=str(path), img_id=i, instances=[dict(box) for _ in range(18)]))
                best[name] = min(best[name], (time.process_time() - start) / len(paths))
            for name, decode in {'OpenCV decoding': stock_decoder, 'our decoding': ours_decoder}.items():
                start = time.process_time()
                for content in contents:
                    decode(content)
                best[name] = min(best[name], (time.process_time() - start) / len(paths))
    for name, seconds in best.items():
        print(f'{name:28}{1000 * seconds:8.2f} ms {1 / seconds:8.1f} images/s')
    print(f'ratio {best["stock mmdet"] / best["ours"]:.2f}')


if __name__ == '__main__':
    main()
