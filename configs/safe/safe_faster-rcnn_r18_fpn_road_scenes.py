"""SAFE beside faster-rcnn_r18_fpn_road_scenes, four images a step; load_from is that detector's checkpoint."""

_base_ = ['../abet/faster-rcnn_r18_fpn_road_scenes.py', '../_base_/schedules/safe.py']
custom_imports = dict(imports=[*_base_.custom_imports.imports, 'mmroad.anomaly.safe'])
model = dict(type='SafeFasterRCNN')
train_dataloader = dict(
    sampler=_base_.safe_sampler, dataset=dict(pipeline=[*_base_.safe_load, dict(type='PackDetInputs')])
)
optim_wrapper = dict(_base_.safe_optim_wrapper, accumulative_counts=1)
train_cfg = _base_.safe_train_cfg
param_scheduler = []
default_hooks = dict(checkpoint=_base_.safe_checkpoint)
load_from = 'work_dirs/faster-rcnn_r18_fpn_road_scenes/iter_800.pth'
