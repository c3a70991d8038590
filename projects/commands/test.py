"""Test a model, or write its predictions.

    mmroad test CONFIG CHECKPOINT
    mmroad test CONFIG CHECKPOINT --format-only --format-dir OUT

CHECKPOINT is a file, "published" for the zoo's own, "none" for an untrained model, or an .onnx file that
`mmroad export` wrote of CONFIG.
"""

from __future__ import annotations

import argparse
import os

from .running import (
    add_common_arguments,
    build_runner,
    load_config,
    refuse_same_names,
    room_in,
    say_device,
    write_predictions,
)
from .shared import add_amp, add_config, add_runtime


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument('checkpoint', help='file, "published" or "none"; an .onnx file too')
    parser.add_argument('--out', help='dump all predictions to this .pkl')
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--show-dir', help='save pictures of predictions here')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds a picture is shown')
    parser.add_argument('--format-only', action='store_true', help='write prediction files, score nothing')
    parser.add_argument('--format-dir', help='folder of the prediction files')
    parser.add_argument(
        '--tta', action='store_true', help='test-time augmentation: of the config, or (detectors) mirroring'
    )
    parser.add_argument(
        '--batch-size', type=int, metavar='N', help="images that are tested at a time (default: the config's)"
    )
    add_amp(parser)
    add_runtime(parser)
    add_common_arguments(parser)


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.format_only and not args.format_dir:
        parser.error('--format-only needs --format-dir OUT')
    if args.checkpoint.endswith('.onnx') and (args.tta or args.amp):
        parser.error('an .onnx file has no --tta and no --amp')
    if args.runtime and not args.checkpoint.endswith('.onnx'):
        parser.error('--runtime is of .onnx files (mmroad export)')
    if args.batch_size is not None and (args.batch_size < 1 or args.tta):
        parser.error('--batch-size takes a number of images of at least 1, and does not go with --tta')


def set_pictures(cfg, args: argparse.Namespace) -> None:
    hook = cfg.default_hooks.get('visualization')
    if hook is None:
        raise SystemExit(f'{cfg.filename} has no visualization hook: --show and --show-dir need one')
    hook.update(draw=True, show=args.show, wait_time=args.wait_time)
    if args.show_dir and cfg.get('default_scope') == 'mmdet':
        hook['test_out_dir'] = os.path.abspath(args.show_dir)
    elif args.show_dir:
        cfg.visualizer.save_dir = args.show_dir


def draw_what_was_read(runner) -> None:
    """Let the hook that draws pass over black images that stand for those that cannot be read."""
    for hook in runner.hooks:
        if getattr(hook, 'draw', False):
            draw = hook.after_test_iter
            hook.after_test_iter = lambda runner, outputs, draw=draw, **rest: draw(
                runner, outputs=[sample for sample in outputs if 'left_out' not in sample], **rest
            )


def set_tta(cfg) -> None:
    """The config's own test-time augmentation; for detectors without one, the image and its mirror image."""
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    if 'tta_model' in cfg and 'tta_pipeline' in cfg:
        merge, dataset.pipeline = cfg.tta_model, cfg.tta_pipeline
    elif cfg.get('default_scope') == 'mmdet':
        load, *steps, pack = dataset.pipeline
        mirror = [dict(type='RandomFlip', prob=prob) for prob in (0.0, 1.0)]
        views = dict(type='TestTimeAug', transforms=[*([step] for step in steps), mirror, [pack]])
        dataset.pipeline = [load, views]
        merge = dict(
            type='DetTTAModel', tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100)
        )
    else:
        raise SystemExit(f'{cfg.filename} defines no tta_model and tta_pipeline: how are its maps merged?')
    cfg.model = dict(**merge, module=cfg.model)


def run(args: argparse.Namespace) -> None:
    say_device(args.launcher)
    cfg = load_config(args)
    cfg.load_from = None
    if args.format_dir:
        write_predictions(cfg, args.format_dir, args.format_only)
    if args.show or args.show_dir:
        set_pictures(cfg, args)
    if args.tta:
        set_tta(cfg)
    if args.batch_size:
        if 'batch_sampler' in cfg.test_dataloader:
            raise ValueError(f'--batch-size: {cfg.filename} makes its test batches itself (batch_sampler)')
        cfg.test_dataloader.batch_size = args.batch_size
    from mmengine.model import is_model_wrapper

    from ..zoo.models import load_weights, without_initial_weights

    exported = args.checkpoint.endswith('.onnx')
    if exported:
        from ..export.model import for_file

        for_file(cfg, args.checkpoint, runtime=args.runtime or 'onnxruntime')
    else:
        cfg.model = without_initial_weights(cfg.model)
    runner = build_runner(cfg)
    draw_what_was_read(runner)
    if args.format_dir or args.show_dir:
        hook = (cfg.get('default_hooks') or {}).get('visualization') or {}
        refuse_same_names(runner, hook.get('test_out_dir'))
    if exported:
        check_classes(cfg, args.checkpoint, runner.model.dataset_meta['classes'])
    elif args.checkpoint != 'none':
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model = model.module if args.tta else model
        load_weights(model, cfg, args.checkpoint, trust=args.trust_checkpoint)
    if not exported:
        make_fast(runner, args)
    if args.out:
        from mmdet.evaluation import DumpDetResults
        from mmengine.evaluator import DumpResults

        dump = DumpDetResults if cfg.get('default_scope') == 'mmdet' else DumpResults
        runner.test_evaluator.metrics.append(dump(out_file_path=args.out))
    args.debug = True  # an error from here on has a traceback
    with room_in(cfg.work_dir, args.format_dir, os.path.dirname(args.out or '')):
        runner.test()
    left_out = {k: v for m in runner.test_evaluator.metrics for k, v in getattr(m, 'left_out', {}).items()}
    if left_out:  # the metric's warning names them
        raise SystemExit(f'{len(left_out)} images could not be read; everything else was done')


def check_classes(cfg, path: str, own: tuple[str, ...]) -> None:
    """Refuse a file whose classes are not those of a config."""
    from ..zoo.models import model_classes

    lists = model_classes(cfg)
    if lists and own not in lists:
        raise ValueError(
            f'{path} finds {", ".join(own)}; {cfg.filename} has {", ".join(lists[0])}: export the model of this config'
        )


def make_fast(runner, args: argparse.Namespace) -> None:
    """Fold and reorder the model for its device, alike for one process and for several."""
    import torch
    from mmengine.model import is_model_wrapper

    from ..runtime.speed.accelerate import for_inference
    from ..runtime.speed.batches import split_by_size

    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    for_inference(model.module if args.tta else model, torch.bfloat16 if args.amp else None)
    if args.batch_size:
        split_by_size(model)
