import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmroad.mask2former import SemSegMeanTTAModel
from mmroad.mask2former.metric import PublishedIoUMetric
from mmroad.zoo.configs import configs_folder


@pytest.fixture(scope='module')
def small():
    cfg = Config.fromfile(configs_folder() / 'rankseg/mask2former_small_road_scenes.py')
    init_default_scope('mmseg')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.decode_head.init_weights()
    return model.eval()


def batch(size, final, **meta):
    g = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, *size), generator=g, dtype=torch.uint8)
    sample = SegDataSample(metainfo=dict(ori_shape=final, img_shape=size, img_path='x.png', **meta))
    return dict(inputs=[image], data_samples=[sample])


def resized(x, size):
    return F.interpolate(x, size, mode='bilinear', align_corners=False)


@pytest.mark.parametrize('resize_masks', [False, True])
def test_both_published_orders_of_resize_and_product(small, resize_masks, monkeypatch):
    monkeypatch.setattr(small, 'resize_masks', resize_masks)
    monkeypatch.setitem(small.test_cfg, 'keep_logits', True)
    data = small.data_preprocessor(batch((50, 70), (120, 90)), False)
    with torch.no_grad():
        feats = small.extract_feat(data['inputs'])
        logits, masks = small.decode_head.predict_queries(feats, [s.metainfo for s in data['data_samples']])
        (got,) = small.predict(**data)
    scores, masks = logits.softmax(-1)[..., :-1], resized(masks, (64, 96))[..., :50, :70]
    if resize_masks:
        want = torch.einsum('bqc,bqhw->bchw', scores, resized(masks, (120, 90)).sigmoid())
    else:
        want = resized(torch.einsum('bqc,bqhw->bchw', scores, masks.sigmoid()), (120, 90))
    torch.testing.assert_close(got.seg_logits.data, want[0], atol=1e-5, rtol=0)
    assert torch.equal(got.pred_sem_seg.data[0], got.seg_logits.data.argmax(0))
    assert 'ranking' not in got


def test_views_are_averaged_without_a_softmax(small):
    model = SemSegMeanTTAModel(module=small)
    views = [
        batch((64, 96), (48, 72)),
        batch((96, 128), (48, 72), flip=True, flip_direction='horizontal'),
    ]
    data = {key: [view[key] for view in views] for key in views[0]}
    with torch.no_grad():
        (got,) = model.test_step(data)
        each = [small.test_step(batch(*args, **kw))[0].seg_logits.data for args, kw in (
            (((64, 96), (48, 72)), {}),
            (((96, 128), (48, 72)), dict(flip=True, flip_direction='horizontal')),
        )]  # fmt: skip
    torch.testing.assert_close(got.seg_logits.data, (each[0] + each[1]) / 2)
    assert torch.equal(got.pred_sem_seg.data[0], (each[0] + each[1]).argmax(0))
    samples = [SegDataSample(seg_logits=PixelData(data=e)) for e in each]
    (merged,) = model.merge_preds([samples])
    torch.testing.assert_close(merged.seg_logits.data, got.seg_logits.data)
    small.test_cfg.pop('keep_logits')


def test_a_class_without_ground_truth_is_left_out_of_the_published_mean():
    metric = PublishedIoUMetric()
    metric.dataset_meta = dict(classes='abc')
    gt = torch.tensor([[[0, 0, 0, 1], [1, 1, 255, 255]]])
    pred = torch.tensor([[[0, 0, 2, 1], [1, 0, 2, 0]]])
    metric.process({}, [dict(gt_sem_seg=dict(data=gt), pred_sem_seg=dict(data=pred))])
    got = metric.evaluate(1)
    assert got == pytest.approx(
        {
            'published/mIoU': 100 * np.mean([2 / 4, 2 / 3]),
            'published/mAcc': 100 * 2 / 3,
            'published/fIoU': 100 * (0.5 + 2 / 3) / 2,
            'published/pAcc': 100 * 4 / 6,
        }
    )
    with pytest.raises(ValueError, match='no pixel'):
        metric.process({}, [dict(gt_sem_seg=dict(data=gt * 0 + 255), pred_sem_seg=dict(data=pred))])
        metric.evaluate(1)
