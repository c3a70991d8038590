"""Makes det_recipes.csv: what the 64 published configs of SysCV/bdd100k-models (commit 0935a8a) say.

None of mmroad's configs is read. What is mended on purpose is in ``MENDED``.

    python tests/data/make_det_recipes.py CHECKOUT/det/configs/det
"""

import csv
import sys
import tempfile
from pathlib import Path

from mmengine.config import Config

MENDED = {
    'cascade_rcnn_swin-s_fpn_fp16_3x': dict(amp=1),  # fp16 in the name alone
    'cascade_rcnn_swin-b_fpn_fp16_3x': dict(amp=1),
}
#: Of the strong recipes: scales of the pipeline that follows, which the published files leave out.
STRONG = dict(scales=6)


def recipe(cfg: Config) -> dict:
    optimizer, schedule = cfg.optimizer, cfg.lr_config
    scale = next((s.img_scale for s in cfg.train_pipeline if s.type == 'Resize'), None)
    return dict(
        optimizer=optimizer.type,
        lr=optimizer.lr,
        weight_decay=optimizer.weight_decay,
        epochs=cfg.runner.max_epochs,
        milestones=' '.join(map(str, schedule.step)),
        warmup=schedule.warmup_iters,
        warmup_factor=round(schedule.warmup_ratio, 6),
        batch=cfg.data.samples_per_gpu,
        scales=len(scale) if isinstance(scale, list) else 1,
        drop_path=cfg.model.backbone.get('drop_path_rate', ''),
        amp=int(cfg.get('fp16') is not None),
        clip=((cfg.get('optimizer_config') or {}).get('grad_clip') or {}).get('max_norm', ''),
    )


def main() -> None:
    source = Path(sys.argv[1])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        (copy := Path(folder) / 'det').mkdir()
        (Path(folder) / '_base_').symlink_to((source.parent / '_base_').resolve())
        for path in source.glob('*_det_bdd100k.py'):
            (copy / path.name).write_text(path.read_text())
            # three files name bases without "_det", which do not exist
            alias = copy / path.name.replace('_det_bdd100k', '_bdd100k')
            alias.write_text(f'_base_ = "./{path.name}"\n')
        for path in sorted(copy.glob('*_det_bdd100k.py')):
            stem = path.stem.removesuffix('_det_bdd100k')
            row = recipe(Config.fromfile(path, import_custom_modules=False)) | MENDED.get(stem, {})
            rows.append(dict(stem=stem) | row | (STRONG if '_strong' in stem else {}))
    with Path(__file__).with_name('det_recipes.csv').open('w', newline='') as file:
        writer = csv.DictWriter(file, rows[0], lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
    print(f'{len(rows)} recipes')


if __name__ == '__main__':
    main()
