import json
import random

import numpy as np
import pytest

from mmroad.bdd100k import columns as columns_module
from mmroad.bdd100k.columns import read_columns
from mmroad.bdd100k.scalabel import DET_CLASSES, LabelFileError, load_frames


def label(category='car', x1=1.0, y1=2.0, x2=10.0, y2=20.0, **extra):
    return {'id': '0', 'category': category, 'box2d': dict(x1=x1, y1=y1, x2=x2, y2=y2), **extra}


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def frame(name, labels=None, **extra):
    return {'name': name, 'labels': labels, **extra}


FRAMES = [
    frame('a.jpg', [label(), label('person', score=0.5)], attributes={'weather': 'clear'}),
    frame('b.jpg', None),
    frame('c.jpg', [label('other vehicle'), label('bike', attributes={'crowd': True, 'occluded': False})]),
    frame('d.jpg', []),
    frame(
        'e.jpg',
        [label('rider', attributes={'ignored': True})],
        attributes={'weather': 'rainy', 'scene': 'tunnel'},
    ),
]


def test_columns_hold_what_the_file_holds(tmp_path):
    got = read_columns(write(tmp_path / 'gt.json', FRAMES))
    assert got.names == ['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg', 'e.jpg']
    assert got.has_labels.tolist() == [True, False, True, False, True]
    assert got.frame.tolist() == [0, 0, 2, 2, 4]
    assert [DET_CLASSES[c] for c in got.category] == ['car', 'pedestrian', 'car', 'bicycle', 'rider']
    assert got.ignored.tolist() == [False, False, True, False, True]
    assert got.crowd.tolist() == [False, False, False, True, False]
    assert np.isnan(got.score[[0, 2, 3, 4]]).all() and got.score[1] == 0.5
    assert got.xyxy[0].tolist() == [1, 2, 10, 20] and got.xywh[0].tolist() == [1, 2, 10, 19]
    weather = [got.attribute_values['weather'][c] for c in got.attributes['weather']]
    assert weather == ['clear', '', '', '', 'rainy']


@pytest.mark.parametrize('form', ['list', 'frames', 'folder', 'frames_last'])
@pytest.mark.parametrize('sort_keys', [False, True])
def test_slices_change_nothing(tmp_path, monkeypatch, form, sort_keys):
    rng = np.random.default_rng(0)
    frames = [
        frame(
            f'{i}.jpg',
            [label(x1=float(rng.random()), note='}, {"name": "x"') for _ in range(rng.integers(0, 6))],
            attributes={'weather': 'clear', 'scene': 'city street', 'timeofday': 'night'},
        )
        for i in range(200)
    ]
    path = tmp_path / 'gt.json'
    if form == 'folder':
        path = tmp_path / 'gt'
        path.mkdir()
        for i in range(4):
            (path / f'{i}.json').write_text(json.dumps(frames[50 * i : 50 * i + 50], sort_keys=sort_keys))
    else:
        content = {
            'list': frames,
            'frames': {'frames': frames, 'groups': None, 'config': None},
            'frames_last': {'config': None, 'frames': frames},
        }[form]
        path.write_text(json.dumps(content, indent=1, sort_keys=sort_keys))
    whole = read_columns(path)
    monkeypatch.setattr(columns_module, 'SLICE', 700)
    seen = []
    sliced = read_columns(path, progress=lambda done, total: seen.append((done, total)))
    assert sliced.names == whole.names == [f'{i}.jpg' for i in range(200)]
    np.testing.assert_array_equal(sliced.xyxy, whole.xyxy)
    np.testing.assert_array_equal(sliced.frame, whole.frame)
    assert seen[-1][0] == seen[-1][1]
    if form in ('list', 'frames'):
        assert len(seen) > 10


def test_legacy_file_with_lanes(tmp_path):
    lane = {
        'category': 'lane',
        'id': 3,
        'poly2d': [{'vertices': [[0, 0]]}],
        'attributes': {'direction': 'parallel'},
    }
    path = write(
        tmp_path / 'old.json', [frame('a.jpg', [lane, label('motor'), {'category': 'drivable area'}])]
    )
    got = read_columns(path)
    assert [DET_CLASSES[c] for c in got.category] == ['motorcycle'] and got.unboxed == 2
    got.check_boxes()


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ([frame('a.jpg', [label('dog')])], "frame 'a.jpg': labels[0].category is 'dog'"),
        ({'images': [], 'annotations': []}, 'missing required field `categories`'),
        ([frame('a.jpg', [label(x1='one')])], 'Expected `float`, got `str` - at `$[0].labels[0].box2d.x1`'),
        ([{'labels': []}], 'missing required field `name`'),
        ({'frames': [frame('a.jpg', []), frame('b.jpg', [label(y2=None)])]}, "box2d.y2` (frame 'b.jpg')"),
        ([frame('a.jpg', []), frame('b.jpg', [label(x2=float('nan'))])], "after frame 'b.jpg', near"),
        ([frame('a.jpg', [label(y1=-float('inf'))])], '"y1": -Infinity'),
    ],
)
def test_wrong_files_are_named_with_the_place(tmp_path, content, message):
    path = write(tmp_path / 'gt.json', content)
    with pytest.raises(LabelFileError) as caught:
        read_columns(path)
    assert str(path) in str(caught.value) and message in str(caught.value)


def test_an_error_in_a_late_slice_names_the_place_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(columns_module, 'SLICE', 300)
    frames = [frame(f'{i}.jpg', [label()]) for i in range(50)]
    frames[40]['labels'][0]['box2d']['y2'] = None
    with pytest.raises(LabelFileError, match=r'\$\[40\]\.labels\[0\]\.box2d\.y2'):
        read_columns(write(tmp_path / 'gt.json', frames))


def test_boxes_and_duplicates_are_checked(tmp_path):
    good = read_columns(write(tmp_path / 'gt.json', [frame('a.jpg', [label()]), frame('a.jpg', [])]))
    good.check_boxes()
    assert good.duplicates() == ['a.jpg']
    for sides in (dict(x2=-5.0), dict(x2=0.0), dict(y2=1.0)):  # a width or height of 0 has no size either
        bad = read_columns(write(tmp_path / 'gt.json', [frame('b.jpg', [label(), label('bus', **sides)])]))
        with pytest.raises(LabelFileError, match=r"gt\.json: frame 'b\.jpg': box2d of a bus is inverted"):
            bad.check_boxes()
    read_columns(write(tmp_path / 'gt.json', [frame('b.jpg', [label('bus', x2=1.0, y2=2.0)])])).check_boxes()
    other = read_columns(write(tmp_path / 'seg.json', [frame('a.jpg', [{'category': 'car', 'rle': {}}])]))
    with pytest.raises(LabelFileError, match='label file of another task'):
        other.check_boxes()
    bad.xyxy[0, 1] = np.inf
    with pytest.raises(LabelFileError, match='of a car is not finite'):
        bad.check_boxes()


def test_names_that_several_frames_carry_are_told_with_their_files(tmp_path):
    for name, frames in dict(a=['1.jpg', '2.jpg'], b=['3.jpg'], c=['1.jpg', '3.jpg']).items():
        write(tmp_path / f'{name}.json', [frame(f, [label(x2=-5.0)] * (f == '3.jpg')) for f in frames])
    got = read_columns(tmp_path)
    assert [got.place(row) for row in range(5)] == [str(tmp_path / f'{k}.json') for k in 'aabcc']
    assert got.repeated() == (
        f"2 names are carried by several frames; the first is '1.jpg', in {tmp_path}/a.json and {tmp_path}/c.json"
    )
    with pytest.raises(LabelFileError, match=r"b\.json: frame '3\.jpg'"):
        got.check_boxes()
    one = read_columns(write(tmp_path / 'c.json', [frame('x', [])] * 3))
    assert one.repeated().endswith(f"'x', 3 times in {tmp_path}/c.json")
    assert read_columns(tmp_path / 'a.json').repeated() == ''


@pytest.mark.parametrize('key', ['crowd', 'ignored'])
@pytest.mark.parametrize(
    ('value', 'want'),
    [('false', False), ('0', False), (0, False), ('OFF', False), ('', False), (None, False), ('True', True)]
    + [(1, True), ('y', True), ('1.0', True)],
)
def test_crowd_and_ignored_may_be_texts_and_numbers(tmp_path, key, value, want):
    got = read_columns(write(tmp_path / 'gt.json', [frame('a.jpg', [label(attributes={key: value})])]))
    assert getattr(got, key).tolist() == [want]


@pytest.mark.parametrize('key', ['crowd', 'ignored'])
@pytest.mark.parametrize('value', ['perhaps', 0.5, [], {'a': 1}])
def test_a_crowd_that_is_no_truth_value_is_an_error(tmp_path, key, value):
    path = write(
        tmp_path / 'gt.json',
        [frame('a.jpg', [label()]), frame('b.jpg', [{'category': 'lane'}, label(attributes={key: value})])],
    )
    with pytest.raises(LabelFileError) as caught:
        read_columns(path)
    assert f"{path}: frame 'b.jpg': labels[1].attributes.{key} is {value!r}, which is no truth" in str(
        caught.value
    )


def made(rng):
    """Frames and the flat list of their boxes."""
    frames = [
        frame(
            f'{i:02}.jpg',
            [label(c, x1=rng.random(), score=round(rng.random(), 3)) for c in rng.choices(DET_CLASSES, k=3)],
        )
        for i in range(40)
    ]
    flat = [
        dict(name=f['name'], timestamp=1000, category=box['category'], bbox=list(box['box2d'].values()))
        | dict(score=box['score'])
        for f in frames
        for box in f['labels']
    ]
    return frames, flat


def same(a, b):
    assert list(a.names) == list(b.names) and a.unboxed == b.unboxed
    assert a.attribute_values == b.attribute_values
    for key in ('frame', 'category', 'xyxy', 'score', 'ignored', 'crowd', 'has_labels'):
        np.testing.assert_array_equal(getattr(a, key), getattr(b, key), err_msg=key)


@pytest.mark.parametrize('slice_size', [700, 1 << 20])
@pytest.mark.parametrize('form', ['list', 'frames', 'box2d', 'objects', 'by class', 'sorted keys', 'folder'])
def test_a_flat_list_is_read_as_its_frames(tmp_path, monkeypatch, form, slice_size):
    monkeypatch.setattr(columns_module, 'SLICE', slice_size)
    frames, flat = made(random.Random(3))
    if form in ('box2d', 'objects'):
        for entry, box in zip(flat, (box for f in frames for box in f['labels'])):
            entry['box2d'] = entry.pop('bbox') if form == 'box2d' else box['box2d']
            entry.pop('bbox', None)
    if form == 'by class':
        flat = sorted(flat, key=lambda e: (e['name'] != '00.jpg', e['category']))
        order = {name: i for i, name in enumerate(dict.fromkeys(e['name'] for e in flat))}
        frames.sort(key=lambda f: order[f['name']])
        for f in frames:
            f['labels'].sort(key=lambda box: box['category'])
    path = tmp_path / 'flat'
    if form == 'folder':
        path.mkdir()
        write(path / '0.json', flat[:60])
        write(path / '1.json', flat[60:])
    else:
        content = {'frames': flat} if form == 'frames' else flat
        path.write_text(json.dumps(content, sort_keys=form == 'sorted keys'))
    same(read_columns(path), read_columns(write(tmp_path / 'gt.json', frames)))
    got = [(f.name, [(x.category, x.box2d.x1, x.score) for x in f.labels]) for f in load_frames(path)]
    assert got == [
        (f['name'], [(x['category'], x['box2d']['x1'], x['score']) for x in f['labels']]) for f in frames
    ]


def test_an_image_in_two_flat_lists_is_told(tmp_path):
    for name in 'ab':
        write(tmp_path / f'{name}.json', [dict(name='1.jpg', category='car', bbox=[1, 2, 3, 4])] * 2)
    got = read_columns(tmp_path)
    assert got.frame.tolist() == [0, 0, 1, 1] and "'1.jpg', in " in got.repeated()


def test_entries_of_a_flat_list_carry_what_labels_and_frames_carry(tmp_path):
    box = dict(category='car', bbox=[1, 2, 3, 4])
    flat = [
        dict(name='a.jpg', videoName='v', **box, attributes=dict(weather='clear', crowd='false')),
        dict(name='a.jpg', videoName='w', **box, attributes=dict(crowd='true')),
        dict(name='b.jpg'),
        dict(name='a.jpg', videoName='v', category='lane'),
        dict(name='a.jpg', videoName='v', **box, attributes=dict(ignored=1)),
    ]
    got = read_columns(write(tmp_path / 'flat.json', flat))
    assert got.names == ['a.jpg', 'a.jpg', 'b.jpg'] and got.videos == ['v', 'w', None]
    assert got.frame.tolist() == [0, 0, 1] and got.has_labels.tolist() == [True, True, False]
    assert got.crowd.tolist() == [False, False, True] and got.ignored.tolist() == [False, True, False]
    assert got.attribute_values['weather'] == ['clear', ''] and got.unboxed == 1


LEGACY = {
    'name': 'a-1.5',
    'frames': [
        {
            'timestamp': 10000,
            'objects': [
                label('person', attributes={'occluded': False, 'trafficLightColor': 'none'}),
                {'category': 'lane/single white', 'id': 9, 'poly2d': [[1, 2, 'L'], [3, 4, 'L']]},
                label('motor'),
            ],
        }
    ],
    'attributes': {'weather': 'clear', 'scene': 'city street', 'timeofday': 'daytime'},
}


@pytest.mark.parametrize('form', ['a file an image', 'list', 'frames first'])
def test_labels_of_2018_are_read(tmp_path, form):
    files = [LEGACY, {'name': 'b.jpg', 'frames': []}, {'name': 'c', 'frames': [{'timestamp': 10000}]}]
    if form == 'frames first':
        files = [dict(sorted(file.items())) for file in files]
    if form == 'list':
        write(tmp_path / 'all.json', files)
    else:
        for file in files:
            write(tmp_path / f'{file["name"][:1]}.json', file)
    got = read_columns(tmp_path)
    assert got.names == ['a-1.5.jpg', 'b.jpg', 'c.jpg'] and got.has_labels.tolist() == [True, False, False]
    assert [DET_CLASSES[c] for c in got.category] == ['pedestrian', 'motorcycle']
    assert got.attribute_values['weather'] == ['clear', ''] and got.xyxy[1].tolist() == [1, 2, 10, 20]
    assert got.unboxed == 1
    assert [f.name for f in load_frames(tmp_path)] == got.names


@pytest.mark.parametrize(('name', 'want'), [('a.webp', 'a.webp'), ('a.TIF', 'a.TIF'), ('a.b', 'a.b.jpg')])
def test_names_of_2018_keep_the_suffix_of_an_image(tmp_path, name, want):
    assert read_columns(write(tmp_path / 'a.json', LEGACY | dict(name=name))).names == [want]


def test_a_name_and_frames_are_an_image_of_2018_or_a_list_of_frames(tmp_path):
    one = write(tmp_path / 'a.json', {'name': 'a.jpg', 'frames': None, 'labels': [label()]})
    assert read_columns(one).names == ['a.jpg'] and len(read_columns(one)) == 1
    many = write(tmp_path / 'b.json', {'name': 'all', 'frames': [frame('a.jpg', [label()]), frame('b.jpg')]})
    assert read_columns(many).names == ['a.jpg', 'b.jpg']


def test_boxes_may_be_lists_of_corners(tmp_path):
    frames = [frame('a.jpg', [label(), label(x1=5.0)]), frame('b.jpg', [label()])]
    want = read_columns(write(tmp_path / 'a.json', frames))
    for where in ([(0, 0), (0, 1), (1, 0)], [(0, 1)]):
        lists = json.loads(json.dumps(frames))
        for f, k in where:
            lists[f]['labels'][k]['box2d'] = list(lists[f]['labels'][k]['box2d'].values())
        same(read_columns(write(tmp_path / 'b.json', lists)), want)
        assert load_frames(tmp_path / 'b.json') == load_frames(tmp_path / 'a.json')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (
            [frame('a.jpg', [{'category': 'car', 'bbox': [1, 2, 3, 4]}])],
            'labels[0] has a "bbox" and no "box2d"',
        ),
        ([frame('a.jpg', [label(), {'category': 'car', 'bbox': [1, 2, 3, 4]}])], 'labels[1] has a "bbox"'),
        ([{'name': 'a.jpg', 'bbox': [1, 2, 3, 4]}], "frame 'a.jpg': labels[0].category is None"),
        ([{'name': 'a.jpg', 'category': 'car', 'bbox': [1, 2, 3]}], "labels[0].box2d` (frame 'a.jpg')"),
        ([{'name': 'a.jpg', 'category': 'car', 'bbox': [1, 2, 3, 'x']}], "box2d.y2` (frame 'a.jpg')"),
        (
            [{'name': 'a.jpg', 'category': 'car', 'labels': []}],
            'frame \'a.jpg\' has "labels" and is an entry',
        ),
        ({**LEGACY, 'frames': LEGACY['frames'] * 2}, 'labels of videos are not read'),
        ({**LEGACY, 'name': None}, 'Expected `str`, got `null`'),
        (
            [{'image_id': 1, 'category_id': 3, 'bbox': [1, 2, 3, 4]}],
            'results of COCO are not read: give det.json',
        ),
    ],
)
def test_older_layouts_that_are_wrong_are_named(tmp_path, content, message):
    path = write(tmp_path / 'gt.json', content)
    with pytest.raises(LabelFileError) as caught:
        read_columns(path)
    assert str(path) in str(caught.value) and message in str(caught.value)


@pytest.mark.parametrize('slice_size', [300, 1 << 20])
@pytest.mark.parametrize(
    'text',
    [
        '{{"frames": [{frames}], "config": null, "frames": [{frames}]}}',
        '{{"frames": null, "frames": [{frames}]}}',
        '{{"frames": [{frames}], "frames": []}}',
    ],
)
def test_frames_that_stand_twice_in_a_file_are_refused(tmp_path, monkeypatch, text, slice_size):
    monkeypatch.setattr(columns_module, 'SLICE', slice_size)
    path = tmp_path / 'gt.json'
    path.write_text(text.format(frames=json.dumps([frame(f'{i}.jpg', [label()]) for i in range(30)])[1:-1]))
    with pytest.raises(LabelFileError, match=r'gt\.json: has "frames" more than once'):
        read_columns(path)


def test_frames_of_something_else_are_no_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(columns_module, 'SLICE', 300)
    other = [frame(f'{i}.jpg', [label()]) for i in range(30)]
    path = write(tmp_path / 'gt.json', {'config': {'frames': other}, 'frames': other[:2], 'groups': other})
    assert read_columns(path).names == ['0.jpg', '1.jpg']


def test_a_cut_inside_a_label_is_not_the_end_of_the_slices(tmp_path, monkeypatch):
    monkeypatch.setattr(columns_module, 'SLICE', 700)
    looks = [{'name': 'x', 'labels': []}] * 4
    frames = [frame(f'{i}.jpg', [label(shapes=looks)] * 2) for i in range(100)]
    path = write(tmp_path / 'gt.json', frames)
    seen = []
    got = read_columns(path, progress=lambda done, total: seen.append(done))
    assert got.names == [f['name'] for f in frames] and len(got) == 200
    assert len(seen) > path.stat().st_size / 3000


def test_a_byte_order_mark_is_skipped(tmp_path, monkeypatch):
    for content in (FRAMES, {'frames': FRAMES}):
        text = json.dumps(content).encode()
        path = tmp_path / 'gt.json'
        path.write_bytes(text)
        want = read_columns(path)
        path.write_bytes(b'\xef\xbb\xbf' + text)
        for size in (1 << 20, 200):
            monkeypatch.setattr(columns_module, 'SLICE', size)
            same(read_columns(path), want)
        seen = []
        read_columns(path, progress=lambda done, total: seen.append(done))  # noqa: B023
        assert len(seen) > 1


JUNK = (
    b'{',
    b'}',
    b'[',
    b']',
    b',',
    b'"',
    b'\0',
    b'\xff',
    b'NaN',
    b'1e999',
    b'null',
    b'"frames": [',
    b'"name": 1',
    b'\\ud800',
)
JUNK += (b'"bbox": [1, 2, 3, 4]', b'"crowd": "maybe"', b'[' * 20000, b'{"a":' * 20000, b'\xed\xa0\x80')


def changed(rng, content: bytes) -> bytes:
    """A file with a few places flipped, left out, repeated or overwritten."""
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        i = rng.randrange(len(content))
        j = min(len(content), i + rng.choice((1, 3, 30, 600)))
        content[i:j] = rng.choice(
            (b'', content[i:j] * 2, bytes([content[i] ^ 1 << rng.randrange(8)]), rng.choice(JUNK))
        )
        content = content or bytearray(b' ')
    return bytes(content)


def test_a_damaged_file_is_read_alike_by_all_readers_or_named(tmp_path, monkeypatch):
    rng = random.Random(0)
    frames, flat = made(rng)
    frames = [f | dict(attributes=dict(weather='clear')) for f in frames[:12]]
    contents = [json.dumps(c).encode() for c in (frames, {'frames': frames}, flat[:36], LEGACY)]
    path, refused = tmp_path / 'labels.json', 0
    for _ in range(150):
        path.write_bytes(changed(rng, rng.choice(contents)))
        read = []
        for size in (1 << 20, 400):
            monkeypatch.setattr(columns_module, 'SLICE', size)
            try:
                read.append(read_columns(path))
            except LabelFileError as error:
                assert str(path) in str(error)
        assert len(read) in (0, 2)
        if read:
            same(*read)
        refused += not read
        try:
            load_frames(path)
        except LabelFileError as error:
            assert str(path) in str(error)
    assert 0 < refused < 150
