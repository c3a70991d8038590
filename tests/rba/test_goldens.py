"""Values of the losses and of a small model, kept from the state that passed the published parity cases.

``python tests/rba/test_goldens.py`` writes them anew; do that only after those cases pass.
"""

import json
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from mmroad import get_config
from mmroad.rba.losses import (
    DenseHybridLoss,
    GamblerLoss,
    MaskContrastiveLoss,
    OutlierLoss,
    SmoothnessLoss,
    SparsityLoss,
)
from mmroad.zoo.models import build_model

FILE = Path(__file__).parents[1] / 'data/rba_goldens.json'
TARGETS = [('nls', n) for n in ('none', 'sigmoid', 'tanh')]
TARGETS += [(t, 'none') for t in ('energy', 'softmax_entropy', 'sum_entropy')]
LOSSES = {
    f'{target}_{norm}.{function}': OutlierLoss(target, norm, function)
    for target, norm in TARGETS
    for function in ('squared_hinge', 'bce', 'mse', 'l1')
} | dict(
    kl=OutlierLoss(function='kl'),
    thresholds=OutlierLoss(inlier_threshold=-1.0, outlier_threshold=-0.1),
    smoothness=SmoothnessLoss(loss_weight=1.0),
    sparsity=SparsityLoss(loss_weight=1.0),
    gambler=GamblerLoss(),
    densehybrid=DenseHybridLoss(),
    contrastive=MaskContrastiveLoss(),
)


def loss_value(loss) -> list[float]:
    """The loss and the norms of its gradients."""
    rng = np.random.default_rng(0)
    inputs = [torch.tensor(2 * rng.standard_normal(s)) for s in ((2, 6, 5), (2, 6, 6, 9), (2, 2, 6, 9))]
    inputs = [x.float().requires_grad_() for x in inputs]
    labels = torch.tensor(rng.choice([0, 1, 3, 254, 255], (2, 24, 36), p=[0.3, 0.3, 0.2, 0.1, 0.1]))
    value = loss(inputs[0], inputs[1], labels, inputs[2])
    value.backward()
    return [value.item(), *(0.0 if x.grad is None else x.grad.norm().item() for x in inputs)]


def model_value() -> dict[str, list[float]]:
    """Some predictions of the small model with weights drawn by parameter name."""
    model = build_model(get_config('rba_small_1dl_road_scenes')).eval()
    state = {}
    for key, value in model.state_dict().items():
        rng = np.random.default_rng(zlib.crc32(key.encode()))
        if value.dim() >= 2:
            draw = rng.standard_normal(value.shape) / np.sqrt(np.prod(value.shape[1:]))
        else:
            draw = 0.1 * rng.standard_normal(value.shape) + key.endswith(('weight', 'var'))
        state[key] = torch.tensor(draw, dtype=value.dtype)
    model.load_state_dict(state)
    model.test_cfg.keep_logits = True
    image = torch.tensor(np.random.default_rng(1).standard_normal((1, 3, 64, 96)), dtype=torch.float32)
    with torch.no_grad():
        sample = model.predict(image)[0]
    return dict(
        seg_logits=sample.seg_logits.data[::6, ::16, ::24].flatten().tolist(),
        anomaly_map=sample.anomaly_map.data[0, ::16, ::24].flatten().tolist(),
    )


@pytest.fixture(scope='module')
def golden():
    return json.loads(FILE.read_text())


@pytest.mark.parametrize('name', LOSSES)
def test_losses_and_gradients(name, golden):
    assert loss_value(LOSSES[name]) == pytest.approx(golden[name], rel=1e-4, abs=1e-6)


def test_model(golden):
    for name, value in model_value().items():
        assert value == pytest.approx(golden[name], rel=1e-3, abs=1e-4), name


if __name__ == '__main__':
    values = {name: loss_value(loss) for name, loss in LOSSES.items()} | model_value()
    FILE.write_text(json.dumps(values, indent=0) + '\n')
    sys.stdout.write(f'{len(values)} goldens written to {FILE}\n')
