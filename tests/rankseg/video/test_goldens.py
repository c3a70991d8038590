"""Predictions and losses of the small video models, kept from the state that passed the published parity case.

``python tests/rankseg/video/test_goldens.py`` writes them anew; do that only after that case passes.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

import mmroad.rankseg.video  # noqa: F401
from mmroad import get_config
from mmroad.zoo.configs import configs_folder
from mmroad.zoo.models import build_model

FILE = Path(__file__).parents[2] / 'data/rankseg_video_goldens.json'
NAMES = ['mask2former_small_road_scenes_video', 'rankseg_small_road_scenes_video']


def values(name: str) -> dict[str, list[float]]:
    """Some numbers of a small model with weights drawn by parameter name."""
    model = build_model(get_config(str(configs_folder() / f'rankseg/{name}.py'))).eval()
    state = {}
    for key, value in model.state_dict().items():
        rng = np.random.default_rng(zlib.crc32(key.encode()))
        if value.dim() >= 2:
            draw = rng.standard_normal(value.shape) / np.sqrt(np.prod(value.shape[1:]))
        else:
            draw = 0.1 * rng.standard_normal(value.shape) + key.endswith(('weight', 'var'))
        state[key] = torch.tensor(draw, dtype=value.dtype)
    model.load_state_dict(state)
    images = torch.tensor(np.random.default_rng(1).standard_normal((3, 3, 64, 96)), dtype=torch.float32)
    meta = dict(img_shape=(60, 90), batch_input_shape=(64, 96), ori_shape=(75, 120))
    frames = [DetDataSample(metainfo=meta) for _ in range(3)]
    with torch.no_grad():
        logits, masks = model.clip_queries(images, frames)
        maps = torch.stack(model.semantic_maps(images, frames))
        truth = InstanceData(labels=torch.tensor([2, 7]), masks=torch.zeros(2, 2, 64, 96).long())
        truth.masks[0, :, 10:40, 20:70], truth.masks[1, 1, 30:60, :50] = 1, 1
        torch.manual_seed(0)
        losses = model.track_head.loss_by_feat([logits[None]], [masks[None, :, :2]], [truth], [{}])
    picked = dict(
        logits=logits[::13, ::3],
        masks=masks[::13, :, ::7, ::11],
        classes=maps.flatten().bincount(minlength=19),
        losses=torch.stack([losses[key].sum() for key in sorted(losses)]),
    )
    if name.startswith('rankseg'):
        picked['ml_logits'] = model.track_head.ml_logits
    return {f'{name}.{key}': value.double().flatten().tolist() for key, value in picked.items()}


@pytest.mark.parametrize('name', NAMES)
def test_values_are_the_kept_ones(name):
    kept = {k: v for k, v in json.loads(FILE.read_text()).items() if k.startswith(f'{name}.')}
    got = values(name)
    assert set(got) == set(kept)
    for key, want in kept.items():
        spread = dict(classes=5, losses=2e-2).get(key.rsplit('.', 1)[1], 1e-3)
        np.testing.assert_allclose(got[key], want, atol=spread, rtol=1e-3, err_msg=key)


if __name__ == '__main__':
    made = {key: [round(v, 5) for v in value] for name in NAMES for key, value in values(name).items()}
    FILE.write_text(json.dumps(made, indent=0) + '\n')
