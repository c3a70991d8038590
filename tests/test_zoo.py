import pytest
import torch

import mmroad
from mmroad.bdd100k.scalabel import DET_CLASSES
from mmroad.zoo.configs import configs_folder, find_model, get_config
from mmroad.zoo.models import (
    build_model,
    configs_that_fit,
    single_dataset,
    uninitialized,
    without_initial_weights,
)

SMALL = 'faster_rcnn_r18_fpn_quickstart'


def test_models_are_listed_by_shell_patterns_of_any_case():
    convnext = mmroad.list_models('*ConvNeXt*_det_*')
    assert len(convnext) == 8 and 'faster_rcnn_convnext-t_fpn_fp16_3x_det_bdd100k' in convnext
    assert mmroad.list_models('*_convnext-?_fpn_fp16_3x_det*') == [n for n in convnext if '_3x_' in n]
    assert len(mmroad.list_models('*_det_bdd100k')) == 64
    assert mmroad.list_models('nothing*') == []


def test_an_unknown_model_names_those_near():
    with pytest.raises(KeyError, match='retinanet_r50_fpn_3x_det_bdd100k'):
        find_model('retinanet_r50_fpn_3_det_bdd100k')


def test_a_config_is_found_by_name_file_name_and_path():
    path = configs_folder() / f'quickstart/{SMALL}.py'
    by_path = mmroad.get_config(str(path))
    assert by_path.filename == str(path)
    assert mmroad.get_config(SMALL).model == mmroad.get_config(f'{SMALL}.py').model == by_path.model


def test_pretrained_initializations_are_left_out_and_others_kept():
    cfg = dict(
        backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='http://gone')),
        heads=[dict(init_cfg=dict(type='Normal', std=0.01))],
    )
    assert without_initial_weights(cfg) == dict(
        backbone=dict(init_cfg=None), heads=[dict(init_cfg=dict(type='Normal', std=0.01))]
    )


def test_uninitialized_holds_inside_only():
    tensor = torch.full((3,), 7.0)
    with pytest.raises(RuntimeError), uninitialized():
        assert torch.nn.init.zeros_(tensor).tolist() == [7, 7, 7]
        raise RuntimeError
    assert torch.nn.init.zeros_(tensor).tolist() == [0, 0, 0]


def test_init_model_loads_weights_and_takes_options(tmp_path):
    source = build_model(mmroad.get_config(SMALL))
    names = [name.upper() for name in DET_CLASSES]
    torch.save(
        dict(state_dict=source.state_dict(), meta=dict(dataset_meta=dict(classes=names))), tmp_path / 'a.pth'
    )
    model = mmroad.init_model(SMALL, tmp_path / 'a.pth', cfg_options={'model.test_cfg.rcnn.score_thr': 0.5})
    assert not model.training and model.cfg.model.test_cfg.rcnn.score_thr == 0.5
    assert model.dataset_meta['classes'] == DET_CLASSES
    assert all(torch.equal(a, b) for a, b in zip(source.state_dict().values(), model.state_dict().values()))
    assert mmroad.init_model(SMALL).dataset_meta['classes'][0] == 'pedestrian'


@pytest.mark.parametrize(
    ('name', 'kind', 'annotations'),
    [
        # tested on outliers, whose labels are not what the model predicts: the set that it is validated on
        ('abet_deepv3plus_wrn38_cityscapes-cv2_ood', 'CityscapesCitySplit', None),
        ('abet_deepv3plus_r18_road_scenes_ood', 'BDD100KSemSegDataset', None),
        # tested on one that is not the validation set
        ('changed', 'BDD100KDetDataset', 'test.json'),
        ('wrapped', 'BDD100KDetDataset', 'inside.json'),
        ('several', 'BDD100KDetDataset', 'val.json'),
    ],
)
def test_the_data_set_that_a_model_is_used_with(name, kind, annotations):
    cfg = get_config(SMALL if annotations else name)
    tested, val = cfg.test_dataloader.dataset, cfg.val_dataloader.dataset
    if annotations:
        tested.ann_file, val.ann_file = 'test.json', 'val.json'
    if name == 'wrapped':
        cfg.test_dataloader.dataset = dict(
            type='RepeatDataset', times=2, dataset=dict(tested, ann_file='inside.json')
        )
    if name == 'several':
        cfg.test_dataloader.dataset = dict(type='ConcatDataset', datasets=[tested, val])
    dataset = single_dataset(cfg)
    assert dataset['type'] == kind and (annotations is None or dataset['ann_file'] == annotations)
    if annotations is None:
        assert cfg.test_dataloader.dataset.type != kind


def test_models_of_another_size_are_not_built_to_find_one_that_fits(monkeypatch):
    state, built = build_model(get_config(SMALL)).state_dict(), []
    monkeypatch.setattr(
        'mmroad.zoo.models.build_model', lambda cfg: built.append(cfg.filename) or build_model(cfg)
    )
    assert SMALL in configs_that_fit(state)
    assert len(built) < len(mmroad.list_models()) // 8


@pytest.mark.parametrize('device', ['cuda:99', 'gpu'])
def test_a_device_that_is_not_there_is_named(monkeypatch, device):
    monkeypatch.setattr('mmroad.zoo.models.build_model', lambda cfg: torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match=f"device '{device}' cannot be used: "):
        mmroad.init_model('faster_rcnn_r18_fpn_quickstart', device=device)
