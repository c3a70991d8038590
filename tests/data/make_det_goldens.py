"""Makes det_state_dicts.json.gz: the state-dict keys and shapes of the 64 detectors.

They come from mmdet's own stock configs (mmdet/.mim/configs), changed by the published recipes' facts:
ten classes, depth, backbone. None of mmroad's configs is read, so that the golden file can disagree with
them. mmdet 2.x, whose checkpoints are published, has the same parameter names in these modules (static
comparison of 2.28.2 with 3.x); its code itself cannot run beside this torch. ConvNeXt's keys come from
mmpretrain's class, with the stock detectors around it; Swin-S and Swin-B, Cascade Swin, dconv R-101,
PVT-S and the rest of the sizes from the stock config of the family's smallest with its own widths.

    python tests/data/make_det_goldens.py
"""

import gzip
import json
from pathlib import Path

import mmdet
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from mmroad.zoo import uninitialised

STOCK = Path(mmdet.__file__).parent / '.mim/configs'
R101 = {'backbone.depth': 101}
SWIN = dict(
    t=dict(embed_dims=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24]),
    s=dict(embed_dims=96, depths=[2, 2, 18, 2], num_heads=[3, 6, 12, 24]),
    b=dict(embed_dims=128, depths=[2, 2, 18, 2], num_heads=[4, 8, 16, 32]),
)
NEXT = dict(t=('tiny', 96), s=('small', 96), b=('base', 128))
FASTER, CASCADE = 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco', 'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco'
RETINA = 'retinanet/retinanet_r50_fpn_1x_coco'
THREE = (('r50', '1x', {}), ('r50', '3x', {}), ('r101', '3x', R101))


def rows():
    """(stem, stock config, changes to the model)."""
    for depth, schedule, change in (*THREE, ('r50', '5x', {}), ('r101', '5x', R101)):
        yield f'faster_rcnn_{depth}_fpn_{schedule}', FASTER, change
    for family, stock, suffix in (
        ('retinanet', RETINA, ''),
        ('cascade_rcnn', CASCADE, ''),
        ('fcos', 'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco', ''),
        ('faster_rcnn', 'dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco', '_dconv'),
        ('libra_faster_rcnn', 'libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco', ''),
        ('atss', 'atss/atss_r50_fpn_1x_coco', ''),
        ('atss', 'dyhead/atss_r50_fpn_dyhead_1x_coco', '_dyhead'),
        ('sparse_rcnn', 'sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco', ''),
    ):
        for depth, schedule, change in THREE:
            yield f'{family}_{depth}_fpn{suffix}_{schedule}', stock, change
    yield (
        'fcos_tricks_r50_fpn_1x',
        'fcos/fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco',
        {},
    )
    for width in ('w18', 'w32'):
        for schedule in ('1x', '3x'):
            stock = f'hrnet/faster-rcnn_hrnetv2p-{width}-1x_coco'
            yield f'faster_rcnn_hrnetv2p_{width}_{schedule}', stock, {}
    for stem in (
        't_fpn_1x',
        't_fpn_3x',
        't_fpn_3x_strong',
        's_fpn_3x',
        's_fpn_fp16_3x',
        's_fpn_fp16_3x_strong',
        'b_fpn_fp16_3x',
        'b_fpn_fp16_3x_strong',
    ):
        yield f'faster_rcnn_swin-{stem}', FASTER, swin(stem[0])
    for stem in ('t_fpn_3x', 's_fpn_fp16_3x', 'b_fpn_fp16_3x'):
        yield f'cascade_rcnn_swin-{stem}', CASCADE, swin(stem[0])
    for size, schedules in (('t', ('1x', '3x')), ('s', ('3x',))):
        for schedule in schedules:
            yield f'retinanet_pvt-{size}_fpn_{schedule}', f'pvt/retinanet_pvt-{size}_fpn_1x_coco', {}
    for size, schedules in (('b0', ('1x', '3x')), ('b1', ('3x',)), ('b2', ('3x',))):
        for schedule in schedules:
            yield f'retinanet_pvtv2-{size}_fpn_{schedule}', f'pvt/retinanet_pvtv2-{size}_fpn_1x_coco', {}
    for schedule in ('1x', '3x'):
        yield (
            f'faster_rcnn_r50_fpn_rsb_{schedule}',
            'resnet_strikes_back/faster-rcnn_r50-rsb-pre_fpn_1x_coco',
            {},
        )
        yield f'retinanet_r50_fpn_rsb_{schedule}', 'resnet_strikes_back/retinanet_r50-rsb-pre_fpn_1x_coco', {}
    for family, stock in (('faster_rcnn', FASTER), ('cascade_rcnn', CASCADE)):
        for size, schedules in (('t', ('1x', '3x')), ('s', ('3x',)), ('b', ('3x',))):
            arch, width = NEXT[size]
            backbone = dict(
                _delete_=True, type='mmpretrain.ConvNeXt', arch=arch, out_indices=[0, 1, 2, 3],
                layer_scale_init_value=1.0, gap_before_final_norm=False,
            )  # fmt: skip
            change = {'backbone': backbone, 'neck.in_channels': [width * 2**i for i in range(4)]}
            for schedule in schedules:
                yield f'{family}_convnext-{size}_fpn_fp16_{schedule}', stock, change


def swin(size: str) -> dict:
    width = SWIN[size]['embed_dims']
    backbone = dict(_delete_=True, type='SwinTransformer', window_size=7, **SWIN[size])
    return {'backbone': backbone, 'neck.in_channels': [width * 2**i for i in range(4)]}


def ten_classes(node) -> None:
    for value in node.values() if isinstance(node, dict) else node:
        if isinstance(value, (dict, list)):
            ten_classes(value)
    if isinstance(node, dict) and node.get('num_classes') == 80:
        node['num_classes'] = 10


def without_pretrained(node) -> None:
    for value in node.values() if isinstance(node, dict) else node:
        if isinstance(value, (dict, list)):
            without_pretrained(value)
    if isinstance(node, dict) and (node.get('init_cfg') or {}).get('checkpoint'):
        node['init_cfg'] = None


def main() -> None:
    import mmroad.convnext  # noqa: F401 (registers mmpretrain's ConvNeXt)

    register_all_modules()
    init_default_scope('mmdet')
    golden = {}
    for stem, stock, change in rows():
        cfg = Config.fromfile(STOCK / f'{stock}.py')
        cfg.merge_from_dict({f'model.{key}': value for key, value in change.items()})
        ten_classes(cfg.model)
        without_pretrained(cfg.model)
        with uninitialised():
            model = MODELS.build(cfg.model)
        golden[f'{stem}_det_bdd100k'] = {k: list(v.shape) for k, v in model.state_dict().items()}
    out = Path(__file__).with_name('det_state_dicts.json.gz')
    out.write_bytes(gzip.compress(json.dumps(golden).encode(), mtime=0))
    print(f'{len(golden)} models: {out}')


if __name__ == '__main__':
    main()
