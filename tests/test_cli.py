"""What tools/train.py and tools/test.py share: the config of the command line, prediction files."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import METRICS, init_default_scope
from mmengine.utils import import_modules_from_strings
from PIL import Image

from mmroad import get_config
from mmroad.commands.running import load_config, refuse_same_names, room_in, write_predictions
from mmroad.files.sources import image_files

WRITES = {
    'rba_swin_t_1dl_cityscapes': dict(IoUMetric='output_dir'),
    'abet_deepv3plus_wrn38_mapillary': dict(IoUMetric='output_dir'),
    'maskformer2_swin_base_IN21k_384_bs16_160k_res640-rankseg_ade20k_sem': dict(IoUMetric='output_dir'),
    'rba_swin_b_1dl_bdd100k': dict(BDD100KSemSegMetric='format_dir'),
    'faster_rcnn_r50_fpn_1x_det_bdd100k': dict(BDD100KDetMetric='format_dir'),
    'maskformer2_swin_large_IN21k_384_bs16_160k-rankseg_ade20k_panoptic': dict(
        ADE20KPanopticMetric='format_dir', ADE20KInstanceMetric='outfile_prefix'
    ),
    'video_maskformer2_R101_bs16_8ep_vspw': dict(VideoSemSegMetric='format_dir'),
    'abet_deepv3plus_wrn38_cityscapes-cv2_ood': dict(AnomalyMetric='format_dir'),
    'BoxSup-C2_L_CLIP_SwinB_896b32_4x_cross_dataset': dict(OpenVocabularyMetric='format_dir'),
}


@pytest.mark.parametrize('name', ['faster_rcnn_r18_fpn_quickstart', 'rba_small_1dl_road_scenes'])
def test_loaders_may_be_without_workers(name, tmp_path):
    options = [f'{loader}_dataloader.num_workers=0' for loader in ('train', 'test')]
    args = SimpleNamespace(
        config=name, cfg_options=options, launcher='none', local_rank=0, work_dir=str(tmp_path)
    )
    cfg = load_config(args)
    kept = [cfg[f'{loader}_dataloader'].get('persistent_workers') for loader in ('train', 'val', 'test')]
    assert kept == [False, True, False]


def config(name):
    cfg = get_config(name)
    import_modules_from_strings(**cfg.custom_imports)
    return cfg


def metrics_of(cfg):
    evaluator = cfg.test_evaluator
    if isinstance(evaluator, dict) and 'metrics' in evaluator:
        return evaluator['metrics']
    return evaluator if isinstance(evaluator, list) else [evaluator]


@pytest.mark.parametrize('name', WRITES)
def test_metrics_that_can_write_do(name, tmp_path):
    cfg = config(name)
    before = [metric['type'] for metric in metrics_of(cfg)]
    write_predictions(cfg, str(tmp_path), only=False)
    assert [metric['type'] for metric in metrics_of(cfg)] == before  # all of them score
    write_predictions(cfg, str(tmp_path), only=True)
    left = metrics_of(cfg)
    assert {metric['type'] for metric in left} == WRITES[name].keys()
    for metric in left:
        assert metric['format_only'] is True
        assert metric[WRITES[name][metric['type']]].startswith(str(tmp_path))


@pytest.mark.parametrize('only', [True, False])
@pytest.mark.parametrize('name', ['abet_faster-rcnn_r50_fpn_bdd100k_ood', 'faster-rcnn_r50_fpn_voc'])
def test_where_none_can_write_it_is_refused(name, only, tmp_path):
    cfg = config(name)
    with pytest.raises(SystemExit, match='OODDetectionMetric of .*writes no prediction files') as raised:
        write_predictions(cfg, str(tmp_path), only)
    assert raised.value.code not in (0, None)


def test_masks_of_mmseg_are_written(tmp_path):
    cfg = config('rba_swin_t_1dl_cityscapes')
    write_predictions(cfg, str(tmp_path / 'out'), only=True)
    init_default_scope('mmseg')
    metric = METRICS.build(metrics_of(cfg)[0])
    metric.dataset_meta = dict(classes=('road', 'car'))
    labels = torch.tensor([[0, 1, 1], [1, 0, 0]])
    metric.process({}, [dict(pred_sem_seg=dict(data=labels[None]), img_path='x/frankfurt_1.png')])
    assert metric.evaluate(1) == {}
    assert np.array_equal(np.array(Image.open(tmp_path / 'out/frankfurt_1.png')), labels.numpy())


def test_results_of_mmdet_are_written(tmp_path):
    truth = dict(images=[dict(id=1, width=9, height=9, file_name='a.jpg')], annotations=[],
                 categories=[dict(id=3, name='car')])  # fmt: skip
    (tmp_path / 'truth.json').write_text(json.dumps(truth))
    metric = dict(type='mmdet.CocoMetric', ann_file=str(tmp_path / 'truth.json'))
    cfg = Config(dict(default_scope='mmdet', test_evaluator=metric), filename=None)
    import mmdet.evaluation  # noqa: F401

    write_predictions(cfg, str(tmp_path / 'out'), only=True)
    init_default_scope('mmdet')
    metric = METRICS.build(metrics_of(cfg)[0])
    metric.dataset_meta = dict(classes=('car',))
    found = dict(bboxes=torch.tensor([[1.0, 2, 3, 5]]), scores=torch.tensor([0.5]), labels=torch.tensor([0]))
    metric.process({}, [dict(img_id=1, ori_shape=(9, 9), pred_instances=found)])
    metric.evaluate(1)
    (box,) = json.loads((tmp_path / 'out/results.bbox.json').read_text())
    assert box == dict(image_id=1, bbox=[1.0, 2.0, 2.0, 3.0], score=0.5, category_id=3)


def runner_over(paths, output_dir=None):
    dataset = type(
        'Images',
        (),
        dict(__len__=lambda s: len(paths), get_data_info=lambda s, i: dict(img_path=str(paths[i]))),
    )()
    return SimpleNamespace(
        test_evaluator=SimpleNamespace(metrics=[SimpleNamespace(output_dir=output_dir)]),
        test_dataloader=SimpleNamespace(dataset=dataset),
    )


def test_masks_of_two_images_of_one_name_are_refused():
    refuse_same_names(runner_over(['x/a.jpg', 'y/b.jpg'], 'out'))
    refuse_same_names(runner_over(['x/a.jpg', 'y/a.png']))
    with pytest.raises(SystemExit, match='x/a.jpg and y/a.png would both be written to out/a.png'):
        refuse_same_names(runner_over(['x/a.jpg', 'y/a.png'], 'out'))


def test_pictures_of_two_images_of_one_name_and_onto_images_are_refused(tmp_path):
    paths = [tmp_path / name for name in ('x/a.jpg', 'x/b.jpg', 'y/a.jpg', 'y/a.png')]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        Image.new('RGB', (8, 8)).save(path)
    with pytest.raises(SystemExit, match='x/a.jpg and .*y/a.jpg would both be written to out/a.jpg'):
        refuse_same_names(runner_over(paths), 'out')
    with pytest.raises(SystemExit, match='x/a.jpg would replace its own source .*x/a.jpg'):
        refuse_same_names(runner_over(paths[:2]), str(tmp_path / 'x'))
    refuse_same_names(runner_over(paths[2:]), str(tmp_path / 'out'))  # a.jpg and a.png keep their suffixes
    assert not (tmp_path / 'out').exists()
    inside = tmp_path / 'x/out'
    refuse_same_names(runner_over(paths[:2]), str(inside))
    for name in ('a.jpg', 'b.jpg'):
        Image.new('RGB', (8, 8)).save(inside / name)
    assert sorted(image_files(tmp_path / 'x')) == paths[:2]


@pytest.mark.parametrize(
    'error, said',
    [
        (
            OSError(28, 'No space left on device'),
            r'no room .* in {0} \([\d.]+ MiB free\): .*No space left.*--resume',
        ),
        (
            OSError(28, 'no room for the whole file', 'a/epoch_1.pth'),
            'a/epoch_1.pth: no room for the whole file',
        ),
        (
            RuntimeError('[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0'),
            'no room .* in {0}',
        ),
    ],
)
def test_a_full_disk_ends_a_run_with_a_sentence(tmp_path, error, said):
    with pytest.raises(SystemExit, match=said.format(tmp_path)), room_in(tmp_path, None, tmp_path / 'none'):
        raise error


@pytest.mark.parametrize('error', [OSError(2, 'No such file', 'x'), RuntimeError('shape'), ValueError('x')])
def test_other_errors_stay(tmp_path, error):
    with pytest.raises(type(error)) as raised, room_in(tmp_path):
        raise error
    assert raised.value is error
