"""Conversions of tracks: as the official tool, and there and back."""

import contextlib
import io
import json
import sys
from pathlib import Path

import pytest

from mmroad.bdd100k.scalabel import LabelFileError
from mmroad.bdd100k.track_columns import TRACK_CLASSES
from mmroad.commands import main
from mmroad.tracking.coco_vid import from_coco_vid, to_coco_vid
from mmroad.tracking.frames import Frames, read_frames
from mmroad.tracking.mot import from_mot, write_mot

sys.path.insert(0, str(Path(__file__).parents[1] / 'bdd100k/eval'))
from track_cases import made_set  # noqa: E402

SIZE = (1280, 720)


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / 'labels.json'
    path.write_text(json.dumps(made_set(7)[0]))
    return path


def in_order(frames: Frames):
    """What is compared: boxes to 1e-9, classes, ids by their first appearance, crowd."""
    out = []
    for video, found in frames.by_video().items():
        ids: dict[str, int] = {}
        for frame in found:
            boxes = [
                (
                    ids.setdefault(x['id'], len(ids)),
                    x['category'],
                    bool((a := x.get('attributes') or {}).get('crowd') or a.get('ignored')),
                    [round(v, 7) for v in x['box2d'].values()],
                )
                for x in frame['labels'] or ()
            ]
            out.append((video, frame['frameIndex'], boxes))
    return out


def test_coco_vid_is_the_official_conversion(labels):
    from bdd100k.common.utils import load_bdd100k_config
    from bdd100k.label.to_scalabel import bdd100k_to_scalabel
    from scalabel.label.io import load
    from scalabel.label.to_coco import scalabel2coco_box_track

    config = load_bdd100k_config('box_track')
    with contextlib.redirect_stderr(io.StringIO()):
        frames = bdd100k_to_scalabel(load(str(labels)).frames, config)
        theirs = scalabel2coco_box_track(frames, config.scalabel)
    ours = to_coco_vid(read_frames(labels), TRACK_CLASSES, SIZE)
    for key in ('videos', 'images', 'annotations'):
        assert ours[key] == theirs[key]
    assert [c['name'] for c in ours['categories']] == [c['name'] for c in theirs['categories']]


def test_coco_vid_and_back(labels, tmp_path):
    frames = read_frames(labels)
    (tmp_path / 'coco.json').write_text(json.dumps(to_coco_vid(frames, TRACK_CLASSES, SIZE)))
    assert in_order(from_coco_vid(tmp_path / 'coco.json')) == in_order(frames)


def test_mot_and_back(labels, tmp_path):
    frames = read_frames(labels)
    for frame in frames.frames:
        for label in frame['labels'] or ():
            label['id'] = str(int(label['id']) + 1)  # MOTChallenge counts from 1
    write_mot(frames, tmp_path / 'mot', TRACK_CLASSES, SIZE)
    assert in_order(from_mot(tmp_path / 'mot')) == in_order(frames)


def test_lines_of_mot(tmp_path):
    label = dict(id='0012', category='car', score=0.5, box2d=dict(x1=1.5, y1=2, x2=10.5, y2=21))
    crowd = dict(label, id='3', attributes=dict(crowd=True))
    frames = Frames([dict(name='a.jpg', videoName='v', frameIndex=4, labels=[label, crowd])])
    write_mot(frames, tmp_path, ['bus', 'car'], SIZE, fps=10)
    assert (tmp_path / 'v/gt/gt.txt').read_text() == '5,12,1.5,2,10,20,1,2,1\n5,3,1.5,2,10,20,0,2,1\n'
    assert 'frameRate=10\nseqLength=5\nimWidth=1280' in (tmp_path / 'v/seqinfo.ini').read_text()
    write_mot(frames, tmp_path / 'p', ['car'], SIZE, truth=False)
    assert (tmp_path / 'p/v.txt').read_text().splitlines()[0] == '5,12,1.5,2,10,20,0.5,1,-1'
    assert [len(f['labels']) for f in from_mot(tmp_path).frames] == [0, 0, 0, 0, 2]
    assert from_mot(tmp_path / 'p').frames[4]['labels'][0]['score'] == 0.5


def test_the_older_form_of_labels(tmp_path):
    label = dict(id='1', category='person', box2d=dict(x1=0, y1=0, x2=5, y2=5), attributes=dict(Crowd=True))
    old = [dict(name='a.jpg', video_name='v', index=3, labels=[label])]
    (tmp_path / 'old.json').write_text(json.dumps(old))
    (frame,) = read_frames(tmp_path / 'old.json').frames
    assert (frame['videoName'], frame['frameIndex']) == ('v', 3)
    assert frame['labels'][0]['category'] == 'pedestrian' and frame['labels'][0]['attributes'] == dict(
        crowd=True
    )


@pytest.mark.parametrize(
    'line, message',
    [
        ('1,2,3', 'line 1: .* is no line of MOTChallenge'),
        ('0,1,0,0,5,5,1,1,1', 'frame 0: frames are counted from 1'),
        ('1,1,0,0,5,5,1,7,1', 'class 7 of 1 named ones'),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    (tmp_path / 'v.txt').write_text(line + '\n')
    with pytest.raises(ValueError, match=message):
        from_mot(tmp_path)


def test_what_mot_cannot_hold_is_told(tmp_path):
    label = dict(id='a', category='car', box2d=dict(x1=0, y1=0, x2=5, y2=5))
    frames = Frames([dict(name='a.jpg', videoName='v', frameIndex=0, labels=[label])])
    with pytest.raises(ValueError, match="frame 'a.jpg': id 'a' is no whole number"):
        write_mot(frames, tmp_path, ['car'], SIZE)


def test_an_unknown_category_is_told(tmp_path):
    label = dict(id='1', category='cat', box2d=dict(x1=0, y1=0, x2=5, y2=5))
    (tmp_path / 'a.json').write_text(
        json.dumps([dict(name='a.jpg', videoName='v', frameIndex=0, labels=[label])])
    )
    with pytest.raises(LabelFileError, match="'cat' is none of"):
        read_frames(tmp_path / 'a.json')
    assert read_frames(tmp_path / 'a.json', ['cat']).frames


def test_the_command(labels, tmp_path, capsys):
    frames = made_set(7)[0]
    for frame in frames:
        for label in frame['labels'] or ():
            label['id'] = str(int(label['id']) + 1)
    labels.write_text(json.dumps(frames))
    chain = [('box-track', labels, 'mot', 'a mot'), ('mot', 'a mot', 'coco-vid', 'c.json')]
    chain += [('coco-vid', 'c.json', 'box-track', 'back')]
    for source_form, source, form, out in chain:
        main(
            [
                'data',
                'tracks',
                str(tmp_path / source),
                '--from',
                source_form,
                '--to',
                form,
                '--out',
                str(tmp_path / out),
            ]
        )
    assert in_order(read_frames(tmp_path / 'back')) == in_order(read_frames(labels))
    assert f'{len(frames)} frames' in capsys.readouterr().out
    with pytest.raises(SystemExit, match='is the source'):
        main(['data', 'tracks', str(labels), '--to', 'mot', '--out', str(labels)])
