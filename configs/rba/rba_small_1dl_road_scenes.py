"""A small RbA inlier model for the synthetic road scenes: a narrow ResNet-18, trained from scratch in minutes."""

_base_ = [
    '../_base_/models/mask2former_small.py',
    '../_base_/datasets/road_scenes_sem_seg.py',
    '../_base_/schedules/mask2former_small.py',
    '../_base_/runtime_sem_seg.py',
]
custom_imports = dict(imports=['mmroad.rba'], allow_failed_imports=False)
model = dict(type='MaskAnomalySegmentor', decode_head=dict(type='RbAHead'))
