"""A small DeepLabV3+ with the learned temperature on the synthetic road scenes."""

_base_ = ['./deepv3plus_r18_road_scenes.py']
model = _base_.abet
