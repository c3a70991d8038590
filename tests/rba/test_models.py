"""Models built from the shipped configs: training steps and predictions."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import load_state_dict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import mmroad.rba  # noqa: F401

CONFIGS = Path(__file__).parents[2] / 'configs/rba'


def build(name, **changes):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    cfg.merge_from_dict(changes)
    init_default_scope('mmseg')
    torch.manual_seed(0)
    return MODELS.build(cfg.model), cfg


@pytest.fixture
def small():
    model = build('rba_small_1dl_road_scenes')[0]
    model.decode_head.init_weights()
    return model.eval()


def batch(size=(64, 96), images=2, outliers=True, **meta):
    """Noise with labels of two classes, a square of outliers and a void row."""
    g = torch.Generator().manual_seed(0)
    labels = torch.zeros(1, *size, dtype=torch.int64)
    labels[:, size[0] // 2 :] = 13
    labels[:, 0] = 255
    if outliers:
        labels[:, 8:24, 8:24] = 254
    meta = dict(ori_shape=size, img_shape=size, img_path='x.png') | meta
    return dict(
        inputs=[torch.randint(0, 256, (3, *size), generator=g, dtype=torch.uint8) for _ in range(images)],
        data_samples=[
            SegDataSample(gt_sem_seg=PixelData(data=labels.clone()), metainfo=meta) for _ in range(images)
        ],
    )


def test_prediction_is_the_formula(small):
    size = (50, 70)
    small.test_cfg.keep_logits = True
    data = small.data_preprocessor(batch(size), False)
    with torch.no_grad():
        feats = small.extract_feat(data['inputs'])
        logits, masks = small.decode_head.predict_queries(feats, [s.metainfo for s in data['data_samples']])
        samples = small.predict(**data)
    probs = torch.nn.functional.interpolate(masks, (64, 96), mode='bilinear', align_corners=False).sigmoid()
    seg = torch.einsum('bqc,bqhw->bchw', logits.softmax(-1)[..., :-1], probs)[..., : size[0], : size[1]]
    for want, sample in zip(seg, samples, strict=True):
        assert sample.pred_sem_seg.shape == sample.anomaly_map.shape == size
        torch.testing.assert_close(sample.seg_logits.data, want, atol=1e-5, rtol=0)
        torch.testing.assert_close(sample.anomaly_map.data[0], -want.tanh().sum(0), atol=1e-5, rtol=0)
        assert (sample.pred_sem_seg.data[0] == want.argmax(0)).float().mean() > 0.999
    assert not torch.equal(samples[0].anomaly_map.data, samples[1].anomaly_map.data)


def test_prediction_at_another_original_size(small):
    small.test_cfg.keep_logits = True
    data = batch((50, 70), images=1)
    with torch.no_grad():
        here = small.test_step(data)[0].seg_logits.data
        there = small.test_step(batch((50, 70), images=1, ori_shape=(75, 105)))[0]
    want = torch.nn.functional.interpolate(here[None], (75, 105), mode='bilinear', align_corners=False)[0]
    torch.testing.assert_close(there.seg_logits.data, want, atol=1e-5, rtol=0)
    torch.testing.assert_close(there.anomaly_map.data[0], -want.tanh().sum(0), atol=1e-5, rtol=0)


def test_masks_are_resized_before_their_probabilities_are_taken(small):
    small.resize_masks = True
    data = small.data_preprocessor(batch((50, 70), images=1, ori_shape=(75, 105)), False)
    with torch.no_grad():
        feats = small.extract_feat(data['inputs'])
        logits, masks = small.decode_head.predict_queries(feats, [s.metainfo for s in data['data_samples']])
        found = small.predict(**data)[0].anomaly_map.data[0]
    up = torch.nn.functional.interpolate(masks, (64, 96), mode='bilinear', align_corners=False)[..., :50, :70]
    probs = torch.nn.functional.interpolate(up, (75, 105), mode='bilinear', align_corners=False).sigmoid()
    seg = torch.einsum('qc,qhw->chw', logits[0].softmax(-1)[:, :-1], probs[0])
    torch.testing.assert_close(found, -seg.tanh().sum(0), atol=1e-5, rtol=0)


def test_flipped_image_is_flipped_back(small):
    data = batch((64, 96), images=1)
    flipped = batch((64, 96), images=1, flip=True, flip_direction='horizontal')
    with torch.no_grad():
        plain = small.test_step(data)[0].anomaly_map.data
        back = small.test_step(flipped)[0].anomaly_map.data
    assert torch.equal(back, plain.flip(-1))


def test_autocast_changes_little(small):
    with torch.no_grad():
        want = small.test_step(batch(images=1))[0].anomaly_map.data
        with torch.autocast('cpu', dtype=torch.bfloat16):
            got = small.test_step(batch(images=1))[0].anomaly_map.data
    assert got.dtype == torch.float32
    assert (got - want).abs().mean() < 0.1 * want.std() + 0.02


def test_slide_mode_is_refused():
    with pytest.raises(ValueError, match='whole'):
        build('rba_small_1dl_road_scenes', **{'model.test_cfg.mode': 'slide'})


SCORES = ['rba', 'energy', 'neg_logit_sum', 'eam', 'max_softmax', 'entropy', 'max_logit']


def test_every_score_without_retraining(small):
    maps = {}
    for name in SCORES:
        small.set_score(name)
        with torch.no_grad():
            maps[name] = small.test_step(batch(images=1))[0].anomaly_map.data
        assert maps[name].isfinite().all()
    assert len({round(m.double().sum().item(), 6) for m in maps.values()}) == len(SCORES)
    small.set_scores(SCORES)
    with torch.no_grad():
        together = small.test_step(batch(images=1))[0].anomaly_map
    assert torch.equal(together.data, maps[SCORES[0]])
    assert all(torch.equal(together.get(name), maps[name]) for name in SCORES)


OUTLIER = {'model.decode_head.pixel_losses': dict(outlier=dict(type='OutlierLoss'))}


@pytest.mark.parametrize('outliers', [True, False])
def test_losses_of_every_layer(outliers):
    model, _ = build('rba_small_1dl_road_scenes', **OUTLIER)
    losses = model.loss(**model.data_preprocessor(batch(outliers=outliers), True))
    names = {f'loss_{n}' for n in ('cls', 'mask', 'dice', 'outlier')}
    assert set(losses) == {f'decode.{p}{n}' for n in names for p in ('', 'd0.')}
    assert all(value.isfinite() for value in losses.values())
    assert (losses['decode.loss_outlier'] > 0) == outliers


def test_losses_under_autocast_are_finite_and_near():
    model, _ = build('rba_small_1dl_road_scenes', **OUTLIER)
    data = model.data_preprocessor(batch(), True)
    totals = []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=enabled):
            totals.append(model.parse_losses(model.loss(**data))[0])
    totals[1].backward()
    assert totals[1].dtype == torch.float32
    assert totals[1].item() == pytest.approx(totals[0].item(), rel=0.05)


def test_color_masks_and_unknown_labels_are_refused_in_training():
    """A color mask is (H, W, 3), of which the first row was taken for the label map."""
    model, _ = build('rba_small_1dl_road_scenes', **OUTLIER)
    for labels, message in (
        (torch.zeros(64, 96, 3, dtype=torch.int64), r'x\.png: the label map is \(64, 96, 3\)'),
        (torch.full((1, 64, 96), 19), r'x\.png: labels 19 are no class; the head has 19'),
    ):
        data = model.data_preprocessor(batch(), True)
        data['data_samples'][0].gt_sem_seg = PixelData(data=labels)
        for mask_losses in (True, False):  # the mask targets' labels and the pixel losses'
            model.decode_head.mask_losses = mask_losses
            with pytest.raises(ValueError, match=message):
                model.loss(**data)


def test_image_without_any_label_trains():
    model, _ = build('rba_small_1dl_road_scenes', **OUTLIER)
    data = batch()
    for sample in data['data_samples']:
        sample.gt_sem_seg.data.fill_(255)
    total, _ = model.parse_losses(model.loss(**model.data_preprocessor(data, True)))
    total.backward()
    assert total.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_fine_tuning_changes_the_named_parameters_alone():
    model, cfg = build(
        'rba_small_1dl_road_scenes', **OUTLIER, **{'model.trainable': ['cls_embed', 'mask_embed']}
    )
    optim = build_optim_wrapper(model, cfg.optim_wrapper)
    before = {k: v.clone() for k, v in model.named_parameters()}
    model.train_step(batch(), optim)
    assert model.training and model.backbone.training
    changed = {k for k, v in model.named_parameters() if not torch.equal(v, before[k])}
    assert {k.split('.')[1] for k in changed} == {'cls_embed', 'mask_embed'} and len(changed) == 8
    with pytest.raises(ValueError, match='starts with class_embed'):
        build('rba_small_1dl_road_scenes', **{'model.trainable': ['class_embed']})


def test_published_fine_tuning_trains_202516_parameters():
    model, _ = build('rba_swin_b_1dl_ood_coco')
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 202516


def test_densehybrid_and_uno_heads():
    model, cfg = build(
        'rba_small_1dl_road_scenes',
        **{
            'model.anomaly_score': 'dense_hybrid',
            'model.decode_head.ood_head': True,
            'model.decode_head.pixel_losses': dict(densehybrid=dict(type='DenseHybridLoss')),
        },
    )
    losses = model.loss(**model.data_preprocessor(batch(), True))
    assert 'decode.loss_densehybrid' in losses and 'decode.d0.loss_densehybrid' not in losses
    with torch.no_grad():
        assert model.eval().test_step(batch((50, 70)))[1].anomaly_map.data.isfinite().all()

    uno = {
        'model.anomaly_score': 'uno',
        'model.decode_head.outlier_class': True,
        'model.decode_head.loss_cls.class_weight': [1.0] * 20 + [0.1],
    }
    model, cfg = build('rba_small_1dl_road_scenes', **uno)
    instances, _ = model.decode_head._seg_data_to_instance_data(batch()['data_samples'])
    assert instances[0].labels.tolist() == [0, 13, 19]
    assert model.decode_head.cls_embed.out_features == 21
    total, _ = model.parse_losses(model.loss(**model.data_preprocessor(batch(), True)))
    assert total.isfinite()
    with torch.no_grad():
        sample = model.eval().test_step(batch())[0]
    assert sample.anomaly_map.data.isfinite().all() and sample.pred_sem_seg.data.max() < 19


def test_training_of_an_outlier_class_starts_from_weights_without_it(small):
    state = small.state_dict()
    model, _ = build(
        'rba_small_1dl_road_scenes',
        **{
            'model.decode_head.outlier_class': True,
            'model.decode_head.loss_cls.class_weight': [1.0] * 20 + [0.1],
        },
    )
    load_state_dict(model, state, strict=True)
    rows = model.decode_head.cls_embed.weight
    old = small.decode_head.cls_embed.weight
    assert torch.equal(rows[:19], old[:19]) and torch.equal(rows[20], old[19]) and not rows[19].any()
    assert len(state['decode_head.cls_embed.bias']) == 20  # the weights themselves are as they were
    with pytest.raises(RuntimeError, match='cls_embed'):
        load_state_dict(small, model.state_dict(), strict=True)


@pytest.mark.slow
@pytest.mark.parametrize('name', sorted(p.stem for p in CONFIGS.glob('*.py')))
def test_one_step_and_one_prediction(name):
    model, cfg = build(
        name, **{'model.data_preprocessor.size': None, 'model.data_preprocessor.size_divisor': 32}
    )
    cfg.optim_wrapper.type = 'OptimWrapper'  # AMP needs a GPU
    optim = build_optim_wrapper(model, cfg.optim_wrapper)
    trained = {k: v.clone() for k, v in model.named_parameters() if v.requires_grad}
    logs = model.train().train_step(batch((128, 192)), optim)
    assert logs['loss'].isfinite()
    assert any(not torch.equal(v, trained[k]) for k, v in model.named_parameters() if k in trained)
    with torch.no_grad():
        sample = model.eval().test_step(batch((128, 192), images=1))[0]
    assert sample.pred_sem_seg.shape == (128, 192)
