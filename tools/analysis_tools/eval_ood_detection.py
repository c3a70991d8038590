"""How well detections of known and of unknown scenes are told apart: AUROC, AUPR, FPR95.

    python tools/analysis_tools/eval_ood_detection.py ID/det.json --ood coco=COCO/det.json \\
        --gt data/bdd100k/labels/det_20/det_val.json

Each det.json is written by tools/test.py --format-only with a box head of mmroad.abet.det.
With the ground truth of the ID images also by VOS's protocol (score above the best F1).
"""

import argparse
import sys


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('id', help='det.json of the in-distribution images')
    parser.add_argument('--ood', nargs='+', required=True, metavar='NAME=FILE', help='det.json of OOD images')
    parser.add_argument('--gt', help='labels of the in-distribution images (Scalabel)')
    parser.add_argument('--out', help='also write the measures as JSON')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmroad.abet.ood_detection import evaluate, read_detections, table
    from mmroad.abet.ood_subsets import write_json

    try:
        ood = dict(item.split('=', 1) for item in args.ood)
        truth = read_detections(args.gt, need_score=False) if args.gt else None
        results = evaluate(
            read_detections(args.id), {name: read_detections(path) for name, path in ood.items()}, truth
        )
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    print(table(results))
    if args.out:
        write_json(results, args.out)


if __name__ == '__main__':
    main()
