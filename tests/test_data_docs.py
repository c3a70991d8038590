"""docs/data.md says what the code looks for, and its config works."""

import re
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

import mmroad.rba  # noqa: F401
from mmroad.anomaly.layouts import LAYOUTS
from mmroad.zoo.configs import configs_folder
from mmroad.zoo.models import build_model

TEXT = (Path(__file__).parents[1] / 'docs/data.md').read_text()


def test_every_layout_is_there_with_its_source():
    for name, layout in LAYOUTS.items():
        whole, _, ending = name.rpartition('_')
        shortened = ending in ('v2', 'normal', 'lowlight') and f'`_{ending}`' in TEXT
        named = f'`{name}`' in TEXT or (shortened and f'`{whole}' in TEXT)
        assert named and layout.source in TEXT, name
        if layout.images:
            assert re.search(rf'\b{layout.images}\b', TEXT)


def test_own_classes_as_the_page_shows_them(tmp_path):
    from mmseg.registry import DATASETS

    code = re.search(r'```python\n(.*?)```', TEXT, re.DOTALL)[1]
    code = code.replace('./rba', str(configs_folder() / 'rba/rba')).replace('data/rails', str(tmp_path))
    (tmp_path / 'own.py').write_text(code)
    cfg = Config.fromfile(tmp_path / 'own.py')
    for folder in ('images/train', 'labels/train', 'images/val', 'labels/val'):
        (tmp_path / folder).mkdir(parents=True)
    for split in ('train', 'val'):
        Image.fromarray(np.zeros((60, 90, 3), np.uint8)).save(tmp_path / f'images/{split}/a.jpg')
        Image.fromarray(np.full((60, 90), 2, np.uint8)).save(tmp_path / f'labels/{split}/a.png')
    init_default_scope('mmseg')
    (item,) = DATASETS.build(cfg.val_dataloader.dataset)
    assert item['data_samples'].gt_sem_seg.data.unique().tolist() == [2]
    train = DATASETS.build(cfg.train_dataloader.dataset)
    assert len(train) == 1 and train.metainfo['classes'] == ('road', 'rail', 'verge')
    Image.fromarray(np.full((60, 90), 3, np.uint8)).save(tmp_path / 'labels/train/a.png')
    with pytest.raises(ValueError, match=r'labels/train/a\.png: values 3 .* expected 0 to 2'):
        train[0]
    cfg.model.backbone = dict(type='ResNet', depth=18, num_stages=4, out_indices=(0, 1, 2, 3))
    cfg.model.decode_head.in_channels = [64, 128, 256, 512]
    assert build_model(cfg).decode_head.cls_embed.out_features == 4
