"""Look at training samples after their pipeline: mmroad browse CONFIG --out DIR"""

import argparse

from .shared import add_cfg_options, add_config, add_out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    add_out(parser, 'folder of the pictures (default: %(default)s)', default='samples')
    parser.add_argument('--num', type=int, default=20, help='samples (default: %(default)s)')
    add_cfg_options(parser)


def draw(item: dict, name: str, visualizer):
    """A training sample's image, or a clip's frames, with its labels; (H, W, 3) BGR uint8."""
    import numpy as np

    sample = item['data_samples']
    if item['inputs'].ndim == 4:
        from ..rankseg.video.pictures import truth_frames

        frames = np.ascontiguousarray(item['inputs'].permute(0, 2, 3, 1).numpy())
        return truth_frames(frames, sample.video_data_samples, visualizer.dataset_meta['classes'])
    for kind in ('gt_instances', 'ignored_instances'):
        if kind in sample and hasattr(sample.get(kind).get('bboxes'), 'tensor'):
            sample.get(kind).bboxes = sample.get(kind).bboxes.tensor
    image = item['inputs'].permute(1, 2, 0).numpy()
    visualizer.add_datasample(name, image[..., ::-1], sample, draw_pred=False, show=False)
    return np.ascontiguousarray(visualizer.get_image()[..., ::-1])


def run(args: argparse.Namespace) -> None:
    import os

    from mmengine.registry import DATASETS, VISUALIZERS, init_default_scope
    from mmengine.utils import import_modules_from_strings

    from ..files import OutputNames, write_image
    from ..files.progress import track
    from ..zoo.configs import get_config
    from ..zoo.options import merge_options

    cfg = get_config(args.config)
    merge_options(cfg, args.cfg_options)
    if cfg.get('custom_imports'):
        import_modules_from_strings(**cfg.custom_imports)
    scope = cfg.get('default_scope', 'mmdet')
    init_default_scope(scope)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    kind = 'SegLocalVisualizer' if scope == 'mmseg' else 'DetLocalVisualizer'
    visualizer = VISUALIZERS.build(
        dict(dict(type=kind, name='browse') | dict(cfg.get('visualizer') or {}), vis_backends=None)
    )
    visualizer.dataset_meta = dataset.metainfo
    names = OutputNames(args.out)
    for i in track(range(min(args.num, len(dataset))), 'samples'):
        item = dataset[i]
        source = item['data_samples'].get('img_path')
        if source and os.path.realpath(os.path.dirname(source)) == os.path.realpath(args.out):
            raise SystemExit(f'{source} is a source in the output folder: choose another one')
        write_image(names.path(f'{i:05d}.jpg'), draw(item, str(i), visualizer))
    print(f'pictures in {args.out}')
