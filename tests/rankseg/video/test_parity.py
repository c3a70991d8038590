"""The shared parity case of a video model, through the converter script's functions and the shipped config."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from pycocotools import mask as coco_mask

from mmroad.converters import ConversionError, build, convert_file

ROOT = Path(__file__).parents[3]
PARITY = ROOT.parent / 'shared/parity'
pytestmark = pytest.mark.skipif(not PARITY.exists(), reason='needs ../shared/parity')
CONFIG = ROOT / 'configs/rankseg/video_maskformer2_R101_bs16_8ep-rankseg_ytvis2019.py'


def parity(name):
    spec = importlib.util.spec_from_file_location(name, PARITY / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_published_outputs(tmp_path):
    fill, compare = parity('fill'), parity('compare')
    case = fill.load('rankseg_video_r101_ytvis')
    state = {k: torch.from_numpy(v) for k, v in fill.state_dict(case).items()}
    torch.save(dict(model=state), tmp_path / 'in.pth')
    assert convert_file('rankseg', tmp_path / 'in.pth', tmp_path / 'out.pth', CONFIG).ok
    model = build(CONFIG).eval()
    model.load_state_dict(torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict'], strict=True)

    frames = np.stack([fill.image(case, t)[..., ::-1] for t in range(case['input']['frames'])])
    meta = dict(ori_shape=tuple(case['input']['output_size']), img_shape=frames.shape[1:3])
    sample = TrackDataSample()
    sample.video_data_samples = [DetDataSample(metainfo=meta) for _ in frames]
    data = dict(
        inputs=[torch.from_numpy(frames.copy()).permute(0, 3, 1, 2)],
        data_samples=[sample],
    )
    seen = {}
    head = model.track_head
    head.cls_embed.register_forward_hook(lambda m, i, out: seen.setdefault('cosines', []).append(out[0]))
    with torch.no_grad():
        data = model.data_preprocessor(data, False)
        (result,) = model.predict(**data)
        feats = model.backbone(data['inputs'][0])
        mask_features, encoder = head.pixel_decoder(feats)
        first, masks, cosines = *head(feats, data['data_samples']), seen['cosines'][:10]
    tracks = result.pred_tracks
    areas = [[coco_mask.area(code) for code in track['segmentations']] for track in tracks]
    index = head.rank_index
    outputs = {f'res{i + 2}': feat for i, feat in enumerate(feats)}
    outputs |= {f'encoder_{i}': feat for i, feat in enumerate(encoder)}
    outputs |= dict(
        mask_features=mask_features,
        pred_masks_0=masks[0][0],
        pred_masks=masks[-1][0],
        pred_logits_0=cosines[0],
        pred_logits_3=cosines[3],
        pred_logits=cosines[9],
        ml_logits=head.ml_logits[0],
        rank_index=index[0],
        ranked_logits=head.rank_seg.ranked(cosines[9][None], index)[0].detach(),
        class_logits=first[-1][0],
        track_scores=[track['score'] for track in tracks],
        track_labels=[track['label'] for track in tracks],
        track_areas=areas,
    )
    rows = compare.compare(case, outputs)
    assert {row.output for row in rows} == set(case['golden'])
    assert all(row.ok for row in rows), compare.table(rows)


def convert(state, source, config, tmp_path):
    torch.save(dict(model=state), tmp_path / 'in.pth')
    config = CONFIG.with_name(f'{config}.py')
    return convert_file(source, tmp_path / 'in.pth', tmp_path / 'out.pth', config)


def test_checkpoints_without_ranking(tmp_path):
    """Nothing is left over: a plain video model, the start of training from COCO's 80 classes, an oracle."""
    fill = parity('fill')
    case = fill.load('rankseg_video_r101_ytvis')
    state = {k: torch.from_numpy(v) for k, v in fill.state_dict(case).items() if not k.startswith('ml_')}
    classes = 'sem_seg_head.predictor.class_embed.'
    state[f'{classes}bias'] = torch.zeros(41)
    report = convert(state, 'mask2former', 'video_maskformer2_R101_bs16_8ep_ytvis2019', tmp_path)
    assert report.dropped == ['criterion.empty_weight']
    assert not [k for k in report.supplied if not k.endswith('num_batches_tracked')]
    state |= {f'{classes}weight': torch.zeros(81, 256), f'{classes}bias': torch.zeros(81)}
    report = convert(state, 'mask2former_coco_instance', f'{CONFIG.stem}', tmp_path)
    supplied = {k.split('.')[1] for k in report.supplied if k.startswith('track_head')}
    assert supplied == {'cls_embed', 'rank_seg'}
    state |= {f'{classes}weight': torch.zeros(125, 256), f'{classes}bias': torch.zeros(125)}
    assert convert(state, 'rankseg', 'video_maskformer2_R101_bs16_8ep-gt_vspw', tmp_path).ok
    with pytest.raises(ConversionError, match='bias'):
        convert(state, 'mask2former', CONFIG.stem, tmp_path)
