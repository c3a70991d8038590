"""The report of anomaly maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..anomaly.io import find_map, load_map
from ..anomaly.layouts import find_pairs, read_mask
from ..anomaly.report import FolderScores
from ..anomaly.result import Point
from ..files.result_names import named_results
from . import layers
from .anomaly_components import MISSED, SMALLEST, best_f1, components
from .anomaly_draws import Counts
from .bootstrap import interval
from .charts import chart, line
from .page import CHUNK, report_folder, rounded, summary_sentence
from .pictures import find_pictures, write_thumbnails
from .track import Track, silent

METRICS = (
    dict(key='AP', help='average precision over all pixels, unknown objects positive'),
    dict(key='AUROC', help='area under the ROC curve'),
    dict(
        key='FPR95',
        help='share of the other pixels above the threshold that finds 95 % of the unknown',
        low=True,
    ),
)
#: Rows of the lists of the worst.
LISTED = 50


def write_anomaly_report(
    layout: str,
    root: str | Path,
    results: Sequence[str | Path],
    out: str | Path,
    names: Sequence[str] | None = None,
    thumbnails: int = 0,
    number: int = 200,
    track: Track = silent,
) -> list[str]:
    """Write a report of one or several folders of anomaly maps.

    Args:
        layout, root: The data set, as `mmroad.anomaly.layouts.find_pairs` takes it.
        results: Folders of maps, named as the images.
        out, names, thumbnails, number, track: As in `write_det_report`; what is returned too.

    Raises:
        FileNotFoundError, KeyError, ValueError: As `FolderScores`, or ``out`` holds something else.
    """
    labels = named_results(results, names)
    pairs = find_pairs(layout, root)
    scored = [
        FolderScores(
            pairs, layout, path, progress=lambda rows, title, of=label: track(rows, f'{of}, {title}')
        )
        for path, label in zip(results, labels)
    ]
    lacking = [f'{label}: {s.scores.note}' for s, label in zip(scored, labels) if s.scores.note]
    if lacking:
        raise ValueError(lacking[0])
    image_names = [image.name for image, _ in pairs]
    files = [image for image, _ in pairs]
    base = Path(root)
    pictures = find_pictures([str(file.relative_to(base)) for file in files], base, track=track)
    scales = [_scale(s) for s in scored]
    cuts = [best_f1(s.scores) for s in scored]
    counts = [Counts(s.scores) for s in scored]
    images, alarms, misses = [], [[] for _ in labels], [[] for _ in labels]
    with report_folder(out) as page:
        painter = layers.Painter(page)
        for row, (image, mask) in enumerate(track(pairs, 'Drawing maps')):
            labels_of = read_mask(mask, layout)
            painter.unknown('truth', row, labels_of)
            content = dict(size=labels_of.shape[::-1], truth=[], results=[])
            states = []
            for i, path in enumerate(results):
                values = load_map(find_map(path, image.stem))
                painter.heat(f'heat{i}', row, values, scales[i])
                counts[i].add(values, labels_of)
                found = components(values, labels_of, cuts[i].threshold)
                alarms[i] += [(row, *alarm) for alarm in found['alarms']]
                misses[i] += [(row, *truth) for truth in found['truth'] if truth[1] >= MISSED]
                content['results'].append(_alarm_numbers(found['alarms']))
                states.append(found['truth'])
            content['truth'] = _truth_numbers(states)
            images.append(content)
        if thumbnails:
            write_thumbnails(page, pictures, thumbnails, track)
        page.put_chunks(images)
        page.put('lists', [])
        drawn = [
            c.draws(number, lambda rows, of=label: track(rows, f'Drawing images, {of}'))
            for c, label in zip(counts, labels)
        ]
        page.put('images', _index(image_names, labels, scored, pictures.links(Path(out))))
        page.put('report', _report(labels, scored, scales, cuts, alarms, misses, image_names, drawn))
    return pictures.missing


def _scale(scored: FolderScores) -> tuple[float, float]:
    """Scores from black to white: what holds all but a thousandth of the pixels at each end."""
    part = np.cumsum(scored.histogram.sum(0)) / max(1, scored.histogram.sum())
    low = scored.edges[np.searchsorted(part, 0.001)]
    high = scored.edges[min(len(part), np.searchsorted(part, 0.999) + 1)]
    return float(low), float(high) if high > low else float(low) + 1


def _alarm_numbers(alarms: list) -> list[int]:
    rows = [[1, 10_000, 2, -1, *(10 * v for v in box)] for box, *_ in alarms]
    return [v for row in rows for v in row]


def _truth_numbers(states: list[list]) -> list[int]:
    """Boxes of unknown objects with what each result makes of them."""
    rows = []
    for objects in zip(*states):
        marks = [2 if share >= MISSED else 0 for _, share, *_ in objects]
        rows.append([0, 0, *(10 * v for v in objects[0][0]), *marks])
    return [v for row in rows for v in row]


def _index(names: Sequence[str], labels: Sequence[str], scored: Sequence[FolderScores], links: dict) -> dict:
    columns, several = [], len(labels) > 1
    for label, s in zip(labels, scored):
        of = f', {label}' if several else ''
        rows = {row[0]: row for row in s.images}
        for title, place, rising in (
            ('AP', 2, True),
            ('FPR95', 4, False),
            ('False alarms in % at 95 % found', 5, False),
        ):
            values = rounded([100 * rows[name][place] for name in names], 3)
            columns.append(dict(title=f'{title}{of}', values=values, digits=2, rising=rising))
        if label != labels[0]:
            rise = [100 * (rows[n][2] - {r[0]: r for r in scored[0].images}[n][2]) for n in names]
            columns.append(
                dict(title=f'AP of {label} minus {labels[0]}', values=rounded(rise, 3), digits=2, rising=True)
            )
    outliers = {row[0]: row[1] for row in scored[0].images}
    columns.append(dict(title='Unknown pixels', values=[outliers[name] for name in names], digits=0))
    return dict(names=names, chunk=CHUNK, columns=columns, attributes=[], pictures=links)


def _report(labels, scored, scales, cuts, alarms, misses, names, drawn) -> dict:
    ends, differences = [interval(d) for d in drawn], [interval(d - drawn[0]) for d in drawn]
    several = len(labels) > 1
    values = [[100 * s.scores.ap, 100 * s.scores.auroc, 100 * s.scores.fpr95.fpr] for s in scored]
    outliers = scored[0].scores.outliers
    rows = {}
    for i, s in enumerate(scored):
        for name, number, ap, auroc, fpr95, *_ in s.images:
            row = rows.setdefault(
                name, dict(name=name, image=name, counts=[1, number], values=[None] * len(labels))
            )
            row['values'][i] = [100 * v if math.isfinite(v) else None for v in (ap, auroc, fpr95)]
    hardest = [rows[row[0]] for row in scored[0].images]
    lists = []
    for i, label in enumerate(labels):
        of = f', {label}' if several else ''
        worst = sorted(alarms[i], key=lambda a: -a[2])[:LISTED]
        lists.append(
            dict(
                key=f'alarms{i}',
                title=f'Worst false alarms{of}',
                columns=['pixels', 'highest score'],
                rows=[[row, box, size, round(top, 4)] for row, box, size, top in worst],
                help=f'Connected pixels from the score {cuts[i].threshold:.4g} on, where F1 over all pixels is best, '
                f'without a pixel of an unknown object; the {LISTED} largest, from {SMALLEST} pixels.',
            )
        )
        worst = sorted(misses[i], key=lambda m: -m[2] * m[3])[:LISTED]
        lists.append(
            dict(
                key=f'misses{i}',
                title=f'Worst misses{of}',
                columns=['missed in %', 'pixels', 'highest score'],
                rows=[
                    [row, box, round(100 * share, 1), size, round(top, 4)]
                    for row, box, share, size, top in worst
                ],
                help=f'Unknown objects of which at least {MISSED:.0%} of the pixels lie below that score; by the '
                'number of these pixels.',
            )
        )
    return dict(
        task='anomaly',
        title='Anomaly segmentation',
        sentence=summary_sentence(
            len(names), f'{outliers:,} pixels of unknown objects', labels, len(drawn[0])
        ),
        results=labels,
        notes=[],
        draws=len(drawn[0]),
        headline=[
            dict(
                m,
                values=[v[i] for v in values],
                intervals=[e[:, i].tolist() for e in ends],
                differences=[d[:, i].tolist() for d in differences],
            )
            for i, m in enumerate(METRICS)
        ],
        scores=dict(
            metrics=METRICS,
            counts=['images', 'unknown pixels'],
            groups=[
                dict(
                    key='overall',
                    title='Overall',
                    rows=[dict(name='all images', counts=[len(names), outliers], values=values)],
                ),
                dict(key='image', title=f'Image, the lowest AP of {labels[0]} first', rows=hardest[:100]),
            ],
            help='Over all: every distinct score is a threshold, ties exact; the ranges are computed at about a '
            'thousand of them. The first 100 images are listed; the part "Images" has all.',
        ),
        charts=_charts(scored, cuts, labels),
        lists=lists,
        kinds=dict(
            prediction=[dict(code=2, key='alarm', name='False alarm', help='no unknown object is there')],
            truth=[
                dict(code=0, key='found', name='Found', help='most of its pixels lie above the threshold'),
                dict(code=2, key='miss', name='Missed', help='most of its pixels lie below the threshold'),
            ],
        ),
        boxNames=['unknown object', 'false alarm'],
        boxWords=['false alarms', 'unknown objects'],
        boxLayer='false alarms of ',
        digits=2,
        unscored=True,
        heat=True,
        slider=dict(
            label='Mark scores from',
            unit='%',
            first=0,
            help='In percent of the range from black to white of the heat maps; 0 marks nothing. '
            + '; '.join(f'{label}: {low:.4g} to {high:.4g}' for label, (low, high) in zip(labels, scales)),
        ),
        layers=[
            *_layers(labels, 'h', 'heat map', 'heat'),
            *_layers(labels, 'm', 'marks', 'above'),
            dict(key='truth', title='truth', folder='truth', look='mask'),
        ],
        off=[f'{key}{i}' for i in range(1, len(labels)) for key in 'hm'],
    )


def _layers(labels: Sequence[str], key: str, title: str, look: str) -> list[dict]:
    """The heat map of every result, as it is shown."""
    return [
        dict(
            key=f'{key}{i}',
            title=f'{title} of {label}' if len(labels) > 1 else title,
            folder=f'heat{i}',
            look=look,
            own=True,
        )
        for i, label in enumerate(labels)
    ]


def _charts(scored: Sequence[FolderScores], cuts: Sequence[Point], labels: Sequence[str]) -> list[dict]:
    roc, precision, bars = [], [], {}
    for i, s in enumerate(scored):
        curve = s.scores.curve
        at = s.scores.fpr95
        fpr, tpr = [0.0, *(p.fpr for p in curve), 1.0], [0.0, *(p.tpr for p in curve), 1.0]
        more = {'score from': rounded([math.nan, *(p.threshold for p in curve), math.nan], 5)}
        note = f'AUROC {100 * s.scores.auroc:.2f}, FPR95 {100 * at.fpr:.2f} at the mark'
        roc.append(line(i, fpr, tpr, note=note, more=more, mark=[at.fpr, at.tpr]))
        more = {'score from': rounded([p.threshold for p in curve], 5)}
        precision.append(
            line(
                i,
                [p.tpr for p in curve],
                [s.scores.precision(p) for p in curve],
                note=f'AP {100 * s.scores.ap:.2f}',
                more=more,
            )
        )
        share = s.histogram / np.maximum(1, s.histogram.sum(1, keepdims=True))
        names = ['pixels of known things', 'pixels of unknown objects']
        bars[str(i)] = [
            dict(of=k, name=names[k], x=rounded(s.edges, 5), y=rounded(share[k], 6),
                 more=dict(pixels=s.histogram[k]), note=f'{int(s.histogram[k].sum()):,} pixels')
            for k in (0, 1)
        ]  # fmt: skip
    choices = [dict(title='Result', options=list(labels))] if len(labels) > 1 else []
    series = bars if choices else {'': bars['0']}
    return [
        chart('roc', 'ROC', 'false positive rate', 'true positive rate', {'': roc}, kind='line',
              help='The mark is where 95 % of the unknown pixels are found.'),
        chart('pr', 'Precision and recall', 'recall', 'precision', {'': precision}, kind='line',
              help='The mark is where F1 is best: there maps are cut into false alarms and misses.'),
        chart('histogram', 'Scores', 'score', 'share of the pixels', series, choices, kind='bars',
              help='Each kind of pixel adds up to 1.'),
    ]  # fmt: skip
