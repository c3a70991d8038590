"""RTMDet-l, 36 epochs."""

_base_ = ['_base_/rtmdet.py']
