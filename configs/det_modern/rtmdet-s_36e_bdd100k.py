"""RTMDet-s, 36 epochs."""

_base_ = ['_base_/rtmdet.py']
model = dict(**_base_.rtmdet_s)
