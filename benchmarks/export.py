"""The tables of docs/onnx.md: every model exported, compared with PyTorch and timed.

    python benchmarks/export.py --out export.json                # a small twin of every model that can be exported
    python benchmarks/export.py --out export.json --real         # one of each family as it is
    python benchmarks/export.py --out export.json --real --int8 faster_rcnn_r50_fpn_1x_det_bdd100k    # in 8 bits too

Weights are made up (`mmroad.export.made_up`): scores and boxes spread as a trained model's do. Models whose twins are
the same, as they differ in weights, schedule or depth alone, are one row. A row that is in the file already is not
measured again. Times are CPU time, the least of some runs in one thread, torch, ONNX Runtime and OpenVINO on the same
image one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

#: Folders of the configs whose models may be exported.
FOLDERS = ('det', 'ins_seg', 'abet', 'safe', 'rba', 'rankseg', 'detic')
#: Parts of the names of those that are refused: panoptic maps, videos, models that are told the truth.
REFUSED = ('panoptic', 'video', '-gt_')
#: How the keys of a model's config begin that say nothing of how it predicts.
TRAINING = (
    'loss_', 'init_cfg', 'train_cfg', 'frozen_stages', 'norm_eval', 'with_cp', 'drop_path_rate', 'trainable', 'image_',
    'num_weak_proposals', 'caption_', 'neg_caption_', 'dynamic_classifier', 'vocabularies', 'class_names', 'federated',
    'ignore_zero_cats', 'freq_weight', 'prop_score', 'pad_mask',
)  # fmt: skip
#: One of every family, which is exported as it is.
REAL = (
    'retinanet_r50_fpn_1x_det_bdd100k',
    'fcos_r50_fpn_1x_det_bdd100k',
    'atss_r50_fpn_1x_det_bdd100k',
    'faster_rcnn_r50_fpn_1x_det_bdd100k',
    'sparse_rcnn_r50_fpn_1x_det_bdd100k',
    'retinanet_pvt-t_fpn_1x_det_bdd100k',
    'cascade_rcnn_r50_fpn_1x_det_bdd100k',
    'faster_rcnn_swin-t_fpn_1x_det_bdd100k',
    'Detic_LCOCOI21k_CLIP_R18_640b32_4x_ft4x_max-size',
    'rba_swin_t_1dl_cityscapes',
    'mask_rcnn_r50_fpn_1x_ins_seg_bdd100k',
    'faster_rcnn_hrnetv2p_w18_1x_det_bdd100k',
    'faster_rcnn_r50_fpn_dconv_1x_det_bdd100k',
    'faster_rcnn_convnext-t_fpn_fp16_1x_det_bdd100k',
    'abet_faster-rcnn_r50_fpn_bdd100k',
    'libra_faster_rcnn_r50_fpn_1x_det_bdd100k',
    'BoxSup_OVCOCO_CLIP_R50_1x',
    'BoxSup-DeformDETR_L_R50_2x',
    'atss_r50_fpn_dyhead_1x_det_bdd100k',
    'maskformer2_swin_base_IN21k_384_bs16_160k_res640-rankseg_ade20k_sem',
    'abet_deepv3plus_wrn38_bdd100k',
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('models', nargs='*', help='names (default: all, of --real one of every family)')
    parser.add_argument(
        '--out', required=True, help='.json that is written, row by row; the table is printed'
    )
    parser.add_argument('--real', action='store_true', help='the models as they are, at 720 x 1280')
    parser.add_argument('--int8', action='store_true', help='in 8 bits too, calibrated on four drawn scenes')
    parser.add_argument('--repeats', type=int, default=3)
    return parser.parse_args()


def alike() -> dict[str, list[str]]:
    """The models by the first of those whose twins are the same."""
    from mmroad.export.made_up import small_twin
    from mmroad.zoo.configs import find_model, get_config, list_models
    from mmroad.zoo.models import single_dataset

    found: dict[str, list[str]] = {}
    for name in list_models():
        folder = find_model(name)['Path'].parent.name
        if folder in FOLDERS and not any(part in name for part in REFUSED):
            cfg = small_twin(get_config(name))
            steps = [step for step in single_dataset(cfg)['pipeline'] if step['type'].endswith('Resize')]
            found.setdefault(repr((_for_testing(cfg.model), steps)), []).append(name)
    return {names[0]: names for names in found.values()}


def _for_testing(node: Any) -> Any:
    """A model's config without what only training reads, and without the names of classes."""
    if isinstance(node, dict):
        return {k: _for_testing(v) for k, v in sorted(node.items()) if not k.startswith(TRAINING)}
    return [_for_testing(v) for v in node] if isinstance(node, (list, tuple)) else node


def row(name: str, args: argparse.Namespace, folder: Path) -> dict:
    """What is measured of a model."""
    import onnx

    from mmroad.export.made_up import made_up_model, small_twin, without_files
    from mmroad.export.write import OPSET, example_images, export
    from mmroad.zoo.configs import get_config

    cfg, size = get_config(name), (720, 1280) if args.real else (96, 160)
    (without_files if args.real else small_twin)(cfg)
    out = folder / 'model.onnx'
    about: dict = dict(model=name, real=args.real, opset=OPSET)
    try:
        model = made_up_model(cfg, (192, 320) if args.real else size)
        difference = export(model, out, name=name)
        file = onnx.load(str(out))
        about |= dict(
            batch=json.loads({e.key: e.value for e in file.metadata_props}['batch']),
            megabytes=round(out.stat().st_size / 2**20, 1),
            domains=sorted({node.domain for node in file.graph.node}),
            **difference.numbers,
        )
        measure(about, model, out, example_images(size), args)
    except Exception as error:
        about['fails'] = f'{type(error).__name__}: {error}'[:500]
    return about


def measure(about: dict, model: Any, out: Path, images: list, args: argparse.Namespace) -> None:
    """Add milliseconds, and how far OpenVINO is from ONNX Runtime."""
    from mmroad.export.check import torch_predictions
    from mmroad.export.quantize import quantize
    from mmroad.export.session import open_session

    predict = torch_predictions(model)
    runs: dict = {'torch': lambda: predict(images[0])}
    kinds = {'onnxruntime': (out, 'onnxruntime', None), 'openvino': (out, 'openvino', None)}
    if args.real:
        kinds['openvino bfloat16'] = (out, 'openvino', 'bfloat16')
    if args.int8:
        small = out.with_suffix('.int8.onnx')
        quantize(out, small, images + [image[:, ::-1] for image in images])
        about['int8 megabytes'] = round(small.stat().st_size / 2**20, 1)
        kinds |= {
            'onnxruntime int8': (small, 'onnxruntime', None),
            'openvino int8': (small, 'openvino', None),
        }
    for kind, (path, runtime, precision) in kinds.items():
        try:
            session = open_session(path, runtime, threads=1, precision=precision)
            session(images[0][None])
            names = session.names
            runs[kind] = lambda session=session: session(images[0][None])
        except (ImportError, ValueError, RuntimeError) as error:
            about[f'{kind} fails'] = str(error)[:300]
    for _ in range(args.repeats):
        for kind, run in runs.items():
            start = time.process_time()
            run()
            spent = (time.process_time() - start) * 1000
            about[f'{kind} ms'] = round(min(spent, about.get(f'{kind} ms', spent)), 1)
    if 'openvino' in runs:
        about['openvino differs'] = _beside(list(names), runs['openvino'](), runs['onnxruntime']())


def _beside(names: list[str], got: list, want: list) -> float:
    """What OpenVINO gives beside ONNX Runtime: the share of detections without a partner within 0.05 px and 5e-4 in the
    score, or the largest difference of maps."""
    import numpy as np

    from mmroad.export.check import pair

    got, want = ({k: v[0] for k, v in zip(names, values)} for values in (got, want))
    if 'boxes' in want:
        got, want = ({k: v[x['labels'] >= 0] for k, v in x.items()} for x in (got, want))
        most = max(len(got['scores']), len(want['scores']), 1)
        return 1 - len(pair(got, want, 0.05)) / most
    differences = [np.abs(got[k].astype(float) - want[k]) for k in want]
    return float(max(np.mean(d > 0) if k == 'classes' else np.max(d) for k, d in zip(want, differences)))


def table(rows: list[dict]) -> str:
    """The rows in Markdown: all of them, then those that were measured in 8 bits too."""
    lines = [
        '| model | size | images | MiB | boxes px | scores | others | ties | torch ms | ONNX Runtime ms | OpenVINO ms '
        '| its bfloat16 ms |',
        '|---|---|---|---|---|---|---|---|---|---|---|---|',
    ]
    for r in rows:
        more = f' and {len(r["models"]) - 1} more' if len(r.get('models', ())) > 1 else ''
        cells = [r['model'] + more, 'real' if r['real'] else 'twin']
        if 'fails' in r:
            lines.append(f'| {" | ".join(cells)} | {r["fails"]} ||||||||||')
            continue
        others = [
            f'{k} {r[k]:.1g}' for k in ('classes', 'anomaly', 'masks', 'ood_scores', 'ranking') if k in r
        ]
        cells += ['one' if r['batch'] == 1 else 'any number', str(r['megabytes'])]
        cells += [f'{r[k]:.1g}' if k in r else '' for k in ('boxes', 'scores')]
        cells += [', '.join(others), f'{r["ties"]:g}', *_times(r, '', ' bfloat16')]
        lines.append(f'| {" | ".join(cells)} |')
    eight = [r for r in rows if 'int8 megabytes' in r]
    if eight:
        lines += [
            '',
            '| model | MiB | in 8 bits | torch ms | ONNX Runtime ms | OpenVINO ms | its bfloat16 ms '
            '| ONNX Runtime int8 ms | OpenVINO int8 ms |',
            '|---|---|---|---|---|---|---|---|---|',
        ]
    for r in eight:
        cells = [
            r['model'],
            str(r['megabytes']),
            str(r['int8 megabytes']),
            *_times(r, '', ' bfloat16', ' int8'),
        ]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def _times(r: dict, *kinds: str) -> list[str]:
    keys = ['torch']
    for kind in kinds:
        keys += [f'{runtime}{kind}' for runtime in ('onnxruntime', 'openvino')]
    return [
        f'{r[f"{k} ms"]:.0f}' if f'{k} ms' in r else 'fails' if f'{k} fails' in r else ''
        for k in keys
        if k != 'onnxruntime bfloat16'
    ]


def main() -> None:
    args = parse_args()
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    import torch

    from mmroad.files import write_text

    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    out = Path(args.out)
    rows = json.loads(out.read_text()) if out.exists() else []
    groups = {name: [name] for name in args.models or REAL} if args.models or args.real else alike()
    for name, names in groups.items():
        known = [r for r in rows if r['model'] == name and r['real'] == args.real and 'fails' not in r]
        if known:
            known[0]['models'] = max(known[0]['models'], names, key=len)
            continue
        rows = [r for r in rows if (r['model'], r['real']) != (name, args.real)]
        with tempfile.TemporaryDirectory() as folder:
            rows.append(row(name, args, Path(folder)) | dict(models=names))
        write_text(out, json.dumps(rows, indent=1))
        print(rows[-1], file=sys.stderr, flush=True)
    write_text(out, json.dumps(rows, indent=1))
    print(table(rows))


if __name__ == '__main__':
    main()
