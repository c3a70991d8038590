"""Every family, as a small twin with made-up weights: exported with open sizes and compared with PyTorch."""

import warnings

import pytest

from mmroad.export.made_up import made_up_model, small_twin
from mmroad.export.write import export
from mmroad.zoo.configs import get_config
from mmroad.zoo.models import single_dataset

#: One of every head and every backbone; and whether a batch may have several images.
FAMILIES = {
    'faster_rcnn_r50_fpn_1x_det_bdd100k': True,
    'retinanet_r50_fpn_1x_det_bdd100k': True,
    'cascade_rcnn_r50_fpn_1x_det_bdd100k': True,
    'atss_r50_fpn_1x_det_bdd100k': True,
    'fcos_r50_fpn_1x_det_bdd100k': True,
    'fcos_tricks_r50_fpn_1x_det_bdd100k': True,
    'sparse_rcnn_r50_fpn_1x_det_bdd100k': True,
    'libra_faster_rcnn_r50_fpn_1x_det_bdd100k': True,
    'atss_r50_fpn_dyhead_1x_det_bdd100k': True,
    'faster_rcnn_r50_fpn_dconv_1x_det_bdd100k': True,
    'faster_rcnn_hrnetv2p_w18_1x_det_bdd100k': True,
    'faster_rcnn_swin-t_fpn_1x_det_bdd100k': True,
    'faster_rcnn_convnext-t_fpn_fp16_1x_det_bdd100k': True,
    'retinanet_pvt-t_fpn_1x_det_bdd100k': True,
    'retinanet_pvtv2-b0_fpn_1x_det_bdd100k': True,
    'abet_cascade-rcnn_r50_fpn_bdd100k': True,
    'safe_faster-rcnn_r18_fpn_road_scenes': True,
    'mask_rcnn_r50_fpn_1x_ins_seg_bdd100k': True,
    'cascade_mask_rcnn_r50_fpn_1x_ins_seg_bdd100k': True,
    'gcnet_mask_rcnn_r50_fpn_1x_ins_seg_bdd100k': True,
    'abet_deepv3plus_wrn38_bdd100k': True,
    'rba_small_1dl_road_scenes': False,
    'mask2former_small_road_scenes': False,
    'mask2former_r50_ade20k': False,
    'eam_swin_l_9dl_cityscapes': False,
    'rankseg_small_road_scenes': False,
    'BoxSup-C2_R18_drawn_shapes': False,
    'Detic_LCOCOI21k_CLIP_R18_640b32_4x_ft4x_max-size': False,
    'Detic_LCOCOI21k_CLIP_SwinB_896b32_4x_ft4x_max-size': False,
    'BoxSup_OVCOCO_CLIP_R50_1x': False,
    'BoxSup-DeformDETR_L_R50_2x': False,
}


@pytest.mark.slow
@pytest.mark.parametrize('name', FAMILIES)
def test_a_family(name, tmp_path):
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    if 'convnext' in name:
        pytest.importorskip('mmpretrain')
    cfg = small_twin(get_config(name))
    if 'abet_deepv3plus' in name:  # the published ones do not resize
        single_dataset(cfg)['pipeline'].insert(1, dict(type='Resize', scale=(160, 96), keep_ratio=True))
    model = made_up_model(cfg, (96, 160))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        difference = export(model, tmp_path / 'model.onnx', name=name)
    import json

    from mmroad.export.session import metadata_of

    about = metadata_of(tmp_path / 'model.onnx')
    assert json.loads(about['size']) is None
    assert (json.loads(about['batch']) is None) == FAMILIES[name]
    assert difference.numbers.get('detections', 100) > 20
    assert ('ood_scores' in difference.numbers) == (
        name.startswith(('safe', 'abet')) and 'deepv3' not in name
    )
