"""RbA inlier model, Swin-S, one decoder layer, Cityscapes."""

_base_ = './rba_swin_b_1dl_cityscapes.py'
model = dict(backbone=_base_.swin_s, decode_head=dict(in_channels=_base_.swin_ts_channels))
