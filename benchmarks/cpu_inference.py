"""CPU seconds of one image, ours beside the plain mmdet or mmseg model, in one run with one thread.

    OMP_NUM_THREADS=1 python benchmarks/cpu_inference.py [--models NAME ...] [--scale 1] [--rounds 3]

"stock" is the same model before anything of mmroad.runtime.speed is switched on; "ours" is ``for_inference``, "amp" is
it with bfloat16. Weights are random (the background is raised, so that a few hundred boxes are candidates), the image
is a photograph of 1280x720. "px" is the largest difference of a box from the nearest one, "score" of a score,
where as many are found.
"""

from __future__ import annotations

import argparse
import copy
import time

from stock import stock_operators

MODELS = (
    'faster_rcnn_r50_fpn_3x_det_bdd100k',
    'cascade_rcnn_r50_fpn_3x_det_bdd100k',
    'retinanet_r50_fpn_3x_det_bdd100k',
    'fcos_r50_fpn_3x_det_bdd100k',
    'atss_r50_fpn_3x_det_bdd100k',
    'cascade_rcnn_swin-t_fpn_3x_det_bdd100k',
)


def seconds(model, batch, rounds: int):
    import torch

    best, result = float('inf'), None
    for _ in range(rounds):
        with torch.inference_mode():
            start = time.process_time()
            result = model.test_step(copy.deepcopy(batch))[0].pred_instances
            best = min(best, time.process_time() - start)
    return best, result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--models', nargs='+', default=MODELS)
    parser.add_argument('--scale', type=float, default=1, help='of the image size, to try the script')
    parser.add_argument('--rounds', type=int, default=3)
    args = parser.parse_args()

    import warnings

    import cv2
    import torch
    from mmengine.dataset import Compose, pseudo_collate
    from mmengine.logging import MMLogger
    from sklearn.datasets import load_sample_images

    import mmroad
    from mmroad.inference.base import array_pipeline
    from mmroad.runtime.speed.accelerate import for_inference

    warnings.filterwarnings('ignore')
    MMLogger.get_instance('mmengine', log_level='ERROR')
    torch.set_num_threads(1)
    size = tuple(int(side * args.scale) for side in (1280, 720))
    image = cv2.resize(load_sample_images().images[0], size)[..., ::-1].copy()
    models = {}
    for name in args.models:
        torch.manual_seed(0)
        model = models[name] = mmroad.init_model(name)
        for module in model.modules():
            if hasattr(module, 'fc_cls') and isinstance(module.fc_cls, torch.nn.Linear):
                module.fc_cls.bias.data[-1] += 2.1
    print(
        f'{"model":44}{"stock, s":>9}{"ours, s":>9}{"ratio":>7}{"px":>9}{"score":>9}{"amp, s":>9}{"ratio":>7}'
    )
    for name, model in models.items():
        steps = [dict(s, scale=size) if 'scale' in s else s for s in array_pipeline(model.cfg)]
        batch = pseudo_collate([Compose(steps)(dict(img=image, img_id=0))])
        with stock_operators():
            plain, want = seconds(model, batch, args.rounds)
        ours, got = seconds(for_inference(copy.deepcopy(model)), batch, args.rounds)
        px, score = float('nan'), float('nan')
        if len(got) == len(want) > 0:
            px = float(torch.cdist(got.bboxes, want.bboxes, p=torch.inf).amin(1).max())
            score = float((got.scores - want.scores).abs().max())
        low, _ = seconds(for_inference(model, torch.bfloat16), batch, args.rounds)
        row = f'{name:44}{plain:9.2f}{ours:9.2f}{plain / ours:7.2f}{px:9.1e}{score:9.1e}{low:9.2f}{plain / low:7.2f}'
        print(row, flush=True)


if __name__ == '__main__':
    main()
