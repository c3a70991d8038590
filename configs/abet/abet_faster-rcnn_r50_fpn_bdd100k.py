"""AbeT's Faster R-CNN on BDD100K."""

_base_ = ['./faster-rcnn_r50_fpn_bdd100k.py']
model = _base_.abet
