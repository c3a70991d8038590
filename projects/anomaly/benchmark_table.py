"""The table of a benchmark, for the terminal and as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

from .published import PUBLISHED

#: Names of the conventions of FPR95, with the key in a result and what they say.
FPR95 = {
    'first': ('FPR95', 'at the first threshold with TPR >= 0.95'),
    'above': ('FPR95_gt', 'at the first threshold with TPR > 0.95'),
    'nearest': ('FPR95_nearest', 'at the threshold with TPR nearest 0.95'),
    'rba': ('FPR95_rba', "as RbA reports it, at TPR > 0.95 of scikit-learn's thinned curve"),
}
HEAD = ('data set', 'method', 'score', 'AP', 'AUROC', 'FPR95', 'sIoU', 'PPV', 'mean F1', 'by')
#: What ``by`` says of numbers that were measured, of SMIYC's and ISSU's own protocols, and of others' numbers.
HERE, SMIYC, ISSU, OTHERS = 'here', "here, SMIYC's protocol", "here, ISSU's protocol", 'published'


class Row(NamedTuple):
    """A row; numbers are in percent, None where there is none."""

    dataset: str
    method: str
    score: str
    ap: float | None
    auroc: float | None
    fpr95: float | None
    siou: float | None
    ppv: float | None
    f1: float | None
    by: str

    def cells(self, empty: str = '') -> list[str]:
        """Its texts, numbers with two digits."""
        return [
            empty if value is None else f'{value:.2f}' if isinstance(value, float) else str(value)
            for value in self
        ]


def rows_of(results: Sequence[dict[str, Any]], convention: str = 'first') -> list[Row]:
    """Rows of results (`mmroad.anomaly.benchmark`), those of a data set followed by the published ones.

    Args:
        results: In the order of the table; those of a data set stand together.
        convention: A key of ``FPR95``.
    """
    key = FPR95[convention][0]
    rows: list[Row] = []
    for dataset in dict.fromkeys(result['dataset'] for result in results):
        own = [result for result in results if result['dataset'] == dataset]
        for result in own:
            smiyc = result.get('smiyc') or {}
            siou, ppv, f1 = (_percent(smiyc.get(name)) for name in ('siou_gt', 'ppv', 'f1_mean'))
            names = dataset, result['method'], result['score']
            rows.append(Row(*names, result['AP'], result['AUROC'], result[key], siou, ppv, f1, HERE))
            if 'ap' in smiyc:
                ap, auroc, fpr95 = (_percent(smiyc[name]) for name in ('ap', 'auroc', 'fpr95'))
                protocol = ISSU if result['layout'].startswith('issu') else SMIYC
                rows.append(Row(*names, ap, auroc, fpr95, siou, ppv, f1, protocol))
        for row in PUBLISHED:
            if row.dataset == own[0]['layout']:
                numbers = row.ap, row.auroc, row.fpr95
                rows.append(Row(dataset, row.method, row.score, *numbers, None, None, None, OTHERS))
    return rows


def _percent(value: Any) -> float | None:
    return None if value is None else 100 * float(value)


def terminal(rows: Sequence[Row]) -> str:
    """Columns of equal width, a blank line between data sets."""
    table = [list(HEAD), *(row.cells('-') for row in rows)]
    widths = [max(len(cells[i]) for cells in table) for i in range(len(HEAD))]
    lines, last = [], ''
    for cells in table:
        if cells[0] != last:
            lines += [''] * bool(last)
            last = cells[0]
        texts = (
            cell.rjust(width) if 3 <= i <= 8 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths))
        )
        lines.append('  '.join(texts).rstrip())
    return '\n'.join(lines)


def markdown(rows: Sequence[Row], convention: str = 'first') -> str:
    """A table with a sentence on its numbers and the sources of those that are published."""
    lines = ['| ' + ' | '.join(HEAD) + ' |', '|' + '---|' * 3 + '---:|' * 6 + '---|']
    lines += ['| ' + ' | '.join(c.replace('|', '\\|') for c in row.cells()) + ' |' for row in rows]
    return '\n'.join([*lines, '', caption(rows, convention)]) + '\n'


def caption(rows: Sequence[Row], convention: str) -> str:
    """What the numbers are."""
    text = f'In percent. AP and AUROC over all pixels; FPR95 {FPR95[convention][1]}.'
    if any(row.f1 is not None for row in rows):
        text += (
            " sIoU, PPV and mean F1: SegmentMeIfYouCan's or ISSU's component metrics, of scores as float16."
        )
    if any(row.by == OTHERS for row in rows):
        shown = {row.dataset.partition('@')[0] for row in rows}
        sources = dict.fromkeys(p.source for p in PUBLISHED if p.dataset in shown)
        text += f' Published numbers were not measured here, and in the conventions of {", ".join(sources)}.'
    return text


def csv_text(rows: Sequence[Row]) -> str:
    """Comma-separated values with all digits, empty where there is no number."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(HEAD)
    writer.writerows(['' if value is None else value for value in row] for row in rows)
    return file.getvalue()


_SPECIAL = {c: f'\\{c}' for c in '&%$#_{}'} | {
    '~': r'\textasciitilde{}',
    '^': r'\textasciicircum{}',
    '\\': r'\textbackslash{}',
}


def latex(rows: Sequence[Row], convention: str = 'first') -> str:
    """A ``tabular`` with the rules of booktabs."""

    def line(cells: Sequence[str]) -> str:
        return ' & '.join(''.join(_SPECIAL.get(c, c) for c in cell) for cell in cells) + r' \\'

    lines = [r'\begin{tabular}{lllrrrrrrl}', r'\toprule', line(HEAD)]
    last = None
    for row in rows:
        lines += [r'\midrule'] * (row.dataset != last)
        last = row.dataset
        lines.append(line(row.cells()))
    note = '% ' + caption(rows, convention)
    return '\n'.join([note, *lines, r'\bottomrule', r'\end{tabular}']) + '\n'
