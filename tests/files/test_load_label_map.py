"""The loading of label maps in the pipelines: beside mmseg's own, and what each shipped pipeline refuses."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS
from PIL import Image

import mmroad.abet
import mmroad.rankseg
import mmroad.rba  # noqa: F401
from mmroad.files.transforms import LabelCheckHook, LoadLabelMap
from mmroad.zoo.configs import configs_folder, get_config

LABELS = np.array([[0, 1, 2], [17, 18, 255]], np.uint8)
ALL = sorted(
    path.stem
    for folder in ('rba', 'rankseg', 'abet')
    for path in (configs_folder() / folder).glob('*.py')
    if 'video' not in path.stem and 'rcnn' not in path.stem and 'panoptic' not in path.stem
)


def results(path, reduce=False, **more):
    return dict(seg_map_path=str(path), reduce_zero_label=reduce, seg_fields=[], **more)


def save(path, labels):
    Image.fromarray(labels).save(path)
    return path


@pytest.mark.filterwarnings('ignore:`reduce_zero_label`')
@pytest.mark.parametrize('reduce', [False, True])
@pytest.mark.parametrize('label_map', [None, {i: (i % 3 if i < 18 else 255) for i in range(19)}])
def test_loads_what_mmseg_loads(reduce, label_map, tmp_path):
    labels = np.random.default_rng(0).choice([*range(19), 255], (9, 11)).astype(np.uint8)
    path = save(tmp_path / 'a.png', labels)
    item = dict(label_map=label_map, ori_shape=(9, 11))
    want = LoadAnnotations()(results(path, reduce, **item))
    got = LoadLabelMap(num_classes=19)(results(path, reduce, **item))
    assert np.array_equal(got['gt_seg_map'], want['gt_seg_map']) and got['gt_seg_map'].dtype == np.uint8
    assert got['seg_fields'] == ['gt_seg_map']
    with pytest.raises(ValueError, match=r'a\.png: its data set has reduce_zero_label'):
        LoadLabelMap(reduce_zero_label=not reduce)(results(path, reduce))


def test_values_are_checked_before_they_are_changed(tmp_path):
    path = save(tmp_path / 'a.png', LABELS)
    load = LoadLabelMap(num_classes=18)
    assert np.array_equal(
        load(results(path, True))['gt_seg_map'], [[255, 0, 1], [16, 17, 255]]
    )  # 18 classes and none
    with pytest.raises(ValueError, match=r'a\.png: values 18 .* expected 0 to 17 or 255'):
        load(results(path))
    with pytest.raises(
        ValueError, match=r'values 17, 18 .* expected 0 to 3'
    ):  # the four that the file may hold
        load(results(path, label_map={0: 0, 1: 255, 2: 1, 3: 255}))
    with pytest.raises(ValueError, match='2 x 3 pixels .* its image 3 x 2'):
        load(results(path, ori_shape=(3, 2)))
    assert LoadLabelMap(num_classes=17, ignored=(17, 18, 255))(results(path))['gt_seg_map'].max() == 255


def test_files_behind_a_backend_are_checked_too(tmp_path):
    load = LoadLabelMap(num_classes=18, backend_args=dict(backend='local'))
    path = save(tmp_path / 'a.png', LABELS.clip(0, 5))
    assert np.array_equal(load(results(path))['gt_seg_map'], LABELS.clip(0, 5))
    with pytest.raises(ValueError, match=r'a\.png: values 18'):
        load(results(save(path, LABELS)))


def pipelines(node):
    """All lists of transforms below a config's node."""
    if isinstance(node, dict):
        for value in node.values():
            yield from pipelines(value)
    elif isinstance(node, (list, tuple)):
        if any(isinstance(step, dict) and str(step.get('type', '')).startswith('Load') for step in node):
            yield list(node)
        for value in node:
            yield from pipelines(value)


@pytest.mark.parametrize('name', ALL)
def test_every_shipped_pipeline_checks_its_label_maps(name):
    cfg = get_config(name)
    parts = [
        cfg.get(key) for key in ('train_dataloader', 'val_dataloader', 'test_dataloader', 'tta_pipeline')
    ]
    loads = [step for steps in pipelines(parts) for step in steps if step['type'].startswith('Load')]
    kinds = {step['type'] for step in loads}
    assert kinds & {'LoadLabelMap', 'LoadMapillaryAsCityscapes'} and 'LoadAnnotations' not in kinds
    head = cfg.model.decode_head
    for step in loads:
        if step['type'] == 'LoadLabelMap':
            assert step['num_classes'] == head.num_classes
            assert ('65' in str(step.get('ignored'))) == (head.num_classes == 65)


MASKS = {
    'colors': (np.dstack([LABELS] * 2 + [LABELS + 1]), 'a color image'),
    'size': (LABELS[:1], r'1 x 3 pixels \(height x width\), its image 2 x 3'),
    'ids': (np.full_like(LABELS, 33), 'values 33'),
    '16 bits': (np.full(LABELS.shape, 1000, np.uint16), 'values 1000'),
}


@pytest.mark.parametrize('kind', MASKS)
@pytest.mark.parametrize(
    'dataset, suffix',
    [('cityscapes', '_gtFine_labelTrainIds.png'), ('bdd100k_sem_seg', '.png')],
)
@pytest.mark.parametrize('split', ['train', 'val'])
def test_the_shipped_data_sets_name_a_bad_mask(kind, dataset, suffix, split, tmp_path):
    cfg = Config.fromfile(configs_folder() / f'_base_/datasets/{dataset}.py')
    init_default_scope('mmseg')
    part = cfg[f'{split}_dataloader'].dataset
    part.update(data_root=str(tmp_path), data_prefix=dict(img_path='img', seg_map_path='seg'))
    part.pipeline = [step for step in part.pipeline if step['type'].startswith('Load')]
    (tmp_path / 'img').mkdir()
    (tmp_path / 'seg').mkdir()
    image = 'a_leftImg8bit.png' if dataset == 'cityscapes' else 'a.jpg'
    save(tmp_path / 'img' / image, np.zeros((2, 3, 3), np.uint8))
    labels, message = MASKS[kind]
    save(tmp_path / f'seg/a{suffix}', labels)
    from mmseg.registry import DATASETS

    with pytest.raises(ValueError, match=rf'seg/a{suffix}: .*{message}'):
        DATASETS.build(part)[0]


def test_mapillary_labels_are_checked_too(tmp_path):
    load = TRANSFORMS.build(dict(type='LoadMapillaryAsCityscapes'))
    assert load(results(save(tmp_path / 'a.png', np.uint8([[13, 65]]))))['gt_seg_map'].tolist() == [[0, 255]]
    with pytest.raises(ValueError, match=r'a\.png: values 66 .* expected 0 to 65'):
        load(results(save(tmp_path / 'a.png', np.uint8([[13, 66]]))))


def runner_of(number, dataset, wrap=0):
    """What the hook sees of a runner."""
    model = SimpleNamespace(decode_head=SimpleNamespace(num_classes=number))
    for _ in range(wrap):
        model = SimpleNamespace(module=model)
    return SimpleNamespace(
        model=model, train_loop=SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset))
    )


def dataset_of(step, label_map=None, classes=('a', 'b')):
    pipeline = SimpleNamespace(transforms=[dict(type='LoadImageFromFile'), step, dict(type='PackSegInputs')])
    return SimpleNamespace(pipeline=pipeline, label_map=label_map, metainfo=dict(classes=classes))


@pytest.mark.parametrize('wrap', [0, 1, 2])
def test_numbers_of_classes_are_compared_before_the_first_step(wrap):
    hook, load = LabelCheckHook(), LoadLabelMap(num_classes=19)
    joined = SimpleNamespace(datasets=[dataset_of(LoadLabelMap(num_classes=5)), dataset_of(load)])
    boosted = SimpleNamespace(dataset=dataset_of(load), boost=dataset_of(LoadLabelMap(num_classes=65)))
    for dataset in (dataset_of(load), dataset_of(LoadLabelMap()), dataset_of(LoadAnnotations())):
        hook.before_train(runner_of(19, dataset, wrap))
    hook.before_train(runner_of(2, dataset_of(load, {i: i % 2 for i in range(19)}), wrap))
    for number, dataset, message in (
        (
            5,
            dataset_of(load),
            r"19 classes \(LoadLabelMap's num_classes\), the decode head has 5 \(model\.decode_head",
        ),
        (19, joined, '5 classes .* has 19'),
        (19, boosted, '65 classes .* has 19'),
        (
            19,
            dataset_of(load, {0: 0}),
            r"2 classes \(its data set's metainfo\.classes\), the decode head has 19",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            hook.before_train(runner_of(number, dataset, wrap))


def test_each_loop_compares_its_own_data_set():
    hook, right, wrong = LabelCheckHook(), dataset_of(LoadLabelMap(19)), dataset_of(LoadLabelMap(5))
    for phase in ('train', 'val', 'test'):
        runner = runner_of(19, right)
        for other in ('train', 'val', 'test'):
            dataset = wrong if other == phase else right
            setattr(runner, f'{other}_loop', SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset)))
        for other in ('train', 'val', 'test'):
            raised = pytest.raises(ValueError, match='5 classes') if other == phase else nullcontext()
            with raised:
                getattr(hook, f'before_{other}')(runner)


def test_a_head_of_inliers_and_one_without_a_number():
    hook = LabelCheckHook()
    runner = runner_of(20, dataset_of(LoadLabelMap(19)))
    runner.model.decode_head.num_inliers = 19  # of RbA, whose num_classes counts the outliers too
    hook.before_train(runner)
    runner.model.decode_head = SimpleNamespace()
    hook.before_train(runner)
    hook.before_train(SimpleNamespace(model=SimpleNamespace(), train_loop=runner.train_loop))


def test_the_configs_have_the_comparison():
    for name in ('rba_swin_b_1dl_ood_coco', 'abet_deepv3plus_wrn38_cityscapes', 'rankseg_small_road_scenes'):
        assert get_config(name).default_hooks.label_check.type == 'LabelCheckHook'
