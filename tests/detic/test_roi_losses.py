"""The RoI head's mask, caption and wsddn losses against goldens computed without it (tests/data)."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from mmroad.detic.bbox_head import load_image_counts
from mmroad.detic.mask_targets import mask_targets, rasterize
from mmroad.detic.roi_head import Matched
from mmroad.zoo.configs import get_config
from mmroad.zoo.models import build_model, uninitialized

GOLDEN = json.loads((Path(__file__).parents[1] / 'data/detic_goldens.json').read_text())
META = [dict(img_shape=(40, 60))] * 2


def sines(*shape, step):
    values = 3 * np.sin(step * np.arange(1, np.prod(shape) + 1))
    return torch.from_numpy(values.reshape(shape))


@pytest.fixture(scope='module')
def head():
    cfg = get_config('Detic_LbaseCCcapimg_CLIP_R5021k_640b64_4x_ft4x_max-size').model.roi_head
    cfg.train_cfg, cfg.test_cfg = ConfigDict(mask_size=28), None
    cfg.bbox_head.update(num_classes=4, fc_out_channels=8, image_counts=None)
    with uninitialized():
        return MODELS.build(cfg)


def masks_of(outlines):
    return PolygonMasks([[np.array(p, float) for p in polygons] for polygons in outlines], 40, 60)


def test_mask_targets_and_loss_are_the_goldens(head, monkeypatch):
    golden = GOLDEN['mask']
    regions = torch.tensor(golden['regions'])
    boxes, index = regions[:, :4], regions[:, 4].long()
    masks = masks_of(golden['outlines'])
    assert mask_targets(masks, boxes, index, 28).sum((1, 2)).tolist() == golden['cells']
    # two images: the first has the objects 0 and 1, the second the object 2; a background region lies between
    first, background = 4, 9
    labels = torch.tensor([3, 1, 3, 2, background])
    extra = torch.tensor([[0.0, 0, 9, 9]])
    matched = [
        Matched(torch.cat([boxes[:first], extra]), labels, torch.cat([index[:first], index[:1]]), None),
        Matched(boxes[first:], labels[:2], torch.zeros(2, dtype=torch.long), None),
    ]
    matched = [m._replace(gt_bboxes=m.bboxes) for m in matched]
    gts = [
        InstanceData(masks=masks_of(golden['outlines'][:2])),
        InstanceData(masks=masks_of(golden['outlines'][2:])),
    ]
    asked = []

    def forward(x, rois):
        asked.append(rois)
        return sines(len(rois), 1, 28, 28, step=0.37)

    monkeypatch.setattr(head, '_mask_forward', forward)
    assert float(head._mask_loss((), matched, gts, background)) == pytest.approx(golden['loss'], rel=1e-6)
    assert asked[0][:, 0].tolist() == [0, 0, 0, 0, 1, 1] and asked[0][:, 1:].equal(boxes)
    with pytest.raises(ValueError, match='the ground truth has none: load them'):
        head._mask_loss((), matched, [InstanceData(), InstanceData()], background)


def test_bitmaps_are_pooled_in_whole_regions():
    """Their part beyond the image is background; a clipped region would be stretched over the target."""
    bitmap = BitmapMasks(np.ones((1, 8, 8), np.uint8), 8, 8)
    target = mask_targets(bitmap, torch.tensor([[-8.0, 0, 8, 8]]), torch.tensor([0]), 4)[0]
    assert target.tolist() == [[0, 0, 1, 1]] * 4
    outline = masks_of([[[0, 0, 8, 0, 8, 8, 0, 8]]])
    assert mask_targets(outline, torch.tensor([[-8.0, 0, 8, 8]]), torch.tensor([0]), 4)[0].equal(target)
    assert mask_targets(outline, torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), 4).shape == (0, 4, 4)


def test_a_region_thinner_than_a_tenth_of_a_pixel_is_scaled_as_one_of_it():
    square = [np.array([0, 0, 1, 0, 1, 1, 0, 1.0])]
    thin, tenth = (rasterize(square, np.array([0.4, 0, 0.4 + w, 1]), 8) for w in (1e-3, 0.1))
    assert (thin == tenth).all() and thin.sum() == 64


def weak_loss(head, monkeypatch, golden, labels=None, prop=None, captions=None, logits=None, **options):
    logits = sines(*golden['shape'], step=0.61) if logits is None else logits
    for name, value in dict(dict(image_box=True), **options).items():
        monkeypatch.setattr(head, name, value)

    def stage_forward(stage, x, boxes, weight):
        count = [len(b) for b in boxes]
        deltas = tuple(torch.zeros(n, 4) for n in count)
        return tuple(logits[stage]), deltas, None if prop is None else tuple(prop[stage])

    monkeypatch.setattr(head, 'stage_forward', stage_forward)
    monkeypatch.setattr(head, 'refine', lambda stage, boxes, deltas, shape: boxes)
    proposals = [InstanceData(bboxes=torch.tensor([[0.0, 0, 9, 9]] * (golden['shape'][2] - 1)))] * 2
    with torch.no_grad():
        head.bbox_head[0].fc_cls.zs_weight = torch.zeros(512, 5)
    return head.weak_loss((), proposals, META, labels, None, captions, golden.get('first', 0))


@pytest.mark.parametrize('weights', list(GOLDEN['caption']['losses']))
def test_the_caption_loss_is_the_golden(head, monkeypatch, weights):
    golden = GOLDEN['caption']
    weight, negative = map(float, weights.split())
    captions = torch.zeros(golden['captions'], 512)
    losses = weak_loss(
        head, monkeypatch, golden, captions=captions, caption_weight=weight, neg_caption_weight=negative
    )
    assert list(losses) == [f's{i}.loss_caption' for i in range(3)]
    assert [float(v) for v in losses.values()] == pytest.approx(golden['losses'][weights], rel=1e-6)


def test_captions_weigh_as_the_configs_say():
    weights = {}
    for name in (
        'Detic_LbaseCCcapimg_CLIP_R5021k_640b64_4x_ft4x_max-size',
        'Detic_OVCOCO_CLIP_R50_1x_caption',
    ):
        with uninitialized():
            roi_head = build_model(get_config(name)).roi_head
        weights[name] = roi_head.image_loss_weight, roi_head.caption_weight, roi_head.neg_caption_weight
    assert list(weights.values()) == [(0.1, 1, 0.125), (0.1, 1, 1)]


def test_an_image_without_regions_adds_no_caption_loss(head, monkeypatch):
    """A later stage may leave none, the whole image's among them."""
    golden = GOLDEN['caption']
    logits = [list(stage) for stage in sines(*golden['shape'], step=0.61).requires_grad_()]
    logits[1][1] = logits[1][1][:0]
    losses = weak_loss(
        head, monkeypatch, golden, captions=torch.zeros(golden['captions'], 512), logits=logits,
        caption_weight=1.0, neg_caption_weight=1.0,
    )  # fmt: skip
    logits[1][0] = logits[1][0][-1:]
    alone = weak_loss(
        head, monkeypatch, golden, captions=torch.zeros(golden['captions'], 512), logits=logits,
        caption_weight=1.0, neg_caption_weight=1.0,
    )  # fmt: skip
    assert 0 < float(losses['s1.loss_caption']) == float(alone['s1.loss_caption'])
    assert [float(losses[f's{i}.loss_caption']) for i in (0, 2)] == pytest.approx(
        [golden['losses']['1.0 1.0'][i] for i in (0, 2)]
    )


def test_the_wsddn_loss_is_the_golden(head, monkeypatch):
    golden = GOLDEN['wsddn']
    logits, prop = (sines(*golden['shape'], step=step) for step in (0.83, 0.29))
    labels = [torch.tensor(own) for own in golden['labels']]
    losses = weak_loss(head, monkeypatch, golden, labels, prop, logits=logits, image_loss='wsddn')
    assert [float(losses[f's{i}.loss_image']) for i in range(3)] == pytest.approx(golden['losses'], rel=1e-6)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(image_loss='largest'), "image_loss must be one of max_size, .*, not 'largest'"),
        (dict(image_loss='image', image_box=False), 'judges the whole-image region: set image_box=True'),
        (dict(image_loss='wsddn'), 'needs the second stream'),
    ],
)
def test_losses_that_cannot_be_are_refused_when_built(options, words):
    cfg = get_config('Detic_LbaseCCcapimg_CLIP_R5021k_640b64_4x_ft4x_max-size').model.roi_head
    cfg.bbox_head.update(num_classes=4, fc_out_channels=8)
    with pytest.raises(ValueError, match=words), uninitialized():
        MODELS.build(ConfigDict(cfg, **options, train_cfg=None, test_cfg=None))


def test_image_labels_without_a_loss_are_refused(head, monkeypatch):
    golden = GOLDEN['wsddn']
    with pytest.raises(ValueError, match='a batch has image labels, the model no loss of them'):
        weak_loss(head, monkeypatch, golden, [torch.tensor([0])] * 2, image_loss=None)


def test_class_counts_are_checked(tmp_path):
    path = tmp_path / 'counts.json'

    def counts(content, *limits):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return load_image_counts(path, *limits).tolist()

    three = [dict(id=i, image_count=i * 10, name='x') for i in (3, 1, 2)]
    assert counts(three) == counts(three, 3) == counts(three, 9, 1) == [10, 20, 30]
    for content, limits, words in (
        (three, (4,), 'counts.json counts 3 classes, the head has 4'),
        (three, (2, 1), 'counts.json counts 3 classes, the head has 2'),
        ([*three, three[0]], (), 'counts.json: a class is counted twice'),
        ([dict(id=1, image_count=-1)], (), 'counts.json: .* less than 0 times'),
        ([dict(id=1)], (), r'counts.json: not a list of class counts: .*`image_count` - at `\$\[0\]`'),
        ('{}', (), 'counts.json: not a list of class counts'),
    ):
        with pytest.raises(ValueError, match=words):
            counts(content, *limits)
    with pytest.raises(FileNotFoundError, match='class counts .*none.json not found'):
        load_image_counts(tmp_path / 'none.json')
