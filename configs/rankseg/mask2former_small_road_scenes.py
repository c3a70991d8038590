"""A small Mask2Former for the synthetic road scenes, trained from scratch in minutes."""

_base_ = [
    '../_base_/models/mask2former_small.py',
    '../_base_/datasets/road_scenes_sem_seg.py',
    '../_base_/schedules/mask2former_small.py',
    '../_base_/runtime_sem_seg.py',
]
custom_imports = dict(imports=['mmroad.rankseg'], allow_failed_imports=False)
model = dict(type='Mask2FormerSegmentor')
