"""What an epoch of class-uniform sampling shows of every class, beside plain sampling.

    mmroad histogram configs/abet/abet_deepv3plus_wrn38_cityscapes.py

Reads label maps alone. A config without class-uniform sampling is given --tile and --crop.
"""

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='name or path of a config')
    parser.add_argument('--tile', type=int, help="side of the tiles (default: the config's)")
    parser.add_argument('--crop', type=int, nargs=2, help="height and width (default: the config's)")
    parser.add_argument('--fraction', type=float, default=0.5)
    parser.add_argument('--cache', help="file for the centroids (default: the config's)")
    parser.add_argument('--data-root', help="another folder than the config's")
    parser.add_argument('--seed', type=int, default=0)


def histogram(dataset, indices, crop, num_classes):
    """Pixels of each class, and crops that show it, over one epoch."""
    import numpy as np

    pixels, crops = np.zeros(num_classes, int), np.zeros(num_classes, int)
    load = dataset.dataset.pipeline.transforms[0]
    for index in indices:
        info = load(dict(dataset.get_data_info(int(index)), seg_fields=[]))
        labels = crop(dict(info, img=info['gt_seg_map']))['gt_seg_map']
        count = np.bincount(labels[labels < num_classes], minlength=num_classes)[:num_classes]
        pixels += count
        crops += count > 0
    return pixels, crops


def run(args: argparse.Namespace) -> None:
    import numpy as np
    from mmengine.registry import init_default_scope

    from ..abet import CentroidCrop, ClassUniformDataset, ClassUniformSampler
    from ..zoo.configs import get_config

    cfg = get_config(args.config)
    from mmengine.utils import import_modules_from_strings

    import_modules_from_strings(**cfg.custom_imports)
    init_default_scope('mmseg')
    config = dict(cfg.train_dataloader.dataset)
    if config.pop('type') != 'ClassUniformDataset':
        config = dict(dataset=cfg.train_dataloader.dataset)
    if not args.cache and 'cache_file' not in config:
        sys.exit(f'{args.config} samples plainly and names no file for the centroids: give --cache FILE.npz')
    inner = dict(config['dataset'])
    steps = inner.get('pipeline', ())
    crop = args.crop or next((t['size'] for t in steps if t['type'] == 'CentroidCrop'), None)
    if crop is None:
        sys.exit(f'{args.config} has no CentroidCrop: give --crop HEIGHT WIDTH')
    labels = next((dict(t) for t in steps if t['type'] in ('LoadLabelMap', 'LoadAnnotations')), None)
    if labels is None:
        sys.exit(f'{args.config} loads no label maps (LoadLabelMap) in training: there is nothing to count')
    config['dataset'] = dict(inner, pipeline=[labels])
    if 'boost' in config:
        config['boost'] = dict(config['boost'], pipeline=[labels])
    changes = dict(tile=args.tile, cache_file=args.cache)
    config |= {k: v for k, v in changes.items() if v is not None}
    if args.data_root:
        for part in ('dataset', 'boost'):
            if part in config:
                config[part]['data_root'] = args.data_root
    dataset = ClassUniformDataset(**config)
    sampler = ClassUniformSampler(dataset, fraction=args.fraction, seed=args.seed)
    classes, transform = dataset.metainfo['classes'], CentroidCrop(crop)
    np.random.seed(args.seed)
    plain = histogram(dataset, range(len(dataset)), transform, len(classes))
    uniform = histogram(dataset, sampler.epoch_indices(0), transform, len(classes))
    if not plain[0].any() or not uniform[0].any():
        sys.exit('no pixel of the crops has a class')
    print(f'{len(dataset)} crops of {crop[0]} x {crop[1]}, {len(dataset.centroids)} centroids')
    print(f'{"":22} {"pixels, %":>19} {"crops that show it":>21}')
    print(f'{"class":22} {"plain":>9} {"uniform":>9} {"plain":>10} {"uniform":>10}')
    for i, name in enumerate(classes):
        share = [100 * h[0][i] / h[0].sum() for h in (plain, uniform)]
        print(f'{name:22} {share[0]:9.3f} {share[1]:9.3f} {plain[1][i]:10} {uniform[1][i]:10}')
    rarest = [h[1][h[1] > 0].min() for h in (plain, uniform)]
    print(f'the rarest class: in {rarest[0]} crops, in {rarest[1]} with class-uniform sampling')
