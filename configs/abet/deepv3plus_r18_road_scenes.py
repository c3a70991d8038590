"""A small DeepLabV3+ on the synthetic road scenes, the baseline."""

_base_ = [
    '../_base_/models/deepv3plus_r18.py',
    '../_base_/datasets/abet_road_scenes.py',
    '../_base_/schedules/abet_small.py',
]
