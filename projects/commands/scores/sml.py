"""Mean and variance of the largest logit per class over the training images, for the score sml.

    mmroad scores sml CONFIG CHECKPOINT --out sml.json

Images are taken whole through the test pipeline. Then: test_cfg.scores=[dict(type='sml', stats='sml.json')].
"""

import argparse
import sys

from ..shared import add_device, use_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='name or path of a config')
    parser.add_argument('checkpoint')
    parser.add_argument('--out', required=True, help='the .json to write')
    parser.add_argument(
        '--images', help='take these images (folder, file, glob) in place of the training set'
    )
    parser.add_argument('--max-images', type=int, help='take this many, evenly spaced (default: all)')
    add_device(parser)


def training_images(cfg) -> list[str]:
    """Paths of the training images of a config."""
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    init_default_scope('mmseg')
    dataset = cfg.train_dataloader.dataset
    if dataset.type == 'ClassUniformDataset':
        dataset = dataset.dataset
    dataset = DATASETS.build(dict(dataset, pipeline=[]))
    return [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]


def run(args: argparse.Namespace) -> None:
    from pathlib import Path

    import torch

    from ...anomaly.class_statistics import ClassStatistics
    from ...files import OutputNames, write_json
    from ...files.progress import track
    from ...files.sources import Item, Source, open_source
    from ...zoo.configs import get_config
    from ...zoo.models import init_model

    out = OutputNames(Path(args.out).parent, [args.checkpoint]).path(Path(args.out).name)
    if args.images:
        source = open_source(args.images)
    else:
        paths = training_images(get_config(args.config))
        if args.max_images:
            paths = paths[:: max(1, len(paths) // args.max_images)][: args.max_images]
        items = [Item(path, Path(path), is_video=False) for path in paths]
        source = Source(items, Path(), 'the training images')
    model = init_model(args.config, args.checkpoint, use_device(args.device))
    statistics, number = ClassStatistics(model.num_classes), 0
    for name, image in track(source, 'statistics', source.total):
        inputs = torch.from_numpy(image).permute(2, 0, 1)
        inputs = model.data_preprocessor(dict(inputs=[inputs]))['inputs']
        try:
            with torch.no_grad():
                for _, logits, _ in model.full_resolution(inputs):
                    statistics.update(logits)
        except ValueError as error:
            sys.exit(f'{name}: {error}')
        number += 1
    left_out = ''.join(f'\n  {name}: {reason}' for name, reason in source.left_out.items())
    if not number:
        sys.exit(f'no image could be read:{left_out}')
    result = statistics.result()
    write_json(out, result)
    unseen = result['count'].count(0)
    print(
        f'{number} images: {args.out}'
        + (f' ({unseen} classes never predicted: those of all pixels)' if unseen else '')
    )
    if left_out:
        sys.exit(f'{len(source.left_out)} images are left out of the statistics:{left_out}')
