"""AP of groups of classes and of OpenImages, against the lvis API, pycocotools and other implementations."""

import contextlib
import io
import json

import numpy as np
import pytest
import torch

from mmroad.detic.metric import OpenVocabularyMetric
from mmroad.detic.openimages import average_precision, best_of_each_image, expanded_ap50, match


def made(seed=0, images=12, classes=6):
    """Ground truth with LVIS's and OpenImages' fields, and detections near it."""
    rng = np.random.default_rng(seed)
    categories = [
        dict(id=3 * c + 2, name=f'class_{c}', frequency='rcf'[c % 3], image_count=c + 1)
        for c in range(classes)
    ]
    ids = [c['id'] for c in categories]
    truth = dict(images=[], annotations=[], categories=categories)
    samples = []
    for i in range(1, images + 1):
        present = rng.choice(classes, 3, replace=False)
        absent = [c for c in range(classes) if c not in present][:2]
        boxes, labels = [], []
        for c in present:
            for _ in range(rng.integers(1, 4)):
                x, y, w, h = *rng.uniform(0, 60, 2), *rng.uniform(8, 60, 2)
                square = [[x, y, x + w, y, x + w, y + h, x, y + h]]
                truth['annotations'].append(
                    dict(id=len(truth['annotations']) + 1, image_id=i, category_id=ids[c], bbox=[x, y, w, h],
                         area=w * h, iscrowd=0, segmentation=square)
                )  # fmt: skip
                if rng.random() < 0.8:
                    dx, dy = rng.normal(0, 3, 2)
                    boxes.append([x + dx, y + dy, x + w + dx, y + h + dy])
                    labels.append(c if rng.random() < 0.8 else rng.integers(classes))
        truth['images'].append(
            dict(id=i, width=128, height=128, pos_category_ids=[ids[c] for c in present],
                 neg_category_ids=[ids[c] for c in absent], not_exhaustive_category_ids=[])
        )  # fmt: skip
        found = dict(
            bboxes=torch.tensor(np.array(boxes).reshape(-1, 4)),
            labels=torch.tensor(labels, dtype=torch.long),
            scores=torch.tensor(rng.permutation(len(boxes)) / len(boxes) + 0.01 * i / images),
        )
        samples.append(dict(img_id=i, pred_instances=found))
    return truth, samples


def scores(tmp_path, truth, samples, **options):
    (tmp_path / 'gt.json').write_text(json.dumps(truth))
    metric = OpenVocabularyMetric(str(tmp_path / 'gt.json'), format_dir=str(tmp_path), **options)
    metric.process({}, samples)
    return metric.compute_metrics(metric.results)


def test_lvis_scores_are_the_lvis_apis(tmp_path, monkeypatch):
    lvis = pytest.importorskip('lvis', reason='the lvis API is not installed')
    monkeypatch.setattr(np, 'float', float, raising=False)  # the API is older than numpy 1.24
    truth, samples = made()
    mine = scores(tmp_path, truth, samples, protocol='lvis', groups=dict(novel='r', some=['class_1']))
    with contextlib.redirect_stdout(io.StringIO()):
        run = lvis.LVISEval(str(tmp_path / 'gt.json'), str(tmp_path / 'lvis.bbox.json'), 'bbox')
        run.run()
    for key in ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APr', 'APc', 'APf'):
        assert mine[f'bbox_{key}'] == pytest.approx(100 * run.results[key], abs=1e-6), key
    assert mine['bbox_novel_AP'] == mine['bbox_APr'] != mine['bbox_some_AP']


def test_coco_scores_of_groups_are_means_of_pycocotools(tmp_path):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, samples = made(1)
    groups = dict(seen=['class_0', 'class_3'], unseen=['class_5'])
    mine = scores(tmp_path, truth, samples, groups=groups)
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO(str(tmp_path / 'gt.json'))
        run = COCOeval(gt, gt.loadRes(str(tmp_path / 'coco.bbox.json')), 'bbox')
        run.evaluate(), run.accumulate(), run.summarize()
    precision = run.eval['precision'][..., 0, -1]
    assert mine['bbox_AP'] == pytest.approx(100 * run.stats[0])
    assert mine['bbox_seen_AP50'] == pytest.approx(100 * precision[0][:, [0, 3]].mean())
    assert mine['bbox_unseen_AP'] == pytest.approx(100 * precision[:, :, 5].mean())
    with pytest.raises(ValueError, match='no classes named lynx'):
        scores(tmp_path, truth, samples, groups=dict(seen=['lynx']))


def test_masks_are_scored_beside_boxes(tmp_path):
    truth, samples = made(2)
    for s in samples:
        found = s['pred_instances']
        masks = torch.zeros(len(found['labels']), 128, 128, dtype=torch.bool)
        for mask, (x1, y1, x2, y2) in zip(masks, found['bboxes'].round().long().clamp(0, 128).tolist()):
            mask[y1:y2, x1:x2] = True
        found['masks'] = masks
    mine = scores(tmp_path, truth, samples, protocol='lvis', iou_types=('bbox', 'segm'))
    assert mine['segm_AP50'] == pytest.approx(mine['bbox_AP50'], abs=8) and mine['segm_AP50'] > 20


def test_labels_beyond_the_data_sets_classes_are_an_error(tmp_path):
    truth, samples = made()
    samples[0]['pred_instances']['labels'][0] = 6
    with pytest.raises(ValueError, match="6 classes, but image 1 a detection of class 6: is the model's"):
        scores(tmp_path, truth, samples)


def test_openimages_matches_singles_then_groups():
    gt = np.array([[0, 0, 10, 10, 0], [50, 50, 40, 40, 1.0]])
    boxes = [[0, 0, 10, 9], [0, 0, 9, 10], [60, 60, 10, 10], [200, 0, 5, 5], [55, 55, 10, 10]]
    found = np.array([[1, *b, s, 1] for b, s in zip(boxes, [0.9, 0.8, 0.7, 0.6, 0.3])])
    score, hit = match(found, gt)
    # the second is a repeat, the third and fifth are one hit of the group with the better score
    assert sorted(zip(score.tolist(), hit.tolist())) == [(0.6, False), (0.7, True), (0.8, False), (0.9, True)]
    assert average_precision(score, hit, 2) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_openimages_judges_verified_classes_and_the_best_detections():
    categories = [dict(id=1), dict(id=2), dict(id=3)]
    images = [dict(id=1, pos_category_ids=[1], neg_category_ids=[2]), dict(id=2, pos_category_ids=[2])]
    annotations = [
        dict(image_id=1, category_id=1, bbox=[0, 0, 10, 10]),
        dict(image_id=2, category_id=2, bbox=[0, 0, 10, 10]),
    ]
    truth = dict(images=images, annotations=annotations, categories=categories)
    found = np.array(
        [
            [1, 0, 0, 10, 10, 0.5, 1],
            [2, 0, 0, 10, 10, 0.9, 1],  # not verified there: not judged
            [1, 0, 0, 10, 10, 0.9, 2],  # known to be absent: a false alarm
            [2, 0, 0, 10, 10, 0.5, 2],
        ]
    )
    ap = expanded_ap50(truth, found)
    assert ap[1] == 1 and ap[2] == pytest.approx(0.5) and np.isnan(ap[3])
    ap = expanded_ap50(truth, found, max_detections=1)
    assert ap[1] == ap[2] == 0 and len(best_of_each_image(found, 1)) == 2


def test_openimages_agrees_with_another_implementation(tmp_path):
    import hotcoco

    truth, samples = made(3)
    for a in truth['annotations']:
        a['is_group_of'] = a['iscrowd'] = int(a['id'] % 4 == 0)
    for image in truth['images']:  # the other one takes every class as verified everywhere
        image['neg_category_ids'] = [c['id'] for c in truth['categories']]
    mine = scores(tmp_path, truth, samples, protocol='openimages')
    with contextlib.redirect_stdout(io.StringIO()):
        gt = hotcoco.COCO(str(tmp_path / 'gt.json'))
        run = hotcoco.COCOeval(
            gt, gt.load_res(str(tmp_path / 'openimages.bbox.json')), 'bbox', oid_style=True
        )
        run.run()
    assert mine['bbox_AP50'] == pytest.approx(100 * run.results()['metrics']['AP'], abs=1e-3)
