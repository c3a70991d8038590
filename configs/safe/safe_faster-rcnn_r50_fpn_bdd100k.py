"""SAFE beside faster-rcnn_r50_fpn_bdd100k, whose weights load_from names."""

_base_ = ['../abet/faster-rcnn_r50_fpn_bdd100k.py', '../_base_/schedules/safe.py']
custom_imports = dict(imports=[*_base_.custom_imports.imports, 'mmroad.anomaly.safe'])
model = dict(type='SafeFasterRCNN')
train_dataloader = dict(sampler=_base_.safe_sampler, dataset=dict(pipeline=_base_.safe_train_pipeline))
optim_wrapper = _base_.safe_optim_wrapper
train_cfg = _base_.safe_train_cfg
param_scheduler = []
default_hooks = dict(checkpoint=_base_.safe_checkpoint)
load_from = 'weights/faster-rcnn_r50_fpn_bdd100k.pth'
