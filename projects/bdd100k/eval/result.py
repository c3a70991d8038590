"""Scores with the official tool's table and JSON."""

from __future__ import annotations

import io
import json
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from csv import writer
from pathlib import Path

import numpy as np

from ...files import write_text


class Scores(dict):
    """``{metric: [{class: value, ...}, {"OVERALL": value}]}``, in percent; NaN where nothing is defined.

    The last group is ``AVERAGE`` in semantic segmentation, which also has metrics of one number alone.
    """

    def summary(self) -> dict[str, float]:
        """The overall value of every metric, and ``METRIC/class`` of the first metric for each class."""
        flat = {metric: rows[-1]['OVERALL'] for metric, rows in self.items()}
        first = next(iter(self))
        return flat | {f'{first}/{name}': value for name, value in self[first][0].items()}

    def over(self, classes: Sequence[str]) -> Scores:
        """The scores of some of the classes, and the mean over those of them that have ground truth.

        Of COCO's numbers only: there every class weighs the same in the mean.
        """
        rows = {}
        for key, (each, _) in self.items():
            values = [each[name] for name in classes]
            defined = [value for value in values if not math.isnan(value)]
            mean = float(np.mean(defined)) if defined else float('nan')
            rows[key] = [dict(zip(classes, values)), {'OVERALL': mean}]
        return Scores(rows)

    def table(self) -> str:
        """The official tool's table: a row a class, one decimal."""
        metrics = [key for key, rows in self.items() if isinstance(rows, list)]
        groups = [list(rows) for rows in self[metrics[0]]]
        names = [name for group in groups for name in group]
        cells = [['', *(f' {m}' for m in metrics)]]
        for k, group in enumerate(groups):
            cells += [[name, *(_number(self[m][k][name]) for m in metrics)] for name in group]
        first = max(len(name) for name in names)
        widths = [max(len(row[j]) for row in cells) for j in range(1, len(metrics) + 1)]
        lines = [
            ' '.join([row[0].ljust(first), *(cell.rjust(w) for cell, w in zip(row[1:], widths))])
            for row in cells
        ]
        rule, out, start = '-' * len(lines[0]), [lines[0]], 1
        for group in groups:
            out += [rule, *lines[start : start + len(group)]]
            start += len(group)
        return '\n' + ''.join(f'{line}\n' for line in out).replace('NaN', ' - ')

    def save(self, path: str | Path) -> None:
        """Write the official tool's JSON (a bare ``NaN`` where nothing is defined)."""
        write_text(path, json.dumps(self, indent=2))


def _number(value: float) -> str:
    if isinstance(value, int):
        return f' {value}'
    return 'NaN' if math.isnan(value) else f'{value:.1f}'


def markdown_table(rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; the first row is its head, and a bar in a cell stays in its cell."""
    lines = [f'| {" | ".join(str(cell).replace("|", chr(92) + "|") for cell in row)} |' for row in rows]
    lines.insert(1, '|---' * len(rows[0]) + '|')
    return '\n'.join(lines) + '\n'


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Comma-separated values, quoted where a cell holds a comma, a quote or a line's end."""
    text = io.StringIO()
    writer(text, lineterminator='\n').writerows(rows)
    return text.getvalue()


def markdown(rows: Mapping[str, Scores], head: str) -> str:
    """A Markdown table of the overall scores, a line for each key of ``rows``."""
    metrics = list(next(iter(rows.values())))
    lines = [[head, *metrics]]
    for name, scores in rows.items():
        figures = (scores[m] for m in metrics)
        values = (f[-1]['OVERALL'] if isinstance(f, list) else f for f in figures)
        cells = ('-' if math.isnan(v) else str(v) if isinstance(v, int) else f'{v:.2f}' for v in values)
        lines.append([name, *cells])
    return markdown_table(lines)


def csv(rows: Mapping[str, Scores], head: str) -> str:
    """Comma-separated values of every class and over all: ``head,class,METRIC...``."""
    metrics = [m for m, figures in next(iter(rows.values())).items() if isinstance(figures, list)]
    lines = [[head, 'class', *metrics]]
    for name, scores in rows.items():
        for k, group in enumerate(scores[metrics[0]]):
            for category in group:
                values = (scores[m][k][category] for m in metrics)
                lines.append([name, category, *('' if math.isnan(v) else repr(v) for v in values)])
    return csv_text(lines)


def told(names: Sequence[str], what: str) -> None:
    """Warn of ``names`` if there are any; the first three are shown."""
    if names:
        shown = ', '.join(map(repr, names[:3])) + (', ...' if len(names) > 3 else '')
        warnings.warn(f'{len(names)} {what}: {shown}', stacklevel=3)
