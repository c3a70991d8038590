"""Look at training samples after their pipeline: python tools/analysis_tools/browse_dataset.py CONFIG --out-dir DIR"""

import argparse


def parse_args() -> argparse.Namespace:
    from mmroad.cli import Options

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, or name of a model of the zoo')
    parser.add_argument(
        '--out-dir', '--output-dir', default='samples', help='folder of the pictures (default: %(default)s)'
    )
    parser.add_argument('--num', type=int, default=20, help='samples (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=Options, metavar='KEY=VALUE')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    import os

    import numpy as np
    from mmengine.registry import DATASETS, VISUALIZERS, init_default_scope
    from mmengine.utils import import_modules_from_strings
    from rich.progress import track

    from mmroad.cli import merge_options
    from mmroad.media import write_image
    from mmroad.zoo import get_config

    cfg = get_config(args.config)
    merge_options(cfg, args.cfg_options)
    if cfg.get('custom_imports'):
        import_modules_from_strings(**cfg.custom_imports)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    visualizer = VISUALIZERS.build(dict(cfg.visualizer, vis_backends=None))
    visualizer.dataset_meta = dataset.metainfo
    for i in track(range(min(args.num, len(dataset))), 'samples'):
        item = dataset[i]
        image = item['inputs'].permute(1, 2, 0).numpy()
        sample = item['data_samples']
        for kind in ('gt_instances', 'ignored_instances'):
            if kind in sample and hasattr(sample.get(kind).get('bboxes'), 'tensor'):
                sample.get(kind).bboxes = sample.get(kind).bboxes.tensor
        visualizer.add_datasample(f'{i}', image[..., ::-1], sample, draw_pred=False, show=False)
        drawn = visualizer.get_image()
        write_image(os.path.join(args.out_dir, f'{i:05d}.jpg'), np.ascontiguousarray(drawn[..., ::-1]))
    print(f'pictures in {args.out_dir}')


if __name__ == '__main__':
    main()
