"""Our tracking scores beside the official evaluator's, on made-up sets and one by one on edge cases."""

import json
import math
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pytest
from track_cases import made_set, official, same, save

from mmroad.bdd100k.eval.track import evaluate_track
from mmroad.bdd100k.scalabel import LabelFileError
from mmroad.bdd100k.track_columns import read_track_columns
from mmroad.commands.eval import main

SAMPLE = Path(__file__).parents[3] / '../shared/data/box_track_sample'


def scored(folder, gt, pred, **options):
    return evaluate_track(*map(read_track_columns, save(folder, gt, pred)), **options)


@pytest.mark.parametrize('seed', range(6))
def test_made_sets_score_the_same(tmp_path, seed):
    gt, pred = made_set(seed)
    same(scored(tmp_path, gt, pred), official(*save(tmp_path, gt, pred)))


@pytest.mark.slow
@pytest.mark.parametrize('first', range(0, 200, 20))
def test_two_hundred_made_sets_score_the_same(tmp_path, first):
    for seed in range(first, first + 20):
        test_made_sets_score_the_same(tmp_path, seed)


def test_other_thresholds_score_the_same(tmp_path):
    for seed in (3, 4):
        gt, pred = made_set(seed)
        options = dict(iou_thr=0.7, ignore_iof_thr=0.2)
        same(scored(tmp_path, gt, pred, **options), official(*save(tmp_path, gt, pred), **options))


def box(x, y=0, w=40, h=40):
    return dict(x1=x, y1=y, x2=x + w - 1, y2=y + h - 1)


def label(id, x, category='car', y=0, w=40, h=40, **attributes):
    found = dict(id=id, category=category, box2d=box(x, y, w, h))
    return dict(found, attributes=attributes) if attributes else found


def video(*frames, name='v'):
    return [
        dict(name=f'{name}-{t + 1:07d}.jpg', videoName=name, frameIndex=t, labels=labels)
        for t, labels in enumerate(frames)
    ]


def changed(frames, **changes):
    return [{k: v for k, v in {**f, **changes}.items() if v != 'REMOVED'} for f in frames]


A, B = label('1', 0), label('2', 200)
TWO = video([A, B], [A, B])
NAN, INF = math.nan, math.inf
OVERALL = 'OVERALL'
#: What happens: ground truth, predictions, {metric of OVERALL, or of another row: value}, whether the official tool
#: scores it (and then the same in all figures) or ends without scores.
EDGES = {
    'perfect, of one class': (
        TWO,
        TWO,
        dict(mMOTA=12.5, mMOTP=12.5, mIDF1=12.5, MOTA=100, IDF1=100, IDSw=0, MT=2),
        True,
    ),
    'IoU of exactly one half is a pair': (
        video([label('1', 0)]),
        video([label('5', 0, w=20)]),
        dict(MOTA=100, MOTP=50),
        True,
    ),
    'a little less is none': (
        video([label('1', 0)]),
        video([label('5', 0, w=19)]),
        dict(MOTA=-100, FP=1, FN=1),
        True,
    ),
    'half inside an ignored box counts': (
        video([A, label('9', 100, crowd=True)]),
        video([A, label('3', 120)]),
        dict(FP=1),
        True,
    ),
    'more than half inside does not': (
        video([A, label('9', 100, crowd=True)]),
        video([A, label('3', 119)]),
        dict(FP=0, MOTA=100),
        True,
    ),
    'a crowd of another class hides too': (
        video([A, label('9', 100, 'pedestrian', crowd=True)]),
        video([A, label('3', 100)]),
        dict(FP=0),
        True,
    ),
    'so does an ignored category': (
        video([A, label('9', 100, 'other person')]),
        video([A, label('3', 100, 'bus')]),
        dict(FP=0),
        True,
    ),
    'a right prediction in a crowd stays': (
        video([A, label('9', 0, crowd=True)]),
        video([A]),
        dict(MOTA=100, FN=0),
        True,
    ),
    'of two in a crowd the nearer is right': (
        video([A, label('9', 0, w=80, crowd=True)]),
        video([label('3', 4), label('4', 1)]),
        dict(FP=0, MT=1, FN=0),
        True,
    ),
    'a prediction without area is never hidden': (
        video([A, label('9', 100, crowd=True)]),
        video([A, label('3', 110, w=0)]),
        dict(FP=1),
        True,
    ),
    'crowd objects are not missed': (video([label('9', 0, crowd=True)]), video([]), dict(FN=0), True),
    'predictions marked as crowd do not count': (
        video([A]),
        video([A, label('3', 300, crowd=True)]),
        dict(FP=0),
        True,
    ),
    'nor those of an ignored category': (
        video([A]),
        video([A, label('3', 300, 'other vehicle')]),
        dict(FP=0),
        True,
    ),
    'synonyms': (
        video([label('1', 0, 'person'), label('2', 90, 'van')]),
        video([label('1', 0, 'pedestrian'), label('2', 90)]),
        dict(MOTA=100, mMOTA=25),
        True,
    ),
    'another id after a gap is a switch': (
        video([A], [A], [A]),
        video([label('5', 0)], [], [label('6', 0)]),
        dict(IDSw=1, FN=1, FM=1, IDF1=40),
        True,
    ),
    'also where the object was away': (
        video([A], [], [A]),
        video([label('5', 0)], [], [label('6', 0)]),
        dict(IDSw=1, FN=0, FM=0),
        True,
    ),
    'the pair of before is kept, however poor': (
        video([A], [A]),
        video([label('5', 0)], [label('5', 12), label('6', 0)]),
        dict(IDSw=0, FP=1),
        True,
    ),
    'as many pairs as can be, then the nearest': (
        video([label('1', 0), label('2', 12)]),
        video([label('7', 6), label('8', -10)]),
        dict(FN=0, FP=0),
        True,
    ),
    'no object, only wrong predictions': (
        video([]),
        video([A]),
        dict(MOTA=-INF, mMOTA=0, IDF1=0, FP=1),
        True,
    ),
    'a class that is only wrongly predicted': (
        video([A]),
        video([A, label('2', 300, 'bus')]),
        {'MOTA/bus': -INF, 'mMOTA': 12.5},
        True,
    ),
    'nothing at all': (video([], []), video([], []), dict(MOTA=NAN, mMOTA=0, FN=0), True),
    'nothing found': (video([A]), video([]), dict(MOTA=0, MOTP=NAN, mMOTP=0, IDF1=0, ML=1), True),
    'one id in two videos is two objects': (
        video([A]) + video([A], name='w'),
        video([A]) + video([label('7', 0)], name='w'),
        dict(IDSw=0, MT=2, IDF1=100),
        True,
    ),
    'an id that lives on in another class': (
        video([A], [label('1', 0, 'bus')]),
        video([A], [label('1', 0, 'bus')]),
        dict(MOTA=100, IDSw=0, mMOTA=25),
        True,
    ),
    'a predicted id twice in a frame': (
        TWO,
        video([label('5', 0), label('5', 200)], [label('5', 0), label('5', 200)]),
        dict(MOTA=100, IDF1=50),
        True,
    ),
    'tracked in 80 % and in 20 % of the frames': (
        video(*[[A, B]] * 5),
        video([A, B], [A], [A], [A], []),
        dict(MT=1, PT=1, ML=0),
        True,
    ),
    'found, lost, found, lost is one fragment': (
        video(*[[A]] * 6),
        video([], [A], [], [A], [], []),
        dict(FM=1),
        True,
    ),
    'labels without a box are passed over': (
        video([A]),
        video([A, dict(id='2', category='car')]),
        dict(MOTA=100),
        True,
    ),
    'labels null': (TWO, video([A, B], None), dict(FN=2, FP=0), True),
    'no key labels': (
        TWO,
        video([A, B]) + changed(video([], [])[1:], labels='REMOVED'),
        dict(FN=2),
        True,
    ),
    'frames in any order': (TWO, TWO[::-1], dict(MOTA=100), True),
    'leading zeros': (TWO, video(*[[label('0001', 0), label('2', 200)]] * 2), dict(MOTA=100, IDSw=0), True),
    'ids of the ground truth in letters': (
        video(*[[label('a', 0), label('b', 200)]] * 2),
        TWO,
        dict(MOTA=100, IDF1=100),
        True,
    ),
    'predicted ids in letters': (TWO, video(*[[label('a', 0), label('b', 200)]] * 2), dict(MOTA=100), False),
    'predicted ids beyond 32 bits': (
        TWO,
        video(*[[label('3000000000', 0), label('5000000000', 200)]] * 2),
        dict(MOTA=100, IDF1=100),
        False,
    ),
    'predicted ids that are numbers': (
        TWO,
        video(*[[label(1, 0), label(2, 200)]] * 2),
        dict(MOTA=100),
        True,
    ),
    'a video without predictions': (
        video([A]) + video([A], name='w'),
        video([A]),
        dict(FN=1, MOTA=50),
        True,
    ),
    'a predicted video too many': (video([A]), video([A]) + video([A], name='w'), dict(MOTA=100), False),
    'a frame without prediction': (TWO, TWO[:1], dict(FN=2, MOTA=50), False),
    'a frame too many': (TWO[:1], TWO, dict(MOTA=100, FP=0), False),
    'frameIndex off by one': (
        TWO,
        [dict(f, frameIndex=f['frameIndex'] + 1) for f in TWO],
        dict(FN=2),
        False,
    ),
    'no frameIndex: by name': (TWO, changed(TWO, frameIndex='REMOVED'), dict(MOTA=100), False),
    'two objects want one box': (
        video([A, label('2', 10)]),
        video([label('5', 5)]),
        dict(FN=1, FP=0, IDSw=0, MOTA=50),
        True,
    ),
    'one object has two boxes': (
        video([A]),
        video([label('5', 5), label('6', 0)]),
        dict(FN=0, FP=1, IDSw=0, MOTP=100, MOTA=0),
        True,
    ),
    'no videoName: by name': (TWO, changed(TWO, videoName='REMOVED'), dict(MOTA=100), False),
    'the older form of predictions': (
        TWO,
        [dict(name=f['name'], video_name='v', index=f['frameIndex'], labels=f['labels']) for f in TWO],
        dict(MOTA=100),
        False,
    ),
    'other names of frames': (TWO, changed(TWO, name='x.jpg'), dict(MOTA=100), True),
}


@pytest.mark.filterwarnings('ignore::UserWarning')
@pytest.mark.parametrize('case', EDGES)
def test_edges(tmp_path, case):
    gt, pred, want, is_scored = EDGES[case]
    ours = scored(tmp_path, gt, pred)
    for key, value in want.items():
        metric, _, row = key.partition('/')
        rows = ours[metric]
        found = rows if not isinstance(rows, list) else {**rows[0], **rows[2]}[row or OVERALL]
        assert found == pytest.approx(value, nan_ok=True), key
    paths = save(tmp_path, gt, pred)
    if is_scored:
        same(ours, official(*paths))
    else:
        with pytest.raises(Exception):  # noqa: B017 (AssertionError, ValueError, KeyError, OverflowError)
            official(*paths)


def test_frames_without_a_partner_are_named(tmp_path):
    from mmroad.bdd100k.eval.track_pairing import pair_frames

    pairing = pair_frames(
        *map(read_track_columns, save(tmp_path, TWO, [*TWO[1:], dict(TWO[0], frameIndex=7)]))
    )
    assert pairing.missing_frames == ['v/v-0000001.jpg'] == pairing.extra_frames
    with pytest.warns(UserWarning, match='1 frames have no predicted frame and count as empty'):
        pairing.tell()


def test_a_wrong_video_name_scores_nothing(tmp_path):
    """The official tool pairs videos by their place and gives 100."""
    paths = save(tmp_path, TWO, changed(TWO, videoName='w'))
    with pytest.warns(UserWarning, match="1 predicted videos are not in the ground truth .*'w'"):
        ours = evaluate_track(*map(read_track_columns, paths))
        from mmroad.bdd100k.eval.track_pairing import pair_frames

        pair_frames(*map(read_track_columns, paths)).tell()
    assert ours['MOTA'][2][OVERALL] == 0 and official(*paths).MOTA[2][OVERALL] == 100


REFUSED = {
    'a class that is not tracked': (
        video([label('1', 0, 'traffic light')]),
        TWO,
        'traffic light.* no class of box tracking',
    ),
    'an unknown class': (video([label('1', 0, 'cat')]), TWO, "'cat', which is no BDD100K"),
    'a track twice in a frame': (
        video([A, label('1', 300)]),
        TWO,
        "v-0000001.jpg' .*has id '1' twice as car",
    ),
    'a frame twice': (TWO + TWO[:1], TWO, 'two frames of frameIndex 0'),
    'a predicted frame twice': (TWO, TWO + TWO[:1], "pred.json: video 'v' has two frames of frameIndex 0"),
    'no id': (TWO, video([dict(category='car', box2d=box(0))]), 'no "id" .1 such'),
    'no video': (changed(TWO, videoName='REMOVED'), TWO, 'gt.json: frame .* has no videoName'),
    'a flat list': (TWO, [dict(name='a.jpg', category='car', bbox=[0, 0, 9, 9])], 'pred.json: a flat list'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_refused(tmp_path, case):
    gt, pred, message = REFUSED[case]
    with pytest.raises(LabelFileError, match=message):
        scored(tmp_path, gt, pred)


def test_crowd_in_capitals_is_a_crowd(tmp_path):
    """The official tool takes it for an ordinary object."""
    gt = video([label('1', 0, Crowd=True, Occluded=False)])
    assert scored(tmp_path, gt, video([]))['FN'][2][OVERALL] == 0
    assert official(*save(tmp_path, gt, video([]))).FN[2][OVERALL] == 1


def test_file_folder_and_zip_are_the_same(tmp_path):
    gt, pred = made_set(5)
    one, other = save(tmp_path, gt, {'frames': pred})
    folder = tmp_path / 'a folder'
    folder.mkdir()
    for name in {f['videoName'] for f in pred}:
        frames = [f for f in pred if f['videoName'] == name]
        (folder / f'{name}.json').write_text(json.dumps(frames))
    with zipfile.ZipFile(tmp_path / 'one.zip', 'w') as archive:
        archive.write(other, 'box_track.json')
    with zipfile.ZipFile(tmp_path / 'many.zip', 'w') as archive:
        for path in folder.iterdir():
            archive.write(path, f'val/{path.name}')
            archive.writestr(f'__MACOSX/val/._{path.name}', b'\0\5')
    want = evaluate_track(read_track_columns(one), read_track_columns(other))
    for path in (folder, tmp_path / 'one.zip', tmp_path / 'many.zip'):
        same(evaluate_track(read_track_columns(one), read_track_columns(path)), want)
    (tmp_path / 'broken.zip').write_bytes((tmp_path / 'one.zip').read_bytes()[:-300])
    with pytest.raises(LabelFileError, match='broken.zip'):
        read_track_columns(tmp_path / 'broken.zip')


def run(*args, capsys):
    with warnings.catch_warnings():
        main([*map(str, args)])
    return capsys.readouterr()


def test_table_and_json_are_the_official_ones(tmp_path, capsys):
    paths = save(tmp_path, *made_set(1))
    out = tmp_path / 'out' / 'scores.json'
    shown = run('-t', 'box_track', '-g', paths[0], '-r', paths[1], '--out-file', out, capsys=capsys)
    theirs = official(*paths)
    assert shown.out.rstrip('\n') == str(theirs).rstrip('\n')
    same(json.loads(out.read_text()), json.loads(json.dumps(dict(theirs))))


def test_splits(tmp_path, capsys):
    gt = changed(video([A]), attributes=dict(weather='clear')) + changed(
        video([A], [A], name='w'), attributes=dict(weather='rainy')
    )
    paths = save(tmp_path, gt, video([A]))
    args = ['-t', 'box_track', '-g', paths[0], '-r', paths[1]]
    shown = run(*args, '--by-attribute', 'weather', '--by-video', '--csv', tmp_path / 'a.csv', capsys=capsys)
    assert '| clear | 12.50 | 12.50 | 12.50 | 100.00 | 100.00 | 100.00 | 0 | 0 |' in shown.out
    assert '| rainy | 0.00 | 0.00 | 0.00 | 0.00 | - | 0.00 | 0 | 2 |' in shown.out
    assert "1 videos have no predicted frame and count as empty: 'w'" in shown.err
    rows = (tmp_path / 'a.csv').read_text().splitlines()
    assert rows[0].startswith('weather,class,MOTA') and 'video,class,MOTA' in '\n'.join(rows)
    assert 'w,car,0.0,,0.0,0,2,0,0,0,1,0' in rows


def test_options_of_other_tasks_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(['-t', 'det', '-g', 'a', '-r', 'b', '--hota'])
    assert '--hota: only for -t box_track' in capsys.readouterr().err


def test_torch_is_not_imported(tmp_path):
    paths = save(tmp_path, *made_set(1))
    code = (
        'import sys; from mmroad.commands.eval import main; main(sys.argv[1:]); '
        'sys.exit(any(name in sys.modules for name in ("torch", "mmengine", "scipy.optimize")))'
    )
    args = ['-t', 'box_track', '-g', paths[0], '-r', paths[1], '--hota', '--teta', '-q']
    subprocess.run([sys.executable, '-c', code, *map(str, args)], check=True, capture_output=True)


@pytest.mark.skipif(not SAMPLE.is_dir(), reason='no sample of box_track')
def test_scalabels_own_sample(tmp_path):
    paths = SAMPLE / 'track_sample_anns.json', SAMPLE / 'track_predictions.json'
    ours = evaluate_track(*map(read_track_columns, paths))
    same(ours, official(*paths))
    assert (ours['mMOTA'], ours['mIDF1']) == pytest.approx((24.3, 32.2), abs=0.05)
