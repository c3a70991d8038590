"""Scores of several results side by side, with their differences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...files import write_text
from .result import Scores, csv_text, markdown_table

#: What is written, by the file's ending.
SUFFIXES = ('.md', '.csv')


class Comparison:
    """The scores of a first result and of others on the same ground truth.

    Args:
        scores: Of each result, by its name; the first is what the others are compared with.
    """

    def __init__(self, scores: Mapping[str, Scores]) -> None:
        self.names, self.scores = list(scores), list(scores.values())

    def rows(self) -> Iterator[tuple[str, str, list[float], list[float]]]:
        """Metric, class (empty for what is over all), the values, and the others' values minus the first's."""
        for metric, groups in self.scores[0].items():
            places = (
                [(k, name) for k, group in enumerate(groups) for name in group]
                if type(groups) is list
                else [None]
            )
            for place in places:
                values = [s[metric] if place is None else s[metric][place[0]][place[1]] for s in self.scores]
                values = [float(value) for value in values]
                over_all = place is None or place[1] == list(groups[-1])[-1]
                name = '' if over_all or place is None else place[1]
                yield metric, name, values, [value - values[0] for value in values[1:]]

    def _tables(self) -> list[list[list[str]]]:
        """What is over all, and the first metric of every class."""
        others = [f'{name} - {self.names[0]}' for name in self.names[1:]]
        rows = list(self.rows())
        first = next((m for m, name, _, _ in rows if name), rows[0][0])
        parts = [('', [(m, v, d) for m, name, v, d in rows if not name])]
        parts.append((first, [(name, v, d) for m, name, v, d in rows if name and m == first]))
        return [
            [
                [head, *self.names, *others],
                *([name, *map(_plain, v), *map(_signed, d)] for name, v, d in part),
            ]
            for head, part in parts
            if part
        ]

    def table(self) -> str:
        """Two tables for a terminal: what is over all, and the first metric of every class; in percent."""
        return '\n'.join(map(_aligned, self._tables()))

    def markdown(self) -> str:
        """The same tables as Markdown."""
        return '\n'.join(map(markdown_table, self._tables()))

    def csv(self) -> str:
        """Every metric of every class as comma-separated values, empty where nothing is defined."""
        others = [f'{name} - {self.names[0]}' for name in self.names[1:]]
        lines: list[list[object]] = [['metric', 'class', *self.names, *others]]
        for metric, name, values, differences in self.rows():
            numbers = ('' if math.isnan(v) else repr(v) for v in (*values, *differences))
            lines.append([metric, name or 'all', *numbers])
        return csv_text(lines)

    def save(self, path: str | Path) -> None:
        """Write Markdown (``.md``) or comma-separated values (``.csv``)."""
        check_suffix(path)
        write_text(path, self.csv() if Path(path).suffix == '.csv' else self.markdown())


def check_suffix(path: str | Path) -> None:
    """Refuse a file of another kind.

    Raises:
        ValueError: Names the file and the kinds.
    """
    if Path(path).suffix not in SUFFIXES:
        raise ValueError(
            f'{path}: the table is written as {" or ".join(SUFFIXES)}: choose one of these endings'
        )


def _plain(value: float) -> str:
    return '-' if math.isnan(value) else f'{value:.2f}'


def _signed(value: float) -> str:
    return '-' if math.isnan(value) else f'{value:+.2f}'


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [
        '  '.join(
            [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:]))]
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, '-' * max(map(len, lines)))
    return '\n'.join(lines) + '\n'
