"""Make a vocabulary: a .safetensors file of class names and their embeddings.

    mmroad vocabulary data/embeddings/bdd100k.safetensors \
        "pedestrian=person,rider,car,truck,bus,train,motorcycle,bicycle,traffic light,traffic sign" \
        --source data/embeddings/coco_clip_a+cname.npy:coco \
        --source data/embeddings/o365_clip_a+cnamefix.npy:objects365 --encoder open_clip

Each name is taken from the first source that has it (NAME=OTHER looks for OTHER); what is left is computed
by the text encoder, or is an error that lists the names. "*" takes every class of every source, "@FILE" the
names in a file. A source is FILE (safetensors with names, or a converted checkpoint that names its classes)
or FILE:NAMES, where NAMES is coco, lvis, objects365, a text file (a name a line) or JSON with categories.
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('output', help='the .safetensors file to write')
    parser.add_argument('names', help='comma list, "@FILE" or "*"')
    parser.add_argument(
        '--source', action='append', default=[], metavar='FILE[:NAMES]', help='repeat for several'
    )
    parser.add_argument('--encoder', choices=('open_clip', 'transformers'), help='CLIP ViT-B/32 text encoder')
    parser.add_argument(
        '--prompt', default='a {}', help='put around a name that is encoded (default: "a {}")'
    )


def run(args: argparse.Namespace) -> None:
    from ..detic.make_vocabulary import make_vocabulary
    from ..detic.parts import keep_sources
    from ..detic.vocabulary import save_vocabulary

    keep_sources(args.output, '.safetensors', *(s.partition(':')[0] for s in args.source))
    vocabulary, origin = make_vocabulary(args.names, args.source, args.encoder, args.prompt)
    save_vocabulary(vocabulary, args.output)
    for name, place in zip(vocabulary.names, origin):
        print(f'{name:30s} {place}')
    print(f'{args.output}: {len(vocabulary.names)} classes')
