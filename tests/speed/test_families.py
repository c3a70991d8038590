"""Models of every kind find the same when made fast for a CPU."""

import copy

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, pseudo_collate

import mmroad
from mmroad.inference.base import array_pipeline
from mmroad.runtime.speed.accelerate import for_inference

DETECTORS = (
    'faster_rcnn_r50_fpn_3x_det_bdd100k',
    'cascade_rcnn_r50_fpn_3x_det_bdd100k',
    'retinanet_r50_fpn_3x_det_bdd100k',
    'fcos_r50_fpn_3x_det_bdd100k',
    'atss_r50_fpn_3x_det_bdd100k',
    'libra_faster_rcnn_r50_fpn_3x_det_bdd100k',
)


@pytest.mark.parametrize('name', DETECTORS)
def test_detectors(name):
    torch.manual_seed(0)
    model = mmroad.init_model(name)
    small = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    image = np.ascontiguousarray(small.repeat(16, 0).repeat(16, 1))
    steps = [dict(s, scale=(192, 128)) if 'scale' in s else s for s in array_pipeline(model.cfg)]
    batch = pseudo_collate([Compose(steps)(dict(img=image, img_id=0))])
    fast = for_inference(copy.deepcopy(model))
    with torch.inference_mode():
        want, got = (m.test_step(copy.deepcopy(batch))[0].pred_instances for m in (model, fast))
        low = (
            for_inference(copy.deepcopy(model), torch.bfloat16)
            .test_step(copy.deepcopy(batch))[0]
            .pred_instances
        )
    assert len(got) == len(want)
    torch.testing.assert_close(got.scores, want.scores, atol=1e-4, rtol=0)
    assert low.bboxes.dtype == low.scores.dtype == torch.float32 and low.bboxes.isfinite().all()


def test_a_cpu_has_no_float16():
    with pytest.raises(ValueError, match='bfloat16 or float32, not in float16'):
        for_inference(torch.nn.Conv2d(3, 3, 1), torch.float16)


@pytest.mark.parametrize(
    'name', ['rba_small_1dl_road_scenes', 'deepv3plus_r18_road_scenes', 'abet_deepv3plus_r18_road_scenes']
)
def test_segmentation(name):
    image = np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8)
    results = []
    for amp in (False, True):
        torch.manual_seed(0)
        results.append(mmroad.inferencer(name, amp=amp)(image))
    assert vars(results[0]).keys() == vars(results[1]).keys() >= {'classes', 'anomaly'}
    for one, low in zip(*(vars(result).values() for result in results)):
        if isinstance(one, np.ndarray) and one.dtype.kind == 'f':
            assert low.dtype == one.dtype and np.isfinite(low).all() and np.abs(one - low).max() < 0.3
