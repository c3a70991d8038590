"""RbA inlier model, Swin-L, one decoder layer, Cityscapes (upstream: swin_l_1dl)."""

_base_ = './rba_swin_b_1dl_cityscapes.py'
model = dict(backbone=_base_.swin_l, decode_head=dict(in_channels=_base_.swin_l_channels))
