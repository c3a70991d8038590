"""Build the out-of-distribution images for a detector of BDD100K or VOC, as a COCO file.

    mmroad data ood-subset coco data/coco/annotations/instances_val2017.json \\
        data/ood/coco_bdd100k.json --known bdd100k
    mmroad data ood-subset openimages data/openimages/validation-annotations-bbox.csv \\
        data/ood/openimages_bdd100k.json --known bdd100k --images data/openimages/validation \\
        --classes data/openimages/class-descriptions-boxable.csv \\
        --hierarchy data/openimages/bbox_labels_600_hierarchy.json

Kept are annotated images none of whose annotations is of a known class.
"""

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('source', choices=('coco', 'openimages'))
    parser.add_argument('annotations', help="COCO's .json or OpenImages' box .csv")
    parser.add_argument('output', help='the COCO .json to write')
    parser.add_argument(
        '--known', nargs='+', default=['bdd100k'], help='bdd100k, voc, or names of classes (default: bdd100k)'
    )
    parser.add_argument('--images', help='openimages: the folder with the images')
    parser.add_argument('--classes', help='openimages: class-descriptions-boxable.csv')
    parser.add_argument('--hierarchy', help='openimages: bbox_labels_600_hierarchy.json (recommended)')


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    if args.source == 'openimages' and not (args.images and args.classes):
        parser.error('openimages needs --images and --classes')


def run(args: argparse.Namespace) -> None:
    from pathlib import Path

    from ...anomaly import ood_subsets
    from ...files import OutputNames, write_json
    from ...files.json_files import read_json

    table = ood_subsets.COCO_KNOWN if args.source == 'coco' else ood_subsets.OPENIMAGES_KNOWN
    known = table.get(args.known[0], args.known) if len(args.known) == 1 else args.known
    try:
        output = Path(args.output)
        output = OutputNames(output.parent, [args.annotations]).path(output.name)
        if args.source == 'coco':
            content = read_json(args.annotations)
            if not isinstance(content, dict):
                raise ValueError('not a COCO file')
            content = ood_subsets.coco_subset(content, known)
        else:
            content = ood_subsets.openimages_subset(
                args.annotations, args.classes, args.images, known, args.hierarchy
            )
    except (ValueError, OSError, RecursionError) as error:
        sys.exit(f'{args.annotations}: {error}')
    except (KeyError, TypeError) as error:
        sys.exit(f'{args.annotations}: an entry of another form ({type(error).__name__}: {error})')
    write_json(output, content)
    print(f'{len(content["images"])} images, {len(content["annotations"])} annotations: {args.output}')
