"""ADE20K's semantic pipelines at 640x640, its oracle and its multi-scale testing, on a made data set."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, METRICS, MODELS
from PIL import Image

from mmroad.zoo.configs import configs_folder

BASE = 'maskformer2_swin_base_IN21k_384_bs16_160k_res640{}_ade20k_sem.py'
SIZE = (48, 64)


@pytest.fixture(scope='module')
def ade(tmp_path_factory):
    root = tmp_path_factory.mktemp('ade')
    for split in ('training', 'validation'):
        (root / f'images/{split}').mkdir(parents=True)
        (root / f'annotations/{split}').mkdir(parents=True)
        image = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
        labels = np.full(SIZE, 3, np.uint8)  # sky, 0-based 2
        labels[24:, 32:] = 21  # car, 0-based 20
        labels[:4] = 0
        Image.fromarray(image).save(root / f'images/{split}/ADE_00000001.jpg')
        Image.fromarray(labels).save(root / f'annotations/{split}/ADE_00000001.png')
    return root


def config(ade, kind=''):
    init_default_scope('mmseg')
    cfg = Config.fromfile(configs_folder() / 'rankseg' / BASE.format(kind))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(ade)
    return cfg


def test_training_crops_are_padded_as_published(ade):
    cfg = config(ade)
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert steps['RandomChoiceResize'].scales == list(range(320, 1281, 64))
    steps['RandomChoiceResize'].scales = [320]
    item = DATASETS.build(cfg.train_dataloader.dataset)[0]
    labels = item['data_samples'].gt_sem_seg.data[0]
    assert item['inputs'].shape == (3, 640, 640) and labels.shape == (640, 640)
    assert (
        (item['inputs'][:, 320:] == 128).all()
        and (labels[320:] == 255).all()
        and (labels[:, 428:] == 255).all()
    )
    assert set(labels[:320, :426].unique().tolist()) == {2, 20, 255}


def small(cfg):
    """The config's model with a small body."""
    text = Config.fromfile(configs_folder() / 'rankseg/mask2former_small_road_scenes.py')
    body = text.model.decode_head
    kept = {
        k: cfg.model.decode_head[k] for k in ('type', 'num_classes', 'rank_seg') if k in cfg.model.decode_head
    }
    if kept['type'] == 'RankSegSemSegHead':
        kept['rank_layer'] = 1
    body.update(kept, loss_cls=dict(body.loss_cls, class_weight=[1.0] * 150 + [0.1]))
    torch.manual_seed(0)
    model = MODELS.build(dict(text.model, resize_masks=cfg.model.get('resize_masks', False)))
    model.decode_head.init_weights()
    return model.eval()


def test_oracle_predicts_what_is_there(ade):
    cfg = config(ade, '-gt')
    item = DATASETS.build(cfg.test_dataloader.dataset)[0]
    assert item['data_samples'].gt_classes == [2, 20]
    with torch.no_grad():
        (sample,) = small(cfg).test_step(pseudo_collate([item]))
    assert set(sample.pred_sem_seg.data.unique().tolist()) <= {2, 20}
    assert 'ranking' not in sample
    scores = {}
    for part in cfg.test_evaluator:
        metric = METRICS.build(part)
        metric.dataset_meta = DATASETS.get('ADE20KDataset').METAINFO
        metric.process({}, [sample.to_dict()])
        scores |= metric.evaluate(1)
    assert scores['mIoU'] == pytest.approx(
        scores['published/mIoU'], abs=0.01
    )  # no class is predicted in vain


@pytest.mark.parametrize('kind', ['', '-rankseg', '-gt'])
def test_twelve_views_are_averaged(ade, kind):
    cfg = config(ade, kind)
    pipeline = cfg.tta_pipeline
    resizes, flips = pipeline[1].transforms[:2]
    assert [r.scale for r in resizes] == [320, 480, 640, 800, 960, 1120] and {
        r.max_size for r in resizes
    } == {4480}
    for resize in resizes:
        resize.scale //= 10
    item = DATASETS.build(dict(cfg.test_dataloader.dataset, pipeline=pipeline))[0]
    assert len(item['inputs']) == 12 and len(flips) == 2
    cfg.tta_model.module = small(cfg)
    merged = MODELS.build(cfg.tta_model)
    views = []
    original = merged.module.test_step

    def recorded(data):
        (view,) = original(data)
        views.append((view.metainfo, view.seg_logits.data.clone()))
        return [view]

    merged.module.test_step = recorded
    with torch.no_grad():
        (sample,) = merged.test_step(pseudo_collate([item]))
    assert len(views) == 12 and {tuple(meta['img_shape']) for meta, _ in views} >= {(32, 43), (112, 149)}
    assert sum(bool(meta['flip']) for meta, _ in views) == 6
    mean = torch.stack([logits for _, logits in views]).mean(0)
    torch.testing.assert_close(sample.seg_logits.data, mean)
    assert sample.pred_sem_seg.data.shape == (1, *SIZE) and sample.gt_sem_seg.data.shape == (1, *SIZE)
