"""Our detection scores beside the official evaluator's, on made-up sets and awkward inputs."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from det_cases import made_set, official, same, save

from mmroad.bdd100k.columns import read_columns
from mmroad.bdd100k.eval.det import evaluate_det
from mmroad.bdd100k.scalabel import DET_CLASSES, LabelFileError
from mmroad.commands.eval import main

SAMPLE = Path(__file__).parents[3] / '../shared/data/bdd100k_sample'


@pytest.mark.parametrize('backend', ['hotcoco', 'pycocotools'])
@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(tiny=True),
        dict(many=True, frames=3),
        dict(crowds=True),
        dict(ties=True),
        dict(crowds=True, ties=True, many=True, frames=4),
    ],
    ids=str,
)
def test_made_sets_score_the_same(tmp_path, options, backend):
    if backend == 'hotcoco':
        pytest.importorskip('hotcoco')
    for seed in range(2):
        gt, pred = save(tmp_path, *made_set(seed, **options))
        same(evaluate_det(read_columns(gt), read_columns(pred), backend=backend), official(gt, pred))


G = dict(name='a.jpg', labels=[dict(id='1', category='car', box2d=dict(x1=10, y1=10, x2=60, y2=50))])
P = dict(
    name='a.jpg', labels=[dict(id='1', category='car', score=0.9, box2d=dict(x1=12, y1=10, x2=60, y2=50))]
)


def with_label(base, **changes):
    label = {**base['labels'][0], **changes}
    return {**base, 'labels': [{k: v for k, v in label.items() if v != 'REMOVED'}]}


def with_box(base, **changes):
    return with_label(base, box2d={**base['labels'][0]['box2d'], **changes})


B, Q = {**G, 'name': 'b.jpg'}, {**P, 'name': 'b.jpg'}
AWKWARD = {
    'plain': ([G], [P]),
    'no predicted frames': ([G], []),
    'no predicted labels': ([G], [{**P, 'labels': []}]),
    'null predicted labels': ([G], [{**P, 'labels': None}]),
    'no labels key': ([G], [{'name': 'a.jpg'}]),
    'no ground truth labels': ([{**G, 'labels': []}], [P]),
    'null ground truth labels': ([{**G, 'labels': None}], [P]),
    'neither labels': ([{**G, 'labels': []}], [{**P, 'labels': []}]),
    'missing frame': ([G, B], [P]),
    'extra frame': ([G], [P, Q]),
    'only extra frames': ([G], [Q]),
    'duplicate predicted frame': ([G], [P, {**P, 'labels': []}]),
    'duplicate predicted frame, full last': ([G], [{**P, 'labels': []}, P]),
    'duplicate ground truth frame': ([G, G], [P]),
    'videos with the same names': (
        [{**G, 'videoName': 'v'}, {**G, 'videoName': 'w', 'labels': []}],
        [{**P, 'videoName': 'w'}, {**P, 'videoName': 'v', 'labels': []}],
    ),
    'videos only in the predictions': (
        [G, B],
        [
            {**P, 'videoName': 'v'},
            {**Q, 'videoName': 'w'},
            {**P, 'labels': [], 'videoName': 'w'},
            {**P, 'videoName': 'x'},
        ],
    ),
    'videos only in the ground truth': (
        [{**G, 'videoName': 'v'}, {**B, 'videoName': 'w'}],
        [Q, {**P, 'labels': []}, P],
    ),
    'frames object': ({'frames': [G]}, {'frames': [P], 'groups': None, 'config': None}),
    'unsorted names': ([B, G], [Q, P]),
    'predicted class without ground truth': ([G], [P, with_label(Q, category='bus')]),
    'other class': ([G], [with_label(P, category='bus')]),
    'old name': ([with_label(G, category='person')], [with_label(P, category='person')]),
    'ignored category': ([with_label(G, category='other vehicle')], [P]),
    'ignored category predicted': ([G], [with_label(P, category='other vehicle')]),
    'prediction tagged ignored': ([G], [with_label(P, attributes={'ignored': True})]),
    'crowd': ([with_label(G, attributes={'crowd': True})], [P]),
    'crowd false': ([with_label(G, attributes={'crowd': False})], [P]),
    'label without a box': ([with_label(G, box2d='REMOVED'), B], [P, Q]),
    'prediction without a box': ([G], [with_label(P, box2d=None)]),
    'point box': ([G], [with_box(P, x2=12, y2=10)]),
    'inverted predicted box': ([G], [with_box(P, x2=-20)]),
    'negative coordinates': ([with_box(G, x1=-30)], [with_box(P, x1=-28)]),
    'huge box': ([G], [with_box(P, x2=1e9)]),
    'score above one': ([G], [with_label(P, score=7.5)]),
    'score zero': ([G], [with_label(P, score=0)]),
    'negative score': ([G], [with_label(P, score=-0.5)]),
    'missing score': ([G], [with_label(P, score='REMOVED')]),
    'null score': ([G], [with_label(P, score=None)]),
    'one of two scores missing': ([G, B], [P, with_label(Q, score=None)]),
    'unknown category': ([G], [with_label(P, category='dog')]),
    'unknown category in ground truth': ([with_label(G, category='dog')], [P]),
    'null category': ([G], [with_label(P, category=None)]),
    'box with a missing side': ([G], [with_label(P, box2d=dict(x1=1, y1=2, x2=3))]),
    'box with a text side': ([G], [with_box(P, x1='left')]),
    'frame without a name': ([G], [{'labels': P['labels']}]),
    'COCO results': ([G], [dict(image_id=1, category_id=3, bbox=[1, 2, 3, 4], score=0.5)]),
    'COCO file': (dict(images=[], annotations=[]), [P]),
    'empty object': ([G], {}),
}


def differences(ours, theirs):
    try:
        same(ours, theirs)
    except AssertionError as error:
        return str(error)
    return None


@pytest.mark.parametrize('name', AWKWARD)
def test_awkward_inputs_score_the_same_or_fail_clearly(tmp_path, name):
    gt, pred = save(tmp_path, *AWKWARD[name])
    try:
        theirs = official(gt, pred)
    except (Exception, SystemExit) as error:
        theirs = error
    if isinstance(theirs, BaseException):
        try:
            scores = evaluate_det(read_columns(gt), read_columns(pred))
        except LabelFileError as error:
            assert str(tmp_path) in str(error)  # a message of ours, naming the file
        else:  # where the official tool dies for want of something that scores do not need
            assert name in ('duplicate ground truth frame',), (theirs, scores)
    else:
        same(evaluate_det(read_columns(gt), read_columns(pred)), theirs)


def test_a_folder_scores_like_its_file(tmp_path):
    gts, preds = made_set(5)
    gt, pred = save(tmp_path, gts, preds)
    whole = evaluate_det(read_columns(gt), read_columns(pred))
    for name, frames in (('g', gts), ('p', preds)):
        (tmp_path / name).mkdir()
        for frame in frames:
            (tmp_path / name / f'{frame["name"]}.json').write_text(json.dumps([frame]))
    same(evaluate_det(read_columns(tmp_path / 'g'), read_columns(tmp_path / 'p')), whole.items())


def test_table_and_json_are_the_official_ones(tmp_path, capsys):
    gt, pred = save(tmp_path, *made_set(1))
    theirs = official(gt, pred)
    main(['-t', 'det', '-g', str(gt), '-r', str(pred), '--out-file', str(tmp_path / 'out/ours.json')])
    assert capsys.readouterr().out == str(theirs) + '\n'
    saved = (tmp_path / 'out/ours.json').read_text()
    want = json.dumps(dict(theirs), indent=2)
    assert saved.count('NaN') == want.count('NaN')
    assert [*json.loads(saved)] == [*json.loads(want)]


def test_command_line_says_what_is_missing_and_dies_clearly(tmp_path, capsys):
    gt, pred = save(tmp_path, [G, B], [P, {**P, 'name': 'z.jpg'}])
    main(['-t', 'det', '-g', str(gt), '-r', str(pred)])
    err = capsys.readouterr().err
    assert (
        "1 images have no predicted frame and count as empty: 'b.jpg'" in err and "left out: 'z.jpg'" in err
    )
    with pytest.raises(SystemExit, match='no such file or folder'):
        main(['-t', 'det', '-g', str(gt), '-r', str(tmp_path / 'none.json')])


def test_predictions_without_boxes_are_told(tmp_path, capsys):
    bare = {**P, 'labels': [{**P['labels'][0], 'box2d': None}]}
    for labels, said in (
        (bare['labels'] + P['labels'], '1 predicted labels have no box2d'),
        (bare['labels'], 'none of its 1 labels has a box2d'),
    ):
        gt, pred = save(tmp_path, [G], [{**P, 'labels': labels}])
        main(['-t', 'det', '-g', str(gt), '-r', str(pred)])
        assert f'{pred}: {said}' in capsys.readouterr().err
    gt, pred = save(tmp_path, [bare], [P])
    main(['-t', 'det', '-g', str(gt), '-r', str(pred)])
    assert f'{gt}: none of its 1 labels has a box2d' in capsys.readouterr().err


def test_names_twice_are_told_with_their_files(tmp_path, capsys):
    for side, name, content in (('g', 'a.json', [G, B]), ('g', 'b.json', [G]), ('p', 'a.json', [P, P, Q])):
        (tmp_path / side).mkdir(exist_ok=True)
        (tmp_path / side / name).write_text(json.dumps(content))
    main(['-t', 'det', '-g', str(tmp_path / 'g'), '-r', str(tmp_path / 'p')])
    err = capsys.readouterr().err
    assert f"'a.jpg', in {tmp_path}/g/a.json and {tmp_path}/g/b.json; each of them counts" in err
    assert "1 names are carried by several predicted frames: the last of each counts: 'a.jpg'" in err
    main(['-q', '-t', 'det', '-g', str(tmp_path / 'g'), '-r', str(tmp_path / 'p')])
    assert capsys.readouterr().err == ''


def test_it_starts_without_the_heavy_frameworks(tmp_path):
    gt, pred = save(tmp_path, [G], [P])
    code = (
        f"import sys; sys.argv = ['eval', '-t', 'det', '-g', {str(gt)!r}, '-r', {str(pred)!r}]\n"
        'import runpy; runpy.run_module("mmroad.bdd100k.eval", run_name="__main__")\n'
        'heavy = {"torch", "mmdet", "mmcv", "mmengine", "scalabel", "pandas", "matplotlib"} & set(sys.modules)\n'
        'assert not heavy, heavy'
    )
    subprocess.run([sys.executable, '-c', code], check=True, capture_output=True)


def test_scores_by_attribute_are_those_of_the_subsets(tmp_path, capsys):
    gts, preds = made_set(3)
    for i, frame in enumerate(gts[1:]):
        frame['attributes'] = {'weather': ['clear', 'rainy'][i % 2], 'timeofday': 'night'}
    gt, pred = save(tmp_path, gts, preds)
    main(
        [
            '-t',
            'det',
            '-g',
            str(gt),
            '-r',
            str(pred),
            '--by-attribute',
            'weather',
            '--csv',
            str(tmp_path / 's.csv'),
        ]
    )
    out = capsys.readouterr().out
    gt, pred = save(tmp_path, gts[:1], preds)
    assert f'| (none) | {evaluate_det(read_columns(gt), read_columns(pred))["AP"][1]["OVERALL"]:.2f} |' in out
    gt, pred = save(tmp_path, [f for f in gts[1:] if f['attributes']['weather'] == 'rainy'], preds)
    rainy = evaluate_det(read_columns(gt), read_columns(pred))
    assert f'| rainy | {rainy["AP"][1]["OVERALL"]:.2f} |' in out
    line = next(x for x in (tmp_path / 's.csv').read_text().splitlines() if x.startswith('rainy,OVERALL,'))
    assert float(line.split(',')[2]) == rainy['AP'][1]['OVERALL']


@pytest.mark.parametrize('picture', ['pr.png', 'curves'])
def test_pictures_and_matrices_are_written(tmp_path, picture):
    from PIL import Image

    gt, pred = save(tmp_path, [G, B, {**G, 'name': 'c.jpg'}], [P, with_label(Q, category='bus')])
    folder = tmp_path / 'not/there'
    main(
        ['-t', 'det', '-g', str(gt), '-r', str(pred), '-q']
        + ['--confusion', str(folder / 'c.csv'), '--pr-curves', str(tmp_path / f'nor/{picture}')]
        + ['--csv', str(tmp_path / 'neither/s.csv'), '--out-file', str(tmp_path / 'a/b/out.json')]
    )
    head, *lines = [line.split(',') for line in (folder / 'c.csv').read_text().splitlines()]
    assert head[1:] == [line[0] for line in lines] == [*DET_CLASSES, 'none']
    cells = {
        (line[0], name): int(cell) for line in lines for name, cell in zip(head[1:], line[1:]) if cell != '0'
    }
    assert cells == {('car', 'car'): 1, ('car', 'bus'): 1, ('car', 'none'): 1}
    assert [p.name for p in (tmp_path / 'nor').iterdir()] == [picture]
    with Image.open(tmp_path / 'nor' / picture) as curves:
        pixels = np.asarray(curves.convert('RGB'))
    car = tuple(round(255 * x) for x in (0.17254901960784313, 0.6274509803921569, 0.17254901960784313))  # C2
    assert len(pixels) > 400 and (pixels == car).all(-1).sum() > 100
    assert json.loads((tmp_path / 'a/b/out.json').read_text())['AP50'][0]['car'] == pytest.approx(
        100 / 3, abs=1
    )
    assert (tmp_path / 'neither/s.csv').read_text().startswith('weather,class,AP,')
    assert {p.name for p in folder.iterdir()} == {'c.csv'}


def test_the_table_comes_before_what_cannot_be_written(tmp_path, capsys):
    gt, pred = save(tmp_path, [G], [P])
    want = evaluate_det(read_columns(gt), read_columns(pred)).table()
    (tmp_path / 'file').write_text('')
    extras = ['--out-file', f'{tmp_path}/file/o.json', '--confusion', f'{tmp_path}/file/c.csv', '--csv']
    with pytest.raises(SystemExit) as end:
        main(
            [
                '-t',
                'det',
                '-g',
                str(gt),
                '-r',
                str(pred),
                *extras,
                f'{tmp_path}/s.csv',
                '--pr-curves',
                'p.nothing',
            ]
        )
    assert capsys.readouterr().out.startswith(want)
    assert [line.split(':')[1] for line in end.value.code.splitlines()] == [
        ' --out-file',
        ' --confusion',
        ' --pr-curves',
    ]
    assert (tmp_path / 's.csv').is_file()


def test_an_unknown_backend_is_refused(tmp_path):
    gt, pred = map(read_columns, save(tmp_path, [G], [P]))
    with pytest.raises(ValueError, match='backend must be'):
        evaluate_det(gt, pred, backend='fast')


@pytest.mark.parametrize('backend', ['hotcoco', 'pycocotools'])
def test_scores_of_some_classes_are_those_of_data_without_the_others(tmp_path, backend):
    """The official tool's mean is over the classes with ground truth: a set without the others has that mean."""
    if backend == 'hotcoco':
        pytest.importorskip('hotcoco')
    kept = {'car', 'van', 'caravan', 'other vehicle', 'motorcycle', 'motor'}
    for seed in range(3):
        whole = made_set(seed, crowds=True)
        part = [
            [{**f, 'labels': [x for x in f['labels'] if x['category'] in kept]} for f in side]
            for side in whole
        ]
        gt, pred = map(read_columns, save(tmp_path, *whole))
        mine = evaluate_det(gt, pred, backend=backend, classes=('motorcycle', 'car'))
        theirs = dict(official(*save(tmp_path, *part)))
        for key, (each, overall) in mine.items():
            assert list(each) == ['car', 'motorcycle']
            for name, value in [*each.items(), ('OVERALL', overall['OVERALL'])]:
                want = theirs[key][name == 'OVERALL'][name]
                assert value == pytest.approx(want, abs=1e-9, nan_ok=True), (key, name)


def test_the_command_line_takes_classes(tmp_path, capsys):
    gt, pred = save(tmp_path, [G, with_label(B, category='bus')], [P])
    main(['-t', 'det', '-g', str(gt), '-r', str(pred), '--classes', 'car', 'motor'])
    lines = capsys.readouterr().out.split('\n')
    assert [line.split()[0] for line in lines[3:5]] == ['car', 'motorcycle'] and lines[6].split()[1:3] == [
        '100.0'
    ] * 2
    with pytest.raises(SystemExit, match='boat'):
        main(['-t', 'det', '-g', str(gt), '-r', str(pred), '--classes', 'boat'])


@pytest.mark.parametrize('key', ['crowd', 'ignored'])
@pytest.mark.parametrize('value', [False, True, 'false', 'No', '0', 'off', 'f', 'YES', '1', 'on', 0, 1])
def test_crowds_in_text_and_numbers_score_as_officially(tmp_path, key, value):
    two = with_box(G, x1=300, x2=400)['labels'][0]
    gts = [with_label(G, attributes={key: value}), {**B, 'labels': [*B['labels'], {**two, 'id': '2'}]}]
    gt, pred = save(tmp_path, gts, [with_box(P, x1=45), Q])
    same(evaluate_det(read_columns(gt), read_columns(pred)), official(gt, pred))


@pytest.mark.skipif(not SAMPLE.is_dir(), reason='the shared sample of real labels is not here')
@pytest.mark.parametrize('backend', ['hotcoco', 'pycocotools'])
def test_real_sample_gives_the_golden_figures(backend):
    gt, pred = read_columns(SAMPLE / 'gt.json'), read_columns(SAMPLE / 'pred.json')
    scores = evaluate_det(gt, pred, backend=backend).summary()
    golden = dict(
        AP=34.029392668401016, AP50=55.323900409039695, AP75=34.93873359997878, APs=20.91624814, APm=48.43646525,
        APl=64.28530467, AR1=23.87733840, AR10=38.05003678, AR100=40.95160450,
    )  # fmt: skip
    for key, value in golden.items():
        assert scores[key] == pytest.approx(value, abs=1e-8), key
    assert scores['AP/car'] == pytest.approx(66.14185519, abs=1e-8) and math.isnan(scores['AP/train'])


@pytest.mark.skipif(not SAMPLE.is_dir(), reason='the shared sample of real labels is not here')
@pytest.mark.parametrize(
    ('gt', 'pred'), [('gt', 'pred_empty'), ('ignored_categories', 'ignored_categories'), ('gt', 'gt')]
)
def test_real_sample_beside_the_official_tool(gt, pred):
    gt, pred = SAMPLE / f'{gt}.json', SAMPLE / f'{pred}.json'
    try:
        theirs = official(gt, pred)
    except Exception:
        with pytest.raises(LabelFileError):
            evaluate_det(read_columns(gt), read_columns(pred))
    else:
        same(evaluate_det(read_columns(gt), read_columns(pred)), theirs)


def test_benchmark_compares_both_tools(tmp_path):
    gt, pred = save(tmp_path, *made_set(2, frames=3))
    tool = Path(__file__).parents[3] / 'benchmarks/eval.py'
    run = [sys.executable, str(tool), '-g', str(gt), '-r', str(pred)]
    out = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    assert '| mmroad |' in out and '| official |' in out
    assert float(out.split('Largest difference of 132 numbers:')[1]) < 1e-9


def test_without_hotcoco_pycocotools_counts_unless_it_is_asked_for(tmp_path, monkeypatch):
    paths = save(tmp_path, *made_set(3, frames=3))
    columns = [read_columns(path) for path in paths]
    want = evaluate_det(*columns, backend='pycocotools')
    monkeypatch.setitem(sys.modules, 'hotcoco', None)  # importing it fails
    same(evaluate_det(*columns), list(want.items()))
    with pytest.raises(ImportError):
        evaluate_det(*columns, backend='hotcoco')
    with pytest.raises(ValueError, match="backend must be .* not 'coco'"):
        evaluate_det(*columns, backend='coco')
