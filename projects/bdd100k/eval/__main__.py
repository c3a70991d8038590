"""``python -m mmroad.bdd100k.eval -t det -g GT -r RESULT``: the official evaluator's command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

TASKS = ('det', 'sem_seg', 'drivable', 'ins_seg', 'pan_seg')
ATTRIBUTES = ('weather', 'scene', 'timeofday')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python -m mmroad.bdd100k.eval',
        description='Score BDD100K predictions: the numbers, table and JSON of python -m bdd100k.eval.run.',
    )
    parser.add_argument('-t', '--task', choices=TASKS, required=True)
    parser.add_argument(
        '-g', '--gt', required=True, help='ground truth: a Scalabel file or folder, or bitmasks'
    )
    parser.add_argument('-r', '--result', required=True, help='predictions: a file or folder')
    parser.add_argument('--out-file', help='write the scores as JSON')
    parser.add_argument(
        '--nproc', type=int, default=0, help='threads that read bitmasks (default: up to four)'
    )
    parser.add_argument('-q', '--quiet', action='store_true', help='print the table alone')
    parser.add_argument('--score-file', help='scores of the predicted bitmasks (ins_seg)')
    det = parser.add_argument_group('det')
    det.add_argument('--backend', default='auto', choices=('auto', 'hotcoco', 'pycocotools'))
    det.add_argument(
        '--by-attribute',
        nargs='*',
        choices=ATTRIBUTES,
        help='scores split by these frame attributes (default: all three), as Markdown',
    )
    det.add_argument('--csv', help='write the split scores of every class here')
    det.add_argument('--confusion', help='write the confusion matrix here (.csv)')
    det.add_argument('--pr-curves', help='write precision-recall curves here (a picture)')
    args = parser.parse_args(argv)
    extras = ('by_attribute', 'csv', 'confusion', 'pr_curves')
    given = [f'--{name.replace("_", "-")}' for name in extras if getattr(args, name) is not None]
    if args.task != 'det' and given:
        parser.error(f'{", ".join(given)}: only for -t det')
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    from ..scalabel import LabelFileError

    try:
        scores = _detection(args) if args.task == 'det' else _segmentation(args)
    except (LabelFileError, OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    print(scores.table())
    if args.out_file:
        scores.save(args.out_file)


def _detection(args: argparse.Namespace):
    from ..columns import read_columns
    from .det import align, scores_of

    gt, pred = read_columns(args.gt), read_columns(args.result)
    data = align(gt, pred)
    if not args.quiet:
        _say(f'{len(gt.names)} images, {len(gt)} ground-truth boxes, {len(data.dt_image)} predictions')
        _note(data.missing, 'images have no predicted frame and count as empty')
        _note(data.extra, 'predicted frames are of no image in the ground truth and are left out')
        if gt.unboxed and not len(gt):
            _say(
                f'warning: {args.gt}: none of its {gt.unboxed} labels has a box2d; is it the file of another task?'
            )
        repeated = pred.duplicates()
        _note(repeated, 'names are carried by several predicted frames: the last of each counts')
    if args.by_attribute is not None or args.csv:
        from .split import by_attribute

        by_attribute(gt, pred, args.by_attribute or ATTRIBUTES, args.csv, args.backend)
    if args.confusion:
        from .analysis import confusion_matrix, save_confusion

        save_confusion(confusion_matrix(data), Path(args.confusion))
    if args.pr_curves:
        from .analysis import plot_pr_curves

        plot_pr_curves(data, Path(args.pr_curves), args.backend)
    return scores_of(data, args.backend)


def _segmentation(args: argparse.Namespace):
    if args.task in ('sem_seg', 'drivable'):
        from .seg import evaluate_seg

        return evaluate_seg(args.gt, args.result, args.task, args.nproc)
    if args.task == 'ins_seg':
        from .ins_seg import evaluate_ins_seg

        scores, overlapping = evaluate_ins_seg(args.gt, args.result, args.score_file, args.nproc)
    else:
        from .pan_seg import evaluate_pan_seg

        scores, overlapping = evaluate_pan_seg(args.gt, args.result, args.nproc)
    _note(overlapping, 'predicted frames count as empty because their masks overlap')
    return scores


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _note(names: list[str], what: str) -> None:
    if names:
        shown = ', '.join(map(repr, names[:3])) + (', ...' if len(names) > 3 else '')
        _say(f'warning: {len(names)} {what}: {shown}')


if __name__ == '__main__':
    main()
