"""OOD scores in det.json, the official evaluator on it, and the metric of a run over ID and OOD images."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from PIL import Image

pytest.importorskip('mmdet')

from mmdet.structures import DetDataSample  # noqa: E402

from mmroad.anomaly.det_metric import OODDetectionMetric, on_unknown_objects  # noqa: E402
from mmroad.anomaly.ood_detection import Detections, read_detections  # noqa: E402

BOXES = [[10.0, 10, 60, 50], [100, 40, 160, 90]]


def sample(path, index, ood, labels=(2, 3), scores=(0.9, 0.8), truth=True):
    pred = InstanceData(
        bboxes=torch.tensor(BOXES),
        scores=torch.tensor(scores),
        labels=torch.tensor(labels),
        ood_scores=torch.tensor(ood),
    )
    found = DetDataSample(metainfo=dict(img_path=str(path), img_id=index), pred_instances=pred)
    if truth:
        found.gt_instances = InstanceData(bboxes=torch.tensor(BOXES), labels=torch.tensor(labels))
    return found.to_dict()


def test_det_json_holds_ood_scores_and_the_official_evaluator_reads_it(tmp_path):
    from mmroad.bdd100k.metric import BDD100KDetMetric

    metric = BDD100KDetMetric(format_only=True, format_dir=str(tmp_path / 'out'))
    metric.dataset_meta = None
    metric.process({}, [sample(f'{i}.jpg', i, [-3.0 - i, -1.5]) for i in range(3)])
    metric.evaluate(3)
    found = read_detections(tmp_path / 'out/det.json')
    assert found.ood_score.tolist() == [-3, -1.5, -4, -1.5, -5, -1.5]
    assert found.xyxy[:2].tolist() == BOXES
    frames = json.loads((tmp_path / 'out/det.json').read_text())['frames']
    assert [k in frames[0]['labels'][0] for k in ('score', 'ood_score')] == [True, True]
    truth = [
        dict(
            name=f['name'],
            labels=[{k: x[k] for k in ('id', 'category', 'box2d')} for x in f['labels']],
        )
        for f in frames
    ]
    (tmp_path / 'gt.json').write_text(json.dumps(truth))
    pytest.importorskip('bdd100k')
    command = [sys.executable, '-m', 'bdd100k.eval.run', '-t', 'det', '-g', tmp_path / 'gt.json']
    command += ['-r', tmp_path / 'out/det.json', '--out-file', tmp_path / 'scores.json', '--nproc', '1']
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    scores = json.loads((tmp_path / 'scores.json').read_text())
    assert scores['AP'][-1]['OVERALL'] == pytest.approx(100, abs=0.1)


def test_metric_tells_the_sets_apart_by_folder():
    metric = OODDetectionMetric(ood_prefixes=dict(coco='data/coco/val2017'))
    for i in range(20):
        metric.process({}, [sample(f'data/bdd/{i}.jpg', i, [-5.0 - i, -4.0 - i / 100])])
        metric.process({}, [sample(f'data/coco/val2017/{i}.jpg', i, [-1.0, 0.0], truth=False)])
    results = metric.evaluate(40)
    assert results['ood/coco/all/auroc'] == 100 and results['ood/coco/all/fpr95'] == 0
    assert results['ood/coco/best_f1/aupr'] == 100
    plain = sample('a.jpg', 0, [0.0, 0.0])
    plain['pred_instances'].pop('ood_scores')
    with pytest.raises(KeyError, match='without ood_scores'):
        metric.process({}, [plain])


def test_only_detections_on_unknown_objects_count(tmp_path):
    mask = np.zeros((100, 200), np.uint8)
    mask[10:50, 10:30] = 1  # two fifths of the first box
    Image.fromarray(mask).save(tmp_path / 'x.png')
    rows = Detections(*(np.array(v) for v in (['x'] * 2, [0, 1], BOXES, [0.9, 0.8], [0.0, 1.0])))
    assert on_unknown_objects(rows, tmp_path / 'x.png', 0.3).label.tolist() == [0]
    assert len(on_unknown_objects(rows, tmp_path / 'x.png', 0.5).label) == 0
    metric = OODDetectionMetric(dict(unknown='ood'), dict(unknown=str(tmp_path)))
    metric.process({}, [sample('ood/x.jpg', 0, [0.0, 1.0])])
    assert len(metric.results[0][1].label) == 1


def test_sets_are_told_by_folder_and_one_that_was_not_run_is_named():
    metric = OODDetectionMetric(ood_prefixes=dict(coco='data/coco/val', other='data/other/'))
    metric.process({}, [sample('data/coco/val2017/a.jpg', 0, [-5.0, -4.0])])  # another folder: known
    metric.process({}, [sample('data/coco/val/x/b.jpg', 1, [-1.0, 0.0])])
    assert [name for name, _, _ in metric.results] == [None, 'coco']
    with pytest.raises(ValueError, match=r'no image of the run is in other \(data/other\)'):
        metric.evaluate(2)
    with pytest.raises(ValueError, match='mask_prefixes of coc'):
        OODDetectionMetric(dict(coco='ood'), dict(coc='masks'))


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_scores_that_are_no_numbers_are_told_with_the_image(value):
    metric = OODDetectionMetric(dict(coco='coco'))
    with pytest.raises(ValueError, match='coco/a.jpg: an ood_score is not finite'):
        metric.process({}, [sample('coco/a.jpg', 0, [0.0, value])])


def test_masks_of_images_in_subfolders(tmp_path):
    """By path inside the set; one folder for all serves where base names are unique."""
    for name, value in (('a/x.png', 1), ('b/x.png', 0), ('y.png', 1)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((100, 200), value, np.uint8)).save(tmp_path / name)
    metric = OODDetectionMetric(dict(unknown='ood'), dict(unknown=str(tmp_path)))
    for path in ('ood/a/x.jpg', 'ood/b/x.jpg', 'ood/a/y.jpg', 'ood/a/y.jpg'):
        metric.process({}, [sample(path, 0, [0.0, 1.0])])
    assert [len(found.label) for _, found, _ in metric.results] == [2, 0, 2, 2]
    with pytest.raises(ValueError, match='y.png would be the mask of ood/a/y.jpg and of ood/b/y.jpg'):
        metric.process({}, [sample('ood/b/y.jpg', 0, [0.0, 1.0])])
    with pytest.raises(FileNotFoundError, match='ood/b/z.jpg: no mask .*b/z.png or .*z.png'):
        metric.process({}, [sample('ood/b/z.jpg', 0, [0.0, 1.0])])


@pytest.mark.parametrize('kind', ['color', 'size'])
def test_masks_are_checked(tmp_path, kind):
    shape = dict(color=(100, 200, 3), size=(50, 100))[kind]
    Image.fromarray(np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)).save(tmp_path / 'x.png')
    metric = OODDetectionMetric(dict(unknown='ood'), dict(unknown=str(tmp_path)))
    data = sample('ood/x.jpg', 0, [0.0, 1.0]) | dict(ori_shape=(100, 200))
    with pytest.raises(ValueError, match='x.png: (a color image|the label map has 50 x 100)'):
        metric.process({}, [data])
    one_bit = np.zeros((100, 200), bool)
    one_bit[:, :100] = True
    Image.fromarray(one_bit).save(tmp_path / 'x.png')
    metric.process({}, [data])
    assert metric.results[0][1].label.tolist() == [2]
