"""The shared parity cases, through the converter script's functions and the shipped configs."""

import importlib.util
import pickle
from pathlib import Path

import pytest
import torch
from mmseg.structures import SegDataSample

from mmroad.converters import build, convert_file

ROOT = Path(__file__).parents[2]
PARITY = ROOT.parent / 'shared/parity'
pytestmark = pytest.mark.skipif(not PARITY.exists(), reason='needs ../shared/parity')

CASES = {
    'rba_swin_b_1dl': ('rba', 'rba_swin_b_1dl_cityscapes', 'pth'),
    'mask2former_r50_ade_sem': ('mask2former', 'mask2former_r50_ade20k', 'pkl'),
}


def parity(name):
    spec = importlib.util.spec_from_file_location(name, PARITY / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('name', CASES)
def test_published_outputs(name, tmp_path):
    fill, compare = parity('fill'), parity('compare')
    case = fill.load(name)
    source, config, kind = CASES[name]
    config = ROOT / f'configs/rba/{config}.py'
    published = tmp_path / f'in.{kind}'
    state = fill.state_dict(case)
    if kind == 'pkl':
        published.write_bytes(pickle.dumps(dict(model=state, __author__='made up')))
    else:
        torch.save(dict(model={k: torch.from_numpy(v) for k, v in state.items()}), published)
    report = convert_file(source, published, tmp_path / 'out.pth', config)
    assert report.ok
    model = build(config).eval()
    model.load_state_dict(torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict'], strict=True)

    image = fill.image(case)
    height, width = image.shape[:2]
    meta = dict(ori_shape=tuple(case['input'].get('output_size', (height, width))), img_shape=(height, width))
    bgr = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)
    data = dict(inputs=[bgr], data_samples=[SegDataSample(metainfo=meta)])
    with torch.no_grad():
        data = model.data_preprocessor(data, False)
        feats = model.backbone(data['inputs'])
        mask_features, encoder = model.decode_head.pixel_decoder(feats)
        logits, masks = model.decode_head(feats, data['data_samples'])
        metas = [sample.metainfo for sample in data['data_samples']]
        seg = model.decode_head.predict(feats, metas, None)
        resized = model.postprocess_result(seg, data['data_samples'])[0].seg_logits.data

    outputs = {f'res{i + 2}': feat[0] for i, feat in enumerate(feats)}
    outputs |= {f'encoder_{i}': feat[0] for i, feat in enumerate(encoder)}
    outputs |= dict(mask_features=mask_features[0], pred_logits_0=logits[0][0], pred_masks_0=masks[0][0])
    outputs |= dict(pred_logits=logits[-1][0], pred_masks=masks[-1][0], S=seg[0, :, :height, :width])
    outputs |= dict(pred_logits_3=logits[min(3, len(logits) - 1)][0], S_resized=resized)
    outputs |= dict(rba=-outputs['S'].tanh().sum(0))
    rows = compare.compare(case, {k: v for k, v in outputs.items() if k in case['golden']})
    assert {row.output for row in rows} == set(case['golden'])
    assert all(row.ok for row in rows), compare.table(rows)


def loss_of(name):
    """Our loss for a golden's name, ``TARGET.FUNCTION`` and the like."""
    from mmroad.rba import losses

    kind, *rest = name.split('.')
    if kind in ('gambler', 'densehybrid'):
        return losses.GamblerLoss() if kind == 'gambler' else losses.DenseHybridLoss()
    if kind.startswith(('smoothness', 'sparsity')):
        kind, target = kind.split('_')
        cls = losses.SmoothnessLoss if kind == 'smoothness' else losses.SparsityLoss
        return cls(target=target, loss_weight=1.0)
    if kind == 'kl':
        return losses.OutlierLoss(function='kl')
    target, norm = kind.split('_') if kind.startswith('nls') else (kind, 'none')
    thresholds = (-1.0, -0.1) if 'tau_default' in rest else (0.0, 5.0)
    return losses.OutlierLoss(target, norm, rest[0], *thresholds)


def test_published_losses_and_gradients():
    fill, compare = parity('fill'), parity('compare')
    case = fill.load('rba_losses')
    golden = {k: torch.from_numpy(v) for k, v in case['golden'].items()}
    labels = golden['sem_seg'].long()
    outputs = {}
    for key in [k for k in golden if k.startswith('loss.')]:
        name = key.removeprefix('loss.')
        images = slice(1, 2) if name.endswith('.no_outlier') else slice(None)
        keys = ('class_logits', 'mask_logits', 'ood_logits')
        inputs = [golden[k][images].clone().requires_grad_() for k in keys]
        loss = loss_of(name)(inputs[0], inputs[1], labels[images], inputs[2])
        loss.backward()
        outputs[key] = loss.item()
        for kind, value in zip(('class', 'mask', 'ood'), inputs, strict=True):
            if f'grad_{kind}.{name}' in golden:
                outputs[f'grad_{kind}.{name}'] = value.grad
    expected = {k for k in golden if k.startswith(('loss.', 'grad_'))}
    assert set(outputs) == expected and len(expected) > 60
    rows = compare.compare(case, outputs)
    assert all(row.ok for row in rows), compare.table(rows)


def test_published_scores():
    from mmroad.rba.scores import get_score
    from mmroad.rba.segmentor import anomaly_maps

    fill, compare = parity('fill'), parity('compare')
    case = fill.load('rba_losses')
    golden = {k: torch.from_numpy(v) for k, v in case['golden'].items()}
    size = tuple(golden['sem_seg'].shape[-2:])
    outputs = {}
    for name, ours in dict(
        rba='rba', pebal='energy', neg_logit_sum='neg_logit_sum', dense_hybrid='dense_hybrid'
    ).items():
        images = zip(golden['class_logits'], golden['mask_logits'], golden['ood_logits'], strict=True)
        maps = [
            anomaly_maps(logits, masks, get_score(ours), 19, size, ood_logits=ood[None])['anomaly_map'][0]
            for logits, masks, ood in images
        ]
        outputs[f'score.{name}'] = torch.stack(maps)
    assert set(outputs) == {k for k in golden if k.startswith('score.')}
    rows = compare.compare(case, outputs)
    assert all(row.ok for row in rows), compare.table(rows)
