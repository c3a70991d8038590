"""AP of groups of classes and of OpenImages, against the lvis API, pycocotools and other implementations."""

import contextlib
import io
import json

import numpy as np
import pytest
import torch

from mmroad.detic.lvis_style import Category
from mmroad.detic.metric import OpenVocabularyMetric
from mmroad.detic.openimages import (
    average_precision,
    best_of_each_image,
    expanded_ap50,
    match,
    read_hierarchy,
)


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


def test_openimages_overlaps_of_one_half_count():
    gt = np.array([[0, 0, 10, 10, 0], [50, 50, 40, 40, 1.0]])
    boxes = [[0, 0, 10, 5], [45, 60, 10, 10]]  # IoU 0.5 with the object; half inside the group
    score, hit = match(np.array([[1, *b, s, 1] for b, s in zip(boxes, [0.9, 0.7])]), gt)
    assert sorted(zip(score.tolist(), hit.tolist())) == [(0.7, True), (0.9, True)]
    boxes = [[0, 0, 10, 4.9], [44.9, 60, 10, 10]]
    assert not match(np.array([[1, *b, s, 1] for b, s in zip(boxes, [0.9, 0.7])]), gt)[1].any()


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
    # a box verifies its class where the image's lists forget it
    annotations.append(dict(image_id=2, category_id=3, bbox=[50, 50, 10, 10]))
    more = np.concatenate([found, [[2, 50, 50, 10, 10, 0.5, 3], [1, 50, 50, 10, 10, 0.9, 3]]])
    assert expanded_ap50(truth, more)[3] == 1
    del annotations[-1]
    ap = expanded_ap50(truth, found, max_detections=1)
    assert ap[1] == ap[2] == 0 and len(best_of_each_image(found, 1)) == 2


def test_openimages_groups_are_read_as_truth_values():
    """A small box in a group is one of its objects; of a single object it finds too little."""
    found = np.array([[1, 0, 0, 5, 10, 0.5, 1]])
    truth = dict(images=[dict(id=1)], categories=[dict(id=1)])
    for crowd, want in (
        (1, 1),
        (True, 1),
        ('true', 1),
        (0, 0),
        (False, 0),
        ('0', 0),
        ('false', 0),
        (None, 0),
    ):
        box = dict(image_id=1, category_id=1, bbox=[0, 0, 30, 10], iscrowd=crowd)
        assert expanded_ap50(dict(truth, annotations=[box]), found)[1] == want, crowd


@pytest.mark.parametrize('rank, ap', [(300, 1), (301, 0)])
def test_openimages_takes_the_300_best_of_an_image(rank, ap):
    truth = dict(
        images=[dict(id=1, pos_category_ids=[1])],
        annotations=[dict(image_id=1, category_id=1, bbox=[0, 0, 10, 10])],
        categories=[dict(id=1), dict(id=2)],
    )
    found = np.tile([1, 0, 0, 10, 10, 0.9, 2], (rank, 1))
    found[-1, 5:] = 0.1, 1
    assert expanded_ap50(truth, found)[1] == ap


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


def hierarchy(tmp_path, **names):
    """animal: dog (poodle), cat; pet: cat; a part is no class below."""
    node = lambda name, *below, **more: dict(LabelName=name, Subcategory=list(below), **more)  # noqa: E731
    tree = node(
        '/m/root',
        node('/m/animal', node('/m/dog', node('/m/poodle')), dict(LabelName='/m/cat')),
        node('/m/pet', dict(LabelName='/m/cat'), Part=[dict(LabelName='/m/dog')]),
    )
    (tmp_path / 'challenge-2019-label500-hierarchy.json').write_text(json.dumps(tree))
    words = ('animal', 'dog', 'poodle', 'cat', 'pet')
    return [dict(id=i, name=w, freebase_id=names.get(w, f'/m/{w}')) for i, w in enumerate(words, 3)]


def test_openimages_expands_detections_along_the_hierarchy(tmp_path):
    categories = hierarchy(tmp_path)
    path = tmp_path / 'challenge-2019-label500-hierarchy.json'
    above = read_hierarchy(path, [Category(**c) for c in categories])
    assert above == {3: set(), 4: {3}, 5: {3, 4}, 6: {3, 7}, 7: set()}
    box = [10, 10, 30, 30]
    image = dict(id=1, width=64, height=64, pos_category_ids=[3, 4, 5, 7], neg_category_ids=[6])
    truth = dict(
        images=[image],
        categories=categories,
        annotations=[
            dict(id=c, image_id=1, category_id=c, bbox=box, area=900, iscrowd=0) for c in (3, 4, 5, 7)
        ],
    )
    found = dict(
        bboxes=torch.tensor([[10.0, 10, 40, 40], [50, 50, 60, 60]]),
        labels=torch.tensor([2, 3]),  # a poodle where it is, and a cat where there is none
        scores=torch.tensor([0.9, 0.95]),
    )
    samples = [dict(img_id=1, pred_instances=found)]
    mine = scores(tmp_path, truth, samples, protocol='openimages')
    # poodle alone is found; expanded, dog and poodle, and animal after the cat's false alarm; pet never
    assert mine == dict(bbox_AP50=pytest.approx(25), bbox_AP50_expand=pytest.approx((50 + 100 + 100) / 4))
    path.rename(tmp_path / 'other.json')
    assert set(scores(tmp_path, truth, samples, protocol='openimages')) == {'bbox_AP50'}
    again = scores(tmp_path, truth, samples, protocol='openimages', hierarchy=str(tmp_path / 'other.json'))
    assert again == mine
    with pytest.raises(FileNotFoundError, match='none.json: no such file .*hierarchy of OpenImages'):
        scores(tmp_path, truth, samples, protocol='openimages', hierarchy=str(tmp_path / 'none.json'))
    with pytest.raises(
        ValueError, match='other.json: classes that no category has as its freebase_id: /m/dog'
    ):
        read_hierarchy(tmp_path / 'other.json', [Category(**c) for c in hierarchy(tmp_path, dog='/m/wolf')])


@pytest.mark.parametrize('protocol', ['coco', 'lvis', 'openimages'])
def test_no_detection_at_all_scores_zero(tmp_path, protocol):
    truth, samples = made(4)
    for s in samples:
        s['pred_instances'] = {k: v[:0] for k, v in s['pred_instances'].items()}
    truth['annotations'] = [a for a in truth['annotations'] if a['category_id'] != 2]
    mine = scores(
        tmp_path, truth, samples, protocol=protocol, groups=dict(first=['class_0'], second=['class_1'])
    )
    assert mine['bbox_AP50'] == 0
    if protocol != 'openimages':
        assert np.isnan(mine['bbox_first_AP']) and mine['bbox_second_AP'] == 0  # no class_0 in the truth


def test_the_images_that_were_run_are_scored(tmp_path):
    truth, samples = made(5)
    part = dict(truth, images=truth['images'][:5])
    part['annotations'] = [a for a in truth['annotations'] if a['image_id'] <= 5]
    for protocol in ('coco', 'lvis', 'openimages'):
        want = scores(tmp_path, part, samples[:5], protocol=protocol)
        got = scores(tmp_path, truth, samples[:5], protocol=protocol)
        assert got == pytest.approx(want, nan_ok=True) and got['bbox_AP50'] > 20
    with pytest.raises(
        ValueError, match=r'gt.json has no images \[6, 7, 8, 9, 10\] \(7 of 12 that were run\)'
    ):
        scores(tmp_path, part, samples)


def test_what_is_wrong_is_said_when_the_metric_is_built(tmp_path):
    truth, _ = made()
    path = tmp_path / 'gt.json'
    with pytest.raises(FileNotFoundError, match='gt.json not found'):
        OpenVocabularyMetric(str(path))
    path.write_text('<html>')
    with pytest.raises(ValueError, match='gt.json: not a COCO- or LVIS-style .*web page'):
        OpenVocabularyMetric(str(path))
    path.write_text(json.dumps(truth))
    for options, words in (
        (dict(groups=dict(seen=['lynx'])), 'no classes named lynx'),
        (dict(groups=dict(seen='lynx')), 'no classes named lynx'),
        (dict(iou_types=['mask']), "of \\('bbox', 'segm'\\), not \\('mask',\\)"),
        (dict(protocol='openimages', iou_types='segm'), "iou_types of openimages must be of \\('bbox',\\)"),
        (dict(hierarchy='x.json'), 'belongs to the protocol openimages'),
        (dict(format_only=True), 'format_only needs a folder'),
        (dict(protocol='voc'), 'protocol must be one of'),
    ):
        with pytest.raises(ValueError, match=words):
            OpenVocabularyMetric(str(path), **options)
    metric = OpenVocabularyMetric(str(path), groups=dict(one='class_2', rare='r'))
    assert metric.groups == dict(one=[2], rare=[0, 3])
    names = [c['name'] for c in truth['categories']]
    metric.dataset_meta = dict(classes=names)
    metric.dataset_meta = [
        dict(classes=['other']),
        dict(classes=[n.upper() for n in names]),
    ]  # one of two sets
    for classes in (names[:5], names[::-1], ['a'] * 6):
        with pytest.raises(
            ValueError, match='gt.json has 6 categories .class_0, .*, the data set has other classes'
        ):
            metric.dataset_meta = dict(classes=classes)


def test_two_metrics_do_not_write_one_file(tmp_path):
    truth, samples = made()
    paths = [tmp_path / f'{name}.json' for name in 'ab']
    for path in paths:
        path.write_text(json.dumps(truth))
    first = OpenVocabularyMetric(str(paths[0]), format_dir=str(tmp_path / 'out'))
    OpenVocabularyMetric(
        str(paths[0]), format_dir=str(tmp_path / 'out')
    )  # training's and testing's of one file
    with pytest.raises(ValueError, match='a.json and .*b.json would both write .*out/coco'):
        OpenVocabularyMetric(str(paths[1]), format_dir=str(tmp_path / 'out'))
    second = OpenVocabularyMetric(
        str(paths[1]), format_dir=str(tmp_path / 'out'), prefix='b', format_only=True
    )
    for metric in (first, second):
        metric.process({}, samples)
        metric.compute_metrics(metric.results)
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == ['b.bbox.json', 'coco.bbox.json']


def test_numbers_that_are_none_are_left_out_and_told(tmp_path, monkeypatch):
    truth, samples = made()
    want = scores(tmp_path, truth, samples)
    found = samples[2]['pred_instances']
    found['bboxes'] = torch.cat([found['bboxes'], torch.tensor([[1.0, 2, torch.nan, 4], [0, 0, 9, 9]])])
    found['labels'] = torch.cat([found['labels'], torch.tensor([0, 0])])
    found['scores'] = torch.cat([found['scores'], torch.tensor([0.5, torch.inf])])
    told = []
    monkeypatch.setattr('mmroad.detic.metric.print_log', lambda text, *_, **__: told.append(text))
    got = scores(tmp_path, truth, samples)
    assert got == pytest.approx(want, nan_ok=True)
    assert 'left out: 2 detections with a box or score that is no number, in images [3]' in told[0]


def test_masks_that_are_missing_are_named(tmp_path):
    truth, samples = made()
    with pytest.raises(ValueError, match='image 1 has no masks to score'):
        scores(tmp_path, truth, samples, iou_types=['segm'])
    for s in samples:
        s['pred_instances']['masks'] = torch.ones(
            len(s['pred_instances']['labels']), 128, 128, dtype=torch.bool
        )
    del truth['annotations'][3]['segmentation']
    with pytest.raises(ValueError, match=r'annotations\[3\], image 2: no segmentation'):
        scores(tmp_path, truth, samples, iou_types=['segm'])
    truth['annotations'][3]['segmentation'] = dict(size=[128, 128], counts=[5, 10])
    with pytest.raises(
        ValueError, match=r'annotations\[3\], image 2: segmentation: the runs of counts fill 15 pixels'
    ):
        scores(tmp_path, truth, samples, iou_types=['segm'])


def square(x: float, side: int = 10) -> torch.Tensor:
    mask = torch.zeros(128, 128, dtype=torch.bool)
    mask[:side, int(x) : int(x) + side] = True
    return mask


def lvis_scores(tmp_path, boxes, scores_, labels, masks=None, annotations=None, **options):
    """LVIS's scores of one image with a square of 10 pixels' side of the first of two classes."""
    square_ = [[0, 0, 10, 0, 10, 10, 0, 10]]
    annotations = annotations or [dict(bbox=[0, 0, 10, 10], area=100, segmentation=square_)]
    annotations = [dict(id=k, image_id=1, category_id=1, **a) for k, a in enumerate(annotations, 1)]
    image = dict(id=1, width=128, height=128, pos_category_ids=[1], neg_category_ids=[2])
    truth = dict(
        images=[dict(image, not_exhaustive_category_ids=[])],
        annotations=annotations,
        categories=[dict(id=k, name=f'c{k}', frequency='f', image_count=9) for k in (1, 2)],
    )
    found = dict(bboxes=torch.tensor(boxes, dtype=torch.float64), scores=torch.tensor(scores_))
    found['labels'] = torch.tensor(labels)
    if masks is not None:
        found['masks'] = masks
    sample = dict(img_id=1, pred_instances=found)
    options = dict(protocol='lvis', iou_types=('bbox',) if masks is None else ('bbox', 'segm')) | options
    return scores(tmp_path, truth, [sample], **options)


@pytest.mark.parametrize(('before', 'ap'), [(299, 100), (300, 0)])
def test_lvis_takes_the_300_best_of_an_image(tmp_path, before, ap):
    boxes = [[50.0, 0, 60, 10]] * before + [[0.0, 0, 10, 10]]
    masks = torch.stack([square(50)] * before + [square(0)])
    values = [0.9] * before + [0.1]
    found = lvis_scores(tmp_path, boxes, values, [1] * before + [0], masks)
    assert found['bbox_AP'] == pytest.approx(ap) and found['segm_AP'] == pytest.approx(ap)


def test_lvis_counts_nothing_without_an_area(tmp_path):
    boxes = [[0.0, 0, 10, 0], [0.0, 0, 0, 10], [0.0, 0, 10, 10]]
    masks = torch.stack([square(0, 0), square(0, 0), square(0)])
    found = lvis_scores(tmp_path, boxes, [0.9, 0.8, 0.7], [0, 0, 0], masks)
    assert found['bbox_AP'] == pytest.approx(100) and found['segm_AP'] == pytest.approx(100)
    # a small one counts; of the truth, too, what has no area is left out
    small = [dict(bbox=[0, 0, 0.5, 1], area=0.5), dict(bbox=[50, 50, 0, 0], area=0)]
    found = lvis_scores(tmp_path, [[0.0, 0, 0.5, 1]], [0.9], [0], annotations=small)
    assert found['bbox_AP'] == pytest.approx(100)


def test_masks_of_lvis_are_scored_as_its_api_does(tmp_path, monkeypatch):
    lvis = pytest.importorskip('lvis', reason='the lvis API is not installed')
    monkeypatch.setattr(np, 'float', float, raising=False)
    truth, samples = made(3)
    for s in samples:
        found = s['pred_instances']
        masks = torch.zeros(len(found['labels']), 128, 128, dtype=torch.bool)
        for mask, (x1, y1, x2, y2) in zip(masks, found['bboxes'].round().long().clamp(0, 128).tolist()):
            mask[y1 + 2 : y2, x1:x2] = True
        found['masks'] = masks
    mine = scores(tmp_path, truth, samples, protocol='lvis', iou_types='segm')
    with contextlib.redirect_stdout(io.StringIO()):
        run = lvis.LVISEval(str(tmp_path / 'gt.json'), str(tmp_path / 'lvis.segm.json'), 'segm')
        run.run()
    for key in ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APr', 'APc', 'APf'):
        assert mine[f'segm_{key}'] == pytest.approx(100 * run.results[key], abs=1e-6), key


def test_only_lvis_has_scores_by_frequency(tmp_path):
    truth, samples = made()
    assert not {'bbox_APr', 'bbox_APf'} & set(scores(tmp_path, truth, samples))
    del truth['categories'][0]['frequency']
    assert 'bbox_APr' not in scores(tmp_path, truth, samples, protocol='lvis')
    with pytest.raises(ValueError, match='no classes named x'):
        scores(tmp_path, truth, samples, groups=dict(some='x'))
