"""RbA inlier model, ResNet-50, all nine decoder layers over three levels, Cityscapes."""

_base_ = [
    '../_base_/models/mask2former_sem_seg.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/mask2former_90k.py',
    '../_base_/runtime_sem_seg.py',
]
custom_imports = dict(imports=['mmroad.rba'], allow_failed_imports=False)
model = dict(type='MaskAnomalySegmentor', backbone=_base_.r50_init, decode_head=dict(type='RbAHead'))
