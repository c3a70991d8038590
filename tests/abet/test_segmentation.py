"""The learned temperature at full resolution, the head, the trunk and the segmentor."""

import copy
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import mmroad.abet  # noqa: F401
from mmroad.abet.scores import SCALES, build_scores
from mmroad.abet.temperature import BilinearRows, LearnedTemperature, gram_maps
from mmroad.abet.temperature_head import with_temperature

ROOT = Path(__file__).parents[2]
PARITY = ROOT / '../shared/parity'
NORM = dict(type='BN')


@pytest.fixture(autouse=True)
def mmseg_scope():
    init_default_scope('mmseg')
    torch.manual_seed(0)


def published(layer, x, size, align_corners=True):
    """The published order of work: upsample the features, then norm, cosine and temperature."""
    x = F.interpolate(x, size, mode='bilinear', align_corners=align_corners)
    temperature = layer.bn(layer.conv(x)).sigmoid() + 1e-12
    x = x / (x.norm(dim=1, keepdim=True) + 1e-4)
    w = layer.cosine.weight
    return F.conv2d(x, w / (w.norm(dim=1, keepdim=True) + 1e-4)), temperature


@pytest.mark.parametrize('align_corners', [True, False])
@pytest.mark.parametrize('shape', [(5, 7), (1, 4), (3, 1)])
@pytest.mark.parametrize('size', [(11, 13), (5, 7), (3, 4), (1, 1)])
def test_full_resolution_without_the_full_map(align_corners, shape, size):
    layer = LearnedTemperature(16, 5).double().eval()
    x = torch.randn(2, 16, *shape).relu()
    want = published(layer.float(), x, size, align_corners)
    got = layer(x, size, align_corners)
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    pieces = [layer.rows(layer.maps(x), size, i, i + 1, align_corners) for i in range(size[0])]
    for i, whole in enumerate(got):
        torch.testing.assert_close(torch.cat([p[i] for p in pieces], 2), whole)


def test_gradients_and_batch_statistics_are_the_published():
    x = torch.randn(2, 8, 4, 6).relu()
    results = []
    for ours in (True, False):
        torch.manual_seed(1)
        layer = LearnedTemperature(8, 3).train()
        leaf = x.clone().requires_grad_()
        g, t = layer(leaf, (9, 12)) if ours else published(layer, leaf, (9, 12))
        F.cross_entropy(g / t, torch.ones(2, 9, 12, dtype=torch.long)).backward()
        results.append([leaf.grad, layer.conv.weight.grad, layer.cosine.weight.grad, layer.bn.running_mean])
    for ours, want in zip(*results, strict=True):
        torch.testing.assert_close(ours, want, atol=1e-6, rtol=1e-4)


def test_zero_features_have_a_gradient():
    x = torch.zeros(1, 8, 2, 2, requires_grad=True)
    g, t = LearnedTemperature(8, 3).eval()(x, (4, 4))
    (g / t).sum().backward()
    assert x.grad.isfinite().all()


def test_a_temperature_that_underflows_stays_above_0():
    layer = LearnedTemperature(8, 3).eval()
    with torch.no_grad():
        layer.conv.weight.fill_(-1e4)
    g, t = layer(torch.ones(1, 8, 2, 2), (4, 4))
    assert (t == torch.tensor(1e-12)).all() and (g / t).isfinite().all()


def test_rows_of_the_plain_upsampling():
    x = torch.randn(1, 3, 4, 5)
    for align_corners in (True, False):
        want = F.interpolate(x, (9, 11), mode='bilinear', align_corners=align_corners)
        rows = BilinearRows((4, 5), (9, 11), 3, 7, align_corners, x.device)
        torch.testing.assert_close(rows.linear(x), want[:, :, 3:7])
        up = F.interpolate(x, (9, 11), mode='bilinear', align_corners=align_corners)
        torch.testing.assert_close(rows.squared_norm(gram_maps(x)), (up**2).sum(1, True)[:, :, 3:7])
        for size in ((2, 11), (1, 2)):
            want = F.interpolate(x, size, mode='bilinear', align_corners=align_corners)
            rows = BilinearRows((4, 5), size, 0, size[0], align_corners, x.device)
            torch.testing.assert_close(rows.linear(x), want)


@pytest.mark.parametrize('rows', [None, 4, 3])
def test_inner_products_of_neighbors(rows):
    x = torch.randn(2, 3, 4, 6)
    got = gram_maps(x, rows)
    assert got.shape == (2, 4, rows or 4, 6)
    around = F.pad(x, (0, 1, 0, 1))
    right, below, across = around[..., :-1, 1:], around[..., 1:, :-1], around[..., 1:, 1:]
    want = torch.stack([(x * x).sum(1), (x * right).sum(1), (x * below).sum(1),
                        (x * across + right * below).sum(1)], 1)  # fmt: skip
    has = torch.ones(4, rows or 4, 6, dtype=torch.bool)
    has[2:, 3:] = has[3, :, 5:] = False  # without a neighbor these have no weight
    torch.testing.assert_close(got[:, has], want[:, :, : rows or 4][:, has])


def test_scores_by_hand(tmp_path):
    z = torch.tensor([[2.0, 0.0, -1.0], [1.0, 3.0, 0.0]]).view(2, 3, 1, 1)
    t = torch.tensor([0.3, 0.7]).view(2, 1, 1, 1)
    (tmp_path / 'sml.json').write_text(json.dumps(dict(mean=[1.0, 2.0, 9.0], var=[4.0, 0.25, 1.0])))
    names = ('abet', 'entropy', 'msp', 'max_logit', 'godin', dict(type='sml', stats=tmp_path / 'sml.json'))
    scores = {name: score(z, t).ravel() for name, score in build_scores(names).items()}
    p = z[..., 0, 0].double().softmax(1)
    want = dict(
        abet=1 - p.new_tensor([2.0, 3.0]).sub(p.amax(1).log()) / 3,
        entropy=-(p * p.log()).sum(1) / math.log(3),
        msp=1 - p.amax(1),
        max_logit=p.new_tensor([1 - 2 / 30, 1 - 3 / 30]),
        godin=p.new_tensor([0.3, 0.7]),
        sml=p.new_tensor([0.3 - 0.1 * (2 - 1) / 2, 0.3 - 0.1 * (3 - 2) / 0.5]),
    )
    assert set(scores) == set(want) == set(SCALES)
    for name, value in want.items():
        torch.testing.assert_close(scores[name].double(), value, atol=1e-6, rtol=0)
    assert SCALES == {name: (0, 0.85 if name == 'abet' else 1) for name in want}


def test_head_stays_in_float32_under_autocast():
    layer = LearnedTemperature(8, 3).eval()
    with torch.no_grad():
        layer.bn.bias.fill_(-40)  # T = 4e-18 + 1e-12, zero in half precision
        x = torch.rand(1, 8, 3, 3)
        with torch.autocast('cpu', torch.bfloat16):
            g, t = layer(x.bfloat16(), (5, 5))
    assert g.dtype == t.dtype == torch.float32
    assert (t > 0).all() and (g / t).isfinite().all()


def small(head='DeepWV3PlusHead', temperature=True, **test_cfg):
    heads = dict(
        DeepWV3PlusHead=dict(
            in_channels=(16, 512), channels=16, skip_channels=6, dilations=(2, 3), norm_cfg=NORM
        ),
        FCNHead=dict(in_channels=512, channels=16, in_index=1, num_convs=1, norm_cfg=NORM, dropout_ratio=0.1),
        ASPPHead=dict(in_channels=512, channels=16, in_index=1, dilations=(1, 2), norm_cfg=NORM),
        UPerHead=dict(in_channels=[16, 512], channels=16, in_index=[0, 1], norm_cfg=NORM, pool_scales=(1, 2)),
    )
    decode_head = dict(type=head, num_classes=4, **heads[head])
    if temperature:
        decode_head['temperature'] = dict(type='LearnedTemperature')
    scores = ['abet', 'entropy', 'msp', 'max_logit'] + ['godin'] * temperature
    return MODELS.build(
        ConfigDict(
            type='AbeTSegmentor',
            data_preprocessor=dict(type='SegDataPreProcessor', mean=[0] * 3, std=[255] * 3, size=(32, 48)),
            backbone=dict(type='WideResNet38', width=0.125, depths=(1, 1, 1, 1, 1, 1), norm_cfg=NORM),
            decode_head=decode_head,
            train_cfg=dict(),
            test_cfg=dict(dict(mode='whole', scores=scores), **test_cfg),
        )
    )


def batch(n=2, size=(32, 48)):
    labels = torch.randint(0, 4, (n, 1, *size))
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=y), metainfo=dict(img_shape=size, ori_shape=size))
        for y in labels
    ]
    return dict(inputs=[torch.randint(0, 255, (3, *size), dtype=torch.uint8) for _ in range(n)]), samples


@pytest.mark.parametrize('temperature', [True, False])
@pytest.mark.parametrize('head', ['DeepWV3PlusHead', 'FCNHead', 'ASPPHead', 'UPerHead'])
def test_any_head_takes_the_temperature(head, temperature):
    model = small(head, temperature)
    data, samples = batch()
    data = model.data_preprocessor(data | dict(data_samples=samples), training=True)
    losses = model(**data, mode='loss')
    loss, _ = model.parse_losses(losses)
    loss.backward()
    if temperature:
        assert 0 < losses['decode.temperature'] < 1
        assert model.decode_head.temperature.conv.weight.grad.abs().sum() > 0
    assert all(p.grad is not None for p in model.decode_head.parameters())
    model.eval()
    with torch.no_grad():
        whole = model(data['inputs'], copy.deepcopy(data['data_samples']), mode='predict')
        logits = model.inference(data['inputs'], [s.metainfo for s in samples])
    for sample, z in zip(whole, logits, strict=True):
        assert torch.equal(sample.pred_sem_seg.data[0], z.argmax(0))
        torch.testing.assert_close(sample.anomaly_map.data[0], 1 - z.logsumexp(0) / 4, atol=1e-5, rtol=1e-5)
        assert ('godin' in sample.anomaly_map) == temperature


def test_row_chunks_and_windows_agree_with_the_whole():
    model = small(keep_logits=True).eval()
    data, samples = batch(1)
    inputs = model.data_preprocessor(data)['inputs']
    with torch.no_grad():
        whole = model.dense(inputs, keep_logits=True)
        model.rows = 5
        torch.testing.assert_close(model.dense(inputs, keep_logits=True).logits, whole.logits)
        model.test_cfg.update(mode='slide', crop_size=(32, 48), stride=(20, 20))
        torch.testing.assert_close(model.dense_windows(inputs).scores, whole.scores)
        # windows that overlap: the mean of the scores, not the score of mean logits
        model.test_cfg.update(crop_size=(32, 32), stride=(32, 16))
        slide = model.dense_windows(inputs)
        left, right = (model.dense(inputs[..., a : a + 32], keep_logits=True) for a in (0, 16))
        torch.testing.assert_close(
            slide.scores[..., 20:28], (left.scores[..., 20:28] + right.scores[..., 4:12]) / 2
        )
        torch.testing.assert_close(slide.scores[..., :16], left.scores[..., :16])
        torch.testing.assert_close(slide.scores[..., 32:], right.scores[..., 16:])
        # and mmseg's own sliding logits are the same as ours
        reference = model.slide_inference(inputs, [dict(img_shape=(32, 48))])
        torch.testing.assert_close(slide.logits, reference)
        model.predict(inputs, samples)
    assert samples[0].seg_logits.data.shape == (4, 32, 48)


def test_predictions_come_back_at_the_original_size():
    model = small().eval()
    data, _ = batch(1)
    inputs = model.data_preprocessor(data)['inputs']
    meta = dict(ori_shape=(56, 40), img_shape=(28, 20), img_padding_size=[0, 28, 0, 4], flip=True)
    sample = SegDataSample(metainfo=meta | dict(flip_direction='horizontal'))
    with torch.no_grad():
        dense = model.dense(inputs, keep_logits=True)
        model.predict(inputs, [sample])
    assert sample.pred_sem_seg.data.shape == sample.anomaly_map.data.shape == (1, 56, 40)
    want = F.interpolate(dense.scores[:, :1, :28, :20].flip(3), (56, 40), mode='bilinear', align_corners=True)
    torch.testing.assert_close(sample.anomaly_map.data, want[0])
    same = SegDataSample(metainfo=meta | dict(ori_shape=(28, 20), flip=False))
    with torch.no_grad():
        model.predict(inputs, [same])
    assert torch.equal(same.pred_sem_seg.data, dense.classes[0, :, :28, :20])


def test_mistakes_are_named():
    with pytest.raises(TypeError, match='no classifier'):
        with_temperature(torch.nn.Linear)
    with pytest.raises(ValueError, match='the decode head has none'):
        model = small(temperature=False, scores=['godin']).eval()
        model.predict(torch.zeros(1, 3, 16, 16))
    with pytest.raises(KeyError, match='has none'):  # before a run: others are still computed
        model.set_scores(['msp', 'godin'])
    with pytest.raises(KeyError, match='unknown score'):
        small(scores=['magic'])
    with pytest.raises(ValueError, match='one logit per class'):
        head = dict(type='FCNHead', in_channels=8, channels=8, num_classes=2, out_channels=1)
        backbone = dict(type='WideResNet38', width=0.0625, norm_cfg=NORM)
        MODELS.build(ConfigDict(type='AbeTSegmentor', backbone=backbone, decode_head=head, test_cfg={}))
    with pytest.raises(ValueError, match='stages are 1 to 7'):
        MODELS.build(dict(type='WideResNet38', out_indices=(8,)))


def test_trunk_strides_channels_and_checkpointing():
    model = MODELS.build(
        dict(type='WideResNet38', width=0.125, out_indices=tuple(range(1, 8)), norm_cfg=NORM, with_cp=True)
    )
    outs = model.train()(torch.randn(2, 3, 32, 32, requires_grad=True))
    assert [o.shape[1] for o in outs] == [8, 16, 32, 64, 128, 256, 512]
    assert [32 // o.shape[2] for o in outs] == [1, 2, 4, 8, 8, 8, 8]
    outs[-1].sum().backward()
    assert len(model.stage4) == 6 and model.stage2[1].downsample is None


@pytest.mark.skipif(not PARITY.is_dir(), reason='the shared parity cases are not here')
@pytest.mark.parametrize(
    'name, config',
    [
        ('abet_wrn38_cityscapes', 'abet_deepv3plus_wrn38_cityscapes'),
        ('abet_wrn38_baseline', 'deepv3plus_wrn38_cityscapes'),
    ],
)
def test_parity_through_the_converter_and_the_shipped_config(name, config):
    sys.path.insert(0, str(PARITY))
    import compare
    import fill

    from mmroad.converters import convert

    case = fill.load(name)
    cfg = Config.fromfile(ROOT / f'configs/abet/{config}.py')
    model = MODELS.build(cfg.model).eval()
    state = {k: torch.from_numpy(v) for k, v in fill.state_dict(case).items()}
    report = convert(state, 'abet', model)
    assert report.ok and not report.dropped and not report.supplied, str(report)
    model.load_state_dict(report.state_dict, strict=True)
    image = np.ascontiguousarray(fill.image(case)[..., ::-1])
    data = model.data_preprocessor(dict(inputs=[torch.from_numpy(image).permute(2, 0, 1)]))
    probes = probe(model)
    with torch.no_grad():
        parts = list(model.full_resolution(data['inputs'], rows=17))
        sample = model.predict(data['inputs'])[0]
    out = {'z': torch.cat([z for _, z, _ in parts], 2)[0]}
    if 'T' in case['golden']:
        out['T'] = torch.cat([t for _, _, t in parts], 2)[0]
        out['g'] = out['z'] * out['T']
        out |= {f'score_{k}': v[0] for k, v in sample.anomaly_map.items() if k != 'data'}
        stats = {k: torch.tensor(v) for k, v in case['sml_stats'].items()}
        from mmroad.abet.scores import _sml

        out['score_sml'] = _sml(out['z'][None], None, **stats)[0]
    out |= probes
    rows = compare.compare(case, {k: v.numpy() for k, v in out.items() if k in case['golden']})
    print(compare.table(rows))
    assert {row.output for row in rows} == set(case['golden']), 'an output was not compared'
    assert all(row.ok for row in rows), compare.table(rows)


def probe(model):
    """A dict that fills with the intermediate outputs of the case."""
    found = {}

    def keep(name):  # hooks that return something would change the model
        def after(module, args, out):
            found.setdefault(name, out[0].detach())

        return after

    def before(module, args):
        found.setdefault('probe_aspp', args[0][0].detach())

    for stage in (2, 4, 7):
        blocks = getattr(model.backbone, f'stage{stage}')
        blocks[-1].register_forward_hook(keep(f'probe_mod{stage}'))
    head = model.decode_head
    head.aspp_proj.register_forward_pre_hook(before)
    head.register_forward_hook(keep('probe_final'))
    return found


def test_predictions_feed_the_anomaly_metric():
    from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

    from mmroad.anomaly.metric import AnomalyMetric

    model = small(scores=['msp', 'godin']).eval()
    data, samples = batch(2)
    inputs = model.data_preprocessor(data)['inputs']
    with torch.no_grad():
        samples = model.predict(inputs, samples)
    metric = AnomalyMetric()
    for i, sample in enumerate(samples):
        sample.gt_sem_seg.data = (sample.gt_sem_seg.data == 0).long()
        sample.set_metainfo(dict(img_path=f'{i}.jpg'))
        metric.process({}, [sample.to_dict()])
    results = metric.evaluate(2)
    score = np.concatenate([s.anomaly_map.data.numpy().ravel() for s in samples])
    truth = np.concatenate([s.gt_sem_seg.data.numpy().ravel() == 1 for s in samples])
    fpr, tpr, _ = roc_curve(truth, score, drop_intermediate=False)
    assert results['anomaly/AP'] == pytest.approx(100 * average_precision_score(truth, score), abs=0.05)
    assert results['anomaly/AUROC'] == pytest.approx(100 * roc_auc_score(truth, score), abs=0.05)
    assert results['anomaly/FPR95'] == pytest.approx(100 * fpr[np.argmax(tpr >= 0.95)], abs=0.05)
