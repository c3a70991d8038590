"""Checkpoints of mmdet 2.x's form load with nothing left over; files with code in them are refused."""

import argparse
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import mmroad
from mmroad.checkpoint import CheckpointError, load_checkpoint, load_state_file, state_dict_of
from mmroad.zoo import build_model, get_config, list_models, uninitialised

#: One model of each of the 17 groups.
GROUPS = [
    'faster_rcnn_r50_fpn_1x',
    'retinanet_r50_fpn_1x',
    'cascade_rcnn_r50_fpn_1x',
    'fcos_r50_fpn_1x',
    'faster_rcnn_r50_fpn_dconv_1x',
    'libra_faster_rcnn_r50_fpn_1x',
    'faster_rcnn_hrnetv2p_w18_1x',
    'atss_r50_fpn_1x',
    'sparse_rcnn_r50_fpn_1x',
    'atss_r50_fpn_dyhead_1x',
    'faster_rcnn_swin-t_fpn_1x',
    'cascade_rcnn_swin-t_fpn_3x',
    'retinanet_pvt-t_fpn_1x',
    'retinanet_pvtv2-b0_fpn_1x',
    'retinanet_r50_fpn_rsb_1x',
    'faster_rcnn_convnext-t_fpn_fp16_1x',
    'cascade_rcnn_convnext-t_fpn_fp16_1x',
]


def bare(name):
    """The model of a config, not initialised (its values are whatever memory held)."""
    if 'convnext' in name:
        pytest.importorskip('mmpretrain')
        import mmroad.convnext  # noqa: F401
    with uninitialised():
        return build_model(get_config(f'{name}_det_bdd100k'))


def old_checkpoint(model) -> dict:
    """As mmcv 1.x saved it: no counters and tables that were not buffers then, old meta."""
    state = {
        k: torch.full_like(v, 0.25) if v.is_floating_point() else v for k, v in model.state_dict().items()
    }
    meta = dict(
        epoch=np.int64(12),
        iter=27390,
        mmdet_version='2.18.1+c0c4ed6',
        config='model = dict(...)',
        CLASSES=(
            'pedestrian',
            'rider',
            'car',
            'truck',
            'bus',
            'train',
            'motorcycle',
            'bicycle',
            'light',
            'sign',
        ),
        hook_msgs=dict(best_score=np.float64(0.31)),
        PALETTE=np.zeros((10, 3)),
    )
    return dict(meta=meta, state_dict=state, optimizer=dict(lr=np.float32(0.1)))


@pytest.mark.parametrize('name', GROUPS)
def test_an_old_checkpoint_of_each_group_loads_with_nothing_left_over(name, tmp_path):
    model = bare(name)
    torch.save(old_checkpoint(model), tmp_path / 'old.pth')
    meta = load_checkpoint(model, tmp_path / 'old.pth')
    assert meta['dataset_meta']['classes'][8] == 'light' and meta['epoch'] == 12
    assert all((p == 0.25).all() for p in model.parameters())


def test_init_model_takes_classes_from_the_checkpoint(tmp_path):
    torch.save(old_checkpoint(bare('faster_rcnn_r50_fpn_1x')), tmp_path / 'old.pth')
    model = mmroad.init_model('faster_rcnn_r50_fpn_1x_det_bdd100k', tmp_path / 'old.pth')
    assert model.dataset_meta['classes'][9] == 'sign' and not model.training


def test_averaged_weights_of_an_ema_hook_replace_the_others():
    content = dict(
        state_dict={
            'backbone.conv1.weight': torch.zeros(2),
            'ema_backbone_conv1_weight': torch.ones(2),
            'module.neck.bias': torch.ones(1),
        }
    )
    state = state_dict_of(content)
    assert set(state) == {'backbone.conv1.weight', 'neck.bias'} and state['backbone.conv1.weight'].all()
    assert not state_dict_of(content, ema=False)['backbone.conv1.weight'].any()


@pytest.mark.slow
def test_a_checkpoint_for_another_model_names_the_keys_and_what_it_fits(tmp_path):
    other = bare('retinanet_pvtv2-b0_fpn_1x')
    torch.save(dict(state_dict=other.state_dict()), tmp_path / 'other.pth')
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(bare('faster_rcnn_r50_fpn_1x'), tmp_path / 'other.pth')
    message = str(caught.value)
    assert 'missing: backbone.conv1.weight' in message and 'left over: backbone.layers.0' in message
    assert 'It fits: retinanet_pvtv2-b0_fpn_1x_det_bdd100k, retinanet_pvtv2-b0_fpn_3x_det_bdd100k.' in message


def test_another_number_of_classes_is_named(tmp_path, monkeypatch):
    import mmroad.zoo

    monkeypatch.setattr(mmroad.zoo, 'configs_that_fit', lambda state: [])
    model = bare('faster_rcnn_r50_fpn_1x')
    state = model.state_dict()
    state['roi_head.bbox_head.fc_cls.weight'] = torch.zeros(81, 1024)
    torch.save(state, tmp_path / 'coco.pth')
    with pytest.raises(
        CheckpointError, match=r'fc_cls\.weight: \(81, 1024\) in the file, \(11, 1024\) in the model'
    ):
        load_checkpoint(model, tmp_path / 'coco.pth')


class Trap:
    """Unpickling this would write a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.mark.parametrize('kind', ['pth', 'old_pth', 'pkl'])
def test_a_malicious_file_is_refused_without_running_it(tmp_path, kind):
    sign = tmp_path / 'was_run'
    content = dict(state_dict=dict(w=torch.zeros(1)), meta=Trap(sign))
    path = tmp_path / ('bad.pkl' if kind == 'pkl' else 'bad.pth')
    if kind == 'pkl':
        path.write_bytes(pickle.dumps(dict(model=Trap(sign))))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == 'pth')
    with pytest.raises(CheckpointError, match='not weights alone.*Nothing in it was run'):
        load_state_file(path)
    assert not sign.exists()
    load_state_file(path, trust=True)
    assert sign.exists()


def test_other_objects_need_trust(tmp_path):
    torch.save(dict(args=argparse.Namespace(a=1)), tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match='trust=True'):
        load_state_file(tmp_path / 'a.pth')
    assert load_state_file(tmp_path / 'a.pth', trust=True)['args'].a == 1


def test_pickles_of_numpy_arrays_are_read(tmp_path):
    arrays = dict(model={'w': np.arange(6, dtype=np.float32).reshape(2, 3)}, __author__='someone')
    for protocol in (2, 4):
        (tmp_path / 'w.pkl').write_bytes(pickle.dumps(arrays, protocol=protocol))
        assert (load_state_file(tmp_path / 'w.pkl')['model']['w'] == arrays['model']['w']).all()


def test_damaged_and_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='no checkpoint at'):
        load_state_file(tmp_path / 'none.pth')
    torch.save(dict(w=torch.zeros(100)), tmp_path / 'cut.pth')
    (tmp_path / 'cut.pth').write_bytes((tmp_path / 'cut.pth').read_bytes()[:300])
    with pytest.raises(CheckpointError, match=r'cut\.pth'):
        load_state_file(tmp_path / 'cut.pth')


def test_safetensors_are_read(tmp_path):
    save_file = pytest.importorskip('safetensors.torch').save_file
    save_file(dict(w=torch.ones(2)), tmp_path / 'w.safetensors')
    assert load_state_file(tmp_path / 'w.safetensors')['w'].sum() == 2


def test_groups_cover_the_zoo():
    from mmroad.zoo import find_model

    names = {find_model(f'{name}_det_bdd100k')['In Collection'] for name in GROUPS}
    assert names == {find_model(name)['In Collection'] for name in list_models('*_det_bdd100k')}
