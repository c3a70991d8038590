"""Detectors' configs for data of one's own."""

import json

import pytest
import torch
from mmengine.config import Config

from mmroad.bdd100k.scalabel import DET_CLASSES
from mmroad.labels.form import Image
from mmroad.labels.formats import convert
from mmroad.labels.images import place_images
from mmroad.labels.own.boxes import hold_out
from mmroad.labels.own.own_config import slug, write_own_config
from mmroad.labels.own.pipelines import datasets, leaf
from mmroad.labels.own.schedule import scale
from mmroad.zoo.configs import get_config, list_models
from mmroad.zoo.models import build_model, model_classes

QUICK = 'faster_rcnn_r18_fpn_quickstart'


def made(args):
    file, said = write_own_config(args)
    return Config.fromfile(file), said


def build(cfg, loader='train_dataloader'):
    from mmdet.registry import DATASETS
    from mmengine.registry import init_default_scope

    init_default_scope('mmdet')
    return DATASETS.build(cfg[loader].dataset)


@pytest.mark.parametrize('form', ['coco', 'yolo', 'scalabel', 'voc', 'labelme', 'cvat', 'labelstudio'])
def test_every_format_is_one_command(form, warehouse, options, tmp_path):
    data = warehouse
    if form != 'coco':
        data = tmp_path / form
        sets, *_ = convert(warehouse, data, form)
        place_images(sets, form, data, 'copy')
    images = [] if form in ('coco', 'yolo', 'scalabel', 'voc') else ['--images', str(data / 'images')]
    cfg, said = made(options(QUICK, '--data', data, '--val-split', 0.25, *images))
    train, val = build(cfg), build(cfg, 'val_dataloader')
    assert (len(train), len(val)) == (9, 3) and set(train.metainfo['classes']) == {
        'forklift',
        'cone',
        'person',
    }
    assert not set(train.frame_keys()) & set(val.frame_keys())
    boxes = sum(len(part.get_data_info(i)['instances']) for part in (train, val) for i in range(len(part)))
    assert boxes == 55 and train[0]['data_samples'].gt_instances.bboxes.tensor.shape[1] == 4
    model = build_model(cfg)
    assert model.roi_head.bbox_head.fc_cls.out_features == 4 and model_classes(cfg) == [
        train.metainfo['classes']
    ]
    assert any('12 images with 55 boxes' in line for line in said)
    assert (
        cfg.default_hooks.checkpoint.save_best == 'det/AP' and cfg.val_evaluator.type == 'ScalabelDetMetric'
    )
    if form == 'coco':  # ids are those of the user's file
        assert val.columns.image_ids.tolist() == [int(name[5:7]) + 1 for name in val.columns.names]


def test_the_written_config_needs_nothing_else_and_moves_with_its_data(warehouse, options):
    args = options(QUICK, '--data', warehouse, '--val-split', 0)
    file, said = write_own_config(args)
    text = file.read_text()
    assert '_base_' not in text and file.parent.name == 'own' and str(file) in said[-1]
    cfg = Config.fromfile(file)
    inner = leaf(cfg.train_dataloader.dataset)
    assert (inner.data_root, inner.ann_file, inner.data_prefix.img) == (
        f'{warehouse}/',
        'labels.json',
        'images',
    )
    assert cfg.work_dir == args.work_dir and 'the training images themselves' in ' '.join(said)


def test_every_detector_of_the_zoo_gets_a_head_for_the_classes(warehouse, options):
    kinds = ('retinanet', 'sparse_rcnn', 'cascade_rcnn')
    from mmroad.zoo.models import uninitialized

    for kind in kinds:
        name = f'{kind}_r50_fpn_1x_det_bdd100k'
        cfg, _ = made(options(name, '--data', warehouse, '--weights', 'none'))
        with uninitialized():
            model = build_model(cfg)
        numbers = {
            m.num_classes for n, m in model.named_modules() if hasattr(m, 'num_classes') and 'rpn' not in n
        }
        assert numbers == {3}, name


def test_strong_augmentation_keeps_its_wrapper_and_follows_the_size(warehouse, options):
    (name,) = list_models('faster_rcnn_swin-t_fpn_3x_strong*')
    cfg, said = made(
        options(name, '--data', warehouse, '--weights', 'none', '--image-size', '640x384', '--epochs', 72)
    )
    outer, inner = list(datasets(cfg.train_dataloader.dataset))
    assert (outer.type, inner.type) == ('MultiImageMixDataset', 'ScalabelDetDataset')
    assert [step.img_scale for step in outer.pipeline if 'img_scale' in step] == [(640, 384)] * 2
    hook = next(hook for hook in cfg.custom_hooks if hook.type == 'StrongAugmentationOff')
    assert hook.switch_epoch == 54
    scales = next(step.scales for step in hook.pipeline if step['type'] == 'RandomChoiceResize')
    assert scales[-1] == (640, 384) and scales[0] == (640, 320)
    assert cfg.train_cfg.max_epochs == 72 and build(cfg)[0]['inputs'].shape[0] == 3
    assert 'images are scaled into 640x384' in said


def test_sizes_of_a_choice_of_steps_follow(warehouse, options):
    cfg, _ = made(
        options('dino_r50_12e_bdd100k', '--data', warehouse, '--weights', 'none', '--image-size', '320x180')
    )
    plain, crop = cfg.train_dataloader.dataset.pipeline[3].transforms
    assert plain == [crop[2]] and (plain[0].scales[0], plain[0].scales[-1]) == ((320, 120), (320, 180))
    assert crop[0].scales == [(320, 120), (320, 150), (320, 180)] and crop[1].crop_size == (115, 180)
    assert all(max(build(cfg)[0]['inputs'].shape[1:]) <= 320 for _ in range(6))


def test_a_mosaic_stays_larger_than_its_parts_and_padding_follows(warehouse, options):
    words = ['--data', warehouse, '--weights', 'none', '--image-size', '192x120', '--epochs', 1, '--lr', 3e-3]
    cfg, said = made(options('rtmdet-s_36e_bdd100k', *words))
    mosaic, resize, crop, _, _, pad, *_ = cfg.train_dataloader.dataset.pipeline
    assert (mosaic.img_scale, resize.scale, crop.crop_size, pad.size) == (
        (192, 120), (384, 240), (192, 120), (192, 128)
    )  # fmt: skip
    hook = next(hook for hook in cfg.custom_hooks if hook.type == 'StrongAugmentationOff')
    assert hook.pipeline[0].scale == (192, 120) and build(cfg)[0]['inputs'].shape == (3, 128, 192)
    assert cfg.test_dataloader.dataset.pipeline[2].size == (192, 128)
    last = cfg.param_scheduler[1]
    assert (last.begin, last.end, last.T_max) == (0, 1, 1)  # of one epoch
    assert cfg.optim_wrapper.optimizer.lr == 3e-3 and not any('learning rate' in line for line in said)


def test_the_schedule_follows_images_and_batch():
    cfg = get_config('faster_rcnn_r50_fpn_1x_det_bdd100k')
    said = scale(cfg, 20000, 'BDD100KDetDataset', None, 8)
    assert cfg.optim_wrapper.optimizer.lr == 0.01 and cfg.train_cfg.max_epochs == 12  # 0.04 is for 32 images
    assert said[0].startswith('learning rate 0.01 for 8 images in a step (0.04 is for 32; in proportion')
    warm_up, steps = cfg.param_scheduler
    assert warm_up.end == 500 and steps.milestones == [8, 11]
    scale(cfg, 80, 'BDD100KDetDataset', None, 8)  # 10 steps an epoch: 100 epochs
    assert cfg.train_cfg.max_epochs == 100 and cfg.param_scheduler[1].milestones == [67, 92]
    assert cfg.param_scheduler[0].end == 100 and cfg.train_cfg.val_interval == 9
    assert cfg.optim_wrapper.optimizer.lr == 0.01
    adam = get_config(QUICK)
    scale(adam, 400, 'BDD100KDetDataset', 5, 16)
    assert adam.optim_wrapper.optimizer.lr == 2e-3 and adam.train_cfg.max_epochs == 5
    by_steps = get_config('abet_faster-rcnn_r50_fpn_bdd100k')
    scale(by_steps, 69853, 'BDD100KDetDataset', None, 16)
    assert by_steps.train_cfg.max_iters == 90000
    scale(by_steps, 69853, 'BDD100KDetDataset', 2, 16)
    assert by_steps.train_cfg.max_iters == 8732 and by_steps.param_scheduler[1].milestones == [5821, 7762]


def test_recipes_change_what_they_say(warehouse, options, tmp_path):
    words = [
        '--freeze-stages',
        3,
        '--early-stopping',
        4,
        '--ema',
        '--small-gpu',
        '--class-balanced',
        0.5,
        '--keep-empty',
    ]
    cfg, said = made(
        options('faster_rcnn_r50_fpn_1x_det_bdd100k', '--data', warehouse, '--weights', 'none', *words)
    )
    assert cfg.model.backbone.frozen_stages == 3 and cfg.model.backbone.with_cp
    kinds = {hook.type: hook for hook in cfg.custom_hooks}
    assert kinds['EarlyStoppingHook'].monitor == 'det/AP' and kinds['EarlyStoppingHook'].patience == 4
    assert kinds['EMAHook'].ema_type == 'ExpMomentumEMA'
    assert cfg.train_dataloader.batch_size == 1 and cfg.optim_wrapper.accumulative_counts == 4
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper' and cfg.optim_wrapper.optimizer.lr == 0.005
    assert cfg.train_dataloader.dataset.type == 'ClassBalancedDataset'
    balanced = build(cfg)
    assert len(balanced) >= 10 and any('small GPU' in line for line in said)


def test_hard_negatives_are_images_in_which_something_is_found(warehouse, options, tmp_path):
    import shutil

    folder = tmp_path / 'empty halls'
    folder.mkdir()
    for i in range(3):
        shutil.copy(warehouse / f'images/hall_{i:02}.jpg', folder / f'{i}.jpg')
    box = dict(x1=1, y1=1, x2=9, y2=9)
    found = [
        dict(name=f'{i}.jpg', labels=[dict(category='cone', score=s, box2d=box)])
        for i, s in enumerate([0.1, 0.9])
    ]
    (tmp_path / 'det.json').write_text(json.dumps(found))
    words = [QUICK, '--data', warehouse, '--val-split', 0, '--negatives', folder]
    cfg, said = made(options(*words))
    data = build(cfg)
    assert len(data) == 15 and data[14]['data_samples'].gt_instances.labels.numel() == 0
    cfg, said = made(options(*words, '--hard-by', tmp_path / 'det.json'))
    assert len(build(cfg)) == 13 and any(line.startswith('1 images without anything') for line in said)


def test_bdd100k_itself_keeps_its_ten_classes_and_is_chosen_by_attributes(options, tmp_path):
    import cv2
    import numpy as np

    box = dict(x1=1, y1=1, x2=20, y2=20)
    for split in ('train', 'val'):
        (tmp_path / 'bdd/images/100k' / split).mkdir(parents=True)
        (tmp_path / 'bdd/labels/det_20').mkdir(parents=True, exist_ok=True)
        frames = [
            dict(
                name=f'{i}.jpg',
                attributes=dict(timeofday=time),
                labels=[dict(id='0', category='bike', box2d=box)],
            )
            for i, time in enumerate(['night', 'daytime', 'night'])
        ]
        for frame in frames:
            cv2.imwrite(
                str(tmp_path / 'bdd/images/100k' / split / frame['name']), np.zeros((48, 64, 3), np.uint8)
            )
        (tmp_path / f'bdd/labels/det_20/det_{split}.json').write_text(json.dumps(frames))
    cfg, said = made(options(QUICK, '--data', tmp_path / 'bdd', '--where', 'timeofday=night'))
    data = build(cfg)
    assert (
        len(data) == 2
        and data.metainfo['classes'] == DET_CLASSES
        and cfg.val_evaluator.type == 'BDD100KDetMetric'
    )
    assert len(build(cfg, 'val_dataloader')) == 3 and not list((tmp_path / 'run/own').glob('*.json'))
    cfg, said = made(options(QUICK, '--data', tmp_path / 'bdd', '--from', 'scalabel', '--classes', 'bike'))
    assert build(cfg).metainfo['classes'] == ('bike',)


def test_boxes_that_cannot_be_used_are_left_out_and_told(warehouse, options, tmp_path):
    import shutil

    shutil.copytree(warehouse, tmp_path / 'copy')
    content = json.loads((warehouse / 'labels.json').read_text())
    content['annotations'][0]['bbox'][2] = 0
    (tmp_path / 'copy/labels.json').write_text(json.dumps(content))
    cfg, said = made(options(QUICK, '--data', tmp_path / 'copy', '--val-split', 0))
    assert any('1 boxes without a positive size are left out (first in hall_00.jpg)' in line for line in said)
    data = build(cfg)
    assert len(data.columns) == 54 and data.columns.image_ids.tolist() == list(range(1, 13))


def test_frames_of_a_video_stay_together():
    images = [Image(f'{v}-{i}.jpg', video=f'v{v}') for v in range(5) for i in range(4)]
    held = hold_out(images, 0.2, 0)
    assert len(held) == 4 and len({name[0] for name in held}) == 1
    assert hold_out(images, 0.2, 0) == held and len(hold_out([Image(f'{i}') for i in range(50)], 0.1, 3)) == 5


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--classes', 'cone', 'tree'], 'no box is of tree; there are cone, forklift, person'),
        (['--images', 'nowhere'], r'12 of 12 images are not in nowhere, the first is hall_00\.jpg'),
        (['--weights', 'nothing.pth'], r'nothing\.pth: no such checkpoint'),
        (['--weights', 'published'], 'no weights are published'),
        (['--outliers', 'x'], 'is for anomaly segmentation'),
        (['--negatives', 'nowhere'], 'nowhere: no image there'),
    ],
)
def test_mistakes_are_named(words, message, warehouse, options):
    with pytest.raises((ValueError, OSError), match=message):
        write_own_config(options(QUICK, '--data', warehouse, *words))


def test_models_with_a_vocabulary_are_refused(warehouse, options):
    with pytest.raises(ValueError, match='models with a vocabulary'):
        write_own_config(options('Detic_LCOCOI21k_CLIP_R18_640b32_4x_ft4x_max-size', '--data', warehouse))


def test_models_of_masks_are_refused(warehouse, options):
    (name, *_) = list_models('mask_rcnn*_ins_seg_bdd100k')
    with pytest.raises(ValueError, match='its model predicts masks'):
        write_own_config(options(name, '--data', warehouse))


def test_options_that_need_others_are_refused(options, capsys):
    for words in (
        ['--val-split', '0.5'],
        ['--data', 'x', '--val-split', '2'],
        ['--hard-by', 'x'],
        ['--where', 'night'],
    ):
        with pytest.raises(SystemExit):
            options(QUICK, *words)


def test_slugs_are_file_names(tmp_path):
    assert slug(tmp_path / 'ware house (new)') == 'ware_house_new' and slug('/') == 'data'


def test_a_checkpoint_of_other_classes_is_loaded_but_for_the_class_layers(warehouse, options, tmp_path):
    from mmroad.zoo.class_order import follow_classes_in_training

    cfg, _ = made(options(QUICK, '--data', warehouse))
    model = build_model(cfg)
    state = {
        key: torch.full_like(value, 7) for key, value in build_model(get_config(QUICK)).state_dict().items()
    }
    checkpoint = dict(state_dict=state, meta=dict(dataset_meta=dict(classes=DET_CLASSES)))
    told = follow_classes_in_training(checkpoint, model, model_classes(cfg), afresh=True)
    assert told.endswith(
        'all is loaded but 2 layers, which start afresh: roi_head.bbox_head.fc_cls, roi_head.bbox_head.fc_reg'
    )
    assert 'roi_head.bbox_head.fc_cls.weight' not in state and 'rpn_head.rpn_cls.weight' in state
    same = dict(
        state_dict={k: v.clone() for k, v in model.state_dict().items()}, meta=dict(CLASSES=('a', 'b', 'c'))
    )
    told = follow_classes_in_training(same, model, model_classes(cfg), afresh=True)
    assert 'it is for a, b, c' in told and 'roi_head.bbox_head.fc_cls.weight' not in same['state_dict']
    order = ('person', 'forklift', 'cone')
    mine = dict(state_dict={k: v.clone() for k, v in model.state_dict().items()}, meta=dict(CLASSES=order))
    assert "brought to the model's order" in follow_classes_in_training(
        mine, model, model_classes(cfg), afresh=True
    )


@pytest.mark.slow
def test_a_detector_learns_the_pictures_and_the_written_config_runs_again(
    warehouse, options, tmp_path, monkeypatch
):
    import re
    import subprocess
    import sys

    monkeypatch.chdir(tmp_path)
    run = [sys.executable, '-m', 'mmroad']
    words = ['--data', str(warehouse), '--val-split', '0', '--work-dir', 'run', '--epochs', '120']
    first = subprocess.run([*run, 'train', QUICK, *words], capture_output=True, text=True, check=True)
    best = max(float(x) for x in re.findall(r'det/AP50: ([\d.]+)', first.stdout + first.stderr))
    assert best > 50
    again = [
        *run,
        'train',
        f'run/own/{QUICK}_ware_house.py',
        '--work-dir',
        'again',
        '--cfg-options',
        'train_cfg.max_epochs=1',
    ]
    subprocess.run(again, capture_output=True, text=True, check=True)
    assert (tmp_path / 'again/epoch_1.pth').is_file()
