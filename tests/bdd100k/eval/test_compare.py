"""Results side by side."""

import csv
import json
import math

import pytest
from det_cases import made_set, save

from mmroad.bdd100k.columns import read_columns
from mmroad.bdd100k.eval.compare import Comparison
from mmroad.bdd100k.eval.det import evaluate_det
from mmroad.bdd100k.eval.result import Scores, csv_text, markdown_table
from mmroad.bdd100k.eval.split import by_attribute
from mmroad.commands import main
from mmroad.files.result_names import named_results


def test_cells_are_quoted():
    rows = [['a, "b"', 'c|d'], [1, 'two\nlines']]
    assert list(csv.reader(csv_text(rows).splitlines(keepends=True))) == [
        ['a, "b"', 'c|d'],
        ['1', 'two\nlines'],
    ]
    assert markdown_table(rows[:1]).splitlines()[0] == r'| a, "b" | c\|d |'


def test_split_scores_of_odd_attributes_are_read_back(tmp_path, capsys):
    gts, preds = made_set(1, frames=4)
    for i, frame in enumerate(gts):
        frame['attributes'] = dict(weather='wet, "very" | cold' if i % 2 else 'clear')
    gt, pred = map(read_columns, save(tmp_path, gts, preds))
    scores = by_attribute(gt, pred, ['weather'], str(tmp_path / 'split.csv'))
    rows = list(csv.reader((tmp_path / 'split.csv').open()))
    assert {row[0] for row in rows[1:]} == set(scores['weather']) and len({len(row) for row in rows}) == 1
    assert r'wet, "very" \| cold' in capsys.readouterr().out


def test_every_metric_and_class_has_its_difference(tmp_path):
    found = {}
    for name, seed in (('one, "1"', 1), ('two', 2)):
        gts, _ = made_set(1, frames=8)
        _, preds = made_set(seed, frames=8)
        found[name] = evaluate_det(*map(read_columns, save(tmp_path, gts, preds)))
    table = Comparison(found)
    table.save(tmp_path / 'table.csv')
    head, *rows = csv.reader((tmp_path / 'table.csv').open())
    assert head == ['metric', 'class', 'one, "1"', 'two', 'two - one, "1"']
    assert len(rows) == 12 * 11
    for metric, name, a, b, difference in rows:
        k, key = (1, 'OVERALL') if name == 'all' else (0, name)
        want = [scores[metric][k][key] for scores in found.values()]
        for text, value in zip((a, b, difference), (*want, want[1] - want[0])):
            assert math.isnan(value) if text == '' else float(text) == value
    assert '| AP | ' in table.markdown() and table.markdown().count('\n|---') == 2


def test_numbers_without_classes_are_compared():
    scores = [Scores(IoU=[dict(road=float(v)), dict(AVERAGE=float(v))], pAcc=50.0 + v) for v in (10, 30)]
    rows = list(Comparison(dict(a=scores[0], b=scores[1])).rows())
    assert rows == [
        ('IoU', 'road', [10, 30], [20]), ('IoU', '', [10, 30], [20]), ('pAcc', '', [60, 80], [20]),
    ]  # fmt: skip


def test_command(tmp_path, capsys):
    gts, preds = made_set(3)
    for name in ('old run', 'new run'):
        (tmp_path / name).mkdir()
        found = preds if name == 'old run' else [dict(f, labels=f['labels'][::2]) for f in preds]
        (tmp_path / name / 'det.json').write_text(json.dumps(found))
    gt, _ = save(tmp_path, gts, preds)
    args = ['eval', '-q', '-t', 'det', '-g', str(gt), '-r', str(tmp_path / 'old run' / 'det.json')]
    main(
        [
            *args,
            '--compare',
            str(tmp_path / 'new run'),
            '--compare-out',
            str(tmp_path / 'a.md'),
            str(tmp_path / 'a.csv'),
        ]
    )
    said = capsys.readouterr().out
    head, _, ap = said.splitlines()[:3]
    assert head.split('  ')[-1] == 'new run - old run' and ap.startswith('AP ')
    table = said.split('\n\n')[0].splitlines()
    assert len({len(line) for line in table}) == 1 < len(table)  # columns are aligned
    a, b, difference = map(float, ap.split()[1:])
    assert difference == pytest.approx(b - a, abs=0.011)
    assert (tmp_path / 'a.md').read_text().startswith('|  | old run | new run | new run - old run |')
    for more, message in (
        (['--names', 'a'], 'only with --compare'),
        (['--compare', str(gt), '--compare-out', 'x.txt'], 'ends in neither .md nor .csv'),
    ):
        with pytest.raises(SystemExit):
            main([*args, *more])
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    'paths, names',
    [
        (['a/det.json', 'b/det.json'], ['a', 'b']),
        (['work/one.json', 'work/two.json'], ['one', 'two']),
        (['x/run/det.json', 'y/run/det.json'], ['run/det.json', 'y/run/det.json']),
    ],
)
def test_names_tell_results_apart(paths, names):
    found = named_results(paths)
    assert len(set(found)) == len(found)
    if names[0] != 'run/det.json':
        assert found == names


def test_one_result_twice_is_refused():
    with pytest.raises(ValueError, match='given twice'):
        named_results(['a/det.json', 'a/det.json'])
