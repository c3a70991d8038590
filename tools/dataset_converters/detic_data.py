"""Annotation files for Detic's training, from the published ones.

    D=data python tools/dataset_converters/detic_data.py lvis-base $D/lvis/lvis_v1_train.json \\
        $D/lvis/lvis_v1_train_norare.json
    ... lvis-coco $D/lvis/lvis_v1_train.json $D/coco/annotations/instances_train2017.json \\
        $D/lvis/lvis_v1_train+coco_mask.json
    ... ov-coco $D/coco/zero-shot/instances_train2017_seen_2.json $D/coco/annotations/instances_val2017.json \\
        $D/coco/zero-shot/instances_train2017_seen_2_oriorder.json
    ... imagenet-lvis $D/imagenet/ImageNet-LVIS $D/lvis/lvis_v1_val.json \\
        $D/imagenet/annotations/imagenet_lvis_image_info.json --wordnet WordNet-3.0/dict
    ... imagenet-21k $D/imagenet/metadata-22k/tar_index.npz $D/lvis/lvis_v1_val.json \\
        $D/imagenet/annotations/imagenet-22k_image_info_lvis-22k.json --wordnet WordNet-3.0/dict
    ... cc3m $D/cc3m/Train_GCC-training.tsv $D/cc3m/training $D/lvis/lvis_v1_val.json \\
        $D/cc3m/cc3m_train_image_info_tags.json
    ... coco-captions $D/coco/annotations/captions_train2017.json $D/coco/annotations/instances_val2017.json \\
        $D/lvis/lvis_v1_val.json $D/coco/annotations/captions_train2017_tags_allcaps.json
    ... embed-captions $D/coco/annotations/captions_train2017_tags_allcaps.json \\
        $D/coco/captions_train2017_embeddings.npy --encoder open_clip
    ... class-counts $D/coco/zero-shot/instances_train2017_seen_2_oriorder.json \\
        $D/coco/annotations/instances_train2017_seen_2_oriorder_cat_info.json

An interrupted imagenet-lvis, imagenet-21k, cc3m or embed-captions goes on where it was. The tar index is made by
tar_index.py.
"""

import argparse
import sys

#: Command -> its files, the last one written.
COMMANDS = {
    'lvis-base': ('lvis', 'output'),
    'lvis-coco': ('lvis', 'coco', 'output'),
    'ov-coco': ('annotations', 'coco', 'output'),
    'imagenet-lvis': ('folder', 'lvis', 'output'),
    'imagenet-21k': ('index', 'lvis', 'output'),
    'cc3m': ('table', 'folder', 'lvis', 'output'),
    'coco-captions': ('captions', 'coco', 'lvis', 'output'),
    'embed-captions': ('annotations', 'output'),
    'class-counts': ('annotations', 'output'),
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True)
    for name, files in COMMANDS.items():
        command = commands.add_parser(name)
        for file in files:
            command.add_argument(file)
        if name.startswith('imagenet'):
            command.add_argument('--wordnet', required=True, help="WordNet 3.0's dict folder")
        if name == 'embed-captions':
            command.add_argument('--encoder', choices=('open_clip', 'transformers'), default='open_clip')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        print(run(args))
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f'error: {error}')
    except KeyboardInterrupt:
        sys.exit('interrupted; the same command goes on from here')


def run(args: argparse.Namespace) -> str:
    from pathlib import Path

    from rich.progress import track

    from mmroad.detic import captions, prepare_data
    from mmroad.detic.prepare_data import read_json, write_json

    parts = Path(args.output).with_name(f'.{Path(args.output).name}.parts')
    left_out: list | int = []
    lvis = read_json(args.lvis, 'images', 'categories') if 'lvis' in args else None
    if args.command == 'lvis-base':
        content = prepare_data.without_rare(lvis)
    elif args.command == 'lvis-coco':
        content = prepare_data.merge_lvis_coco(lvis, read_json(args.coco, 'annotations'), progress=track)
    elif args.command == 'ov-coco':
        categories = read_json(args.coco, 'categories')['categories']
        content = {**read_json(args.annotations, 'annotations'), 'categories': categories}
    elif args.command in ('imagenet-lvis', 'imagenet-21k'):
        from mmroad.detic.synsets import read_wordnet

        make = getattr(prepare_data, args.command.replace('-', '_'))
        source = args.folder if args.command == 'imagenet-lvis' else args.index
        content, left_out = make(source, lvis['categories'], read_wordnet(args.wordnet), parts, track)
    elif args.command == 'cc3m':
        content, left_out = captions.tag_cc3m(args.table, args.folder, lvis['categories'], parts, track)
    elif args.command == 'coco-captions':
        classes = read_json(args.coco, 'categories')['categories']
        classes = captions.with_lvis_synonyms(classes, lvis['categories'])
        content = captions.tag_coco(read_json(args.captions, 'images', 'annotations'), classes, track)
    elif args.command == 'embed-captions':
        from mmroad.detic.text_encoder import text_encoder

        content = read_json(args.annotations, 'images')
        number = captions.embed_captions(content, args.output, text_encoder(args.encoder), track)
        return f'{args.output}: {number} captions'
    else:
        counts = prepare_data.class_counts(read_json(args.annotations, 'annotations', 'categories'))
        write_json(counts, args.output)
        return f'{args.output}: {len(counts)} classes'
    write_json(content, args.output)
    if parts.is_dir():
        prepare_data.remove_parts(parts)
    number = left_out if isinstance(left_out, int) else len(left_out)
    note = f'; left out, not to be read: {number} images' if number else ''
    first = f' (the first: {left_out[0]})' if number and not isinstance(left_out, int) else ''
    return f'{args.output}: {len(content["images"])} images, {len(content["annotations"])} boxes{note}{first}'


if __name__ == '__main__':
    main()
