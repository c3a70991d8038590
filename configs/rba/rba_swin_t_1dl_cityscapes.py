"""RbA inlier model, Swin-T, one decoder layer, Cityscapes."""

_base_ = './rba_swin_b_1dl_cityscapes.py'
model = dict(backbone=_base_.swin_t, decode_head=dict(in_channels=_base_.swin_ts_channels))
