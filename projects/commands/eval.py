"""Score BDD100K predictions: the numbers, table and JSON of python -m bdd100k.eval.run.

    mmroad eval -t det -g GT.json -r OUT/det.json

``python -m mmroad.bdd100k.eval`` is the same.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..bdd100k.eval.compare import Comparison
    from ..bdd100k.eval.result import Scores

TASKS = ('det', 'sem_seg', 'drivable', 'ins_seg', 'pan_seg', 'box_track')
ATTRIBUTES = ('weather', 'scene', 'timeofday')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('-t', '--task', choices=TASKS, required=True)
    parser.add_argument(
        '-g', '--gt', required=True, help='ground truth: labels of boxes in any format, or bitmasks'
    )
    parser.add_argument(
        '-r', '--result', required=True, help='predictions: a file or folder (box_track: or a zip)'
    )
    parser.add_argument('--out-file', help='write the scores as JSON')
    parser.add_argument(
        '--compare',
        nargs='+',
        metavar='RESULT',
        help='other predictions of the same images: print both scores and the differences',
    )
    parser.add_argument(
        '--compare-out', nargs='+', metavar='FILE', help='write that table too: FILE.md, FILE.csv or both'
    )
    parser.add_argument('--names', nargs='+', help='what the compared results are called, that of -r first')
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
        help='show these classes alone and the mean over them; classes of your own, or from-files for all that the '
        'ground truth has, are scored too',
    )
    det.add_argument(
        '--class-names', help='names of the class numbers in the predictions: coco80, coco91, or a file'
    )
    det.add_argument(
        '--class-map', metavar='FILE', help='JSON or YAML: {"their name": "ours", "another": null}'
    )
    det.add_argument('--images', metavar='DIR', help='the images, whose sizes text files of YOLO need')
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
    for option in ('compare_out', 'names'):
        if getattr(args, option) and not args.compare:
            parser.error(f'--{option.replace("_", "-")}: only with --compare')
    if args.compare and args.score_file:
        parser.error('--compare takes no --score-file: give the results as run-length codes with scores')
    for path in args.compare_out or ():
        if Path(path).suffix not in ('.md', '.csv'):
            parser.error(f'--compare-out: {path} ends in neither .md nor .csv')


#: Options of some tasks alone.
_OWN = {
    ('det',): ('classes', 'class_names', 'class_map', 'images', 'confusion', 'pr_curves'),
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
    from ..files.result_names import named_results

    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: _say(f'warning: {message}')
        warnings.simplefilter('ignore' if args.quiet else 'always', UserWarning)
        try:
            names = named_results([args.result, *(args.compare or ())], args.names)
            scores, steps = _task(args)
            table = scores.table()
            if args.compare:
                comparison = _compare(args, names, scores)
                table = comparison.table()
                steps += [
                    ('--compare-out', partial(comparison.save, path)) for path in args.compare_out or ()
                ]
        except (OSError, ValueError) as error:
            sys.exit(f'error: {error}')
        print(table, flush=True)  # before all that may fail
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
        from ..bdd100k.eval.track_report import tracking

        return tracking(args, _say)
    return _segmentation(args), []


def _compare(args: argparse.Namespace, names: list[str], scores: Scores) -> Comparison:
    """The scores of the other results beside those of the first."""
    from ..bdd100k.eval.compare import Comparison

    found = {names[0]: scores}
    plain = argparse.Namespace(
        **dict(
            vars(args), by_attribute=None, csv=None, confusion=None, pr_curves=None, by_video=None, quiet=True
        )
    )
    for name, plain.result in zip(names[1:], args.compare):
        found[name] = _task(plain)[0]
    return Comparison(found)


def _detection(args: argparse.Namespace) -> tuple:
    """The scores, and the further outputs: the option that asks for each and a function that writes it."""
    from ..bdd100k.eval.det import align, scores_of
    from ..bdd100k.eval.result import told
    from ..bdd100k.scalabel import DET_CLASSES, det_classes
    from ..labels.scoring import FROM_FILES, read_result, read_truth

    gt, said = read_truth(args.gt, args.classes)
    pred, left_out = read_result(args.result, gt, args.class_names, args.class_map, args.images)
    for line in () if args.quiet else said:
        _say(line)
    for line in left_out:
        warnings.warn(f'{args.result}: {line}', stacklevel=2)
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
    classes: Sequence[str] | None = [name for name in args.classes or () if name != FROM_FILES] or None
    if classes and gt.classes == DET_CLASSES:
        classes = det_classes(classes)
    steps: list[tuple[str, Callable[[], object]]] = []
    if args.by_attribute is not None or args.csv:
        from ..bdd100k.eval.split import by_attribute

        split = partial(
            by_attribute, gt, pred, args.by_attribute or ATTRIBUTES, args.csv, args.backend, classes
        )
        steps.append(('--csv' if args.csv else '--by-attribute', split))
    if args.confusion:
        from ..bdd100k.eval.analysis import confusion_matrix, save_confusion

        steps.append(
            ('--confusion', lambda: save_confusion(confusion_matrix(data), Path(args.confusion), gt.classes))
        )
    if args.pr_curves:
        from ..bdd100k.eval.analysis import plot_pr_curves

        steps.append(('--pr-curves', partial(plot_pr_curves, data, Path(args.pr_curves), args.backend)))
    return scores_of(data, args.backend, classes), steps


def _segmentation(args: argparse.Namespace):
    from ..bdd100k.eval.result import told

    if args.task in ('sem_seg', 'drivable'):
        from ..bdd100k.eval.seg import evaluate_seg

        return evaluate_seg(args.gt, args.result, args.task, args.nproc)
    if args.task == 'ins_seg':
        from ..bdd100k.eval.ins_seg import evaluate_ins_seg

        scores, overlapping = evaluate_ins_seg(args.gt, args.result, args.score_file, args.nproc)
    else:
        from ..bdd100k.eval.pan_seg import evaluate_pan_seg

        scores, overlapping = evaluate_pan_seg(args.gt, args.result, args.nproc)
    told(overlapping, 'predicted frames count as empty because their masks overlap')
    return scores


def _say(text: str) -> None:
    print(text, file=sys.stderr)
