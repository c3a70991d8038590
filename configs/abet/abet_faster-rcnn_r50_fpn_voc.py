"""AbeT's Faster R-CNN on VOC."""

_base_ = ['./faster-rcnn_r50_fpn_voc.py']
model = _base_.abet
