"""ONNX export with a fixed vocabulary, run with onnxruntime beside PyTorch."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample

import mmroad.detic  # noqa: F401 (registers)
from mmroad.commands import main
from mmroad.detic.export import ExportedC2
from mmroad.detic.vocabulary import Vocabulary, classifier_matrix, save_vocabulary
from mmroad.zoo.configs import get_config
from mmroad.zoo.models import build_model

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def model():
    cfg = get_config('BoxSup-C2_LCOCO_CLIP_R18_640b32_4x')
    cfg.merge_from_dict(
        {
            'model.roi_head.bbox_head.num_classes': 6,
            'model.roi_head.bbox_head.fc_out_channels': 64,
            'model.test_cfg.rcnn.max_per_img': 60,
        }
    )
    torch.manual_seed(0)
    model = build_model(cfg).eval()
    model.roi_head.set_classifier(classifier_matrix(torch.randn(6, 512)))
    model.cfg = cfg
    return model


def test_the_graph_is_the_model(model):
    image = torch.zeros(1, 3, 64, 96)
    image[:, :, :60, :90] = torch.randint(0, 255, (1, 3, 60, 90))
    with torch.no_grad():
        boxes, scores, labels, masks = ExportedC2(model, (64, 96))(image, torch.tensor([60.0, 90.0]))
    sample = DetDataSample(metainfo=dict(img_shape=(60, 90), ori_shape=(60, 90), scale_factor=(1.0, 1.0)))
    data = model.data_preprocessor(dict(inputs=[image[0, :, :60, :90].byte()], data_samples=[sample]))
    with torch.no_grad():
        want = model.predict(data['inputs'], data['data_samples'])[0].pred_instances
    assert 20 < len(boxes) == len(want) < 60  # of the best 60 those with an area
    assert torch.allclose(scores, want.scores, atol=1e-5) and (labels == want.labels).float().mean() > 0.9
    same = labels == want.labels
    assert torch.allclose(boxes[same], want.bboxes[same], atol=1e-2) and masks.shape == (len(boxes), 28, 28)
    with pytest.raises(ValueError, match='multiples of 32'):
        ExportedC2(model, (60, 90))


def test_onnxruntime_gives_pytorchs_numbers(model, tmp_path, monkeypatch, capsys):
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'm.pth')
    model.cfg.dump(tmp_path / 'config.py')
    words = Vocabulary(('car', 'bus', 'rider'), torch.randn(3, 512))
    save_vocabulary(words, tmp_path / 'w.safetensors')
    rng = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / 'a.png'), rng.integers(0, 255, (50, 90, 3), np.uint8))
    command = ['export', tmp_path / 'config.py', tmp_path / 'm.pth', tmp_path / 'm.onnx', '--size', 64, 96,
               '--vocabulary', tmp_path / 'w.safetensors', '--check', tmp_path / 'a.png']  # fmt: skip
    main(list(map(str, command)))
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith('ONNX and PyTorch: detections ')
    numbers = dict(part.split(' ') for part in line.removeprefix('ONNX and PyTorch: ').split(', '))
    assert (
        float(numbers['detections']) > 20
        and float(numbers['boxes']) < 1e-2
        and float(numbers['scores']) < 1e-4
    )
    assert float(numbers['masks']) < 1e-3 and float(numbers['labels']) == 0
    import onnx

    kinds = {node.domain for node in onnx.load(str(tmp_path / 'm.onnx')).graph.node}
    assert kinds <= {'', 'ai.onnx'}  # no custom operators
