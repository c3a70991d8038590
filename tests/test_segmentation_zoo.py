"""The 140 published segmentation models: keys, model values and recipes are those of the published configs.

``data/zoo_models.json.xz`` and ``data/zoo_recipes.csv`` hold what the published configs say, and the keys and shapes
of what mmseg 0.30.0 and mmdet 2.28.2 build of them (data/make_zoo_goldens.py, which names what is mended or inferred).
"""

import copy
import csv
import inspect
import json
import lzma
from pathlib import Path

import pytest
import torch
import yaml
from mmdet.models import SwinTransformer
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.utils import import_modules_from_strings
from mmseg.models import EncoderDecoder, VisionTransformer

from mmroad import get_config, list_models
from mmroad.zoo.configs import configs_folder
from mmroad.zoo.loader import renamed_vit
from mmroad.zoo.models import build_model, uninitialized

DATA = Path(__file__).parent / 'data'
PUBLISHED = json.loads(lzma.decompress((DATA / 'zoo_models.json.xz').read_bytes()))
RECIPES = {f'{r["stem"]}_{r["task"]}_bdd100k': r for r in csv.DictReader((DATA / 'zoo_recipes.csv').open())}
TASKS = ('sem_seg', 'drivable', 'ins_seg', 'pan_seg')
METAFILES = {task: yaml.safe_load((configs_folder() / task / 'metafile.yml').read_text()) for task in TASKS}
#: A model of each family; those of the drivable area are semantic segmentation's with other classes.
FAMILIES = {
    (task.replace('drivable', 'sem_seg'), model['In Collection']): model['Name']
    for task in reversed(TASKS)
    for model in reversed(METAFILES[task]['Models'])
}


@pytest.fixture(scope='module')
def configs():
    """All 140; the files that they share are read once."""
    read, files = Config._file2dict, {}

    def cached(filename, *args, **kwargs):
        key = str(filename), args, str(kwargs)
        if key not in files:
            files[key] = read(filename, *args, **kwargs)
        return copy.deepcopy(files[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Config, '_file2dict', staticmethod(cached))
        return {name: get_config(name) for name in PUBLISHED}


def test_there_are_140_each_with_its_metafile_entry_and_config():
    assert len(PUBLISHED) == 140
    for task, number in zip(TASKS, (53, 56, 26, 5), strict=True):
        names = set(list_models(f'*_{task}_bdd100k'))
        assert len(names) == number and names == {n for n in PUBLISHED if n.endswith(f'_{task}_bdd100k')}
        assert names == {path.stem for path in (configs_folder() / task).glob('*.py')}
        for model in METAFILES[task]['Models']:
            assert model['Config'] == f'configs/{task}/{model["Name"]}.py'
            assert model['Weights'].endswith(f'/{task}/models/{model["Name"]}.pth')
            assert len(model['Results']) == 2


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(name, marks=[] if name in set(FAMILIES.values()) else pytest.mark.slow)
        for name in PUBLISHED
    ],
)
def test_keys_and_shapes_are_the_published_ones(name, configs):
    if 'convnext' in name:
        pytest.importorskip('mmpretrain')
    import_modules_from_strings(**configs[name].custom_imports)
    with uninitialized():
        model = build_model(configs[name])
    got = {key: list(value.shape) for key, value in model.state_dict().items()}
    assert got == PUBLISHED[name]['keys']
    size = sum(p.numel() for p in model.parameters()) / 1e6
    (entry,) = [m for t in TASKS for m in METAFILES[t]['Models'] if m['Name'] == name]
    assert entry['Metadata']['Parameters'] == f'{size:.1f}M'


def flat(node, place=()):
    """Values of a config by their places."""
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from flat(value, (*place, key))
    elif isinstance(node, (list, tuple)) and any(isinstance(v, (dict, list, tuple)) for v in node):
        for i, value in enumerate(node):
            yield from flat(value, (*place, i))
    else:
        yield place, list(node) if isinstance(node, (list, tuple)) else node


#: Values of the frameworks' classes where one of the two configs does not name them.
DEFAULTS = dict(
    align_corners=False, loss_weight=1.0, reg_class_agnostic=False, requires_grad=True, target_means=[0.0] * 4,
    use_sigmoid=False,
)  # fmt: skip
#: Initial weights, of another address; preprocessing, which was in the pipelines; what only newer versions have.
MOVED = {'pretrained', 'init_cfg', 'data_preprocessor', 'patch_bias', 'convert_weights', 'debug'}
RENAMED = {'mmcls.ConvNeXt': 'mmpretrain.ConvNeXt', 'SwinTransformer': 'mmdet.SwinTransformer'}
#: mmdet 2 took boxes by the settings of ``panoptic``, mmdet 3 takes them by those of ``rcnn``.
PANOPTIC = {
    'rcnn': {'score_thr': (0.6, 0.05), 'nms.class_agnostic': (True, None)},
    'panoptic': {
        'score_thr': (None, 0.6), 'max_per_img': (None, 100), 'mask_thr_binary': (None, 0.5), 'nms.type': (None, 'nms'),
        'nms.iou_threshold': (None, 0.5), 'nms.class_agnostic': (None, True),
    },
}  # fmt: skip


def default(place, types):
    """What is meant where a config does not name a value."""
    kind = {'mmdet.SwinTransformer': SwinTransformer, 'VisionTransformer': VisionTransformer}
    if place[0] == 'backbone' and types['backbone'] in kind:
        value = inspect.signature(kind[types['backbone']]).parameters[place[1]].default
        for key in place[2:]:
            value = value.get(key, DEFAULTS.get(key))
        return list(value) if isinstance(value, tuple) else value
    if place[-2:] == ('loss_decode', 'type'):
        return 'CrossEntropyLoss'
    return DEFAULTS.get(place[-1])


@pytest.mark.parametrize('task', TASKS)
def test_models_have_the_published_values(task, configs):
    for name in list_models(f'*_{task}_bdd100k'):
        model, published = configs[name].model.to_dict(), dict(flat(PUBLISHED[name]['model']))
        mine, types = dict(flat(model)), dict(backbone=model['backbone']['type'])
        differ = {}
        for place in mine.keys() | published.keys():
            if MOVED.intersection(place):
                continue
            got, want = (x[place] if place in x else default(place, types) for x in (mine, published))
            if got != (RENAMED.get(want, want) if isinstance(want, str) else want):
                differ[place] = got, want
        allowed = {
            ('test_cfg', part, *key.split('.')): pair
            for part, values in PANOPTIC.items()
            for key, pair in values.items()
        }
        assert differ == (allowed if task == 'pan_seg' else {}), name


def test_recipes_are_the_published_ones(configs):
    for name, cfg in configs.items():
        assert recipe(cfg) == RECIPES[name], name


def recipe(cfg):
    """The row of zoo_recipes.csv that a config of ours has."""
    optim, schedulers = cfg.optim_wrapper, cfg.param_scheduler
    paramwise, keys = (
        optim.get('paramwise_cfg') or {},
        (optim.get('paramwise_cfg') or {}).get('custom_keys', {}),
    )
    assert all(value == dict(decay_mult=0.0) for value in keys.values())
    main, warmup = schedulers[-1], schedulers[0] if len(schedulers) == 2 else {}
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    test = {step.type: step for step in cfg.test_dataloader.dataset.pipeline}
    assert cfg.val_dataloader == cfg.test_dataloader
    resize = next(step for kind, step in steps.items() if 'Resize' in kind)
    crop, test_cfg = steps.get('RandomCrop', {}), cfg.model.test_cfg
    heads = [cfg.model.get('decode_head') or {}]
    heads = [*(heads[0] if isinstance(heads[0], list) else heads), cfg.model.get('auxiliary_head') or {}]
    corners = {bool(head.get('align_corners')) for head in heads if head}
    epochs = main.type == 'MultiStepLR'
    assert main.end == (cfg.train_cfg.max_epochs if epochs else cfg.train_cfg.max_iters)
    assert (main.begin, warmup.get('begin', 0)) == (0, 0)
    row = dict(
        task=_task(cfg),
        stem=Path(cfg.filename).stem.removesuffix(f'_{_task(cfg)}_bdd100k'),
        optimizer=optim.optimizer.type,
        lr=optim.optimizer.lr,
        weight_decay=optim.optimizer.weight_decay,
        no_decay=' '.join(keys),
        layer_decay=paramwise.get('decay_rate', ''),
        num_layers=paramwise.get('num_layers', ''),
        iters='' if epochs else main.end,
        epochs=main.end if epochs else '',
        milestones=' '.join(map(str, main.get('milestones', ()))),
        power=main.get('power', ''),
        min_lr=main.get('eta_min', ''),
        warmup=warmup.end - (not epochs) if warmup else '',
        warmup_factor=warmup.get('start_factor', ''),
        batch=8 * cfg.train_dataloader.batch_size,
        scales=' '.join('x'.join(map(str, s)) for s in resize.get('scales', [resize.get('scale')])),
        ratios=' '.join(map(str, resize.get('ratio_range', ()))),
        crop='x'.join(map(str, crop.get('crop_size', ()))),
        cat_max_ratio=crop.get('cat_max_ratio', ''),
        test_scale='x'.join(map(str, test.get('Resize', dict(scale=(1280, 720)))['scale'])),
        test_mode=test_cfg.get('mode', ''),
        stride=' '.join(map(str, test_cfg.get('stride', ()))),
        align_corners=int(corners.pop()) if corners else 0,
        drop_path=cfg.model.backbone.get('drop_path_rate', ''),
        amp=int(optim.type == 'AmpOptimWrapper'),
    )
    assert not corners and cfg.auto_scale_lr.base_batch_size == row['batch']
    if row['amp']:
        assert optim.loss_scale == 'dynamic'
    if row['crop']:
        size = crop.get('crop_size')
        assert tuple(cfg.model.data_preprocessor.size) == tuple(size)
        assert tuple(test_cfg.get('crop_size', (769, 769))) == (769, 769)
        assert steps['LoadLabelMap'].num_classes == test['LoadLabelMap'].num_classes == heads[0].num_classes
    if row['task'] == 'sem_seg' and row['drop_path'] == '' and row['stem'].startswith('upernet_vit'):
        row['drop_path'] = 0.0  # the class's
    if float(row['warmup_factor'] or 0) == 0.1:
        row['warmup_factor'] = ''  # mmcv 1's default
    return {key: str(value) for key, value in row.items()}


def _task(cfg):
    return Path(cfg.filename).parent.name


@pytest.mark.parametrize('schedule', ['param_scheduler', 'warmed', 'warmed_point'])
def test_learning_rates_are_those_of_mmcv_1(schedule):
    cfg = Config.fromfile(configs_folder() / '_base_/schedules/seg_40k.py')
    base = 6e-5 if schedule == 'warmed' else 0.01
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], base)
    schedulers = [PARAM_SCHEDULERS.build(dict(s, optimizer=optimizer)) for s in cfg[schedule]]
    least, power = (0.0, 1.0) if schedule == 'warmed' else (1e-4, 0.9)
    steps, factor = dict(param_scheduler=(0, 0), warmed=(1500, 1e-6), warmed_point=(200, 0.1))[schedule]
    optimizer.step()
    for iteration in range(39001):
        if iteration in (0, 100, 1499, 1500, 20000, 39000):
            want = (base - least) * (1 - iteration / 40000) ** power + least
            if iteration < steps:  # mmcv.runner.LrUpdaterHook.get_warmup_lr
                want *= 1 - (1 - iteration / steps) * (1 - factor)
            assert optimizer.param_groups[0]['lr'] == pytest.approx(want, rel=1e-3), iteration
        for scheduler in schedulers:
            scheduler.step()


def test_slide_inference_of_769_is_the_mean_of_two_windows(configs):
    """At 721x1281 a window of 769x769 is cut to the image's height: two lie side by side."""
    cfg = configs['fcn_r50-d8_769x769_40k_drivable_bdd100k'].model
    pointwise = torch.nn.Conv2d(3, 3, 3, padding=1)
    model = EncoderDecoder.__new__(EncoderDecoder)
    torch.nn.Module.__init__(model)
    model.test_cfg, model.out_channels, model.align_corners = cfg.test_cfg, 3, True
    model.encode_decode = lambda image, metas: pointwise(image)
    image = torch.randn(1, 3, 721, 1281, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        got = model.slide_inference(image, [dict(img_shape=(721, 1281), ori_shape=(720, 1280))])
        left, right = pointwise(image[..., :769]), pointwise(image[..., 512:])
    want = torch.cat([left[..., :512], (left[..., 512:] + right[..., :257]) / 2, right[..., 257:]], -1)
    assert torch.allclose(got, want, atol=1e-5) and not torch.equal(left[..., 512:], right[..., :257])


def test_weights_of_timm_have_every_key_of_mmsegs_vit():
    model = VisionTransformer(
        img_size=32, embed_dims=8, num_layers=2, num_heads=2, patch_bias=True, final_norm=True
    )
    timm = {'cls_token': 'cls_token', 'pos_embed': 'pos_embed', 'head.weight': None, 'head.bias': None}
    parts = {'norm1': 'ln1', 'norm2': 'ln2', 'attn.proj': 'attn.attn.out_proj', 'mlp.fc1': 'ffn.layers.0.0',
             'mlp.fc2': 'ffn.layers.1'}  # fmt: skip
    for end in ('weight', 'bias'):
        timm |= {f'patch_embed.proj.{end}': f'patch_embed.projection.{end}', f'norm.{end}': f'ln1.{end}'}
        for i in range(2):
            timm |= {f'blocks.{i}.{a}.{end}': f'layers.{i}.{b}.{end}' for a, b in parts.items()}
            timm[f'blocks.{i}.attn.qkv.{end}'] = f'layers.{i}.attn.attn.in_proj_{end}'
    own = model.state_dict()
    state = {name: torch.zeros(1) if key is None else own[key] for name, key in timm.items()}
    renamed = renamed_vit(dict(model=state))['state_dict']
    assert set(renamed) == set(own) and all(torch.equal(renamed[key], own[key]) for key in own)
    other = dict(state_dict={'layer1.0.conv1.weight': torch.zeros(1)})
    assert renamed_vit(other) is other
