"""Look at training samples after their pipeline: python tools/analysis_tools/browse_dataset.py CONFIG --out-dir DIR"""

import argparse


def parse_args() -> argparse.Namespace:
    from mmroad.commands.running import Options

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, or name of a model of the zoo')
    parser.add_argument(
        '--out-dir', '--output-dir', default='samples', help='folder of the pictures (default: %(default)s)'
    )
    parser.add_argument('--num', type=int, default=20, help='samples (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=Options, metavar='KEY=VALUE')
    return parser.parse_args()


def draw(item: dict, name: str, visualizer):
    """A training sample's image, or a clip's frames, with what is to be learned; (H, W, 3) BGR uint8."""
    import numpy as np

    sample = item['data_samples']
    if item['inputs'].ndim == 4:
        from mmroad.rankseg.video.pictures import truth_frames

        frames = np.ascontiguousarray(item['inputs'].permute(0, 2, 3, 1).numpy())
        return truth_frames(frames, sample.video_data_samples, visualizer.dataset_meta['classes'])
    for kind in ('gt_instances', 'ignored_instances'):
        if kind in sample and hasattr(sample.get(kind).get('bboxes'), 'tensor'):
            sample.get(kind).bboxes = sample.get(kind).bboxes.tensor
    image = item['inputs'].permute(1, 2, 0).numpy()
    visualizer.add_datasample(name, image[..., ::-1], sample, draw_pred=False, show=False)
    return np.ascontiguousarray(visualizer.get_image()[..., ::-1])


def main() -> None:
    args = parse_args()
    import os

    from mmengine.registry import DATASETS, VISUALIZERS, init_default_scope
    from mmengine.utils import import_modules_from_strings
    from rich.progress import track

    from mmroad.commands.running import merge_options
    from mmroad.files import OutputNames, write_image
    from mmroad.zoo.configs import get_config

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
    names = OutputNames(args.out_dir)
    for i in track(range(min(args.num, len(dataset))), 'samples'):
        item = dataset[i]
        source = item['data_samples'].get('img_path')
        if source and os.path.realpath(os.path.dirname(source)) == os.path.realpath(args.out_dir):
            raise SystemExit(f'{source} is a source in the output folder: choose another one')
        write_image(names.path(f'{i:05d}.jpg'), draw(item, str(i), visualizer))
    print(f'pictures in {args.out_dir}')


if __name__ == '__main__':
    main()
