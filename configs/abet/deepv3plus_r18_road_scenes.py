"""A small DeepLabV3+ on the synthetic road scenes, the baseline."""
_base_ = ['./_base_/deepv3plus_r18.py', './_base_/road_scenes.py']
