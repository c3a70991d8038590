"""`mmroad scores save`: one map a score and image, names checked before the run, what cannot be read told."""

import signal

import cv2
import numpy as np
import pytest
import torch

from mmroad.anomaly.io import load_map
from mmroad.commands import main
from mmroad.files.label_maps import read_label_map
from mmroad.zoo.models import init_model

CONFIG = 'abet_deepv3plus_r18_road_scenes'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('model') / 'model.pth'
    torch.manual_seed(0)
    torch.save(dict(state_dict=init_model(CONFIG).state_dict(), meta={}), path)
    return path


def run(checkpoint, images, out):
    before = signal.getsignal(signal.SIGTERM)
    try:
        main(['scores', 'save', CONFIG, str(checkpoint), '--images', str(images), '--out', str(out)])
    finally:
        signal.signal(signal.SIGTERM, before)


def test_one_file_an_image(checkpoint, tmp_path, capsys):
    for name in ('a/1.png', 'a/2.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.random.default_rng(0).integers(0, 255, (40, 64, 3), np.uint8))
    run(checkpoint, tmp_path / 'a', tmp_path / 'out')
    assert '2 images written' in capsys.readouterr().out
    scores = ['abet', 'entropy', 'godin', 'max_logit', 'msp']
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == sorted([*scores, 'classes'])
    for score in scores:
        assert sorted(path.name for path in (tmp_path / 'out' / score).iterdir()) == ['1.npz', '2.npz']
        assert load_map(tmp_path / f'out/{score}/1.npz').shape == (40, 64)
    assert read_label_map(tmp_path / 'out/classes/2.png', num_classes=19).shape == (40, 64)
    (tmp_path / 'a/3.png').write_bytes(b'')
    with pytest.raises(SystemExit) as end:
        run(checkpoint, tmp_path / 'a', tmp_path / 'out')
    assert end.value.code == 1 and 'left out (1):\n  3.png' in capsys.readouterr().err
    (tmp_path / 'b').mkdir()
    (tmp_path / 'b/1.jpg').write_bytes(b'')
    with pytest.raises(SystemExit, match=r'a/1\.png and b/1\.jpg would both be written to'):
        run(checkpoint, f'{tmp_path}/[ab]/*', tmp_path / 'other')
    assert not (tmp_path / 'other').exists()
