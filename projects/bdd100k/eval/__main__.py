"""``python -m mmroad.bdd100k.eval -t det -g GT -r RESULT``: the official evaluator's command line."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..scalabel import det_classes
from .result import told

TASKS = ('det', 'sem_seg', 'drivable', 'ins_seg', 'pan_seg', 'box_track')
ATTRIBUTES = ('weather', 'scene', 'timeofday')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('-t', '--task', choices=TASKS, required=True)
    parser.add_argument(
        '-g', '--gt', required=True, help='ground truth: a Scalabel file or folder, or bitmasks'
    )
    parser.add_argument(
        '-r', '--result', required=True, help='predictions: a file or folder (box_track: or a zip)'
    )
    parser.add_argument('--out-file', help='write the scores as JSON')
    parser.add_argument(
        '--nproc', type=int, default=0, help='threads that read bitmasks (default: up to four)'
    )
    parser.add_argument('-q', '--quiet', action='store_true', help='print the table alone')
    parser.add_argument('--score-file', help='scores of the predicted bitmasks (ins_seg)')
    both = parser.add_argument_group('det and box_track')
    both.add_argument(
        '--by-attribute',
        nargs='*',
        choices=ATTRIBUTES,
        help='scores split by these attributes of frames or videos (default: all three), as Markdown',
    )
    both.add_argument('--csv', help='write the split scores of every class here')
    det = parser.add_argument_group('det')
    det.add_argument('--backend', default='auto', choices=('auto', 'hotcoco', 'pycocotools'))
    det.add_argument(
        '--classes',
        nargs='+',
        help='show these classes alone and the mean over them (of a model of few classes)',
    )
    det.add_argument('--confusion', help='write the confusion matrix here (.csv)')
    det.add_argument('--pr-curves', help='write precision-recall curves here (a picture)')
    track = parser.add_argument_group('box_track')
    track.add_argument('--by-video', action='store_true', default=None, help='scores of each video')
    track.add_argument('--hota', action='store_true', default=None, help='HOTA, DetA and AssA too')
    track.add_argument('--teta', action='store_true', default=None, help='TETA, LocA, AssocA and ClsA too')
    track.add_argument('--iou-thr', type=float, help='IoU from which a prediction is right (default: 0.5)')
    track.add_argument(
        '--ignore-iof-thr',
        type=float,
        help='wrong predictions that lie by more than this part in crowd or ignored boxes do not count '
        '(default: 0.5)',
    )


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse options that the task does not have."""
    for tasks, names in _OWN.items():
        given = [f'--{name.replace("_", "-")}' for name in names if getattr(args, name) is not None]
        if given and args.task not in tasks:
            parser.error(f'{", ".join(given)}: only for -t {" and ".join(tasks)}')


#: Options of some tasks alone.
_OWN = {
    ('det',): ('classes', 'confusion', 'pr_curves'),
    ('det', 'box_track'): ('by_attribute', 'csv'),
    ('box_track',): ('by_video', 'hota', 'teta', 'iou_thr', 'ignore_iof_thr'),
}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog='python -m mmroad.bdd100k.eval',
        description='Score BDD100K predictions: the numbers, table and JSON of python -m bdd100k.eval.run.',
    )
    add_arguments(parser)
    args = parser.parse_args(argv)
    check(parser, args)
    run(args)


def run(args: argparse.Namespace) -> None:
    """Score, print the table and do what else is asked for; exits with what could not be done."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: _say(f'warning: {message}')
        warnings.simplefilter('ignore' if args.quiet else 'always', UserWarning)
        try:
            scores, steps = _task(args)
        except (OSError, ValueError) as error:
            sys.exit(f'error: {error}')
        print(scores.table(), flush=True)  # before all that may fail
        if args.out_file:
            steps.insert(0, ('--out-file', partial(scores.save, args.out_file)))
        failed = []
        for option, step in steps:
            try:
                step()
            except (OSError, ValueError) as error:
                failed.append(f'error: {option}: {error}')
    if failed:
        sys.exit('\n'.join(failed))


def _task(args: argparse.Namespace) -> tuple:
    if args.task == 'det':
        return _detection(args)
    if args.task == 'box_track':
        from .track_report import tracking

        return tracking(args, _say)
    return _segmentation(args), []


def _detection(args: argparse.Namespace) -> tuple:
    """Scores, and what else is to be done: the option that asks for it and a function."""
    from ..columns import read_columns
    from .det import align, scores_of

    gt, pred = read_columns(args.gt), read_columns(args.result)
    data = align(gt, pred)
    if not args.quiet:
        _say(f'{len(gt.names)} images, {len(gt)} ground-truth boxes, {len(data.dt_image)} predictions')
    told(data.missing, 'images have no predicted frame and count as empty')
    told(data.extra, 'predicted frames are of no image in the ground truth and are left out')
    for path, columns in ((args.gt, gt), (args.result, pred)):
        if columns.unboxed and not len(columns):
            warnings.warn(
                f'{path}: none of its {columns.unboxed} labels has a box2d; is it the file of another task?',
                stacklevel=2,
            )
    if pred.unboxed and len(pred):
        warnings.warn(
            f'{args.result}: {pred.unboxed} predicted labels have no box2d and are left out', stacklevel=2
        )
    told(pred.duplicates(), 'names are carried by several predicted frames: the last of each counts')
    if gt.repeated():
        warnings.warn(f'ground truth: {gt.repeated()}; each of them counts', stacklevel=2)
    classes = det_classes(args.classes) if args.classes else None
    steps: list[tuple[str, Callable[[], object]]] = []
    if args.by_attribute is not None or args.csv:
        from .split import by_attribute

        split = partial(
            by_attribute, gt, pred, args.by_attribute or ATTRIBUTES, args.csv, args.backend, classes
        )
        steps.append(('--csv' if args.csv else '--by-attribute', split))
    if args.confusion:
        from .analysis import confusion_matrix, save_confusion

        steps.append(('--confusion', lambda: save_confusion(confusion_matrix(data), Path(args.confusion))))
    if args.pr_curves:
        from .analysis import plot_pr_curves

        steps.append(('--pr-curves', partial(plot_pr_curves, data, Path(args.pr_curves), args.backend)))
    return scores_of(data, args.backend, classes), steps


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
    told(overlapping, 'predicted frames count as empty because their masks overlap')
    return scores


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == '__main__':
    main()
