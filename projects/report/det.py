"""The report of detectors."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..bdd100k.columns import Columns
from ..bdd100k.eval.det import IOU_THRESHOLDS, align
from ..bdd100k.eval.matching import match_boxes
from ..files.result_names import named_results
from ..labels.scoring import read_result, read_truth
from . import charts, det_images
from .bootstrap import interval
from .det_scores import METRICS, Result, draws, frame_attributes, match_result, score_table
from .disagreement import disagreement
from .errors import KINDS, Errors, classify, costs, loss_by_image, rise
from .page import CHUNK, report_folder, rounded, summary_sentence
from .pictures import find_pictures, write_thumbnails
from .track import Track, silent

#: What the table's columns mean.
HELP = dict(
    AP='average precision: the mean over IoU 0.50 to 0.95 and the classes',
    AP50='average precision at IoU 0.50',
    AP75='average precision at IoU 0.75',
    APs='AP of boxes up to 32² pixels',
    APm='AP of boxes of 32² to 96² pixels',
    APl='AP of boxes from 96² pixels',
    AR100='share of the boxes found, at most 100 predictions of a class in an image; mean over IoU 0.50 to 0.95',
)
TITLES = dict(weather='Weather', scene='Scene', timeofday='Time of day')


def write_det_report(
    gt: str | Path,
    results: Sequence[str | Path],
    out: str | Path,
    images: str | Path | None = None,
    names: Sequence[str] | None = None,
    thumbnails: int = 0,
    number: int = 200,
    classes: Sequence[str] | None = None,
    class_names: str | None = None,
    class_map: str | None = None,
    track: Track = silent,
) -> list[str]:
    """Write a report of one or several detection results.

    Args:
        gt, results: Labels and predictions as `read_truth` and `read_result` take them, with ``classes``,
            ``class_names`` and ``class_map``.
        out: The report's folder.
        images: Folder of the images; None draws boxes on an empty ground.
        names: What the results are called; their files' names by default.
        thumbnails: Width of small copies in pixels; 0 makes none, and the page shows the images themselves.
        number: Draws of the bootstrap.
        track: Shows progress.

    Returns:
        What could not be used (images), each with its reason.

    Raises:
        LabelFileError: A file that cannot be read or holds boxes that are not finite.
        FileNotFoundError, ValueError: There is no such folder of images, or ``out`` holds something else.
    """
    labels = named_results(results, names)
    truth, _ = read_truth(gt, classes)
    _check(truth)
    found, notes, predictions = [], [], []
    for path, label in zip(results, labels):
        pred, said = _read_result(path, truth, class_names, class_map, images)
        _check(pred)
        predictions.append(pred)
        notes += [f'{label}: {line}' for line in said]
    for pred, label in zip(predictions, labels):
        data = align(truth, pred)
        for rows, what in (
            (data.missing, 'images have no predicted frame and count as empty'),
            (data.extra, 'predicted frames are of no image of the ground truth and are left out'),
            (pred.duplicates(), 'names are carried by several predicted frames: the last of each counts'),
        ):
            if rows:
                notes.append(f'{label}: {len(rows)} {what}, such as {rows[0]}')
        found.append(match_result(data))
    for columns in (truth, *predictions):
        if columns.unboxed:
            notes.append(f'{columns.source}: {columns.unboxed} labels have no box2d and are left out')
    if truth.repeated():
        notes.append(f'ground truth: {truth.repeated()}; each of them counts')
    for note in notes:
        warnings.warn(note, stacklevel=2)
    data = found[0].data
    image_names = [truth.names[row] for row in data.frames]
    pictures = find_pictures(image_names, images, [truth.videos[row] for row in data.frames], track)
    errors = [_errors(result) for result in found]
    resampled = [
        draws(result, number, lambda rows, label=label: track(rows, f'Drawing images, {label}'))
        for result, label in zip(found, labels)
    ]
    with report_folder(out) as page:
        if thumbnails:
            write_thumbnails(page, pictures, thumbnails, track)
        page.put_chunks(det_images.boxes_of_images(truth, found, errors, pictures.sizes))
        cells, lists = zip(*(det_images.confusion_lists(result) for result in found))
        page.put(
            'lists',
            [
                dict(cell=cell, kind=det_images.error_lists(*pair))
                for cell, *pair in zip(lists, found, errors)
            ],
        )
        page.put('images', _index(truth, found, errors, labels, image_names, pictures.links(Path(out))))
        page.put('report', _report(truth, found, errors, labels, cells, resampled, notes))
    return pictures.missing


def _read_result(
    path: str | Path,
    truth: Columns,
    names: str | None,
    class_map: str | None,
    images: str | Path | None,
) -> tuple[Columns, list[str]]:
    """`read_result`, with what the result's form asks for: the sizes of the images only where it is text files, and
    nothing where it is a folder of Scalabel files."""
    path = Path(path)
    if path.is_dir() and any(path.glob('[!.]*.json')):
        return read_result(path, truth)
    return read_result(path, truth, names, class_map, str(images) if images and path.is_dir() else None)


def _check(columns: Columns) -> None:
    if not np.isfinite(columns.xyxy).all():
        columns.check_boxes()


def _errors(result: Result) -> Errors:
    data = result.data
    (match,) = match_boxes(data, result.pairs, data.gt_crowd, result.rank, np.array([0.5]))
    return classify(data, result.pairs, result.rank, match, data.gt_crowd)


def _report(gt, found, errors, labels, cells, resampled, notes) -> dict:
    data = found[0].data
    groups = score_table(gt, found)
    overall = groups[0][2][0]
    ends = [interval(rows) for rows in resampled]
    differences = [interval(rows - resampled[0]) for rows in resampled]
    return dict(
        task='det',
        title='Object detection',
        sentence=summary_sentence(data.num_images, f'{overall.boxes:,} boxes', labels, len(resampled[0])),
        results=labels,
        notes=notes,
        headline=[
            dict(
                key=key,
                help=HELP[key],
                values=[values[i] for values in overall.values],
                intervals=[[float(e[0, i]), float(e[1, i])] for e in ends],
                differences=[[float(d[0, i]), float(d[1, i])] for d in differences],
            )
            for i, key in enumerate(METRICS)
        ],
        draws=len(resampled[0]),
        scores=dict(
            metrics=[dict(key=key, help=HELP[key]) for key in METRICS],
            counts=['images', 'boxes'],
            groups=[
                dict(
                    key=key,
                    title=title,
                    rows=[dict(name=r.name, counts=[r.images, r.boxes], values=r.values) for r in rows],
                )
                for key, title, rows in groups
            ],
        ),
        charts=charts.of_detectors([result.sizes['all'] for result in found], data.classes),
        errors=_error_table(found, errors),
        confusion=dict(
            classes=[*data.classes, 'none'],
            cells=cells,
            what='boxes',
            levels=True,
            help='Predictions from the threshold on take, best first, the free object that they overlap most (IoU '
            'from 0.5), whatever its class. "none" as truth: nothing is there; as prediction: nothing was found.',
        ),
        slider=dict(label='Score from', first=30),
        kinds=_kinds(),
    )


def _kinds() -> dict:
    """Names of the codes in `errors`."""
    wrong = [
        dict(code=code, key=key, name=name, help=text) for key, code, name, text in KINDS if code is not None
    ]
    return dict(
        prediction=[
            dict(code=0, key='right', name='Right', help='the best box of an object of its class'),
            dict(code=1, key='off', name='Not counted', help='on an ignored region, or beyond the best 100'),
            *wrong,
        ],
        truth=[
            dict(code=0, key='found', name='Found', help='has a box'),
            dict(code=1, key='ignored', name='Not counted', help='a crowd or an ignored region'),
            dict(code=2, key='miss', name='Missed', help=KINDS[-1][3]),
            dict(code=3, key='met', name='Wrongly met', help='only a box of wrong class or place is there'),
        ],
    )


def _error_table(found: list[Result], errors: list[Errors]) -> dict:
    """What each kind costs, over all and of every class, and how many there are."""
    rows = []
    prices = [costs(result.data, e) for result, e in zip(found, errors)]
    for key, code, name, text in KINDS:
        numbers = []
        for result, e in zip(found, errors):
            if code is None:
                classes = result.data.gt_category[e.truth == 2]
            else:
                classes = result.data.dt_category[e.prediction == code]
            numbers.append(np.bincount(classes - 1, minlength=len(result.data.classes)))
        rows.append(
            dict(
                key=key,
                name=name,
                help=text,
                cost=[rise(price, key) for price in prices],
                number=[int(n.sum()) for n in numbers],
                by_class=[
                    dict(cost=rounded(100 * (price[key] - price['AP50'])), number=n)
                    for price, n in zip(prices, numbers)
                ],
            )
        )
    return dict(
        classes=found[0].data.classes,
        unit='AP50',
        base=[100 * float(np.nanmean(p['AP50'])) if np.isfinite(p['AP50']).any() else None for p in prices],
        kinds=rows,
        special=[
            dict(name=name, cost=[rise(price, key) for price in prices])
            for key, name in (('false_positives', 'All false alarms'), ('false_negatives', 'All missed'))
        ],
        help='TIDE (Bolya et al., 2020) at IoU 0.5: by how many points AP50 would rise if every error of one kind were '
        'mended and all else stayed. The rises do not add up.',
    )


def _index(gt, found, errors, labels, names, links) -> dict:
    """What images are listed, sorted and filtered by."""
    data = found[0].data
    loss = [loss_by_image(result.sizes['all']) for result in found]
    several = len(found) > 1
    columns = []
    for label, values, result, e in zip(labels, loss, found, errors):
        of = f', {label}' if several else ''
        columns.append(dict(title=f'Loss of AP{of}', values=rounded(values, 5), digits=4, help=LOSS))
        columns.append(dict(title=f'Errors{of}', values=det_images.wrong_counts(result, e), digits=0))
    for label, values, result in list(zip(labels, loss, found))[1:]:
        rise = rounded(values - loss[0], 5)
        columns.append(dict(title=f'{label} worse than {labels[0]}', values=rise, digits=4))
        columns.append(dict(title=f'{label} better than {labels[0]}', values=-rise, digits=4))
        columns.append(
            dict(
                title=f'Disagreement of {labels[0]} and {label}',
                values=rounded(disagreement(data, result.data), 3),
                digits=2,
            )
        )
    counted = data.gt_image[~data.gt_crowd] - 1
    columns.append(
        dict(title='Boxes of truth', values=np.bincount(counted, minlength=data.num_images), digits=0)
    )
    attributes = []
    for key in frame_attributes(gt):
        codes, values = gt.attributes[key][data.frames], gt.attribute_values[key]
        attributes.append(
            dict(key=key, title=TITLES.get(key, key), values=[v or '(none)' for v in values], codes=codes)
        )
    return dict(
        names=names,
        chunk=CHUNK,
        classes=dict(names=data.classes, images=det_images.class_lists(found[0])),
        columns=columns,
        attributes=attributes,
        pictures=links,
    )


LOSS = (
    'the share of this image in the points that AP lacks of 100: its missed objects, and its false alarms before right '
    f'boxes; the mean over the classes and the {len(IOU_THRESHOLDS)} IoU thresholds'
)
