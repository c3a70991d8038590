"""The table of docs/onnx.md: every family exported, compared with PyTorch and timed.

    python benchmarks/export.py --out export.json                # small twins of every family
    python benchmarks/export.py --out export.json --real faster_rcnn_r50_fpn_1x_det_bdd100k   # as it is

Weights are made up (`mmroad.export.made_up`): scores and boxes spread as a trained model's do. A row that is in the
file already is not measured again. Times are CPU time, the least of three runs in one thread, torch, ONNX Runtime and
OpenVINO on the same image one after the other.
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

#: A twin of each is exported: one of every backbone and every head.
TWINS = (
    'faster_rcnn_r50_fpn_1x_det_bdd100k',
    'retinanet_r50_fpn_1x_det_bdd100k',
    'cascade_rcnn_r50_fpn_1x_det_bdd100k',
    'atss_r50_fpn_1x_det_bdd100k',
    'fcos_r50_fpn_1x_det_bdd100k',
    'fcos_tricks_r50_fpn_1x_det_bdd100k',
    'sparse_rcnn_r50_fpn_1x_det_bdd100k',
    'libra_faster_rcnn_r50_fpn_1x_det_bdd100k',
    'atss_r50_fpn_dyhead_1x_det_bdd100k',
    'faster_rcnn_r50_fpn_dconv_1x_det_bdd100k',
    'faster_rcnn_hrnetv2p_w18_1x_det_bdd100k',
    'faster_rcnn_swin-t_fpn_1x_det_bdd100k',
    'faster_rcnn_convnext-t_fpn_fp16_1x_det_bdd100k',
    'retinanet_pvt-t_fpn_1x_det_bdd100k',
    'retinanet_pvtv2-b0_fpn_1x_det_bdd100k',
    'abet_faster-rcnn_r50_fpn_bdd100k',
    'abet_cascade-rcnn_r50_fpn_bdd100k',
    'rba_small_1dl_road_scenes',
    'rba_swin_t_1dl_cityscapes',
    'abet_deepv3plus_r18_road_scenes_ood',
    'mask2former_small_road_scenes',
    'rankseg_small_road_scenes',
    'maskformer2_swin_base_IN21k_384_bs16_160k_res640-rankseg_ade20k_sem',
    'BoxSup-C2_R18_drawn_shapes',
    'Detic_LCOCOI21k_CLIP_SwinB_896b32_4x_ft4x_max-size',
    'Detic_LCOCOI21k_CLIP_CXT21k_640b32_4x_ft4x_max-size',
    'BoxSup_OVCOCO_CLIP_R50_1x',
    'BoxSup-DeformDETR_L_R50_2x',
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('models', nargs='*', default=TWINS, help='names (default: one of every family)')
    parser.add_argument(
        '--out', required=True, help='.json that is written, row by row; the table is printed'
    )
    parser.add_argument('--real', action='store_true', help='the models as they are, at 720 x 1280')
    parser.add_argument('--repeats', type=int, default=3)
    return parser.parse_args()


def row(name: str, real: bool, folder: Path, repeats: int) -> dict:
    """What is measured of a model."""
    import onnx

    from mmroad.export.check import torch_predictions
    from mmroad.export.made_up import made_up_model, small_twin
    from mmroad.export.session import open_session
    from mmroad.export.write import OPSET, example_images, export
    from mmroad.zoo.configs import get_config
    from mmroad.zoo.models import without_initial_weights

    cfg, size = get_config(name), (720, 1280) if real else (96, 160)
    if real:
        cfg.model = without_initial_weights(cfg.model)
    else:
        small_twin(cfg)
    out = folder / 'model.onnx'
    about: dict = dict(model=name, real=real, opset=OPSET)
    try:
        model = made_up_model(cfg, (192, 320) if real else size)
        images = example_images(size)
        for fixed in (None, size):
            try:
                difference = export(model, out, fixed, images=images, name=name)
                break
            except Exception as error:
                about['dynamic fails'] = f'{type(error).__name__}: {error}'[:300]
                if fixed:
                    raise
        file = onnx.load(str(out))
        about |= dict(
            sizes='any' if fixed is None else f'{size[0]} x {size[1]}',
            batch=json.loads({e.key: e.value for e in file.metadata_props}['batch']),
            megabytes=round(out.stat().st_size / 2**20, 1),
            domains=sorted({node.domain for node in file.graph.node}),
            **difference.numbers,
        )
        predict = torch_predictions(model)
        runs = {'torch': lambda: predict(images[0])}
        for runtime in ('onnxruntime', 'openvino'):
            try:
                session = open_session(out, runtime, threads=1)
                session(images[0][None])
                graph_names = session.names
                runs[runtime] = lambda session=session: session(images[0][None])
            except (ImportError, ValueError, RuntimeError) as error:
                about[f'{runtime} fails'] = str(error)[:300]
        for _ in range(repeats):
            for runtime, run in runs.items():
                start = time.process_time()
                run()
                spent = (time.process_time() - start) * 1000
                about[f'{runtime} ms'] = round(min(spent, about.get(f'{runtime} ms', spent)), 1)
        if 'openvino' in runs:
            about['openvino differs'] = _beside(list(graph_names), runs['openvino'](), runs['onnxruntime']())
    except Exception as error:
        about['fails'] = f'{type(error).__name__}: {error}'[:500]
    return about


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
    """The rows in Markdown."""
    lines = [
        '| model | size | images | MiB | boxes px | scores | maps | torch ms | ONNX Runtime ms | OpenVINO ms |',
        '|---|---|---|---|---|---|---|---|---|---|',
    ]
    for r in rows:
        if 'fails' in r:
            lines.append(f'| {r["model"]} | {"real" if r["real"] else "twin"} | fails: {r["fails"]} ||||||||')
            continue
        maps = [f'{k} {r[k]:.1g}' for k in ('classes', 'anomaly', 'masks', 'ood_scores', 'ranking') if k in r]
        takes = f'{r["sizes"]}, {"one" if r["batch"] == 1 else "any number"}'
        numbers = [f'{r[k]:.1g}' if k in r else '' for k in ('boxes', 'scores')]
        times = [
            f'{r[f"{k} ms"]:.0f}' if f'{k} ms' in r else 'fails' for k in ('torch', 'onnxruntime', 'openvino')
        ]
        lines.append(
            '| '
            + ' | '.join(
                [
                    r['model'],
                    'real' if r['real'] else 'twin',
                    takes,
                    str(r['megabytes']),
                    *numbers,
                    ', '.join(maps),
                    *times,
                ]
            )
            + ' |'
        )
    return '\n'.join(lines)


def main() -> None:
    args = parse_args()
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    import torch

    from mmroad.files import write_text

    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    out = Path(args.out)
    rows = json.loads(out.read_text()) if out.exists() else []
    for name in args.models:
        if any(r['model'] == name and r['real'] == args.real and 'fails' not in r for r in rows):
            continue
        rows = [r for r in rows if (r['model'], r['real']) != (name, args.real)]
        with tempfile.TemporaryDirectory() as folder:
            rows.append(row(name, args.real, Path(folder), args.repeats))
        write_text(out, json.dumps(rows, indent=1))
        print(rows[-1], file=sys.stderr, flush=True)
    print(table(rows))


if __name__ == '__main__':
    main()
