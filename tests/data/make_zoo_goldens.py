"""Makes zoo_models.json.xz and zoo_recipes.csv: what the 140 published segmentation models are.

zoo_models.json.xz has the ``model`` of each published config of SysCV/bdd100k-models (commit 0935a8a), and the
state-dict keys and shapes of what mmseg 0.30.0 and mmdet 2.28.2 build of it (with mmcv 1.7.2 and mmcls 0.25.0,
as make_det_goldens.py does it). zoo_recipes.csv has their schedules, optimizers and data. None of mmroad's configs is
read. The eight rows of batch 32 have no published config: they have that of their row of batch 16.

    python tests/data/make_zoo_goldens.py CHECKOUT PACKAGES

CHECKOUT is the published model zoo, PACKAGES a folder of the four packages, unpacked.
"""

import argparse
import csv
import json
import lzma
import pkgutil
import re
import sys
import tempfile
from importlib.machinery import ModuleSpec
from pathlib import Path

from make_det_goldens import ABSENT, Empty, without_pretrained

TASKS = ('sem_seg', 'drivable', 'ins_seg', 'pan_seg')
#: Rows of which only weights were published.
BATCH_32 = (
    'mask_rcnn_r50_fpn_1x', 'mask_rcnn_r50_fpn_3x', 'mask_rcnn_r101_fpn_3x', 'cascade_mask_rcnn_r50_fpn_1x',
    'cascade_mask_rcnn_r50_fpn_3x', 'mask_rcnn_r50_fpn_dconv_1x', 'mask_rcnn_r50_fpn_dconv_3x',
    'mask_rcnn_r101_fpn_dconv_3x',
)  # fmt: skip


def mended(configs: Path, folder: Path, task: str) -> list[Path]:
    """Copies of a task's configs, one of which names a base that does not exist."""
    for path in configs.rglob('*.py'):
        copy = folder / path.relative_to(configs)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(re.sub(r'(/upernet_vit-b_512x1024_80k)_bdd', r'\1_sem_seg_bdd', path.read_text()))
    return sorted((folder / task).glob(f'*_{task}_bdd100k.py'))


def build(cfg: dict, task: str) -> dict[str, list[int]]:
    from mmcv.utils import ConfigDict

    cfg = ConfigDict(json.loads(json.dumps(cfg)))
    without_pretrained(cfg)
    cfg.pretrained = None
    if task in ('sem_seg', 'drivable'):
        from mmseg.models import build_segmentor as build_one
    else:
        from mmdet.models import build_detector as build_one
    return {key: list(value.shape) for key, value in build_one(cfg).state_dict().items()}


def recipe(cfg) -> dict:
    """The values of a published config that make its training and its test."""
    optimizer, schedule = dict(cfg.optimizer), cfg.lr_config
    paramwise = optimizer.get('paramwise_cfg') or {}
    steps = {step.type: step for step in cfg.train_pipeline}
    scale, head = steps['Resize'].img_scale, cfg.model.get('decode_head') or {}
    head = head[-1] if isinstance(head, list) else head
    test = next(step for step in cfg.test_pipeline if step.type == 'MultiScaleFlipAug')
    return dict(
        optimizer=optimizer['type'],
        lr=optimizer['lr'],
        weight_decay=optimizer['weight_decay'],
        no_decay=' '.join(paramwise.get('custom_keys', ())),
        layer_decay=paramwise.get('decay_rate', ''),
        num_layers=paramwise.get('num_layers', ''),
        iters=cfg.runner.get('max_iters', ''),
        epochs=cfg.runner.get('max_epochs', ''),
        milestones=' '.join(map(str, schedule.get('step', ()))),
        power=schedule.get('power', ''),
        min_lr=schedule.get('min_lr', ''),
        warmup=schedule.get('warmup_iters', ''),
        warmup_factor=schedule.get('warmup_ratio', ''),
        batch=8 * cfg.data.samples_per_gpu,
        scales=' '.join('x'.join(map(str, s)) for s in (scale if isinstance(scale, list) else [scale])),
        ratios=' '.join(map(str, steps['Resize'].get('ratio_range', ()))),
        crop='x'.join(map(str, steps['RandomCrop'].crop_size)) if 'RandomCrop' in steps else '',
        cat_max_ratio=steps['RandomCrop'].cat_max_ratio if 'RandomCrop' in steps else '',
        test_scale='x'.join(map(str, test.img_scale)),
        test_mode=cfg.model.test_cfg.get('mode', ''),
        stride=' '.join(map(str, cfg.model.test_cfg.get('stride', ()))),
        align_corners=int(head.get('align_corners', False)),
        drop_path=cfg.model.backbone.get('drop_path_rate', ''),
        amp=int(cfg.get('optimizer_config', {}).get('type') == 'Fp16OptimizerHook' or bool(cfg.get('fp16'))),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkout', type=Path)
    parser.add_argument('packages', type=Path)
    args = parser.parse_args()
    sys.path.insert(0, str(args.packages))
    for name in ABSENT:
        sys.modules[name] = Empty(name)
        sys.modules[name].__spec__ = ModuleSpec(name, None)
    pkgutil.find_loader = lambda name: name not in ABSENT  # newer Pythons lack it

    import mmcls.models  # noqa: F401 (registers ConvNeXt)
    from mmcv import Config

    models, rows = {}, []
    for task in TASKS:
        with tempfile.TemporaryDirectory() as folder:
            for path in mended(args.checkout / task / 'configs', Path(folder), task):
                cfg = Config.fromfile(path, import_custom_modules=False)
                entry = dict(model=cfg.model.to_dict(), keys=build(cfg.model.to_dict(), task))
                stem = path.stem.removesuffix(f'_{task}_bdd100k')
                models[path.stem] = entry
                rows.append(dict(task=task, stem=stem) | recipe(cfg))
                if task == 'ins_seg' and stem in BATCH_32:  # inferred: twice the images, twice the rate
                    models[f'{stem}_32bs_{task}_bdd100k'] = entry
                    twin = dict(rows[-1], stem=f'{stem}_32bs', batch=32, lr=2 * rows[-1]['lr'])
                    rows.append(twin)
    folder = Path(__file__).parent
    text = json.dumps(models, separators=(',', ':'))
    (folder / 'zoo_models.json.xz').write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    with (folder / 'zoo_recipes.csv').open('w', newline='') as file:
        writer = csv.DictWriter(file, rows[0], lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
    print(f'{len(models)} models, {len(rows)} recipes')


if __name__ == '__main__':
    main()
