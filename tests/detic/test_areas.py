"""Detections and ground truth without area, beside the lvis API and what detectron2 does after its best 300."""

import contextlib
import io
import json

import numpy as np
import pytest
import torch
from mmcv.ops import nms

from mmroad.detic.metric import OpenVocabularyMetric
from mmroad.detic.openimages import expanded_ap50
from mmroad.detic.suppression import select_detections


def problem(seed, masks):
    """Ground truth and detections, some of no width, no height, no area or with an empty mask, with equal scores;
    every fourth has more than 300 detections an image."""
    rng = np.random.default_rng(seed)
    size, classes = int(rng.integers(24, 64)), int(rng.integers(2, 6))
    categories = [dict(id=2 * c + 1, name=f'c{c}', frequency='rcf'[c % 3]) for c in range(classes)]
    truth, samples = dict(images=[], annotations=[], categories=categories), []
    for image in range(1, int(rng.integers(3, 6))):
        present, own = rng.choice(classes, int(rng.integers(1, classes + 1)), replace=False), []
        for c in np.repeat(present, 2):
            (x, y), (w, h) = rng.integers(0, size - 8, 2).tolist(), rng.integers(3, size - 8, 2).tolist()
            w = 0 if rng.random() < 0.1 else w
            area = 0 if rng.random() < 0.1 else w * h
            outline = [[x, y, x + w, y, x + w, y + h, x, y + h]]
            truth['annotations'].append(
                dict(id=len(truth['annotations']) + 1, image_id=image, category_id=2 * int(c) + 1,
                     bbox=[x, y, w, h], area=area, segmentation=outline)
            )  # fmt: skip
            own.append((int(c), x, y, w, h))
        absent = [2 * c + 1 for c in range(classes) if c not in present and rng.random() < 0.6]
        some = [2 * int(c) + 1 for c in present if rng.random() < 0.3]
        truth['images'].append(
            dict(id=image, width=size, height=size, neg_category_ids=absent, not_exhaustive_category_ids=some)
        )
        found = []
        for _ in range(320 if seed % 4 == 3 else int(rng.integers(1, 12))):
            c, x, y, w, h = own[rng.integers(len(own))]
            c = c if rng.random() < 0.8 else int(rng.integers(classes))
            dx, dy = rng.integers(-2, 3, 2).tolist()
            w, h = (0 if rng.random() < 0.1 else side for side in (w, h))
            mask = np.zeros((size, size), bool)
            if rng.random() < 0.8:
                mask[max(y + dy, 0) : y + dy + h, max(x + dx, 0) : x + dx + w] = True
            score = round(float(rng.random()), 1 if rng.random() < 0.5 else 6)
            found.append(([x + dx, y + dy, x + dx + w, y + dy + h], c, score, mask))
        boxes, labels, scores, shapes = zip(*found)
        instances = dict(bboxes=torch.tensor(boxes).double(), labels=torch.tensor(labels))
        instances['scores'] = torch.tensor(scores, dtype=torch.float64)
        if masks:
            instances['masks'] = torch.from_numpy(np.array(shapes))
        samples.append(dict(img_id=image, pred_instances=instances))
    return truth, samples


def scores(tmp_path, truth, samples, **options):
    (tmp_path / 'gt.json').write_text(json.dumps(truth))
    metric = OpenVocabularyMetric(str(tmp_path / 'gt.json'), format_dir=str(tmp_path), **options)
    metric.process({}, samples)
    return metric.compute_metrics(metric.results)


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_lvis_scores_without_areas_are_the_lvis_apis(tmp_path, monkeypatch, iou_type):
    lvis = pytest.importorskip('lvis', reason='the lvis API is not installed')
    monkeypatch.setattr(np, 'float', float, raising=False)  # the API is older than numpy 1.24
    for seed in range(8):
        mine = scores(
            tmp_path,
            *problem(seed, iou_type == 'segm'),
            protocol='lvis',
            iou_types=[iou_type],
            groups=dict(rare='r'),
        )
        with contextlib.redirect_stdout(io.StringIO()):
            run = lvis.LVISEval(str(tmp_path / 'gt.json'), str(tmp_path / f'lvis.{iou_type}.json'), iou_type)
            run.run()
        for key in ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'APr', 'APc', 'APf'):
            want = 100 * run.results[key]
            got = mine[f'{iou_type}_{key}']
            assert np.isnan(got) if want == -100 else got == pytest.approx(want, abs=1e-9), (seed, key)


def flat_case():
    """One object, found; before it a better detection of the class that has no area."""
    image = dict(id=1, width=20, height=20, pos_category_ids=[1], neg_category_ids=[])
    truth = dict(
        images=[image],
        categories=[dict(id=1, name='a', frequency='f')],
        annotations=[dict(id=1, image_id=1, category_id=1, bbox=[2, 2, 8, 8], area=64)],
    )
    found = dict(
        bboxes=torch.tensor([[5.0, 5, 5, 9], [2, 2, 10, 10]]),
        labels=torch.tensor([0, 0]),
        scores=torch.tensor([0.9, 0.8]),
    )
    return truth, [dict(img_id=1, pred_instances=found)]


@pytest.mark.parametrize(('protocol', 'want'), [('lvis', 100), ('openimages', 100), ('coco', 50)])
def test_a_flat_detection_is_a_false_alarm_with_coco_alone(tmp_path, protocol, want):
    truth, samples = flat_case()
    assert scores(tmp_path, truth, samples, protocol=protocol)['bbox_AP50'] == pytest.approx(want, abs=0.5)
    # and ground truth without area cannot be missed
    truth['annotations'].append(dict(id=2, image_id=1, category_id=1, bbox=[4, 4, 0, 9], area=0))
    got = scores(tmp_path, truth, samples, protocol=protocol)['bbox_AP50']
    assert got == pytest.approx(100 if want == 100 else 25, abs=0.5)


def test_the_best_of_an_image_are_taken_before_areas_are_looked_at(tmp_path):
    truth, samples = flat_case()
    truth['annotations'] *= 2
    found = samples[0]['pred_instances']
    many = torch.tensor([[5.0, 5, 5, 9]]).repeat(300, 1)
    found.update(
        bboxes=torch.cat([many, found['bboxes'][1:]]),
        labels=torch.zeros(301, dtype=torch.long),
        scores=torch.linspace(1, 0.5, 301),
    )
    for protocol in ('lvis', 'openimages'):
        assert scores(tmp_path, truth, samples, protocol=protocol)['bbox_AP50'] == 0
        found['scores'][0] = 0.1  # one of the flat ones is worse: then the object is among the 300
        assert scores(tmp_path, truth, samples, protocol=protocol)['bbox_AP50'] > 0
        found['scores'][0] = 1


def test_lvis_knows_no_crowds(tmp_path):
    """A file that marks some is scored as its API does: they are objects like others."""
    truth, samples = flat_case()
    truth['annotations'].append(
        dict(id=2, image_id=1, category_id=1, bbox=[12, 12, 6, 6], area=36, iscrowd=1)
    )
    marked = scores(tmp_path, truth, samples, protocol='lvis')['bbox_AP50']
    truth['annotations'][1]['iscrowd'] = 0
    assert (
        marked == scores(tmp_path, truth, samples, protocol='lvis')['bbox_AP50'] == pytest.approx(50, abs=1)
    )


def test_areas_that_a_file_does_not_tell_are_the_masks_else_the_boxes(tmp_path):
    truth, samples = flat_case()
    annotation = truth['annotations'][0]
    del annotation['area']
    assert scores(tmp_path, truth, samples, protocol='lvis')['bbox_APs'] == pytest.approx(100)
    annotation.update(bbox=[0, 0, 40, 40], segmentation=[[0, 0, 40, 0, 0, 40]])  # 800 of 1600: small
    truth['images'][0].update(width=50, height=50)
    samples[0]['pred_instances']['bboxes'] = torch.tensor([[0.0, 0, 40, 40], [0, 0, 9, 0]])
    got = scores(tmp_path, truth, samples, protocol='lvis')
    assert got['bbox_APs'] == pytest.approx(100) and np.isnan(got['bbox_APm'])


def by_the_text(boxes, scores, threshold, iou, number):
    """detectron2's rule: threshold, suppression within a class, the best ones, then those with an area."""
    region, label = np.nonzero(scores > threshold)
    kept = []
    for c in np.unique(label):
        own = region[label == c]
        keep = nms(torch.from_numpy(boxes[own]), torch.from_numpy(scores[own, c]), iou)[1].numpy()
        kept += [(scores[r, c], r, c) for r in own[keep]]
    kept = sorted(kept, reverse=True)[:number]
    return [(r, c) for _, r, c in kept if boxes[r, 2] > boxes[r, 0] and boxes[r, 3] > boxes[r, 1]]


def test_boxes_without_width_or_height_are_dropped_after_the_best():
    dropped = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n, classes, number = int(rng.integers(1, 40)), int(rng.integers(1, 5)), int(rng.integers(1, 60))
        low = rng.uniform(-20, 60, (n, 2))
        boxes = np.concatenate([low, low + rng.uniform(0, 40, (n, 2))], 1).clip(0, 50).astype(np.float32)
        scores = (rng.permutation(n * classes).reshape(n, classes) / (n * classes)).astype(np.float32)
        cfg = dict(score_thr=0.2, nms=dict(iou_threshold=0.5), max_per_img=number)
        found = select_detections(torch.from_numpy(boxes), torch.from_numpy(scores), cfg)
        want = by_the_text(boxes, scores, 0.2, 0.5, number)
        assert list(zip(found.regions.tolist(), found.labels.tolist())) == want, seed
        assert torch.equal(found.bboxes, torch.from_numpy(boxes)[found.regions])
        assert torch.equal(found.scores, torch.from_numpy(scores)[found.regions, found.labels])
        every = select_detections(
            torch.from_numpy(boxes + np.float32([0, 0, 0.5, 0.5])), torch.from_numpy(scores), cfg
        )
        dropped += len(every) > len(found)
    assert dropped > 15


def test_openimages_best_300_by_default():
    """The objects found are the 250th to 300th best of 310 detections."""
    image = dict(id=1, pos_category_ids=[1], neg_category_ids=[2])
    annotations = [dict(image_id=1, category_id=1, bbox=[20 * k, 0, 10, 10]) for k in range(60)]
    truth = dict(images=[image], annotations=annotations, categories=[dict(id=1), dict(id=2)])
    others = [[1, 0, 50, 10, 10, 2 - k / 1000, 2] for k in range(250)]
    hits = [[1, 20 * k, 0, 10, 10, 1 - k / 1000, 1] for k in range(60)]
    assert expanded_ap50(truth, np.array(others + hits))[1] == pytest.approx(50 / 60)
