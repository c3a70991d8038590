"""DeepLabV3+ WideResNet38 on Mapillary Vistas, the baseline's first stage."""

_base_ = [
    '../_base_/models/deepv3plus_wrn38.py',
    '../_base_/datasets/abet_mapillary.py',
    '../_base_/schedules/abet_stage1.py',
]
model = _base_.stage
