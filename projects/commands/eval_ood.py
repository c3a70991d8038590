"""How well detections of known and of unknown scenes are told apart: AUROC, AUPR, FPR95.

    mmroad eval-ood ID/det.json --ood coco=COCO/det.json \\
        --gt data/bdd100k/labels/det_20/det_val.json

Each det.json is written by tools/test.py --format-only with a box head of mmroad.abet.det.
With the ground truth of the ID images also by VOS's protocol (score above the best F1).
"""

import argparse
import math
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('id', help='det.json of the in-distribution images')
    parser.add_argument('--ood', nargs='+', required=True, metavar='NAME=FILE', help='det.json of OOD images')
    parser.add_argument('--gt', help='labels of the in-distribution images (Scalabel)')
    parser.add_argument('--out', help='also write the measures as JSON, null where there is none')


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    wrong = [item for item in args.ood if not all(item.partition('='))]
    names = [item.partition('=')[0] for item in args.ood]
    if wrong or len(set(names)) < len(names):
        parser.error(f'--ood takes NAME=FILE, each name once: {" ".join(wrong or args.ood)}')
    args.ood = dict(item.split('=', 1) for item in args.ood)


def run(args: argparse.Namespace) -> None:
    from ..anomaly.detection_files import align, read_detection_file
    from ..anomaly.ood_detection import evaluate, table
    from ..files import OutputNames, write_json

    if args.out:
        sources = [args.id, *args.ood.values(), *([args.gt] if args.gt else [])]
        out = OutputNames(Path(args.out).parent, sources).path(Path(args.out).name)
    known = read_detection_file(args.id)
    ood = {name: read_detection_file(path).rows for name, path in args.ood.items()}
    pair = align(known, read_detection_file(args.gt, need_score=False)) if args.gt else (None, None)
    results = evaluate(known.rows, ood, covered=pair[0], truth=pair[1])
    print(table(results))
    if args.out:
        finite = {
            name: {key: value if math.isfinite(value) else None for key, value in row.items()}
            for name, row in results.items()
        }
        write_json(out, finite)
    if empty := [name for name, row in results.items() if math.isnan(row['auroc'])]:
        sys.exit(f'no measure of {", ".join(empty)}: no detection of ID or of OOD images is left')
