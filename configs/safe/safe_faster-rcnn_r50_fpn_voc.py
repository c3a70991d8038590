"""SAFE beside faster-rcnn_r50_fpn_voc, whose weights load_from names."""

_base_ = ['../abet/faster-rcnn_r50_fpn_voc.py', '../_base_/schedules/safe.py']
custom_imports = dict(imports=[*_base_.custom_imports.imports, 'mmroad.anomaly.safe'])
model = dict(type='SafeFasterRCNN')
_sets = [dict(d, pipeline=_base_.safe_train_pipeline) for d in _base_.train_dataloader.dataset.datasets]
train_dataloader = dict(sampler=_base_.safe_sampler, dataset=dict(datasets=_sets))
optim_wrapper = dict(_base_.safe_optim_wrapper, accumulative_counts=8)  # of 4 images
train_cfg = _base_.safe_train_cfg
param_scheduler = []
default_hooks = dict(checkpoint=_base_.safe_checkpoint)
load_from = 'weights/faster-rcnn_r50_fpn_voc.pth'
