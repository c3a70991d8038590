"""Write a report of results as a folder whose index.html opens from disk and from any server.

mmroad report -t det -g GT.json -r OUT/det.json --images data/bdd100k/images/100k/val --out REPORT
mmroad report -t det -g GT.json -r A/det.json -r B/det.json --names before after --out REPORT
mmroad report -t sem_seg -g MASKS -r OUT/masks --images IMAGES --out REPORT
mmroad report -t anomaly --layout fishyscapes_laf -g data/fishyscapes -r MAPS --out REPORT
"""

from __future__ import annotations

import argparse
import sys
import warnings

from .shared import add_out

TASKS = ('det', 'sem_seg', 'drivable', 'anomaly')
WIDTH = 320


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('-t', '--task', choices=TASKS, required=True)
    parser.add_argument(
        '-g',
        '--gt',
        required=True,
        help="ground truth: a Scalabel file or folder (det), a folder of masks (sem_seg, drivable), the data set's "
        'folder (anomaly)',
    )
    parser.add_argument(
        '-r',
        '--result',
        action='append',
        required=True,
        help='predictions: a file or folder; -r again for another result beside the first',
    )
    add_out(parser, 'folder of the report')
    parser.add_argument('--images', help='folder of the images (of anomaly the data set has them)')
    parser.add_argument(
        '--layout',
        help='data set of anomaly maps: a key of mmroad.anomaly.layouts.LAYOUTS (default: masks, which takes '
        'images/NAME.jpg and masks/NAME.png)',
    )
    parser.add_argument(
        '--names', nargs='+', help="what the results are called (default: by their files' names)"
    )
    parser.add_argument(
        '--thumbnails',
        nargs='?',
        type=int,
        const=WIDTH,
        default=0,
        metavar='PIXELS',
        help=f'put small copies of the images into the report (default width: {WIDTH}), for long lists of large '
        'images and for reports that are passed on without them',
    )
    det = parser.add_argument_group('det')
    det.add_argument(
        '--classes', nargs='+', help='classes of your own, or from-files for those of the ground truth'
    )
    det.add_argument(
        '--class-names', help='names of the class numbers in the predictions: coco80, coco91, or a file'
    )
    det.add_argument(
        '--class-map', metavar='FILE', help='JSON or YAML: {"their name": "ours", "another": null}'
    )
    parser.add_argument(
        '--draws',
        type=int,
        default=200,
        help='draws of the bootstrap (default: %(default)s)',
    )


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    if args.layout and args.task != 'anomaly':
        parser.error('--layout: only for -t anomaly')
    if args.images and args.task == 'anomaly':
        parser.error('--images: the data set of anomaly maps has its images')
    given = [f'--{n.replace("_", "-")}' for n in ('classes', 'class_names', 'class_map') if getattr(args, n)]
    if given and args.task != 'det':
        parser.error(f'{", ".join(given)}: only for -t det')
    if args.draws < 2 or args.thumbnails < 0:
        parser.error('--draws is at least 2, --thumbnails at least 1')
    if len(args.result) > 4:
        parser.error('at most four results fit side by side')


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from ..files.progress import track
    from ..report.page import check_folder

    check_folder(args.out)
    common = dict(out=args.out, names=args.names, thumbnails=args.thumbnails, track=track)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: print(f'warning: {message}', file=sys.stderr)
        warnings.simplefilter('always', UserWarning)
        if args.task == 'anomaly':
            from ..report.anomaly import write_anomaly_report

            problems = write_anomaly_report(
                args.layout or 'masks', args.gt, args.result, number=args.draws, **common
            )
        elif args.task == 'det':
            from ..report.det import write_det_report

            common.update(classes=args.classes, class_names=args.class_names, class_map=args.class_map)
            problems = write_det_report(args.gt, args.result, images=args.images, number=args.draws, **common)
        else:
            from ..report.sem_seg import write_sem_seg_report

            problems = write_sem_seg_report(
                args.gt, args.result, images=args.images, number=args.draws, task=args.task, **common
            )
    print(f'report: {Path(args.out) / "index.html"}')
    if problems:
        print(f'{len(problems)} images are left out of it:', *problems[:5], sep='\n  ', file=sys.stderr)
        return 1
    return 0
