"""The report of semantic segmentation (and of the drivable area)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..bdd100k.eval.masks import pair_files, read_pair, stem
from ..bdd100k.eval.seg import CLASSES, confusion, joint_histogram, refuse_unknown, seg_scores
from ..bdd100k.scalabel import LabelFileError
from ..files import is_image
from ..files.result_names import named_results
from . import layers
from .bootstrap import interval, resample
from .page import CHUNK, Page, report_folder, rounded, summary_sentence
from .pictures import Pictures, find_pictures, write_thumbnails
from .postings import levels, packed
from .track import Track, in_parallel, silent

METRICS = (
    ('IoU', 'intersection over union; over all: the mean over the classes with ground truth'),
    ('Acc', 'share of the predicted pixels that are right (as the official tool has it)'),
    ('fIoU', "IoU weighted by the classes' pixels"),
    ('pAcc', 'share of all pixels that are right'),
)


def write_sem_seg_report(
    gt: str | Path,
    results: Sequence[str | Path],
    out: str | Path,
    images: str | Path | None = None,
    names: Sequence[str] | None = None,
    thumbnails: int = 0,
    number: int = 200,
    task: str = 'sem_seg',
    track: Track = silent,
) -> list[str]:
    """Write a report of one or several folders of predicted masks (PNG, class ids).

    Args:
        gt, results: Folders of masks, 255 where there is no label; an image without a prediction counts as predicted
            to be of no class.
        images: Folder of the images, named as the masks, with any image's suffix.
        task: ``sem_seg`` or ``drivable``.
        out, names, thumbnails, number, track: As in `write_det_report`; what is returned too.

    Raises:
        LabelFileError: Naming the file, and the pixel value.
        FileNotFoundError, ValueError: There is no such folder of images, or ``out`` holds something else.
    """
    labels, classes = named_results(results, names), CLASSES[task]
    for path in (gt, *results):
        if not Path(path).is_dir():
            raise LabelFileError(f'{path}: expected a folder of .png masks')
    notes: list[str] = []
    found = [_pairs(gt, result, label, notes) for result, label in zip(results, labels)]
    if not found[0]:
        raise LabelFileError(f'{gt}: there is no .png mask')
    image_names = [stem(path, gt) for path, _ in found[0]]
    pictures = _pictures(image_names, images, track)
    counts = np.zeros((len(labels), len(image_names), len(classes), len(classes) + 1), np.int64)
    differing = np.zeros((len(labels), len(image_names)))
    sizes: list[tuple[int, int]] = [(0, 0)] * len(image_names)
    with report_folder(out) as page:
        draw = layers.Painter(page, len(classes))

        def one(row: int) -> None:
            first = None
            for i, pairs in enumerate(found):
                truth, pred = _read(*pairs[row], len(classes))
                counts[i, row] = confusion(joint_histogram(truth, pred), len(classes))
                if first is None:
                    first = pred
                    sizes[row] = truth.shape[::-1]
                    draw.classes('truth', row, truth)
                differing[i, row] = np.mean(
                    (pred != first)[truth < len(classes)] if first is not pred else [0]
                )
                draw.classes(f'classes{i}', row, pred)
                draw.errors(f'errors{i}', row, truth, pred)

        for _ in in_parallel(one, range(len(image_names)), track, 'Scoring'):
            pass
        pictures.sizes = sizes
        if thumbnails:
            write_thumbnails(page, pictures, thumbnails, track)
        page.put_chunks([dict(size=size) for size in pictures.sizes])
        _write(
            page,
            counts,
            differing,
            classes,
            labels,
            image_names,
            pictures.links(Path(out)),
            notes,
            number,
            track,
        )
    return pictures.missing


def _pairs(gt: str | Path, result: str | Path, label: str, notes: list[str]) -> list:
    masks = Path(result, 'masks')
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        pairs = pair_files(gt, masks if masks.is_dir() else result)
    notes += [f'{label}: {note.message}' for note in said]
    for note in said:
        warnings.warn(f'{label}: {note.message}', stacklevel=3)
    return pairs


def _read(gt_path: Path, pred_path: Path | None, number: int) -> tuple[np.ndarray, np.ndarray]:
    truth, pred = read_pair(gt_path, pred_path, 1)
    refuse_unknown(np.bincount(truth.ravel(), minlength=256), number, gt_path)
    return truth, pred


def _pictures(names: Sequence[str], folder: str | Path | None, track: Track) -> Pictures:
    """The images by their names without suffix."""
    if folder is None:
        return find_pictures(names, None)
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder}: no such folder of images')
    there = {
        p.relative_to(folder).with_suffix('').as_posix(): p for p in sorted(folder.rglob('*')) if is_image(p)
    }
    files = [there[name].relative_to(folder).as_posix() if name in there else f'{name}.jpg' for name in names]
    return find_pictures(files, folder, track=track)


def image_iou(counts: np.ndarray) -> np.ndarray:
    """(images,) mean IoU in percent of the classes that an image's truth holds; NaN without labels.

    Args:
        counts: (images, C, C + 1) pixels by true and predicted class.
    """
    right = np.diagonal(counts, axis1=1, axis2=2)
    true, predicted = counts.sum(2), counts.sum(1)[:, :-1]
    with np.errstate(invalid='ignore', divide='ignore'):
        iou = right / (true + predicted - right)
        present = true > 0
        return 100 * np.where(present, iou, 0).sum(1) / np.where(present.any(1), present.sum(1), np.nan)


def overall(counts: np.ndarray) -> np.ndarray:
    """(4,) `METRICS` over all, from (C, C + 1) pixels; NaN without labels."""
    if not counts.sum():
        return np.full(4, np.nan)
    scores = seg_scores(counts, [str(k) for k in range(len(counts))])
    return np.array(
        [scores['IoU'][1]['AVERAGE'], scores['Acc'][1]['AVERAGE'], scores['fIoU'], scores['pAcc']]
    )


def _write(page: Page, counts, differing, classes, labels, names, links, notes, number, track) -> None:
    several = len(labels) > 1
    truth = counts[0].sum(2)
    totals = [overall(c.sum(0)) for c in counts]
    drawn = [
        resample(
            lambda weight, c=c: overall(np.tensordot(weight.astype(np.int64), c, 1)),
            len(names),
            number,
            lambda rows, label=label: track(rows, f'Drawing images, {label}'),
        )
        for c, label in zip(counts, labels)
    ]
    ends, differences = [interval(d) for d in drawn], [interval(d - drawn[0]) for d in drawn]
    by_class = [seg_scores(c.sum(0), classes) for c in counts]
    rows = []
    for k, name in enumerate(classes):
        there = truth[:, k].sum() > 0
        values = [[s['IoU'][0][name], s['Acc'][0][name]] if there else [None, None] for s in by_class]
        pixels = [int((truth[:, k] > 0).sum()), int(truth[:, k].sum())]
        rows.append(dict(name=name, counts=pixels, values=[[*v, None, None] for v in values]))
    whole = dict(name='all images', counts=[len(names), int(truth.sum())], values=totals)
    cells, lists = zip(*(_cells(c) for c in counts))
    page.put('lists', [dict(cell=cell) for cell in lists])
    page.put(
        'report',
        dict(
            task='sem_seg',
            title='Semantic segmentation' if len(classes) > 2 else 'Drivable area',
            sentence=summary_sentence(len(names), f'{int(truth.sum()):,} labeled pixels', labels, number),
            results=labels,
            notes=notes,
            draws=number,
            headline=[
                dict(
                    key=key,
                    help=text,
                    values=[float(t[i]) for t in totals],
                    intervals=[e[:, i].tolist() for e in ends],
                    differences=[d[:, i].tolist() for d in differences],
                )
                for i, (key, text) in enumerate(METRICS)
            ],
            scores=dict(
                metrics=[dict(key=key, help=text) for key, text in METRICS],
                counts=['images', 'pixels'],
                groups=[
                    dict(key='overall', title='Overall', rows=[whole]),
                    dict(key='class', title='Class', rows=rows),
                ],
            ),
            confusion=dict(
                classes=[*classes, 'none'],
                cells=cells,
                what='pixels',
                levels=False,
                help="Pixels by class. A cell opens the images in which at least the slider's share of the class "
                'is taken so.',
            ),
            slider=dict(label='Confused share of the class from', unit='%', first=5),
            layers=[
                dict(key='truth', title='truth', folder='truth', look='classes'),
                *(
                    dict(key=f'r{i}', title=label, folder=f'classes{i}', look='classes')
                    for i, label in enumerate(labels)
                ),
                *(
                    dict(
                        key=f'e{i}',
                        title=f'wrong pixels{f" of {label}" if several else ""}',
                        folder=f'errors{i}',
                        look='wrong',
                        own=True,
                    )
                    for i, label in enumerate(labels)
                ),
            ],
            off=['truth', *(f'r{i}' for i in range(len(labels))), *(f'e{i}' for i in range(1, len(labels)))],
            swatches=[[name, layers.PALETTE[k % len(layers.PALETTE)]] for k, name in enumerate(classes)],
        ),
    )
    columns = []
    for i, label in enumerate(labels):
        of = f', {label}' if several else ''
        wrong = truth.sum(1) - np.diagonal(counts[i], axis1=1, axis2=2).sum(1)
        with np.errstate(invalid='ignore', divide='ignore'):
            share = 100 * wrong / truth.sum(1)
        iou = rounded(image_iou(counts[i]), 3)
        columns.append(dict(title=f'IoU of the image{of}', values=iou, digits=1, rising=True))
        columns.append(dict(title=f'Wrong pixels in %{of}', values=rounded(share, 3), digits=1))
    for i, label in list(enumerate(labels))[1:]:
        columns.append(
            dict(
                title=f'Pixels in % that {labels[0]} and {label} see differently',
                values=rounded(100 * differing[i], 3),
                digits=1,
            )
        )
    there = [np.flatnonzero(truth[:, k]) for k in range(len(classes))]
    page.put(
        'images',
        dict(
            names=names,
            chunk=CHUNK,
            classes=dict(names=classes, images=[packed(rows, 0 * rows) for rows in there]),
            columns=columns,
            attributes=[],
            pictures=links,
        ),
    )


def _cells(counts: np.ndarray) -> tuple[list, dict[str, str]]:
    """The confusion matrix, and of each cell the images with the share of the class's pixels in hundredths, from 1
    on."""
    total, cells, lists = counts.sum(0), [], {}
    for i, j in zip(*np.nonzero(total)):
        cells.append([int(i), int(j), [int(total[i, j])]])
        truth = counts[:, i].sum(1)
        share = levels(counts[:, i, j] / np.maximum(truth, 1))
        images = np.flatnonzero(share)
        if len(images):
            lists[f'{i}/{j}'] = packed(images, share[images])
    return cells, lists
