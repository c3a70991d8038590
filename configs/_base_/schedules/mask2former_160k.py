"""Mask2Former's recipe for 160k iterations."""

_base_ = './mask2former_90k.py'
max_iters = 160000
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=max_iters, by_epoch=False)]
train_cfg = dict(max_iters=max_iters)
