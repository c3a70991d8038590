"""Annotation files for Detic's training, from the published ones.

    D=data mmroad data detic lvis-base $D/lvis/lvis_v1_train.json \\
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
tar_index.py. Images that cannot be read are left out and listed, and the exit status is 1; CC3M's images that are not
there are counted alone.
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
#: Names of images left out that are shown.
SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest='command', required=True)
    for name, files in COMMANDS.items():
        command = commands.add_parser(name)
        for file in files:
            command.add_argument(file)
        if name.startswith('imagenet'):
            command.add_argument('--wordnet', required=True, help="WordNet 3.0's dict folder")
        if name == 'embed-captions':
            command.add_argument('--encoder', choices=('open_clip', 'transformers'), default='open_clip')


def run(args: argparse.Namespace) -> None:
    left_out: list[str] = []
    try:
        print(make(args, left_out))
    except KeyboardInterrupt:
        sys.exit('interrupted; the same command goes on from here')
    if left_out:
        shown = ''.join(f'\n  {name}' for name in left_out[:SHOWN])
        more = f'\n  ... and {len(left_out) - SHOWN} more' if len(left_out) > SHOWN else ''
        sys.exit(f'left out, not to be read: {len(left_out)} images{shown}{more}')


def make(args: argparse.Namespace, left_out: list[str] | None = None) -> str:
    """Write the file that the command says.

    Args:
        args: Of the command line.
        left_out: Takes the names of images that are there and cannot be read.

    Returns:
        A line about what was written.
    """
    from ...detic import captions, prepare_data
    from ...detic.parts import keep_sources, parts_of, remove_parts
    from ...detic.prepare_data import read_json
    from ...files import write_json
    from ...files.progress import track

    sources = [getattr(args, name) for name in COMMANDS[args.command][:-1]]
    keep_sources(args.output, '.npy' if args.command == 'embed-captions' else '.json', *sources)
    parts = parts_of(args.output)
    unread: list[str] = []
    absent = 0
    if args.command == 'lvis-base':
        boxes = dict(annotations='image_id category_id')
        content = prepare_data.without_rare(
            read_json(args.lvis, images='id', categories='id frequency', **boxes)
        )
    elif args.command == 'lvis-coco':
        boxes = dict(annotations='image_id category_id bbox')
        lvis = read_json(args.lvis, images='id neg_category_ids', categories='id synset', **boxes)
        coco = read_json(args.coco, images='id file_name', categories='id', **boxes)
        content = prepare_data.merge_lvis_coco(lvis, coco, progress=track)
    elif args.command == 'ov-coco':
        categories = read_json(args.coco, categories='id name')['categories']
        own = read_json(args.annotations, images='id', annotations='image_id category_id')
        content = prepare_data.with_categories(own, categories, args.annotations, args.coco)
    elif args.command in ('imagenet-lvis', 'imagenet-21k'):
        from ...detic.synsets import read_wordnet

        collect = getattr(prepare_data, args.command.replace('-', '_'))
        source = args.folder if args.command == 'imagenet-lvis' else args.index
        categories = read_json(args.lvis, categories='id name synset')['categories']
        content, unread = collect(source, categories, read_wordnet(args.wordnet), parts, track)
    elif args.command == 'cc3m':
        categories = read_json(args.lvis, categories='id synonyms')['categories']
        content, absent, unread = captions.tag_cc3m(args.table, args.folder, categories, parts, track)
    elif args.command == 'coco-captions':
        lvis = read_json(args.lvis, categories='synset synonyms')['categories']
        classes = read_json(args.coco, categories='id name')['categories']
        texts = read_json(args.captions, images='id', annotations='image_id caption')
        content = captions.tag_coco(texts, captions.with_lvis_synonyms(classes, lvis), track)
    elif args.command == 'embed-captions':
        from ...detic.text_encoder import text_encoder

        content = read_json(args.annotations, images='id')
        number = captions.embed_captions(content, args.output, text_encoder(args.encoder), track)
        return f'{args.output}: {number} captions'
    else:
        own = read_json(args.annotations, images='id', categories='id', annotations='image_id category_id')
        counts = prepare_data.class_counts(own)
        write_json(args.output, counts)
        return f'{args.output}: {len(counts)} classes'
    write_json(args.output, content)
    remove_parts(parts)
    if left_out is not None:
        left_out += unread
    number = absent + len(unread)
    note = f'; left out, not to be read: {number} images' if number else ''
    return f'{args.output}: {len(content["images"])} images, {len(content["annotations"])} boxes{note}'
