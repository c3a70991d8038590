"""The metric on a folder of labels, beside the official evaluator on the files it writes."""

import contextlib
import io
import json
import math
from types import SimpleNamespace

import msgspec
import pytest
import torch
from PIL import Image
from torch import nn

from mmroad.bdd100k.dataset import BDD100KDetDataset
from mmroad.bdd100k.hooks import DetSetupHook
from mmroad.bdd100k.metric import BDD100KDetMetric
from mmroad.bdd100k.scalabel import DET_CLASSES, LabelFileError

TRUTH = [(10, 20, 59, 49, 'car'), (100, 40, 139, 119, 'pedestrian'), (5, 5, 14, 24, 'traffic light')]


def samples(shift):
    """Three images: the objects a little off, one wrong class, nothing."""
    for index in range(3):
        boxes = [[x1 + shift, y1, x2 + 1, y2 + 1 - shift] for x1, y1, x2, y2, _ in TRUTH]
        labels = [DET_CLASSES.index(name) for *_, name in TRUTH]
        labels[0] = 3 if index == 1 else labels[0]
        kept = slice(0, 0) if index == 2 else slice(None)
        found = dict(
            bboxes=torch.tensor(boxes)[kept],
            scores=torch.tensor([0.9, 0.8, 0.7])[kept],
            labels=torch.tensor(labels)[kept],
        )
        yield dict(img_id=index, img_path=f'/images/{index}.jpg', pred_instances=found)


@pytest.fixture
def truth(tmp_path):
    labels = [
        dict(id=str(k), category=name, box2d=dict(x1=x1, y1=y1, x2=x2, y2=y2))
        for k, (x1, y1, x2, y2, name) in enumerate(TRUTH)
    ]
    path = tmp_path / 'truth/det_val.json'
    path.parent.mkdir()
    path.write_text(json.dumps([dict(name=f'{i}.jpg', labels=labels) for i in range(3)]))
    return path


def official(truth, pred):
    from bdd100k.eval.run import _load_frames, evaluate_det, load_bdd100k_config

    config = load_bdd100k_config('det')
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        result = evaluate_det(*_load_frames(str(truth), str(pred), config, 1), config.scalabel, nproc=1)
    return dict(iter(result))


def test_scores_are_the_official_evaluators_on_the_written_file(truth, tmp_path):
    metric = BDD100KDetMetric(ann_file=str(truth), format_dir=str(tmp_path / 'out'))
    for sample in samples(3.0):
        metric.process({}, [sample])
    scores = metric.evaluate(3)
    want = official(truth, tmp_path / 'out/det.json')
    assert set(scores) == {f'bdd100k/{key}' for key in want} | {f'bdd100k/AP/{name}' for name in DET_CLASSES}
    assert 0 < scores['bdd100k/AP'] < 100
    for key, (classes, overall) in want.items():
        assert scores[f'bdd100k/{key}'] == pytest.approx(overall['OVERALL'], abs=1e-9, nan_ok=True), key
        if key == 'AP':
            for name, value in classes.items():
                assert scores[f'bdd100k/AP/{name}'] == pytest.approx(value, abs=1e-9, nan_ok=True)
    assert math.isnan(scores['bdd100k/AP/bus']) and metric.results == []


def test_files_hold_any_classes_and_scores_bdd100ks(truth, tmp_path):
    metric = BDD100KDetMetric(format_only=True, format_dir=str(tmp_path / 'out'))
    metric.dataset_meta = dict(classes=('boat', 'car'))
    assert metric.classes == ('boat', 'car')
    with pytest.raises(ValueError, match='boat'):
        BDD100KDetMetric(ann_file=str(truth)).dataset_meta = dict(classes=('boat', 'car'))


def test_format_only_needs_no_labels_and_scores_nothing(tmp_path):
    metric = BDD100KDetMetric(format_only=True, format_dir=str(tmp_path))
    metric.process({}, list(samples(0.0)))
    assert metric.evaluate(3) == {}
    frames = msgspec.json.decode((tmp_path / 'det.json').read_bytes())['frames']
    assert [(f['name'], len(f['labels'])) for f in frames] == [('0.jpg', 3), ('1.jpg', 3), ('2.jpg', 0)]
    assert frames[0]['labels'][0]['box2d'] == dict(x1=10.0, y1=20.0, x2=59.0, y2=49.0)


def test_a_run_can_be_repeated_and_a_missing_image_is_an_error(tmp_path):
    metric = BDD100KDetMetric(format_only=True, format_dir=str(tmp_path))
    metric.process({}, list(samples(0.0)))
    metric.evaluate(3)
    first = (tmp_path / 'det.json').read_bytes()
    metric.process({}, list(samples(0.0))[:2])
    with pytest.raises(RuntimeError, match='2 of 3 images have predictions'):
        metric.evaluate(3)
    metric.process({}, list(samples(0.0)))
    metric.evaluate(3)
    assert (tmp_path / 'det.json').read_bytes() == first


def test_wrong_arguments_say_what_is_missing():
    with pytest.raises(ValueError, match='--format-dir OUT'):
        BDD100KDetMetric(format_only=True)
    with pytest.raises(ValueError, match='ann_file'):
        BDD100KDetMetric()


def sample(index, found, name=None, **changed):
    """Predictions (x1, y1, x2, y2 inclusive, label) of an image."""
    boxes = torch.tensor([[x1, y1, x2 + 1, y2 + 1] for x1, y1, x2, y2, _ in found], dtype=float).reshape(
        -1, 4
    )
    instances = dict(
        bboxes=boxes,
        scores=torch.linspace(0.9, 0.5, len(found), dtype=float),
        labels=torch.tensor([label for *_, label in found], dtype=int),
    )
    return dict(
        img_id=index, img_path=f'/images/{name or index}.jpg', pred_instances={**instances, **changed}
    )


def perfect(classes, indices=range(3)):
    """All objects of some classes, by their place in these."""
    for index in indices:
        yield sample(index, [(*box, classes.index(name)) for *box, name in TRUTH if name in classes])


@pytest.fixture
def said(caplog):
    """What is logged through mmengine."""
    from mmengine.logging import MMLogger

    logger = MMLogger.get_instance('test_metric', logger_name='test_metric')
    logger.addHandler(caplog.handler)
    yield lambda: '\n'.join(record.getMessage() for record in caplog.records)
    logger.removeHandler(caplog.handler)


@pytest.mark.parametrize(
    ('classes', 'ten'),
    [
        (('car',), 100 / 3),
        (('car', 'pedestrian'), 200 / 3),
        (('traffic light', 'car'), 200 / 3),
        (['motor', 'car', 'person'], 200 / 3),
        ('car', 100 / 3),
    ],
)
def test_a_detector_of_few_classes_is_scored_over_these(truth, said, classes, ten):
    metric = BDD100KDetMetric(ann_file=str(truth))
    metric.dataset_meta = dict(classes=classes)
    names = metric.classes
    assert names == tuple(
        {'motor': 'motorcycle', 'person': 'pedestrian'}.get(n, n)
        for n in ([classes] if classes == 'car' else classes)
    )
    metric.process({}, list(perfect(names)))
    scores = metric.evaluate(3)
    assert scores['bdd100k/AP'] == pytest.approx(100) == scores['bdd100k/AP50']
    found = {key.split('/')[-1] for key in scores if key.startswith('bdd100k/AP/')}
    assert found == set(names)
    assert f'mean over the {len(names)} classes of the model' in said() and f'AP is {ten:.1f}' in said()


def test_wrong_classes_of_few_count_against_the_mean(truth):
    """By hand: of two classes one is found, one is taken for the other."""
    metric = BDD100KDetMetric(ann_file=str(truth))
    metric.dataset_meta = dict(classes=('pedestrian', 'car'))
    for index in range(3):
        metric.process({}, [sample(index, [(*TRUTH[0][:4], 1), (*TRUTH[1][:4], 1)])])
    assert metric.evaluate(3)['bdd100k/AP'] == pytest.approx(50)


@pytest.mark.parametrize(
    'classes', [('car', 'boat'), (), ('person', 'pedestrian'), ('car', 'car'), 'vehicle']
)
def test_classes_that_are_none_are_refused_at_once(truth, tmp_path, classes):
    metric = BDD100KDetMetric(ann_file=str(truth))
    if classes:
        with pytest.raises(ValueError, match='classes'):
            metric.dataset_meta = dict(classes=classes)
    files = BDD100KDetMetric(format_only=True, format_dir=str(tmp_path / 'out'))
    files.dataset_meta = dict(classes=classes or None)  # Detic's own classes are written
    assert len(files.classes)


def test_only_images_that_were_run_are_scored(truth, said):
    metric = BDD100KDetMetric(ann_file=str(truth))
    metric.process({}, list(perfect(DET_CLASSES, [2])))
    assert metric.evaluate(1)['bdd100k/AP'] == pytest.approx(100)
    assert '1 of its 3 frames are run and scored' in said()


def test_images_without_labels_are_told_and_none_with_is_an_error(truth, said):
    metric = BDD100KDetMetric(ann_file=str(truth))
    more = [sample(7, [(1, 1, 50, 50, 2)]), sample(8, [])]
    metric.process({}, [*perfect(DET_CLASSES), *more])
    assert metric.evaluate(5)['bdd100k/AP'] == pytest.approx(100)
    assert "2 of 5 images are not in this ground truth and are not scored, such as '7.jpg'" in said()
    metric.process({}, more)
    with pytest.raises(
        ValueError, match=r"det_val.json: none of the 2 images .*'7.jpg'.* which has 3 frames.*'0.jpg'"
    ):
        metric.evaluate(2)


def test_a_wrong_ground_truth_is_found_when_built(truth, tmp_path):
    with pytest.raises(LabelFileError, match='none.json: no such file'):
        BDD100KDetMetric(ann_file=str(tmp_path / 'none.json'))
    (tmp_path / 'lanes.json').write_text(
        json.dumps([dict(name='0.jpg', labels=[dict(id='1', category='lane/crosswalk', poly2d=[])])])
    )
    with pytest.raises(LabelFileError, match='label file of another task'):
        BDD100KDetMetric(ann_file=str(tmp_path / 'lanes.json'))
    (tmp_path / 'coco.json').write_text(json.dumps(dict(images=[], annotations=[])))
    with pytest.raises(LabelFileError, match='coco.json'):
        BDD100KDetMetric(ann_file=str(tmp_path / 'coco.json'))
    BDD100KDetMetric(ann_file=str(tmp_path / 'none.json'), format_only=True, format_dir=str(tmp_path / 'out'))
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match='file is no folder that can be written'):
        BDD100KDetMetric(format_only=True, format_dir=str(tmp_path / 'file/out'))


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize('field', ['bboxes', 'scores'])
@pytest.mark.parametrize('format_only', [True, False])
def test_predictions_that_are_no_numbers_are_named(truth, tmp_path, field, value, format_only):
    broken = list(perfect(DET_CLASSES))
    broken[1]['pred_instances'][field][1] = value
    metric = BDD100KDetMetric(str(truth), format_only=format_only, format_dir=str(tmp_path / 'out'))
    metric.process({}, broken)
    with pytest.raises(
        ValueError, match=r"1 detections of 1 images have a NaN or infinite .*: '1.jpg' \(1\)"
    ):
        metric.evaluate(3)
    written = (tmp_path / 'out/det.json').read_text()
    counts = [len(frame['labels']) for frame in json.loads(written)['frames']]
    assert counts == [3, 2, 3] and 'score": null' not in written.replace('":null', '": null')
    assert {p.name for p in (tmp_path / 'out').iterdir()} == {'det.json', 'det.coco.json'}
    scoring = BDD100KDetMetric(str(truth))
    scoring.process({}, broken)
    with pytest.raises(ValueError, match="predictions: 1 detections of 1 images .*'1.jpg'"):
        scoring.evaluate(3)


def test_a_label_beyond_the_classes_is_named(tmp_path):
    metric = BDD100KDetMetric(format_only=True, format_dir=str(tmp_path))
    metric.dataset_meta = dict(classes=('car', 'truck'))
    metric.process({}, [sample(0, [(1, 1, 9, 9, 2)])])
    with pytest.raises(ValueError, match=r'0.jpg: label 2 of 2 classes \(car, truck\)'):
        metric.evaluate(1)


def test_of_an_image_run_twice_file_and_score_take_the_first(truth, tmp_path):
    """Samplers repeat images; on other hardware the two may differ."""
    metric = BDD100KDetMetric(str(truth), format_dir=str(tmp_path / 'out'))
    first, second = list(perfect(DET_CLASSES)), sample(0, [(1, 1, 9, 9, 2)])
    metric.process({}, [*first, second])
    assert metric.evaluate(3)['bdd100k/AP'] == pytest.approx(100)
    assert official(truth, tmp_path / 'out/det.json')['AP'][1]['OVERALL'] == pytest.approx(100)


def test_two_images_of_one_number_are_named(truth, tmp_path):
    """As of two data sets in one loader; one of them was dropped without a word."""
    for metric in (
        BDD100KDetMetric(str(truth)),
        BDD100KDetMetric(format_only=True, format_dir=str(tmp_path / 'out')),
    ):
        metric.process({}, [*perfect(DET_CLASSES), sample(1, [], name='other')])
        with pytest.raises(ValueError, match="'1.jpg' and 'other.jpg' both are image 1"):
            metric.evaluate(3)


@pytest.fixture
def dataset(truth, tmp_path):
    def build(**kwargs):
        for index in range(3):
            Image.new('RGB', (160, 130)).save(tmp_path / f'{index}.jpg')
        kwargs = (
            dict(ann_file=str(truth), data_prefix=dict(img=str(tmp_path)), test_mode=True, pipeline=[])
            | kwargs
        )
        return BDD100KDetDataset(**kwargs)

    return build


def run_of(model, **parts):
    """What ``DetSetupHook`` looks at of mmengine's runner; loops that are not built are dicts."""
    loops = {f'_{name}_loop': dict(type='Loop') for name in ('train', 'val', 'test')}
    for name, (dataset, *metrics) in parts.items():
        for metric in metrics:
            metric.dataset_meta = dataset.metainfo
        loops[f'_{name}_loop'] = SimpleNamespace(
            dataloader=SimpleNamespace(dataset=dataset), evaluator=SimpleNamespace(metrics=list(metrics))
        )
    return SimpleNamespace(model=model, **loops)


class Detector(nn.Module):
    def __init__(self, number, rpn=1):
        super().__init__()
        self.rpn_head, self.bbox_head = nn.Identity(), nn.ModuleList([nn.Identity(), nn.Identity()])
        self.rpn_head.num_classes, self.bbox_head[1].num_classes = rpn, number


@pytest.mark.parametrize(
    'kwargs', [dict(), dict(indices=[2, 0]), dict(indices=1), dict(metainfo=dict(classes=['car']))]
)
def test_the_labels_of_the_data_set_are_the_ground_truth(dataset, kwargs):
    metric, data = BDD100KDetMetric(of_dataset=True), dataset(**kwargs)
    with pytest.raises(ValueError, match='default_hooks'):
        metric.process({}, list(perfect(DET_CLASSES)))
    DetSetupHook().before_run(run_of(Detector(len(data.metainfo['classes'])), test=(data, metric)))
    found = [data.get_data_info(i) for i in range(len(data))]
    metric.process({}, list(perfect(metric.classes, [info['img_id'] for info in found])))
    assert metric.evaluate(len(found))['bdd100k/AP'] == pytest.approx(100)


def test_scores_of_a_part_selected_by_an_attribute(dataset, truth):
    frames = json.loads(truth.read_text())
    for frame, time in zip(frames, ('night', 'daytime', 'night')):
        frame['attributes'] = dict(timeofday=time)
    truth.write_text(json.dumps(frames))
    data = dataset(attributes=dict(timeofday='night'))
    for metric in (BDD100KDetMetric(of_dataset=True), BDD100KDetMetric(str(truth))):
        DetSetupHook().before_run(run_of(Detector(10), val=(data, metric)))
        metric.process({}, list(perfect(DET_CLASSES, [0, 2])))
        assert metric.evaluate(2)['bdd100k/AP'] == pytest.approx(100)


def test_parts_that_do_not_fit_are_refused_before_the_first_step(dataset, truth, tmp_path):
    hook, two = DetSetupHook(), dict(metainfo=dict(classes=('car', 'truck')))
    hook.before_run(
        run_of(Detector(10), train=(dataset(),), val=(dataset(), BDD100KDetMetric(of_dataset=True)))
    )
    hook.before_run(run_of(nn.DataParallel(Detector(2)), train=(dataset(**two),), val=(dataset(**two),)))
    with pytest.raises(
        ValueError, match=r'model.bbox_head.1 has num_classes=10, train_dataloader has 2 classes'
    ):
        hook.before_run(run_of(Detector(10), train=(dataset(**two),)))
    with pytest.raises(ValueError, match='bbox_head.1 has num_classes=2, test_dataloader has 10'):
        hook.before_run(run_of(Detector(2), test=(dataset(),)))
    with pytest.raises(
        ValueError, match='val_dataloader has the 10 classes .*, train_dataloader the 2 car, truck'
    ):
        hook.before_run(run_of(Detector(2), train=(dataset(**two),), val=(dataset(),)))
    turned = dict(metainfo=dict(classes=('truck', 'car')))
    with pytest.raises(ValueError, match='val_dataloader has the 2 classes truck, car, train_dataloader'):
        hook.before_run(run_of(Detector(2), train=(dataset(**two),), val=(dataset(**turned),)))
    DetSetupHook(check_classes=False).before_run(
        run_of(Detector(7), train=(dataset(**two),), val=(dataset(),))
    )
    other = tmp_path / 'other.json'
    other.write_text(truth.read_text().replace('.jpg', '-other.jpg'))
    with pytest.raises(ValueError, match="other.json: none of the 3 images .*'0.jpg'.*'0-other.jpg'"):
        hook.before_run(run_of(Detector(10), test=(dataset(), BDD100KDetMetric(str(other)))))
    unlabeled = dataset(ann_file='')
    with pytest.raises(ValueError, match='have no labels to score by'):
        hook.before_run(run_of(Detector(10), test=(unlabeled, BDD100KDetMetric(of_dataset=True))))
    files = BDD100KDetMetric(of_dataset=True, format_only=True, format_dir=str(tmp_path / 'out'))
    hook.before_run(run_of(Detector(10), test=(unlabeled, files)))


def test_data_sets_inside_others_are_found(dataset, truth):
    from mmdet.datasets import ConcatDataset, MultiImageMixDataset

    hook, metric = DetSetupHook(), BDD100KDetMetric(of_dataset=True)
    mixed = MultiImageMixDataset(dataset(), pipeline=[])
    hook.before_run(run_of(Detector(10), train=(mixed,), test=(ConcatDataset([dataset()]), metric)))
    metric.process({}, list(perfect(DET_CLASSES)))
    assert metric.evaluate(3)['bdd100k/AP'] == pytest.approx(100)
    with pytest.raises(ValueError, match='train_dataloader has 10 classes'):
        hook.before_run(run_of(Detector(3), train=(mixed,)))
    with pytest.raises(ValueError, match='takes one data set, not 2'):
        hook.before_run(run_of(Detector(10), test=(ConcatDataset([dataset(), dataset()]), metric)))
    both = [dataset(), dataset(metainfo=dict(classes=['car']))]
    several = SimpleNamespace(
        metainfo=[d.metainfo for d in both], datasets=both
    )  # as mmdet's ConcatDataset is then
    hook.before_run(run_of(Detector(10), train=(mixed,), test=(several,)))


def test_two_runs_write_into_one_folder(truth, tmp_path):
    one, two = (BDD100KDetMetric(format_only=True, format_dir=str(tmp_path / 'out')) for _ in range(2))
    for index, found in enumerate(perfect(DET_CLASSES)):
        one.process({}, [found])
        two.process({}, [sample(index, [])])
    two.evaluate(3)
    assert [len(f['labels']) for f in json.loads((tmp_path / 'out/det.json').read_text())['frames']] == [
        0,
        0,
        0,
    ]
    one.evaluate(3)
    assert [len(f['labels']) for f in json.loads((tmp_path / 'out/det.json').read_text())['frames']] == [
        3,
        3,
        3,
    ]
    assert {p.name for p in (tmp_path / 'out').iterdir()} == {'det.json', 'det.coco.json'}


def test_images_that_could_not_be_read_are_neither_scored_nor_written(truth, tmp_path, said):
    first, second, third = samples(0)
    second['left_out'] = '/images/1.jpg: the file is empty, no image'
    metric = BDD100KDetMetric(ann_file=str(truth), format_dir=str(tmp_path / 'out'))
    metric.process({}, [first, second, third])
    scores = metric.evaluate(3)
    assert metric.left_out == {'1.jpg': second['left_out']}
    frames = json.loads((tmp_path / 'out/det.json').read_text())['frames']
    assert [f['name'] for f in frames] == ['0.jpg', '2.jpg']
    assert 'left out, neither written nor scored (1):\n  /images/1.jpg: the file is empty' in said()
    alone = BDD100KDetMetric(ann_file=str(truth))
    alone.process({}, [first, third])
    assert alone.evaluate(2) == pytest.approx(scores, nan_ok=True) and alone.left_out == {}


def test_data_sets_of_several_kinds_are_not_compared(dataset, truth):
    """Their meta data is a list."""
    mixed = SimpleNamespace(metainfo=[dict(classes=('a',)), dict(classes=('b',))])
    runner = run_of(nn.Module(), train=(mixed,), val=(dataset(),), test=(SimpleNamespace(metainfo={}),))
    DetSetupHook().before_run(runner)
    assert DetSetupHook.priority == 'VERY_HIGH' and DetSetupHook().check_classes
