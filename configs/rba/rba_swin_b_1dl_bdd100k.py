"""The RbA inlier recipe on BDD100K semantic segmentation, Swin-B, one decoder layer."""

_base_ = [
    '../_base_/models/mask2former_sem_seg.py',
    '../_base_/datasets/bdd100k_sem_seg.py',
    '../_base_/schedules/mask2former_90k.py',
    '../_base_/runtime_sem_seg.py',
]
custom_imports = dict(imports=['mmroad.rba'], allow_failed_imports=False)
model = dict(
    type='MaskAnomalySegmentor',
    backbone=_base_.swin_b,
    decode_head=dict(_base_.one_layer, type='RbAHead', in_channels=_base_.swin_b_channels),
)
