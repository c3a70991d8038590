"""Score unknown objects, instances or boxes, as OoDIS does.

mmroad eval-oodis oodis.zip --gt instance_labels
mmroad eval-oodis oodis_det.zip --gt fishyscapes_label.json

SUBMISSION is an archive or folder of `mmroad submit oodis` or `oodis-det`. The ground truth is a folder of
NAME_instanceIds.png (values 26nnn are objects), or a COCO file whose images have their names as ids.
"""

from __future__ import annotations

import argparse

from .shared import add_out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('submission', help='archive or folder')
    parser.add_argument('--gt', required=True, help='folder of NAME_instanceIds.png, or a COCO file of boxes')
    parser.add_argument(
        '--dataset',
        choices=('fishyscapes', 'roadanomaly', 'roadobstacle'),
        default='fishyscapes',
        help='data set of the submission (default: %(default)s)',
    )
    add_out(parser, 'also write the scores as JSON', required=False)


def run(args: argparse.Namespace) -> None:
    import math
    from pathlib import Path

    from ..files import write_json
    from ..submissions.oodis_scores import box_scores, instance_scores

    score = instance_scores if Path(args.gt).is_dir() else box_scores
    found = score(args.submission, args.gt, args.dataset)
    print('\n'.join(f'{name:6}{100 * value:8.2f}' for name, value in found.items()))
    if args.out:
        write_json(args.out, {k: v if math.isfinite(v) else None for k, v in found.items()})
