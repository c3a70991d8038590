"""The two older layouts of BDD100K's labels as frames."""

from types import SimpleNamespace

import pytest

from mmroad.bdd100k.layouts import MARKERS, as_frames, is_old


@pytest.mark.parametrize('field', MARKERS)
def test_any_field_of_an_older_layout_makes_an_entry_old(field):
    nothing = dict.fromkeys(MARKERS)
    assert not is_old(SimpleNamespace(**nothing))
    for value in ('', [], [1, 2, 3, 4]):  # also what is empty
        assert is_old(SimpleNamespace(**{**nothing, field: value}))


def test_entries_of_one_image_become_one_frame_and_others_stay():
    new = dict(name='new.jpg', labels=[dict(category='car')])
    entries = [
        dict(name='a.jpg', category='car', bbox=[1, 2, 3, 4], score=0.5),
        new,
        dict(name='b.jpg', category=None, box2d=dict(x1=1, y1=2, x2=3, y2=4), bbox=[9, 9, 9, 9]),
        dict(name='a.jpg', category='bus', bbox=[5, 6, 7, 8], score=0.25),
        dict(name='a.jpg', videoName='v', category='bus', bbox=[0, 0, 1]),
    ]
    a, same, b, other = as_frames(entries)
    assert same is new
    assert (a['name'], a['category'], b['category'], other['videoName']) == ('a.jpg', 'car', '', 'v')
    first, second = a['labels']
    assert first['box2d'] == dict(x1=1, y1=2, x2=3, y2=4) and first['bbox'] is None and first['score'] == 0.5
    assert second['box2d'] == dict(x1=5, y1=6, x2=7, y2=8) and second['category'] == 'bus'
    assert b['labels'][0]['box2d'] == dict(x1=1, y1=2, x2=3, y2=4)  # an object goes before a list
    assert other['labels'][0]['box2d'] == [0, 0, 1]  # for the reader to refuse


def test_a_flat_entry_with_labels_is_refused():
    assert as_frames([dict(name='a.jpg', bbox=[1, 2, 3, 4], labels=None)])[0]['labels']
    with pytest.raises(ValueError, match=r"frame 'a.jpg' has \"labels\" and is an entry of a flat list too"):
        as_frames([dict(name='a.jpg', bbox=[1, 2, 3, 4], labels=[])])


@pytest.mark.parametrize(
    ('name', 'frames', 'want'),
    [
        (
            'a',
            [dict(objects=[dict(category='car')])],
            dict(name='a.jpg', attributes=1, labels=[dict(category='car')]),
        ),
        ('a.png', [{}], dict(name='a.png', attributes=1, labels=None)),
        ('a.b', [], dict(name='a.b.jpg', attributes=1, labels=None)),
    ],
)
def test_a_file_of_2018_is_a_frame(name, frames, want):
    assert as_frames([dict(name=name, frames=frames, attributes=1)]) == [want]


@pytest.mark.parametrize('frames', [{}, [{}, {}], [None]])
def test_labels_of_videos_are_refused(frames):
    with pytest.raises(ValueError, match='frame \'a\': "frames" of one image must be a list of one'):
        as_frames([dict(name='a', frames=frames)])
