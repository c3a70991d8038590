"""Every config parses, dumps, reloads and builds; the 64 detectors are the published ones.

``data/det_recipes.csv`` holds the recipes' values, read from the 64 published config files
(data/make_det_recipes.py; what is mended on purpose is named there). ``data/det_state_dicts.json.gz`` holds keys and
shapes of the published configs built by mmdet 2.28.2's own modules (data/make_det_goldens.py).
"""

import csv
import gzip
import importlib.util
import json
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.utils import import_modules_from_strings

from mmroad import get_config, list_models
from mmroad.runtime.training import make_resumable
from mmroad.zoo.configs import configs_folder, find_model
from mmroad.zoo.models import build_model, uninitialized, without_initial_weights

DATA = Path(__file__).parent / 'data'
GOLDEN = json.loads(gzip.decompress((DATA / 'det_state_dicts.json.gz').read_bytes()))
RECIPES = {row['stem']: row for row in csv.DictReader((DATA / 'det_recipes.csv').open())}
DETECTORS = sorted(path.stem for path in (configs_folder() / 'det').glob('*.py'))
NEEDS = {'convnext': 'mmpretrain', 'CXT21k': 'mmpretrain'}


def needs(name: str) -> None:
    for part, package in NEEDS.items():
        if part in name and importlib.util.find_spec(package) is None:
            pytest.skip(f'{package} is not installed')


def test_there_are_64_detectors_each_with_its_metafile_entry():
    assert len(DETECTORS) == 64 and set(DETECTORS) == set(list_models('*_det_bdd100k')) == set(GOLDEN)
    assert len({find_model(name)['In Collection'] for name in DETECTORS}) == 17


#: One model of each task of the segmentation zoo; the other 136 are alike (test_segmentation_zoo.py parses all).
FIRST_OF_TASKS = [list_models(f'*_{t}_bdd100k')[0] for t in ('sem_seg', 'drivable', 'ins_seg', 'pan_seg')]
#: Those whose dumps are formatted too.
FORMATTED = (*FIRST_OF_TASKS, *list_models()[::20])
OF_TASKS = ('_sem_seg_bdd100k', '_drivable_bdd100k', '_ins_seg_bdd100k', '_pan_seg_bdd100k')


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(n, marks=pytest.mark.slow if n.endswith(OF_TASKS) and n not in FIRST_OF_TASKS else [])
        for n in list_models()
    ],
)
def test_every_model_of_the_zoo_parses_dumps_and_reloads(name, tmp_path, monkeypatch):
    if name not in FORMATTED:  # what takes the most of a dump's time
        monkeypatch.setattr('yapf.yapflib.yapf_api.FormatCode', lambda text, **kwargs: (text, True))
    cfg = get_config(name)
    assert cfg.filename.endswith(f'{name}.py')
    assert '_delete_' not in f'{cfg.model} {cfg.get("optim_wrapper")} {cfg.get("train_dataloader")}'
    cfg.dump(tmp_path / 'dumped.py')
    assert Config.fromfile(tmp_path / 'dumped.py').to_dict() == cfg.to_dict()
    if cfg.get('train_cfg'):  # trainings that can be killed: two checkpoints at least, loops that go on
        assert cfg.default_hooks.checkpoint.get('max_keep_ckpts', -1) != 1
        make_resumable(cfg)
        assert cfg.default_hooks.checkpoint.type == 'DurableCheckpointHook'
        assert cfg.train_cfg.type in ('ResumableEpochLoop', 'ResumableIterLoop')
        assert cfg.custom_hooks[-1] == dict(type='DivergenceHook')


def types(node):
    if isinstance(node, dict):
        if 'type' in node:
            yield node['type']
        for value in node.values():
            yield from types(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from types(value)


@pytest.mark.parametrize('name', DETECTORS)
def test_detectors_build_with_the_published_keys_and_shapes(name):
    needs(name)
    cfg = get_config(name)
    import_modules_from_strings(**cfg.custom_imports)
    with uninitialized():
        model = build_model(cfg)
    got = {key: list(value.shape) for key, value in model.state_dict().items()}
    assert got == GOLDEN[name]


@pytest.mark.parametrize('name', DETECTORS)
def test_every_type_beside_the_model_resolves(name):
    import mmdet.registry as registries

    cfg = get_config(name)
    init_default_scope('mmdet')
    names = [n for n in dir(registries) if n.isupper() and hasattr(getattr(registries, n), 'get')]
    every = [getattr(registries, n) for n in names]
    parts = ('train_dataloader', 'val_dataloader', 'val_evaluator', 'optim_wrapper', 'param_scheduler',
             'default_hooks', 'custom_hooks', 'train_cfg', 'val_cfg', 'visualizer')  # fmt: skip
    for part in parts:
        for kind in types(cfg.get(part)):
            assert any(registry.get(kind) for registry in every), (part, kind)


@pytest.mark.parametrize('name', DETECTORS)
def test_recipes_are_the_published_ones(name):
    cfg, want = get_config(name), RECIPES[name.removesuffix('_det_bdd100k')]
    optim = cfg.optim_wrapper
    assert optim.optimizer.type == want['optimizer']
    assert optim.optimizer.lr == pytest.approx(float(want['lr']))
    assert optim.optimizer.weight_decay == pytest.approx(float(want['weight_decay']))
    assert optim.type == ('AmpOptimWrapper' if want['amp'] == '1' else 'OptimWrapper')
    if want['amp'] == '1':
        assert optim.loss_scale == dict(init_scale=512)
    assert str((optim.get('clip_grad') or {}).get('max_norm', '')) == want['clip']
    warmup, steps = cfg.param_scheduler
    assert warmup.end == int(want['warmup'])
    assert warmup.get('start_factor', warmup.get('factor')) == pytest.approx(
        float(want['warmup_factor']), abs=1e-6
    )
    assert ' '.join(map(str, steps.milestones)) == want['milestones']
    assert cfg.train_cfg.max_epochs == steps.end == int(want['epochs'])
    assert cfg.train_dataloader.batch_size == int(want['batch'])
    assert cfg.auto_scale_lr.base_batch_size == 8 * int(want['batch'])
    assert str(cfg.model.backbone.get('drop_path_rate', '')) == want['drop_path']
    strong = '_strong_' in name
    resize = next(s for s in cfg.train_pipeline if 'Resize' in s.type)
    assert len(resize.get('scales', [1])) == int(want['scales'])
    assert strong == (cfg.train_dataloader.dataset.type == 'MultiImageMixDataset')
    if strong:
        assert cfg.custom_hooks[0].switch_epoch == 27
    preprocessor, caffe = cfg.model.data_preprocessor, name.startswith('fcos')
    assert preprocessor.bgr_to_rgb == (not caffe)
    assert preprocessor.mean == ([102.9801, 115.9465, 122.7717] if caffe else [123.675, 116.28, 103.53])
    assert preprocessor.std == ([1.0, 1.0, 1.0] if caffe else [58.395, 57.12, 57.375])


def test_convnext_layers_learn_at_rates_of_their_depth():
    assert (
        get_config('faster_rcnn_convnext-t_fpn_fp16_1x_det_bdd100k').optim_wrapper.paramwise_cfg.num_layers
        == 6
    )
    for size in 'sb':
        cfg = get_config(f'cascade_rcnn_convnext-{size}_fpn_fp16_3x_det_bdd100k')
        assert cfg.optim_wrapper.paramwise_cfg.num_layers == 12
        assert cfg.model.backbone.arch == dict(s='small', b='base')[size]


def test_model_zoo_is_generated_from_the_metafiles():
    from mmroad.zoo.page import render

    assert (configs_folder().parent / 'model_zoo.md').read_text() == render()


def test_without_initial_weights_drops_downloads_and_nothing_else():
    cfg = get_config('cascade_rcnn_swin-t_fpn_3x_det_bdd100k').model
    bare = without_initial_weights(cfg)
    assert bare.backbone.init_cfg is None and cfg.backbone.init_cfg.type == 'Pretrained'
    assert bare.roi_head == cfg.roi_head and MODELS is not None
