"""The published numbers of the tables are those of the pages and metafiles."""

from pathlib import Path

import pytest

from mmroad.anomaly.published import _ABET, _RBA, PUBLISHED

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.mark.parametrize(('source', 'page', 'rows'), [(_RBA, 'rba', 10), (_ABET, 'abet', 8)])
def test_rows_stand_in_the_page_of_the_method(source, page, rows):
    text = (CONFIGS / page / 'README.md').read_text()
    found = [row for row in PUBLISHED if row.source == source]
    for row in found:
        numbers = (row.ap, row.fpr95) if page == 'rba' else (row.fpr95, row.ap, row.auroc)
        words = ' / '.join(f'{number:.2f}' for number in numbers)
        name = row.method.removeprefix('RbA ') if page == 'rba' else row.score
        assert any(words in line and name in line for line in text.splitlines()), row
    assert len(found) == rows
