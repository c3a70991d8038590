"""The confusion matrix, by hand."""

import numpy as np
import pytest
from det_cases import made_set, save

from mmroad.bdd100k.columns import read_columns
from mmroad.bdd100k.eval.analysis import confusion_matrix, plot_pr_curves, save_confusion
from mmroad.bdd100k.eval.det import align
from mmroad.bdd100k.eval.matching import Pairs, take_turns
from mmroad.bdd100k.scalabel import DET_CLASSES


def confusion(folder, labels, predictions, frames=1):
    """Cells of the matrix that are not 0, of images with boxes (x1, y1, width, height, class, score or crowd)."""

    def label(k, x, y, w, h, name, more):
        box2d = dict(x1=x, y1=y, x2=x + w - 1, y2=y + h - 1)
        more = dict(score=more) if isinstance(more, float) else dict(attributes=more)
        return dict(id=str(k), category=name, box2d=box2d, **more)

    sets = [
        [dict(name=f'{i}.jpg', labels=[label(k, *box) for k, box in enumerate(boxes)]) for i in range(frames)]
        for boxes in (labels, predictions)
    ]
    matrix = confusion_matrix(align(*map(read_columns, save(folder, *sets))))
    names = [*DET_CLASSES, 'none']
    return {(names[i], names[j]): int(matrix[i, j]) for i, j in zip(*matrix.nonzero())}


def test_an_ignored_box_is_taken_only_if_no_other_matches():
    pairs = Pairs(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([0.6, 0.9, 0.8, 0.85]))
    got = take_turns(pairs, np.array([0, 1]), 2, np.array([0.5, 0.7]), ignored=np.array([False, True]))
    assert got.tolist() == [[0, 1], [1, 0]]


TRUE = (10, 10, 40, 20, 'car', {})
CONFUSION = {
    'found': ([TRUE], [(*TRUE[:5], 0.9)], {('car', 'car'): 1}),
    'other class': ([TRUE], [(*TRUE[:4], 'bus', 0.9)], {('car', 'bus'): 1}),
    'missed': ([TRUE], [], {('car', 'none'): 1}),
    'nothing there': ([], [(*TRUE[:5], 0.9)], {('none', 'car'): 1}),
    'score at the threshold': ([TRUE], [(*TRUE[:5], 0.3)], {('car', 'car'): 1}),
    'score below it': ([TRUE], [(*TRUE[:5], 0.2999)], {('car', 'none'): 1}),
    'half of it': ([TRUE], [(10, 10, 20, 20, 'car', 0.9)], {('car', 'car'): 1}),
    'less than half': ([TRUE], [(10, 10, 19, 20, 'car', 0.9)], {('car', 'none'): 1, ('none', 'car'): 1}),
    'twice': ([TRUE], [(*TRUE[:5], 0.8), (*TRUE[:4], 'bus', 0.9)], {('car', 'bus'): 1, ('none', 'car'): 1}),
    'opposite corners': ([TRUE], [(900, 500, 40, 20, 'car', 0.9)], {('car', 'none'): 1, ('none', 'car'): 1}),
    'beside in one direction': ([TRUE], [(10, 500, 40, 20, 'car', 0.9)], {('car', 'none'): 1, ('none', 'car'): 1}),
    'the nearer of two': (
        [TRUE, (14, 10, 40, 20, 'bus', {})],
        [(15, 10, 40, 20, 'bus', 0.9)],
        {('bus', 'bus'): 1, ('car', 'none'): 1},
    ),
    'a crowd without': ([(*TRUE[:5], {'crowd': True})], [], {}),
    'a crowd covered': ([(*TRUE[:5], {'crowd': True})], [(*TRUE[:5], 0.9)], {}),
    'within a crowd': ([(0, 0, 400, 300, 'car', {'crowd': 1})], [(9 * k, 9, 8, 8, 'car', 0.9) for k in range(5)], {}),
    'within an ignored region': ([(0, 0, 400, 300, 'car', {'ignored': 'yes'})], [(*TRUE[:5], 0.9)], {}),
    'within an ignored category': ([(0, 0, 400, 300, 'other vehicle', {})], [(*TRUE[:5], 0.9)], {}),
    'half in a crowd': ([(0, 0, 30, 300, 'car', {'crowd': True})], [(10, 10, 40, 20, 'car', 0.9)], {}),
    'less than half in a crowd': (
        [(0, 0, 29, 300, 'car', {'crowd': True})],
        [(10, 10, 40, 20, 'car', 0.9)],
        {('none', 'car'): 1},
    ),
    'a box before the crowd around it': (
        [(0, 0, 400, 300, 'car', {'crowd': True}), TRUE],
        [(*TRUE[:5], 0.9), (*TRUE[:5], 0.8)],
        {('car', 'car'): 1},
    ),
    'a crowd around a missed box': (
        [(0, 0, 400, 300, 'car', {'crowd': True}), TRUE],
        [(200, 100, 40, 20, 'car', 0.9)],
        {('car', 'none'): 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize('name', CONFUSION)
def test_confusion_by_hand(tmp_path, name):
    labels, predictions, cells = CONFUSION[name]
    assert confusion(tmp_path, labels, predictions) == cells
    assert confusion(tmp_path, labels, predictions, frames=3) == {key: 3 * n for key, n in cells.items()}


def test_confusion_adds_up_where_nothing_is_ignored(tmp_path):
    data = align(*map(read_columns, save(tmp_path, *made_set(4, ties=True))))
    free = ~data.gt_crowd
    matrix = confusion_matrix(data, score=0.0)
    assert matrix[:10].sum(1).tolist() == np.bincount(data.gt_category[free] - 1, minlength=10).tolist()
    assert matrix[:, :10].sum() <= len(data.dt_image) and matrix[:, :10].sum() > 50


def test_the_matrix_is_written_with_its_classes(tmp_path):
    matrix = np.arange(121).reshape(11, 11)
    save_confusion(matrix, tmp_path / 'a.csv')
    head, *rows = (tmp_path / 'a.csv').read_text().splitlines()
    names = [*DET_CLASSES, 'none']
    assert head.split(',') == ['ground truth \\ prediction', *names]
    assert [row.split(',')[0] for row in rows] == names
    assert [[int(x) for x in row.split(',')[1:]] for row in rows] == matrix.tolist()


def test_curves_say_the_average_precision_of_each_class_with_truth(tmp_path, monkeypatch):
    import matplotlib.figure

    shown = []
    save_figure = matplotlib.figure.Figure.savefig

    def savefig(figure, *args, **kwargs):
        (axes,) = figure.axes
        shown.extend((line.get_label(), line.get_linestyle(), line.get_ydata().max()) for line in axes.lines)
        assert list(axes.lines[0].get_xdata()[[0, 1, -1]]) == [0, 0.01, 1]
        save_figure(figure, *args, **kwargs)

    monkeypatch.setattr(matplotlib.figure.Figure, 'savefig', savefig)
    labels = [dict(id='0', category='car', box2d=dict(x1=0, y1=0, x2=9, y2=9))]
    labels += [dict(id='1', category='bus', box2d=dict(x1=20, y1=0, x2=29, y2=9))]
    found = [dict(labels[0], score=0.9), dict(labels[1], score=0.8, box2d=dict(x1=20, y1=0, x2=29, y2=5))]
    files = save(tmp_path, [dict(name='a', labels=labels)], [dict(name='a', labels=found)])
    plot_pr_curves(align(*map(read_columns, files)), tmp_path / 'curves.png')
    labeled = [(label, style) for label, style, _ in shown if not label.startswith('_')]
    assert sorted(labeled) == [('bus 100.0', '-'), ('car 100.0', '-')]
    # the bus is found at IoU 0.6 alone
    assert sorted((style, round(top, 9)) for _, style, top in shown) == [
        ('-', 1),
        ('-', 1),
        ('--', 0),
        ('--', 1),
    ]
    assert (tmp_path / 'curves.png').read_bytes()[:4] == b'\x89PNG'
