"""A small Faster R-CNN with the learned temperature on the synthetic road scenes."""

_base_ = ['./faster-rcnn_r18_fpn_road_scenes.py']
model = _base_.abet
