"""What the configs test with: types that exist, groups of classes, several test sets in one run."""

import json

import cv2
import mmdet.registry as registries
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

import mmroad.bdd100k.det
import mmroad.detic  # noqa: F401 (registers)
from mmroad.commands.running import write_predictions
from mmroad.detic.vocabulary import read_names
from mmroad.zoo.configs import configs_folder, find_model, get_config, list_models

NAMES = [n for n in list_models() if find_model(n)['Config'].startswith('configs/detic/')]


def types(node):
    if isinstance(node, dict):
        if 'type' in node:
            yield node['type']
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from types(value)


@pytest.mark.parametrize('name', NAMES)
def test_every_type_resolves(name):
    init_default_scope('mmdet')
    every = [getattr(registries, n) for n in dir(registries) if n.isupper()]
    every = [r for r in every if hasattr(r, 'get')]
    cfg = get_config(name)
    for part in ('train_dataloader', 'test_dataloader', 'test_evaluator', 'param_scheduler'):
        for kind in types(cfg[part]):
            assert any(registry.get(kind) for registry in every), (part, kind)


def test_open_vocabulary_coco_has_48_seen_and_17_unseen_classes():
    ovcoco, lbase = list_models('*OVCOCO*'), list_models('*_Lbase*')
    assert len(ovcoco) == 4 and len(lbase) == 7
    for name in ovcoco:
        groups = get_config(name).test_evaluator.groups
        assert (len(groups.seen), len(groups.unseen)) == (48, 17)
        assert len({*groups.seen, *groups.unseen} & set(read_names('coco'))) == 65
    for name in lbase:
        cfg = get_config(name).test_evaluator
        assert cfg.groups == dict(novel='r') and cfg.iou_types == ['bbox', 'segm']


def test_two_test_sets_with_their_own_vocabularies_in_one_run(tmp_path):
    rng = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / 'a.jpg'), rng.integers(0, 255, (64, 96, 3), np.uint8))
    for name, classes in (('one', 3), ('two', 5)):
        np.save(tmp_path / f'{name}.npy', rng.normal(size=(classes, 512)))
        categories = [dict(id=c + 1, name=f'{name}_{c}') for c in range(classes)]
        images = [dict(id=i, width=96, height=64, file_name='a.jpg', pos_category_ids=[1]) for i in (1, 2)]
        box = dict(id=1, image_id=1, category_id=1, bbox=[8, 8, 40, 40], area=1600, iscrowd=0)
        content = dict(images=images, annotations=[box], categories=categories)
        (tmp_path / f'{name}.json').write_text(json.dumps(content))
    base = configs_folder()
    text = f"""
_base_ = ['{base}/detic/BoxSup-C2_LCOCO_CLIP_R18_640b32_4x.py', '{base}/_base_/datasets/detic_cross.py']
model = dict(
    vocabularies=dict(objects365='{tmp_path}/one.npy', openimages='{tmp_path}/two.npy'),
    roi_head=dict(bbox_head=dict(fc_out_channels=32)),
    test_cfg=dict(rpn=dict(max_per_img=20), rcnn=dict(masks=False, score_thr=0.0)),
)
test_dataloader = _base_.cross_dataloader
test_evaluator = _base_.cross_evaluator
"""
    (tmp_path / 'config.py').write_text(text)
    cfg = Config.fromfile(tmp_path / 'config.py')
    cfg.work_dir, cfg.load_from = str(tmp_path / 'work'), None
    loader = cfg.test_dataloader
    loader.num_workers, loader.persistent_workers = 0, False
    for name, dataset, metric in zip(('one', 'two'), loader.dataset.datasets, cfg.test_evaluator.metrics):
        dataset.update(data_root='', ann_file=f'{tmp_path}/{name}.json', data_prefix=dict(img=f'{tmp_path}/'))
        dataset.pipeline[1].scale = (96, 64)
        metric.update(ann_file=f'{tmp_path}/{name}.json', format_dir=str(tmp_path / name))
    scores = Runner.from_cfg(cfg).test()
    assert 'objects365/coco/bbox_AP' in scores and 'openimages/openimages/bbox_AP50' in scores
    one, two = (json.loads(f.read_text()) for f in sorted(tmp_path.glob('*/*.bbox.json')))
    assert {d['image_id'] for d in one} == {d['image_id'] for d in two} == {1, 2}
    assert max(d['category_id'] for d in one) <= 3 < max(d['category_id'] for d in two)


def test_models_of_22047_classes_are_tested_on_lvis_with_lvis_vocabulary():
    """Their own classes are other rows than the 1203 of LVIS's file, which a run found at its end."""
    for name in NAMES:
        cfg = get_config(name)
        assert cfg.default_hooks.vocabulary.type == 'VocabularyCheckHook'
        own = cfg.model.get('roi_head', {}).get('bbox_head', cfg.model.get('bbox_head'))
        for loader in (cfg.val_dataloader, cfg.test_dataloader):
            if own.num_classes == 22047 and loader.dataset.get('ann_file') == 'lvis/lvis_v1_val.json':
                assert cfg.model.vocabularies[loader.dataset.vocabulary].endswith(
                    'lvis_v1_clip_a+cname.npy'
                ), name


def steps(node):
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from steps(value)


def test_masks_are_learned_from_outlines():
    """mmdet's own loading makes bitmaps, which give other targets."""
    loading = {
        step['type']
        for name in NAMES
        for step in steps(get_config(name).train_dataloader)
        if step.get('with_mask')
    }
    assert loading == {'LoadDeticAnnotations'}


def test_format_dir_reaches_the_metric_of_every_test_set():
    cfg = get_config('Detic_LI_CLIP_SwinB_896b32_4x_ft4x_max-size_cross_dataset')
    write_predictions(cfg, 'out', only=True)
    assert [m.format_dir for m in cfg.test_evaluator.metrics] == ['out', 'out']
    assert 'format_dir' not in cfg.test_evaluator
