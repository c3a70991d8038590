"""The shared parity case of an image model, through the converter script's functions and the shipped config."""

import importlib.util
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmseg.structures import SegDataSample

from mmroad.converters import build, convert_file
from mmroad.mask2former.ade20k import CATEGORIES

ROOT = Path(__file__).parents[2]
PARITY = ROOT.parent / 'shared/parity'
CONFIG = 'maskformer2_swin_base_IN21k_384_bs16_160k_res640-rankseg_ade20k_sem'


def parity(name):
    spec = importlib.util.spec_from_file_location(name, PARITY / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pytestmark = pytest.mark.skipif(not PARITY.exists(), reason='needs ../shared/parity')


def test_published_outputs(tmp_path):
    fill, compare = parity('fill'), parity('compare')
    case = fill.load('rankseg_swin_b_ade_sem')
    state = {k: torch.from_numpy(v) for k, v in fill.state_dict(case).items()}
    torch.save(dict(model=state), tmp_path / 'in.pth')
    config = ROOT / f'configs/rankseg/{CONFIG}.py'
    assert convert_file('rankseg', tmp_path / 'in.pth', tmp_path / 'out.pth', config).ok
    model = build(config).eval()
    model.load_state_dict(torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict'], strict=True)
    model.test_cfg['keep_logits'] = True

    image = fill.image(case)
    height, width = image.shape[:2]
    bgr = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)
    outputs, head, cosines = {}, model.decode_head, []
    hook = head.cls_embed.register_forward_hook(lambda _, args, out: cosines.append(out))
    for name, size in dict(S=(height, width), S_resized=tuple(case['input']['output_size'])).items():
        sample = SegDataSample(metainfo=dict(ori_shape=size, img_shape=(height, width)))
        with torch.no_grad():
            data = model.data_preprocessor(dict(inputs=[bgr], data_samples=[sample]), False)
            (result,) = model.predict(**data)
        outputs[name] = result.seg_logits.data
        assert torch.equal(result.pred_sem_seg.data[0], outputs[name].argmax(0))
    hook.remove()
    with torch.no_grad():
        feats = model.backbone(data['inputs'])
        mask_features, encoder = head.pixel_decoder(feats)
        logits, masks = head(feats, data['data_samples'])
    ranked = head.rank_seg.ranked(cosines[9], head.rank_index)[0].detach()
    outputs |= {f'res{i + 2}': feat[0] for i, feat in enumerate(feats)}
    outputs |= {f'encoder_{i}': feat[0] for i, feat in enumerate(encoder)}
    outputs |= dict(mask_features=mask_features[0], pred_masks_0=masks[0][0], pred_masks=masks[-1][0])
    outputs |= dict(pred_logits_0=cosines[0][0], pred_logits_3=cosines[3][0], pred_logits=cosines[9][0])
    outputs |= dict(ml_logits=head.ml_logits[0], rank_index=head.rank_index[0], ranked_logits=ranked)
    outputs |= dict(class_logits=logits[-1][0])
    assert torch.equal(result.ranking, head.rank_index[0])
    rows = compare.compare(case, outputs)
    assert {row.output for row in rows} == set(case['golden'])
    assert all(row.ok for row in rows), compare.table(rows)


PANOPTIC = 'maskformer2_swin_large_IN21k_384_bs16_160k{}_ade20k_panoptic'
SEMANTIC = {
    'rankseg': ('rankseg_swin_b_ade_sem', CONFIG, '-rankseg'),
    'mask2former': ('mask2former_r50_ade_sem', 'mask2former_r50_ade20k', ''),
}


@pytest.mark.parametrize('source', SEMANTIC)
def test_a_panoptic_model_has_the_same_logits_in_its_own_order_of_classes(source, tmp_path):
    fill = parity('fill')
    name, semantic, kind = SEMANTIC[source]
    case = fill.load(name)
    state = {k: torch.from_numpy(v) for k, v in fill.state_dict(case).items()}
    torch.save(dict(model=state), tmp_path / 'in.pth')
    folder = 'rankseg' if kind else 'rba'
    reference = Config.fromfile(ROOT / f'configs/{folder}/{semantic}.py').model
    cfg = Config.fromfile(ROOT / f'configs/rankseg/{PANOPTIC.format(kind)}.py')
    cfg.model.backbone = reference.backbone
    cfg.model.panoptic_head.update(in_channels=reference.decode_head.in_channels, num_queries=100)
    cfg.dump(tmp_path / 'panoptic.py')
    assert convert_file(source, tmp_path / 'in.pth', tmp_path / 'out.pth', tmp_path / 'panoptic.py').ok
    model = build(tmp_path / 'panoptic.py').eval()
    model.load_state_dict(torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict'], strict=True)
    bgr = torch.from_numpy(fill.image(case)[..., ::-1].copy()).permute(2, 0, 1)
    with torch.no_grad():
        feats = model.extract_feat(model.data_preprocessor(dict(inputs=[bgr]), False)['inputs'])
        logits, _ = model.panoptic_head(feats, [])
    order = [*CATEGORIES, 150]
    key = 'class_logits' if kind else 'pred_logits'
    want = torch.from_numpy(case['golden'][key])[:, order]
    torch.testing.assert_close(logits[-1][0], want, atol=case['tolerance'][key], rtol=0)
    if kind:
        ranking = torch.tensor(CATEGORIES)[model.panoptic_head.ranking[0]]
        assert ranking.tolist() == case['golden']['rank_index'].tolist()
