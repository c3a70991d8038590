"""save_scores.py: one file an image, names checked before the run, what cannot be read told."""

import importlib.util
import signal

import cv2
import numpy as np
import pytest
import torch

from mmroad.zoo.configs import configs_folder
from mmroad.zoo.models import init_model

CONFIG = 'abet_deepv3plus_r18_road_scenes'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('model') / 'model.pth'
    torch.manual_seed(0)
    torch.save(dict(state_dict=init_model(CONFIG).state_dict(), meta={}), path)
    return path


def run(monkeypatch, checkpoint, images, out):
    path = configs_folder().parent / 'tools/analysis_tools/save_scores.py'
    spec = importlib.util.spec_from_file_location('save_scores', path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.setattr(
        'sys.argv', ['save_scores.py', CONFIG, str(checkpoint), '--images', str(images), '--out', str(out)]
    )
    before = signal.getsignal(signal.SIGTERM)
    try:
        tool.main()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_one_file_an_image(monkeypatch, checkpoint, tmp_path, capsys):
    for name in ('a/1.png', 'a/2.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.random.default_rng(0).integers(0, 255, (40, 64, 3), np.uint8))
    run(monkeypatch, checkpoint, tmp_path / 'a', tmp_path / 'out')
    assert '2 images written' in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['1.npz', '2.npz']
    with np.load(tmp_path / 'out/1.npz') as content:
        assert content['classes'].shape == content['score_abet'].shape == (40, 64)
    (tmp_path / 'a/3.png').write_bytes(b'')
    with pytest.raises(SystemExit, match=r'left out \(1\):\n  3.png'):
        run(monkeypatch, checkpoint, tmp_path / 'a', tmp_path / 'out')
    (tmp_path / 'b').mkdir()
    (tmp_path / 'b/1.jpg').write_bytes(b'')
    with pytest.raises(SystemExit, match=r'a/1\.png and b/1\.jpg would both be written to'):
        run(monkeypatch, checkpoint, f'{tmp_path}/[ab]/*', tmp_path / 'other')
    assert not (tmp_path / 'other').exists()
