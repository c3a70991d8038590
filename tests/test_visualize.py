"""``mmroad visualize`` and ``mmroad plot``: what is drawn, where, and what is refused."""

import json

import cv2
import numpy as np
import pytest

from mmroad.bdd100k.pictures import COLORS, GRAY, TITLE, contact_sheet, draw_labels, side_by_side
from mmroad.bdd100k.scalabel import Box2D, Label
from mmroad.commands import main, plot
from mmroad.files.sources import image_files

GREEN = (0, 80, 0)


def label(category, box, **kwargs):
    return dict(id='0', category=category, box2d=dict(zip(('x1', 'y1', 'x2', 'y2'), box)), **kwargs)


@pytest.fixture
def data(tmp_path):
    images = tmp_path / 'images'
    images.mkdir()
    for k in range(5):
        cv2.imwrite(str(images / f'{k}.png'), np.full((60, 100, 3), GREEN, np.uint8))
    found = [label('car', (10, 30, 40, 50), score=0.9), label('bus', (50, 30, 90, 50), score=0.1)]
    names = [f'{k}.png' for k in range(5)]
    (tmp_path / 'det.json').write_text(json.dumps(dict(frames=[dict(name=n, labels=found) for n in names])))
    truth = [label('person', (20, 30, 45, 55)), label('trailer', (60, 30, 80, 55))]
    (tmp_path / 'gt.json').write_text(json.dumps([dict(name=n, labels=truth) for n in names[:4]]))
    return tmp_path


def run(data, *options):
    main(['visualize', str(data / 'det.json'), str(data / 'images'), str(data / 'out'), *options])
    return data / 'out'


def test_pictures_beside_the_truth(data, capsys):
    out = run(data, '--gt', str(data / 'gt.json'), '--num', '0', '--width', '200')
    assert '5 pictures' in capsys.readouterr().out
    picture = cv2.imread(str(out / '0.png'))
    assert picture.shape == (60 + TITLE, 100 + 3 + 100, 3)
    truth, predicted = picture[TITLE:, :100], picture[TITLE:, 103:]
    assert tuple(truth[55, 45]) == COLORS[0]  # a person is a pedestrian
    assert tuple(truth[55, 80]) == GRAY  # a trailer is not evaluated
    assert tuple(predicted[50, 40]) == COLORS[2]
    assert tuple(predicted[50, 90]) == GREEN  # below the threshold
    assert tuple(predicted[40, 60]) == GREEN
    lone = cv2.imread(str(out / '4.png'))[TITLE:, :100]  # a frame that has no ground truth
    assert (lone == GREEN).all()
    sheet = cv2.imread(str(out / 'contact_sheet.png'))
    assert sheet.shape[1] == 3 * 200 and not list(out.glob('.*'))


def test_selection(data):
    out = run(data, '--num', '2')
    assert sorted(p.name for p in out.iterdir()) == ['0.png', '2.png', 'contact_sheet.png']
    out = run(data, '--names', '3.png', '--score-thr', '0.05')
    assert tuple(cv2.imread(str(out / '3.png'))[TITLE + 50, 90]) == COLORS[4]


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (['--names', 'x.png'], 'no frame is named x.png'),
        (['--gt', 'nowhere.json'], 'nowhere.json: no such file'),
    ],
)
def test_errors(data, options, said):
    with pytest.raises(SystemExit, match=said):
        run(data, *options)


def test_missing_image_is_named(data):
    (data / 'images/0.png').unlink()
    with pytest.raises(SystemExit, match="frame '0.png' has no image"):
        run(data)


def frames(data, *names):
    (data / 'det.json').write_text(json.dumps(dict(frames=[dict(name=str(n), labels=[]) for n in names])))


def test_pictures_never_replace_images_or_leave_the_folder(data):
    images = data / 'images'
    before = {path: path.read_bytes() for path in images.iterdir()}
    with pytest.raises(SystemExit, match=r'images/0\.png would replace its own source'):
        main(['visualize', str(data / 'det.json'), str(images), str(images)])
    frames(data, images / '0.png', '../images/1.png', 'x/../2.png')
    (images / 'x').mkdir()
    out = run(data)
    found = {str(path.relative_to(out)) for path in out.rglob('*.png')}
    assert found == {str(images / '0.png')[1:], 'images/1.png', 'x/2.png', 'contact_sheet.png'}
    assert {path: path.read_bytes() for path in before} == before


def test_pictures_among_the_images_replace_none_and_are_none_of_them(data):
    images = data / 'images'
    (images / 'cam').mkdir()
    for name in ('5.jpg', '5.png', 'cam/6.jpg', 'cam/7.jpg'):
        cv2.imwrite(str(images / name), np.full((60, 100, 3), GREEN, np.uint8))
    before = {path: path.read_bytes() for path in images.rglob('*.*g')}
    frames(data, '5.jpg')  # whose picture would be 5.png
    with pytest.raises(SystemExit, match=r'5\.png would replace its own source .*images/5\.png'):
        main(['visualize', str(data / 'det.json'), str(images), str(images)])
    frames(data, 'cam/6.jpg')
    for out in (images, images, images / 'out'):
        main(['visualize', str(data / 'det.json'), str(images), str(out)])
    assert (images / 'cam/6.png').is_file() and (images / 'out/cam/6.png').is_file()
    assert sorted(image_files(images)) == sorted(before)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ('names', 'said'),
    [
        (('0.png', '0.jpg'), r'frame 0 0\.png and frame 1 0\.jpg would both'),
        (('0.png', '1.png', '0.png'), r'frame 0 0\.png and frame 2 0\.png would both'),
        (('contact_sheet.png',), 'the contact sheet and frame 0 contact_sheet.png would both'),
    ],
)
def test_frames_of_one_picture_are_told_before_the_first(data, names, said):
    frames(data, *names)
    with pytest.raises(SystemExit, match=said):
        run(data)
    assert not (data / 'out').exists()


def test_others_are_drawn_where_an_image_is_missing(data, capsys):
    (data / 'images/0.png').unlink()
    (data / 'images/2.png').write_bytes(b'')
    with pytest.raises(SystemExit) as exit:
        run(data)
    assert str(exit.value.code).startswith('left out (2):') and 'no such image' in str(exit.value.code)
    assert '3 pictures in' in capsys.readouterr().out
    assert sorted(p.name for p in (data / 'out').iterdir()) == [
        '1.png',
        '3.png',
        '4.png',
        'contact_sheet.png',
    ]


def test_a_thin_image_is_on_the_sheet():
    assert contact_sheet([np.zeros((1, 3000, 3), np.uint8)], 1, 200).shape == (1, 200, 3)


def test_labels_at_the_border_stay_inside():
    box = Label(category='car', box2d=Box2D(-5, -5, 200, 3), score=0.5)
    image = np.zeros((40, 60, 3), np.uint8)
    assert draw_labels(image, [box, Label(category='lane/road curb')]).any() and not image.any()


def test_sheet_of_different_sizes():
    wide, high = np.full((10, 40, 3), 50, np.uint8), np.full((40, 20, 3), 90, np.uint8)
    assert side_by_side([wide, wide]).shape == (23, 40, 3)
    sheet = contact_sheet([wide, high, wide], columns=2, width=20)
    assert sheet.shape == (40 + 5, 40, 3)
    assert (sheet[:5, :20] == 50).all() and (sheet[5:40, :20] == 0).all() and (sheet[:40, 20:] == 90).all()


def test_plot_joins_resumed_runs(tmp_path):
    for name, rows in {
        '1': [dict(loss=3.0, iter=1, step=1), {'bdd100k/AP': 1.0, 'step': 1}, dict(loss=9.0, iter=2, step=2)],
        '2': [dict(loss=2.0, iter=2, step=2), {'bdd100k/AP': 5.0, 'bdd100k/AP50': 9.0, 'step': 2}],
    }.items():
        (tmp_path / name / 'vis_data').mkdir(parents=True)
        (tmp_path / name / 'vis_data/scalars.json').write_text('\n'.join(map(json.dumps, rows)))
    metrics = ['bdd100k/AP', 'bdd100k/AP50']
    losses, scores = plot.read_scalars(tmp_path, metrics)
    assert losses == {1: 3.0, 2: 2.0}
    assert scores == {'bdd100k/AP': {1: 1.0, 2: 5.0}, 'bdd100k/AP50': {2: 9.0}}
    main(['plot', str(tmp_path), str(tmp_path / 'plot.png')])
    assert cv2.imread(str(tmp_path / 'plot.png')).shape[1] == 1100
    with pytest.raises(SystemExit, match='no training'):
        plot.read_scalars(tmp_path / 'none', metrics)


def test_plot_has_the_validation_loss(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    rows = [dict(loss=3.0, iter=4, step=4), {'val_loss': 2.5, 'bdd100k/AP': 1.0, 'step': 1}]
    (tmp_path / '1/vis_data').mkdir(parents=True)
    (tmp_path / '1/vis_data/scalars.json').write_text('\n'.join(map(json.dumps, rows)))
    drawn, real = {}, Axes.plot

    def seen(axes, x, y, *args, label=None, **kwargs):
        drawn[label] = list(zip(x, y))
        return real(axes, x, y, *args, label=label, **kwargs)

    monkeypatch.setattr(Axes, 'plot', seen)
    main(['plot', str(tmp_path), str(tmp_path / 'plot.png')])
    assert drawn == {'training': [(4, 3.0)], 'validation': [(4, 2.5)], 'bdd100k/AP': [(4, 1.0)]}


def test_plot_of_a_killed_run(tmp_path, capsys):
    file = tmp_path / '1/vis_data/scalars.json'
    file.parent.mkdir(parents=True)
    rows = json.dumps(dict(loss=3.0, iter=1, step=1)), '{"loss": 2.0, "it'
    file.write_text('\n'.join(rows))
    assert plot.read_scalars(tmp_path, [])[0] == {1: 3.0}
    assert f'{file}: its last line was cut off' in capsys.readouterr().err
    file.write_text('\n'.join(reversed(rows)))
    with pytest.raises(SystemExit, match='scalars.json: line 1 is no JSON'):
        plot.read_scalars(tmp_path, [])


def test_labels_of_every_layout_and_odd_boxes_are_drawn(data, capsys):
    far = [label('car', (-1e300, 30, 1e300, 50), attributes=dict(crowd='true')), label(None, (2, 40, 8, 50))]
    frames = [
        dict(name='0.png', labels=[]),
        dict(name='0.png', labels=[*far, label('bus', (20, 20, 60, 50), attributes=dict(crowd='false'))]),
    ]
    (data / 'gt').mkdir()
    (data / 'gt/gt.json').write_text(json.dumps(frames))
    (data / 'gt/._gt.json').write_bytes(b'\0')
    (data / 'det.json').write_text(
        json.dumps([dict(name='0.png', category='car', bbox=[10, 30, 40, 50], score=0.9)])
    )
    out = run(data, '--gt', str(data / 'gt'), '--names', '0.png')
    assert (
        "1 names are carried by several frames, of which the last is drawn; the first is '0.png'"
        in capsys.readouterr().err
    )
    truth, predicted = np.split(cv2.imread(str(out / '0.png'))[TITLE:], [101], axis=1)
    assert tuple(truth[50, 15]) == GRAY and tuple(truth[45, 20]) == COLORS[4]
    assert tuple(predicted[50, 42]) == COLORS[2]
