import pytest
import torch

import mmroad
from mmroad.zoo import build_model, configs_folder, find_model, uninitialised, without_initial_weights

SMALL = 'faster_rcnn_r18_fpn_quickstart'


def test_models_are_listed_by_shell_patterns_of_any_case():
    convnext = mmroad.list_models('*ConvNeXt*')
    assert len(convnext) == 8 and 'faster_rcnn_convnext-t_fpn_fp16_3x_det_bdd100k' in convnext
    assert mmroad.list_models('*_convnext-?_fpn_fp16_3x_*') == [n for n in convnext if '_3x_' in n]
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


def test_pretrained_initialisations_are_left_out_and_others_kept():
    cfg = dict(
        backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='http://gone')),
        heads=[dict(init_cfg=dict(type='Normal', std=0.01))],
    )
    assert without_initial_weights(cfg) == dict(
        backbone=dict(init_cfg=None), heads=[dict(init_cfg=dict(type='Normal', std=0.01))]
    )


def test_uninitialised_holds_inside_only():
    tensor = torch.full((3,), 7.0)
    with pytest.raises(RuntimeError), uninitialised():
        assert torch.nn.init.zeros_(tensor).tolist() == [7, 7, 7]
        raise RuntimeError
    assert torch.nn.init.zeros_(tensor).tolist() == [0, 0, 0]


def test_init_model_loads_weights_and_takes_options(tmp_path):
    source = build_model(mmroad.get_config(SMALL))
    torch.save(
        dict(state_dict=source.state_dict(), meta=dict(dataset_meta=dict(classes=['a']))), tmp_path / 'a.pth'
    )
    model = mmroad.init_model(SMALL, tmp_path / 'a.pth', cfg_options={'model.test_cfg.rcnn.score_thr': 0.5})
    assert not model.training and model.cfg.model.test_cfg.rcnn.score_thr == 0.5
    assert model.dataset_meta['classes'] == ['a']  # of the checkpoint, before those of the config
    assert all(torch.equal(a, b) for a, b in zip(source.state_dict().values(), model.state_dict().values()))
    assert mmroad.init_model(SMALL).dataset_meta['classes'][0] == 'pedestrian'
