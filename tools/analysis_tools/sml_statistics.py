"""Mean and variance of the largest logit per class over the training images, for the score sml.

    python tools/analysis_tools/sml_statistics.py CONFIG CHECKPOINT --out sml.json

Images are taken whole through the test pipeline. Then: test_cfg.scores=[dict(type='sml', stats='sml.json')].
"""

import argparse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='name or path of a config')
    parser.add_argument('checkpoint')
    parser.add_argument('--out', required=True, help='the .json to write')
    parser.add_argument(
        '--images', help='take these images (folder, file, glob) in place of the training set'
    )
    parser.add_argument('--max-images', type=int, help='take so many, evenly spaced (default: all)')
    parser.add_argument('--device', default='cpu')
    return parser.parse_args()


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


def main() -> None:
    args = parse_args()
    import torch
    from rich.progress import track

    from mmroad.abet.saved_scores import ClassStatistics
    from mmroad.files import read_image, write_json
    from mmroad.media import open_source
    from mmroad.zoo import get_config, init_model

    model = init_model(args.config, args.checkpoint, device=args.device)
    if args.images:
        images, number = open_source(args.images)
        images = (image for _, image in images)
    else:
        paths = training_images(get_config(args.config))
        if args.max_images:
            paths = paths[:: max(1, len(paths) // args.max_images)][: args.max_images]
        images, number = map(read_image, paths), len(paths)
    statistics = ClassStatistics(model.num_classes)
    for image in track(images, total=number, description='statistics'):
        inputs = torch.from_numpy(image).permute(2, 0, 1)
        inputs = model.data_preprocessor(dict(inputs=[inputs]))['inputs']
        with torch.no_grad():
            for _, logits, _ in model.full_resolution(inputs):
                statistics.update(logits)
    result = statistics.result()
    write_json(args.out, result)
    unseen = result['count'].count(0)
    print(
        f'{number} images: {args.out}'
        + (f' ({unseen} classes never predicted: those of all pixels)' if unseen else '')
    )


if __name__ == '__main__':
    main()
