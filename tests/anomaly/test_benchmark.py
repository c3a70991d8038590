"""Methods on data sets: what is found, one inference an image, the table, a second run."""

import csv
import json

import cv2
import numpy as np
import pytest
import torch

from mmroad.anomaly.benchmark import Benchmark, methods_of
from mmroad.anomaly.benchmark_table import HERE, OTHERS, SMIYC, csv_text, latex, markdown, rows_of, terminal
from mmroad.anomaly.found_sets import find_sets, list_text
from mmroad.anomaly.io import save_map
from mmroad.anomaly.pixel import PixelMetrics
from mmroad.commands import main

SIZE = (40, 50)


def picture(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), value)


@pytest.fixture
def data(tmp_path):
    """Road Anomaly, SMIYC's anomaly track and a set of one's own, two images each, below one folder."""
    root = tmp_path / 'my data'
    labels = np.zeros(SIZE, np.uint8)
    labels[5:35, 5:35] = 1
    image = np.repeat(labels[..., None] * 100 + 50, 3, 2)
    frames = root / 'RoadAnomaly_jpg/frames'
    for i in range(2):
        picture(frames / f'animal{i}.jpg', image)
        picture(frames / f'animal{i}.labels/labels_semantic.png', labels * 2)
        picture(root / f'dataset_AnomalyTrack/images/validation{i}.jpg', image)
        picture(root / f'dataset_AnomalyTrack/labels_masks/validation{i}_labels_semantic.png', labels)
        picture(root / f'mine/deep/images/{i}.png', image)
        picture(root / f'mine/deep/masks/{i}.png', labels)
    (root / 'RoadAnomaly_jpg/frame_list.json').write_text('["animal0.webp", "animal1.webp"]')
    return root


class Inferencer:
    """Scores an image by its brightness, and counts the passes."""

    kind = 'anomaly'

    def __init__(self):
        self.names, self.passes, self.model = ['bright', 'dark'], 0, self

    def set_scores(self, names):
        if unknown := set(names) - {'bright', 'dark'}:
            raise KeyError(f'no score {unknown}')
        self.names = names

    def prepare(self, image, name):
        return image

    def forward(self, images):
        self.passes += 1
        gray = torch.from_numpy(images[0][..., 0].astype(np.float32))[None]
        signs = dict(bright=1, dark=-1)
        maps = {name: signs[name] * gray for name in self.names}
        return [Sample(anomaly_map=Maps(maps))]


class Sample(dict):
    __getattr__ = dict.__getitem__


class Maps(dict):
    @property
    def data(self):
        return next(iter(self.values()))


@pytest.mark.filterwarnings('ignore')  # what is told of a set is noted whatever Python shows
def test_sets_are_found_and_missing_ones_named(data):
    found = find_sets(data)
    assert [one.name for one in found] == ['road_anomaly', 'smiyc_anomaly', 'masks@mine/deep']
    text = list_text(found)
    assert 'road_anomaly' in text and '2 of 60' in text and 'scores cannot be compared' in text
    assert 'https://fishyscapes.com/dataset' in text.split('not found:')[1]
    (data / 'mine/deep/masks/1.png').unlink()
    bad = find_sets(data, ['masks'])[0]
    assert not bad.pairs and 'this image has no mask' in bad.note
    with pytest.raises(KeyError, match='no data set .lost_and_found. below'):
        find_sets(data, ['lost_and_found'])
    with pytest.raises(FileNotFoundError, match='no anomaly data set'):
        find_sets(data / 'mine/deep/masks')


def run(tmp_path, sets, model, **options):
    said = []
    weights = tmp_path / 'w.pth'
    if not weights.exists():
        weights.write_bytes(b'w')
    benchmark = Benchmark(tmp_path / 'out', None, lambda *_: model, say=said.append, **options)
    results = benchmark.run(methods_of([f'rba_swin_b_1dl_cityscapes={weights}']), sets)
    return results, benchmark.left_out, [text for text in said if text[0] != '\r']


def test_each_image_is_inferred_once_and_a_second_run_takes_what_is_there(tmp_path, data):
    sets, model = find_sets(data), Inferencer()
    results, left_out, _ = run(tmp_path, sets, model)
    assert model.passes == 6 and not left_out and len(results) == 6
    assert not list((tmp_path / 'out/maps').rglob('*.npy'))
    by = {(r['dataset'], r['score']): r for r in results}
    assert by['road_anomaly', 'bright']['AP'] == 100 and by['road_anomaly', 'dark']['AUROC'] == 0
    assert (
        by['smiyc_anomaly', 'bright']['smiyc']['f1_mean'] == 1 and not by['road_anomaly', 'bright']['smiyc']
    )
    again, _, said = run(tmp_path, sets, model)
    assert model.passes == 6 and len(said) == 3 and rows_of(again) == rows_of(results)


def test_what_changed_is_done_again(tmp_path, data):
    sets, model = find_sets(data, ['masks', 'road_anomaly']), Inferencer()
    run(tmp_path, sets, model)
    labels = np.zeros(SIZE, np.uint8)
    labels[:9] = 1
    cv2.imwrite(str(data / 'mine/deep/masks/0.png'), labels)
    results, _, said = run(tmp_path, sets, model)
    assert model.passes == 4 + 2 and 'something changed' in ' '.join(said)
    assert results[-1]['dataset'] == 'masks@mine/deep' and results[-2]['AP'] < 100
    (tmp_path / 'out/results/road_anomaly/rba_swin_b_1dl_cityscapes/dark/data.json').unlink()  # stopped there
    run(tmp_path, sets, model)
    assert model.passes == 4 + 2 + 2
    (tmp_path / 'w.pth').write_bytes(b'other')
    run(tmp_path, sets, model)
    assert model.passes == 4 + 2 + 2 + 4
    run(tmp_path, sets, model, settings=dict(amp=True))
    assert model.passes == 4 + 2 + 2 + 4 + 4


def test_a_model_computes_those_scores_that_it_has(tmp_path, data):
    sets, weights = find_sets(data, ['road_anomaly']), tmp_path / 'w.pth'
    weights.write_bytes(b'')
    methods = methods_of([f'rba_swin_b_1dl_cityscapes={weights}'])
    for scores, found, said in (
        (['dark', 'odd'], ['dark'], "no model computes 'odd'"),
        (['odd'], [], 'none of odd'),
    ):
        benchmark = Benchmark(tmp_path / 'out', scores, lambda *_: Inferencer(), say=lambda _: None)
        assert [result['score'] for result in benchmark.run(methods, sets)] == found
        assert said in ' '.join(benchmark.left_out)


def test_kept_maps_score_the_same(tmp_path, data):
    sets = find_sets(data)
    results, *_ = run(tmp_path, sets, Inferencer(), keep_maps=True)
    maps = tmp_path / 'copied'
    for found in sets:
        folder = next((tmp_path / 'out/maps' / found.name.replace('/', '+')).iterdir())
        (maps / found.name.replace('/', '+')).parent.mkdir(exist_ok=True)
        folder.rename(maps / found.name.replace('/', '+'))
    saved = Benchmark(tmp_path / 'out2', say=lambda _: None).run(methods_of([f'Saved={maps}']), sets)
    numbers = [(r['dataset'], r['score'], r['AP'], r['AUROC'], r['FPR95']) for r in results]
    assert [(r['dataset'], r['score'], r['AP'], r['AUROC'], r['FPR95']) for r in saved] == numbers


def test_what_fails_is_left_out_and_the_rest_done(tmp_path, data):
    (data / 'dataset_AnomalyTrack/labels_masks/validation1_labels_semantic.png').write_bytes(b'cut')
    results, left_out, _ = run(tmp_path, find_sets(data), Inferencer())
    assert {r['dataset'] for r in results} == {'road_anomaly', 'masks@mine/deep'}
    assert len(left_out) == 1 and 'validation1_labels_semantic.png' in left_out[0]
    for folder in (tmp_path / 'out/maps').iterdir():
        assert not list(folder.iterdir())


def test_methods(tmp_path):
    for name in 'ab':
        (tmp_path / name).mkdir()
        (tmp_path / f'{name}.pth').write_bytes(b'')
    both = methods_of(
        [f'configs/x.py={tmp_path}/a.pth', f'configs/x.py={tmp_path}/b.pth', str(tmp_path / 'a')]
    )
    assert [m.name for m in both] == ['x a', 'x b', 'a']
    odd = tmp_path / 'lr=0.1' / 'best=1.pth'
    odd.parent.mkdir()
    odd.write_bytes(b'')
    (method,) = methods_of([f'x={odd}'])
    assert (method.config, method.weights) == ('x', str(odd))
    assert [m.name for m in methods_of([str(odd.parent), f'own={odd.parent}'])] == ['lr=0.1', 'own']
    for items, said in (
        ([str(tmp_path / 'a'), f'a={tmp_path / "b"}'], "two methods are called 'a'"),
        (['none/there'], 'a model is given as NAME=CHECKPOINT'),
        (['x=none/there.pth'], 'no such checkpoint'),
    ):
        with pytest.raises((ValueError, OSError), match=said):
            methods_of(items)


def test_the_command_writes_tables_beside_published_numbers(tmp_path, data, capsys):
    rng = np.random.default_rng(0)
    whole = PixelMetrics()
    labels = np.zeros(SIZE, np.uint8)
    labels[5:35, 5:35] = 1
    for i in range(2):
        values = (rng.normal(size=SIZE) + labels).astype(np.float32)
        save_map(tmp_path / f'A_B & C/road_anomaly/animal{i}', values)
        whole.add(values, labels)
    command = [
        'benchmark',
        'anomaly',
        str(tmp_path / 'A_B & C'),
        '--data',
        str(data),
        '--out',
        str(tmp_path / 'o'),
    ]
    with pytest.raises(SystemExit) as end:
        main(command)
    said = capsys.readouterr()
    assert (
        end.value.code == 1 and 'left out (2):' in said.err and 'masks@mine+deep: no such folder' in said.err
    )
    main([*command, '--datasets', 'road_anomaly', '--fpr95', 'nearest'])
    assert 'kept from an earlier run' in capsys.readouterr().out
    own, *others = csv.DictReader((tmp_path / 'o/table.csv').open())
    scores = whole.compute().summary()
    assert float(own['AP']) == scores['AP'] and float(own['FPR95']) == scores['FPR95_nearest']
    assert own['by'] == HERE and own['sIoU'] == '' and {row['by'] for row in others} == {OTHERS}
    assert 'TPR nearest 0.95' in (tmp_path / 'o/table.md').read_text()
    assert r'A\_B \& C' in (tmp_path / 'o/table.tex').read_text()
    data_json = json.loads((tmp_path / 'o/results/road_anomaly/A_B & C/saved/data.json').read_text())
    assert data_json['number_of_images'] == 2
    main(['benchmark', 'anomaly', '--data', str(data), '--list'])
    assert 'not found:' in capsys.readouterr().out


def test_rows_of_smiyc_have_its_protocol_too():
    smiyc = dict(ap=0.5, auroc=0.6, fpr95=0.7, siou_gt=0.1, ppv=None, f1_mean=0.3)
    result = dict(dataset='smiyc_anomaly', layout='smiyc_anomaly', method='m', score='s', smiyc=smiyc)
    result |= dict(AP=51.0, AUROC=61.0, FPR95=71.0, FPR95_gt=72.0)
    first, official = rows_of([result], 'above')
    assert first.fpr95 == 72 and official.by == SMIYC and official.ap == 50 and official.ppv is None
    rows = [first, official]
    assert 'component metrics' in markdown(rows, 'above') and terminal(rows).count('\n') == 3
    assert csv_text(rows).splitlines()[2].startswith('smiyc_anomaly,m,s,50.0,60.0,70.0,10.0,,30.0,')
    assert latex(rows).count(r'\\') == 3


def test_several_processes_and_pages_from_saved_maps(tmp_path, data, capfd):
    rng = np.random.default_rng(0)
    names = ['road_anomaly', 'masks@mine/deep']
    for found in find_sets(data, names):
        for image, mask in found.pairs:
            labels = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE) > 0
            values = (rng.normal(size=SIZE) + labels).astype(np.float32)
            save_map(tmp_path / 'A' / found.name.replace('/', '+') / image.stem, values)
    options = ['--data', str(data), '--datasets', *names, '--out']
    main(['benchmark', 'anomaly', str(tmp_path / 'A'), *options, str(tmp_path / 'one')])
    several = [*options, str(tmp_path / 'two'), '--processes', '2', '--report']
    main(['benchmark', 'anomaly', str(tmp_path / 'A'), *several])
    assert (tmp_path / 'one/table.csv').read_text() == (tmp_path / 'two/table.csv').read_text()
    said = capfd.readouterr().out
    for name in ('road_anomaly', 'masks@mine+deep'):
        page = tmp_path / 'two/report' / name
        assert f'report: {page / "index.html"}' in said
        assert 'A saved' in (page / 'data/report.js').read_text()


def test_maps_that_a_report_needs_are_made_again(tmp_path, data):
    sets, model = find_sets(data, ['masks']), Inferencer()
    run(tmp_path, sets, model)
    *_, said = run(tmp_path, sets, model, keep_maps=True)
    assert model.passes == 4 and 'not kept' in said[0]
    *_, said = run(tmp_path, sets, model, keep_maps=True)
    assert model.passes == 4 and len(said) == 1


@pytest.mark.slow
def test_models_in_several_processes(tmp_path, data, capfd):
    """The real command on real models with made-up weights."""
    from mmroad.zoo.models import init_model

    methods = []
    for number in range(2):
        torch.manual_seed(number)
        with pytest.warns(UserWarning):
            state = init_model('rba_small_1dl_road_scenes').state_dict()
        torch.save(dict(state_dict=state), tmp_path / f'{number}.pth')
        methods.append(f'rba_small_1dl_road_scenes={tmp_path / f"{number}.pth"}')
    command = ['benchmark', 'anomaly', *methods, '--data', str(data), '--datasets', 'road_anomaly', '--out']
    main([*command, str(tmp_path / 'one')])
    main([*command, str(tmp_path / 'two'), '--processes', '2', '--report'])
    assert (tmp_path / 'one/table.csv').read_text() == (tmp_path / 'two/table.csv').read_text()
    assert (tmp_path / 'two/report/road_anomaly/index.html').is_file()
    main([*command, str(tmp_path / 'two'), '--processes', '2'])
    assert capfd.readouterr().out.count('kept from an earlier run') == 2
